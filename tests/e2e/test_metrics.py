"""What operators see: /metrics with every name of the contract, spans over OTLP, log lines without secrets, stats."""

import http.server
import json
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness import chat_body, eventually, messages_body, write_config

CONTRACT = {"payonce_requests": {"dialect", "layer", "outcome"}, "payonce_request_seconds": {"phase"},
            "payonce_tokens": {"class"}, "payonce_saved_usd": {"layer"}, "payonce_saved_tokens": {"layer"},
            "payonce_entries": {"layer"}, "payonce_bytes": {"layer"}, "payonce_evictions": {"layer", "reason"},
            "payonce_upstream_errors": {"upstream", "code"}}


def families(gateway):
    return {family.name: family for family in text_string_to_metric_families(gateway.metrics())}


def make_traffic(gateway, upstream):
    for _ in range(3):
        gateway.chat()
    gateway.post("/v1/messages", messages_body())
    gateway.chat(X_Payonce_Layers="none")
    upstream.fail(status=500)
    gateway.chat(chat_body("fails"))
    assert gateway.client.post("/payonce/v1/cache/purge", json={"all": True}).status_code == 200


def test_every_metric_of_the_contract_is_there_and_parses(gateway, upstream):
    make_traffic(gateway, upstream)
    found = families(gateway)
    assert set(CONTRACT) <= set(found), f"missing: {set(CONTRACT) - set(found)}"
    for name, labels in CONTRACT.items():
        assert found[name].documentation, name
        for sample in found[name].samples:
            assert labels <= set(sample.labels), sample
    classes = {sample.labels["class"] for sample in found["payonce_tokens"].samples}
    assert classes == {"fresh", "read", "write", "output"}


def test_the_numbers_are_right(gateway, upstream):
    make_traffic(gateway, upstream)
    exact = {"dialect": "openai_chat", "layer": "exact"}
    assert gateway.metric("payonce_requests_total", outcome="hit", **exact) == 2
    assert gateway.metric("payonce_requests_total", outcome="miss") == 3
    assert gateway.metric("payonce_requests_total", outcome="bypass") == 1
    assert gateway.metric("payonce_upstream_errors_total", code="500") == 1
    assert gateway.metric("payonce_entries", layer="exact") == 0  # purged
    hits = [request for request in upstream.requests if request.number == 1]
    prompt, completion = len(hits[0].body) // 4 + 1, 11
    assert gateway.metric("payonce_saved_tokens_total", layer="exact") == 2 * (prompt + completion)
    assert gateway.metric("payonce_tokens_total") > 0
    assert gateway.metric("payonce_request_seconds_count", phase="total") >= 6


def test_stats_tell_hits_misses_reasons_and_savings(gateway, upstream):
    make_traffic(gateway, upstream)
    stats = gateway.stats()
    exact = stats["layers"]["exact"]
    assert {"hits", "misses", "entries", "bytes", "reasons"} <= set(exact)
    assert (exact["hits"], exact["misses"], exact["entries"]) == (2, 3, 0)
    assert sum(exact["reasons"].values()) == 3 and exact["reasons"]["cold"] == 3
    assert stats["saved"]["input_tokens"] > 0 and stats["saved"]["output_tokens"] == 22


def test_savings_are_priced(make_gateway, upstream, tmp_path):
    config = write_config(tmp_path / "prices.toml", f'[upstreams.one]\nbase_url = "{upstream.url}"\n'
                          '[prices."m"]\ninput = 100.0\noutput = 1000.0\n')
    gateway = make_gateway("--config", config)
    gateway.chat()
    saved = dict(part.split("=") for part in gateway.chat().headers["x-payonce-saved"].split(","))
    expected = (int(saved["input"]) * 100 + int(saved["output"]) * 1000) / 1e6
    assert float(saved["usd"]) == pytest.approx(expected, rel=1e-3)
    assert gateway.metric("payonce_saved_usd_total", layer="exact") == pytest.approx(expected, rel=1e-3)


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes OTLP/HTTP exports as JSON."""

    spans = None

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/traces" and self.headers["Content-Type"] == "application/json"
        for resource in body["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                self.server.spans.extend(scope["spans"])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        """Silent."""


@pytest.fixture
def collector():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.spans = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def attributes(span):
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


def test_spans_are_exported_with_the_callers_trace(make_gateway, upstream, collector):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    gateway = make_gateway("--upstream", upstream.url, "--traces-endpoint", endpoint)
    for _ in range(2):
        gateway.chat(traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    spans = eventually(lambda: [s for s in collector.spans if s["traceId"] == trace][1:] and collector.spans,
                       what="two spans")
    spans = [span for span in spans if span["traceId"] == trace]
    outcomes = [attributes(span)["payonce.cache.outcome"] for span in spans]
    assert sorted(outcomes) == ["hit", "miss"]
    for span in spans:
        assert span["parentSpanId"] == "00f067aa0ba902b7" and len(span["spanId"]) == 16
        assert int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"]) > 1.6e18
        assert attributes(span)["gen_ai.request.model"] == "m"
        assert attributes(span)["gen_ai.operation.name"] == "chat"
    missed = spans[outcomes.index("miss")]
    assert upstream.requests[0].header("traceparent").split("-")[2] == missed["spanId"]


def test_a_collector_that_is_away_delays_nothing(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--traces-endpoint", "http://127.0.0.1:9")
    for _ in range(50):
        assert gateway.chat().status_code == 200


def test_log_lines_are_json_without_bodies_or_credentials(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--log-format", "json", "--log-requests", "true",
                           "--log-level", "debug")
    gateway.chat(chat_body("a very private question"), Authorization="Bearer sk-log-secret")
    gateway.post("/v1/messages", messages_body("a very private question"), x_api_key="sk-log-secret")
    gateway.post("/v1/chat/completions", b'{"a very private question', Authorization="Bearer sk-log-secret")
    upstream.fail(status=401)
    gateway.chat(chat_body("refused"), Authorization="Bearer sk-log-secret")
    assert gateway.stop() == 0
    lines = [json.loads(line) for line in gateway.log().splitlines()]
    assert len(lines) >= 4
    text = gateway.log()
    assert "sk-log-secret" not in text and "private question" not in text and "Answer 1" not in text
