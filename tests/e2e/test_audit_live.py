"""What `payonce audit` promises comes out: the same requests through a gateway, with the real embedder, before an
upstream that answers as the log says."""

import http.server
import json
import os
import threading

import httpx
import pytest

from harness import run_cli

ALLOWED = 0.03  # of the actual cost, and of the requests
PRICE = {"in": 0.4, "read": 0.1, "out": 1.6}  # gpt-4.1-mini, USD per million


def cost(usage):
    read = usage["prompt_tokens_details"]["cached_tokens"]
    return ((usage["prompt_tokens"] - read) * PRICE["in"] + read * PRICE["read"]
            + usage["completion_tokens"] * PRICE["out"]) / 1e6


class Recorded(http.server.ThreadingHTTPServer):
    """Answers each request as it was answered in the log, and counts what that cost."""

    daemon_threads = True

    def __init__(self, rows):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {json.dumps(row["request"], sort_keys=True): row["response"] for row in rows}
        self.lock, self.calls, self.usd = threading.Lock(), 0, 0.0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.server.answers[json.dumps(asked, sort_keys=True)]
        with self.server.lock:
            self.server.calls += 1
            self.server.usd += cost(answer["usage"])
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.mark.skipif("PAYONCE_EMBEDDER" not in os.environ, reason="no embedder")
def test_the_same_requests_live_cost_what_was_promised(make_gateway, tmp_path):
    made = run_cli("demo", "--no-model", "--no-open", "--questions", 500, "--out", tmp_path / "demo", home=tmp_path,
                   timeout_s=300)
    assert made.returncode == 0, made.stderr
    rows = [json.loads(line) for line in (tmp_path / "demo" / "day.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["path"].endswith("/chat/completions")]
    log = tmp_path / "questions.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ["--layers", "exact,semantic", "--embedder", os.environ["PAYONCE_EMBEDDER"]]
    ended = run_cli("audit", log, *flags, "--quick", "--json", "-", home=tmp_path, timeout_s=300)
    assert ended.returncode == 0, ended.stderr
    promised = json.loads(ended.stdout)
    hits = {layer["name"]: layer["hits"] for layer in promised["layers"]}
    assert hits["exact"] > 100 and hits["semantic"] > 100

    upstream = Recorded(rows)
    gateway = make_gateway("--upstream", f"http://127.0.0.1:{upstream.server_address[1]}/v1", *flags)
    took = {"exact": 0, "semantic": 0}
    with httpx.Client(base_url=gateway.root, headers={"Authorization": "Bearer assistant"}, timeout=60) as client:
        for row in rows:
            answer = client.post("/v1/chat/completions", json=row["request"])
            assert answer.status_code == 200
            status = answer.headers["cache-status"]
            for layer in took:
                took[layer] += "hit" in status and f"detail={layer}" in status
    gateway.stop()
    upstream.shutdown()
    actual = promised["cost_usd"]["actual"]
    assert actual == pytest.approx(sum(cost(row["response"]["usage"]) for row in rows))
    assert upstream.usd / actual == pytest.approx(promised["cost_usd"]["with_payonce"] / actual, abs=ALLOWED)
    answered = sum(hits.values()) / len(rows)
    assert sum(took.values()) / len(rows) == pytest.approx(answered, abs=ALLOWED)
    said = promised["cost_usd"]["with_payonce"]
    print(f"promised {hits}, live {took} of {len(rows)}; cost {said / actual:.3f} and "
          f"{upstream.usd / actual:.3f} of the actual")
