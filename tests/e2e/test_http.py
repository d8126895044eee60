"""The wire: HTTP/1.1 on raw sockets, what goes upstream and what passes through, drain, reload."""

import concurrent.futures
import hashlib
import json
import re

import httpx
import pytest

from harness import SIGHUP, SIGTERM, chat_body, eventually, is_hit, raw_post, sse_events, write_config
from upstream import Hold, Upstream

CHAT = "/v1/chat/completions"
BODY = json.dumps(chat_body()).encode()


# ---- HTTP/1.1 ------------------------------------------------------------------------------------

def test_a_connection_is_used_again(gateway, upstream):
    with gateway.connect() as connection:
        for index in range(3):
            connection.send(raw_post(CHAT, BODY))
            status, headers, _ = connection.read_answer()
            assert status == 200 and headers.get("connection", "keep-alive").lower() != "close"
            assert headers["cache-status"].startswith("payonce; hit") == (index > 0)
    assert upstream.count == 1


def test_pipelined_requests_are_answered_in_their_order(gateway, upstream):
    hold = Hold()
    upstream.fail(hold=hold)
    bodies = [json.dumps(chat_body(f"text {index}")).encode() for index in range(5)]
    with gateway.connect() as connection:
        connection.send(b"".join(raw_post(CHAT, body) for body in bodies))
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n")
        hold.wait_reached()
        hold.release()
        answers = [connection.read_answer() for _ in range(6)]
    assert [status for status, _, _ in answers] == [200] * 6
    assert answers[5][2] == b"ok\n"
    asked = [json.loads(request.body)["messages"][0]["content"] for request in upstream.requests]
    by_id = {f"chatcmpl-up{request.number}": text for request, text in zip(upstream.requests, asked)}
    assert [by_id[json.loads(body)["id"]] for _, _, body in answers[:5]] == [f"text {index}" for index in range(5)]


def test_a_head_that_comes_byte_by_byte_is_read(gateway, upstream):
    with gateway.connect() as connection:
        for byte in raw_post(CHAT, BODY):
            connection.send(bytes([byte]))
        assert connection.read_answer()[0] == 200


def test_expect_100_continue_is_answered(gateway, upstream):
    with gateway.connect() as connection:
        connection.send(raw_post(CHAT, b"", f"Content-Length: {len(BODY)}", "Expect: 100-continue", length=False))
        assert connection.read_answer()[0] == 100
        connection.send(BODY)
        assert connection.read_answer()[0] == 200
    assert upstream.requests[0].body == BODY


def test_a_chunked_request_is_the_same_request(gateway, upstream):
    chunks = b"".join(b"%X;note=1\r\n%s\r\n" % (len(part), part) for part in (BODY[:3], BODY[3:40], BODY[40:]))
    with gateway.connect() as connection:
        head = raw_post(CHAT, b"", "Transfer-Encoding: chunked", length=False)
        connection.send(head + chunks + b"0\r\nX-Trailer: a\r\n\r\n")
        status, headers, _ = connection.read_answer()
        assert (status, "hit" in headers["cache-status"]) == (200, False)
        connection.send(raw_post(CHAT, BODY))
        assert connection.read_answer()[1]["cache-status"].startswith("payonce; hit")
    assert upstream.requests[0].body == BODY


def test_connection_close_and_http_1_0_end_the_connection(gateway, upstream):
    for request in (raw_post(CHAT, BODY, "Connection: close"),
                    raw_post(CHAT, BODY).replace(b"HTTP/1.1", b"HTTP/1.0", 1)):
        with gateway.connect() as connection:
            connection.send(request)
            came = connection.read_to_end()
        assert came.split(b" ")[1] == b"200" and b'"chatcmpl-up1"' in came
        assert b"chunked" not in came.split(b"\r\n\r\n")[0].lower() or b"HTTP/1.1" in request


def test_a_stream_to_an_http_1_0_client_ends_with_the_connection(gateway, upstream):
    body = json.dumps(chat_body(stream=True)).encode()
    with gateway.connect() as connection:
        connection.send(raw_post(CHAT, body).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        head, _, content = connection.read_to_end().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert sse_events(content)[-1] == (None, "[DONE]")


def test_head_requests_have_no_body(gateway):
    with gateway.connect() as connection:
        connection.send(b"HEAD /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        came = connection.read_to_end()
    assert came.startswith(b"HTTP/1.1 200") and came.endswith(b"\r\n\r\n")


# ---- what goes upstream --------------------------------------------------------------------------

def test_the_body_goes_upstream_byte_for_byte(gateway, upstream):
    body = b' {"messages" : [{"content":"\\u0041\\/ \xc3\xbc","role":"user"}] ,\r\n "model":"m","x":1e2, "y":0.0e0}\n'
    assert gateway.post(CHAT, body).status_code == 200
    assert upstream.requests[0].body == body


def test_fields_go_upstream_but_those_of_the_hop(gateway, upstream):
    gateway.post(CHAT, BODY, X_Custom="a, b", Accept="application/json", Accept_Encoding="gzip", TE="trailers",
                 Connection="keep-alive, X-Hop", X_Hop="1", X_Payonce_TTL="60", User_Agent="mine/1")
    request = upstream.requests[0]
    assert request.header("x-custom") == "a, b" and request.header("user-agent") == "mine/1"
    assert request.header("host") == f"127.0.0.1:{upstream.port}"
    assert request.header("x-payonce-ttl") is None and request.header("te") is None
    assert request.header("x-hop") is None, "named in Connection, so it is of the hop (RFC 9110 7.6.1)"
    assert int(request.header("content-length")) == len(BODY) and request.header("transfer-encoding") is None


def test_traces_go_on_upstream(gateway, upstream):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    gateway.chat(traceparent=f"00-{trace}-00f067aa0ba902b7-01", tracestate="a=b")
    sent = upstream.requests[0].header("traceparent")
    assert re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-01", sent)
    assert upstream.requests[0].header("tracestate") == "a=b"


def test_unknown_paths_pass_through_untouched(gateway, upstream):
    models = gateway.client.get("/v1/models?limit=2")
    assert [model["id"] for model in models.json()["data"]] == ["m", "m1"]
    assert upstream.requests[0].target == "/v1/models?limit=2"
    content = bytes(range(256)) * 4096
    upload = gateway.client.build_request("POST", "/v1/files", files={"file": ("f.bin", content)})
    sent = upload.read()
    assert gateway.client.send(upload).json()["sha256"] == hashlib.sha256(sent).hexdigest()
    assert upstream.requests[1].body == sent
    assert gateway.client.delete("/v1/files/file-1").status_code == 404
    assert upstream.requests[2].method == "DELETE"
    assert gateway.entries() == 0


def test_an_answer_passes_through_with_its_fields(gateway, upstream):
    upstream.fail(headers=(("X-RateLimit-Remaining", "7"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")))
    key = {"Authorization": "Bearer sk-a"}  # without one, the cookie that the client keeps would tell who asks
    answer = gateway.chat(**key)
    assert answer.headers["x-ratelimit-remaining"] == "7" and answer.headers["x-request-id"] == "req-1"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    hit = gateway.chat(**key)
    assert is_hit(hit) and "set-cookie" not in hit.headers


# ---- drain and reload ----------------------------------------------------------------------------

@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_sigterm_lets_a_stream_finish(gateway, upstream, http2):
    """Also for httpx over HTTP/2, which gives up its streams at a GOAWAY."""
    hold = Hold()
    upstream.fail(after=3, hold=hold)
    with (httpx.Client(base_url=gateway.root, trust_env=False, timeout=60, http1=not http2, http2=http2) as client,
          client.stream("POST", CHAT, json=chat_body(stream=True)) as answer):
        parts = answer.iter_raw()
        came = next(parts)
        hold.wait_reached()
        gateway.signal(SIGTERM)
        eventually(lambda: refuses_connections(gateway), what="no new connections")
        assert gateway.process.poll() is None
        hold.release()
        came += b"".join(parts)
    assert sse_events(came)[-1] == (None, "[DONE]")
    assert gateway.process.wait(60) == 0


def refuses_connections(gateway):
    try:
        with gateway.connect():
            return False
    except OSError:
        return True


def test_what_came_while_draining_is_there_after_the_restart(gateway, upstream):
    hold = Hold()
    upstream.fail(hold=hold)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(gateway.chat)
        hold.wait_reached()
        gateway.signal(SIGTERM)
        hold.release()
        answer = asked.result(timeout=30)
    assert gateway.process.wait(60) == 0
    gateway.start(scanned=True)
    again = gateway.chat()
    assert is_hit(again) and again.content == answer.content


def test_idle_connections_do_not_delay_the_end(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--drain-timeout", "300s")
    with gateway.connect() as fresh, gateway.connect() as used:
        fresh.send(b"")
        used.send(raw_post(CHAT, BODY)).read_answer()
        gateway.signal(SIGTERM)
        assert gateway.process.wait(60) == 0


@pytest.mark.parametrize("sent", [raw_post(CHAT, BODY)[:30], raw_post(CHAT, BODY)[:-5]], ids=["head", "body"])
def test_half_sent_requests_delay_the_end_by_the_drain_timeout_at_most(make_gateway, upstream, sent):
    gateway = make_gateway("--upstream", upstream.url, "--drain-timeout", "1s")
    with gateway.connect() as connection:
        connection.send(sent)
        gateway.chat()
        gateway.signal(SIGTERM)
        assert gateway.process.wait(25) == 0  # by default it would be 30 s


def test_sighup_takes_a_new_configuration_and_keeps_the_entries(make_gateway, upstream, tmp_path):
    with Upstream() as second:
        text = '[upstreams.one]\nbase_url = "{}"\nmodels = ["{}"]\n'
        config = write_config(tmp_path / "reload.toml", text.format(upstream.url, "m"))
        gateway = make_gateway("--config", config)
        gateway.chat()
        assert gateway.chat(chat_body(model="new")).status_code == 404
        write_config(config, text.format(upstream.url, "m") + text.format(second.url, "new").replace("one", "two"))
        gateway.signal(SIGHUP)
        eventually(lambda: gateway.chat(chat_body(model="new")).status_code == 200, what="the new upstream is used")
        assert is_hit(gateway.chat())
        write_config(config, "[upstream.typo]\n")
        gateway.signal(SIGHUP)
        eventually(lambda: "upstream" in gateway.log().split("not taken")[-1] and "not taken" in gateway.log(),
                   what="the bad one is reported")
        assert gateway.chat(chat_body("more", model="new")).status_code == 200
