"""Input that is wrong, hostile or endless: refused in the caller's dialect, never stored; the server stays well."""

import json
import re
import select

import pytest

from harness import chat_body, is_hit, raw_post

RSS_LIMIT_BYTES = 200 * 1024 * 1024
PATHS = ("/v1/chat/completions", "/v1/messages", "/v1/responses")
CHAT = PATHS[0]


@pytest.fixture(autouse=True)
def still_well(gateway, upstream):
    """After each test: a request is served, nothing bad was stored, memory is bounded."""
    yield
    assert gateway.process.poll() is None, gateway.log()
    assert not is_hit(gateway.chat(chat_body("still well?")))
    assert gateway.rss_bytes() < RSS_LIMIT_BYTES


def assert_dialect_error(path, content, kind="invalid_request_error"):
    value = json.loads(content)
    if path == "/v1/messages":
        assert value["type"] == "error"
    else:
        assert set(value["error"]) >= {"message", "type", "param", "code"}
    assert value["error"]["type"] == kind
    assert value["error"]["message"]


NO_OBJECTS = {"empty": b"", "text": b"hello", "cut": b'{"model":"m","messages":[', "array": b"[]", "null": b"null",
              "number": b"3", "string": b'"{}"', "two_values": b'{"model":"m"} {"model":"m"}',
              "trailing_comma": b'{"model":"m",}', "single_quotes": b"{'model':'m'}",
              "comment": b'{"model":"m" /* */}',
              "nan": b'{"temperature":NaN}', "hex": b'{"seed":0x10}', "leading_zero": b'{"seed":01}',
              "plus": b'{"seed":+1}', "control": b'{"model":"a\nb"}', "bad_escape": b'{"model":"\\x41"}',
              "short_escape": b'{"model":"\\u12"}', "bom": b'\xef\xbb\xbf{"model":"m"}',
              "latin1": b'{"model":"gr\xfc\xdf"}', "overlong": b'{"model":"\xc0\xaf"}',
              "surrogate_bytes": b'{"model":"\xed\xa0\x80"}', "beyond": b'{"model":"\xf4\x90\x80\x80"}',
              "cut_utf8": b'{"model":"\xe2\x82"}', "nul": b'{"model":"m"}\x00',
              "utf16": '{"model":"m"}'.encode("utf-16")}


@pytest.mark.parametrize("kind", NO_OBJECTS)
def test_a_body_that_is_no_json_object_is_refused_in_the_dialects_shape(gateway, upstream, kind):
    for path in PATHS:
        answer = gateway.post(path, NO_OBJECTS[kind])
        assert answer.status_code == 400, (path, answer.text)
        assert answer.headers["content-type"].startswith("application/json")
        assert_dialect_error(path, answer.content)
    assert upstream.count == 0
    assert gateway.entries() == 0


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"messages":[{"content":['], ids=["array", "object", "mixed"])
def test_nesting_without_end_is_refused(gateway, upstream, opening):
    deep = b'{"model":"m","x":' + opening * 100_000
    assert gateway.post(CHAT, deep).status_code == 400
    closing = {b"[": b"]", b'{"a":': b"}"}.get(opening)
    if closing:
        whole = deep + (b"1" if opening != b"[" else b"") + closing * 100_000 + b"}"
        assert gateway.post(CHAT, whole).status_code == 400
    assert upstream.count == 0


def test_a_body_over_the_limit_is_refused_before_it_is_read(gateway, upstream):
    with gateway.connect() as connection:
        connection.send(raw_post(CHAT, b"", f"Content-Length: {64 * 2**20}", length=False))
        status, _, content = connection.read_answer()
    assert status == 413
    assert_dialect_error(CHAT, content, json.loads(content)["error"]["type"])
    assert upstream.count == 0


def test_a_sent_body_over_the_limit_is_refused(gateway, upstream):
    with gateway.connect() as connection:
        connection.send(raw_post("/v1/messages", b'{"model":"' + b"m" * (64 * 2**20) + b'"}'))
        status, _, content = connection.read_answer()
    assert status == 413 and json.loads(content)["type"] == "error"
    assert upstream.count == 0


def test_a_chunked_body_over_the_limit_is_refused(gateway, upstream):
    chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    with gateway.connect() as connection:
        connection.send(raw_post(CHAT, b"", "Transfer-Encoding: chunked", length=False))
        for _ in range(64):
            connection.send(chunk)
        status, _, _ = connection.read_answer()
        assert status == 413
    assert upstream.count == 0


def test_a_body_just_under_the_limit_is_served(gateway, upstream):
    body = chat_body("x" * (31 * 2**20))
    assert gateway.chat(body).status_code == 200
    assert len(upstream.requests[0].body) > 31 * 2**20


BODY = json.dumps(chat_body("smuggled")).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
SMUGGLING = {
    "length_and_chunked": POST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "chunked_and_length": POST + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n" + CHUNKED,
    "two_lengths": POST + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY,
    "length_list": POST + b"Content-Length: %d, 3\r\n\r\n" % len(BODY) + BODY,
    "negative_length": POST + b"Content-Length: -1\r\n\r\n" + BODY,
    "plus_length": POST + b"Content-Length: +%d\r\n\r\n" % len(BODY) + BODY,
    "huge_length": POST + b"Content-Length: 18446744073709551617\r\n\r\n" + BODY,
    "hex_length": POST + b"Content-Length: 0x10\r\n\r\n" + BODY,
    "unknown_coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED,
    "chunked_not_last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKED,
    "chunked_twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "chunked_in_http_1_0": POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "space_before_colon": POST + b"Content-Length : %d\r\n\r\n" % len(BODY) + BODY,
    "space_before_name": POST + b" Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "folded_field": POST + LENGTH + b"X-A: b\r\n c: d\r\n\r\n" + BODY,
    "nul_in_field": POST + LENGTH + b"X-A: b\x00c\r\n\r\n" + BODY,
    "cr_in_field": POST + LENGTH + b"X-A: b\rc\r\n\r\n" + BODY,
    "no_colon": POST + LENGTH + b"Nonsense\r\n\r\n" + BODY,
    "bad_chunk_size": POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + BODY,
    "negative_chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
    "huge_chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + BODY,
    "chunk_without_end": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n",
    "no_host": b"POST /v1/chat/completions HTTP/1.1\r\n" + LENGTH + b"\r\n" + BODY,
    "two_hosts": POST + b"Host: other\r\n" + LENGTH + b"\r\n" + BODY,
    "no_version": b"POST /v1/chat/completions\r\nHost: test\r\n\r\n",
    "version_9": b"POST /v1/chat/completions HTTP/9.9\r\nHost: test\r\n" + LENGTH + b"\r\n" + BODY,
    "no_http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n",
}


@pytest.mark.parametrize("kind", SMUGGLING)
def test_a_request_that_two_servers_could_read_in_two_ways_is_refused(gateway, upstream, kind):
    with gateway.connect() as connection:
        connection.send(SMUGGLING[kind])
        came = connection.read_to_end()  # the connection is closed, so what follows is never read as a request
    assert came.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501", b"HTTP/1.1 505", b"HTTP/1.0 4")), came[:200]
    assert len(re.findall(rb"HTTP/1\.[01] \d{3} ", came)) == 1, came
    assert upstream.count == 0


def test_bare_line_feeds_do_not_hide_a_request(gateway, upstream):
    """RFC 9112 2.2 lets a server read a lone LF as a line's end: refused, or read as one request, never as two."""
    with gateway.connect() as connection:
        connection.send(raw_post(CHAT, BODY, "Connection: close").replace(b"\r\n", b"\n"))
        came = connection.read_to_end()
    assert came.count(b"HTTP/1.1 ") == 1
    assert upstream.count <= 1


HEADS = {"many": "".join(f"X-{i}: {i}\r\n" for i in range(20_000)), "long_value": "X-A: " + "a" * 2_000_000 + "\r\n",
         "long_name": "X" * 2_000_000 + ": a\r\n"}


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_without_end_is_refused(gateway, upstream, kind):
    with gateway.connect() as connection:
        connection.send(POST + HEADS[kind].encode() + b"\r\n")
        came = connection.read_to_end()
    assert came.startswith(b"HTTP/1.1 431") or came == b"", came[:200]  # b"": the reset overtook the answer
    assert upstream.count == 0


def test_a_long_target_is_refused(gateway, upstream):
    with gateway.connect() as connection:
        connection.send(b"GET /v1/" + b"a" * 2_000_000 + b" HTTP/1.1\r\nHost: test\r\n\r\n")
        came = connection.read_to_end()
    assert came.startswith((b"HTTP/1.1 414", b"HTTP/1.1 431", b"HTTP/1.1 400")) or came == b"", came[:200]
    assert upstream.count == 0


def test_clients_that_send_slowly_hold_nobody_up(gateway, upstream):
    slow = []
    for index in range(200):
        connection = gateway.connect()
        connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: t" if index % 2 else
                        raw_post(CHAT, b"", "Content-Length: 1000", length=False) + b'{"model"')
        slow.append(connection)
    for index in range(20):
        assert gateway.chat(chat_body(f"quick {index}")).status_code == 200
    # They all hold on, so nobody was served because they had been given up (after 30 s).
    assert not select.select([connection.socket for connection in slow], [], [], 0)[0]
    for connection in slow:
        connection.socket.close()
    assert upstream.count == 20


METHODS = [("GET", CHAT), ("DELETE", "/payonce/v1/stats"), ("PUT", "/metrics"), ("GET", "/payonce/v1/none"),
           ("POST", "/payonce/v1/cache/purge")]


@pytest.mark.parametrize("method, path", METHODS)
def test_wrong_methods_and_paths_are_answered(gateway, upstream, method, path):
    answer = gateway.client.request(method, path)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]["message"]


def test_paths_do_not_escape_into_our_own(gateway, upstream):
    """Neither dots nor doubled slashes reach the gateway's endpoints by another name, nor files."""
    for path in ("/v1/../metrics", "//metrics", "/v1/%2e%2e/metrics", "/payonce/v1/../../etc/passwd"):
        with gateway.connect() as connection:
            connection.send(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
            came = connection.read_to_end()
        assert b"payonce_requests_total" not in came and b"root:" not in came


def test_duplicate_members_never_serve_each_others_answers(gateway, upstream):
    """Which of two equal names counts is the upstream's choice, so such bodies are keys of their own, or refused."""
    bodies = [b'{"model":"m","temperature":0,"messages":[],"user":"a","user":"b"}',
              b'{"model":"m","temperature":0,"messages":[],"user":"b","user":"a"}',
              b'{"model":"m","temperature":0,"messages":[],"user":"a"}',
              b'{"model":"m","temperature":0,"messages":[],"user":"b"}']
    for body in bodies:
        answer = gateway.post(CHAT, body)
        assert answer.status_code == 400 or not is_hit(answer)
