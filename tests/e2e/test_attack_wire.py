"""Bytes of clients and upstreams that mean harm: floods, bombs, split answers, redirects, targets and hosts."""

import gzip
import json
import re
import socket
import struct
import threading
import zlib

import pytest

from harness import chat_body, eventually, is_hit, run_cli, write_config
from test_bad_input import CHAT, POST
from upstream import Upstream

BODY = json.dumps(chat_body()).encode()
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 1, 3, 4, 6, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A field without indexing, as HPACK has it (RFC 7541 6.2.2), lengths below 127."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


GET = b"".join(literal(*field) for field in ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/healthz"),
                                             (b":authority", b"127.0.0.1")))


def flood(gateway, make, limit_bytes):
    """Sends make(i) until the gateway ends the connection; how much it took, and the code of its GOAWAY."""
    with gateway.connect() as connection:
        connection.send(PREFACE + frame(SETTINGS))
        received = bytearray()

        def read():
            try:
                while data := connection.socket.recv(65536):
                    received.extend(data)
            except OSError:
                pass

        reader = threading.Thread(target=read)
        reader.start()
        sent, index = 0, 0
        try:
            while sent < limit_bytes and reader.is_alive():
                part = b"".join(make(index + i) for i in range(64))
                connection.socket.sendall(part)
                sent, index = sent + len(part), index + 64
        except OSError:
            pass
        reader.join(10)
        ended = not reader.is_alive()
        connection.socket.shutdown(socket.SHUT_RDWR) if reader.is_alive() else None
        reader.join(10)
    codes = []
    rest = bytes(received)
    while len(rest) >= 9:
        size = int.from_bytes(rest[:3], "big")
        if rest[3] == 7:
            codes.append(int.from_bytes(rest[13:17], "big"))
        rest = rest[9 + size:]
    return sent, ended, codes


FLOODS = {
    "rapid reset": lambda i: frame(HEADERS, END_STREAM | END_HEADERS, 2 * i + 1, GET) +
                             frame(RST_STREAM, 0, 2 * i + 1, struct.pack(">I", 8)),
    "continuations without end": lambda i: (frame(HEADERS, END_STREAM, 1, GET) if i == 0 else b"") +
                                           frame(CONTINUATION, 0, 1, literal(b"x-a", b"b" * 100) * 8),
    "empty continuations": lambda i: (frame(HEADERS, END_STREAM, 1, GET) if i == 0 else b"") +
                                     frame(CONTINUATION, 0, 1),
    "settings": lambda i: frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535 + i % 2)),
    "pings": lambda i: frame(PING, 0, 0, struct.pack(">Q", i)),
    "streams without end": lambda i: frame(HEADERS, END_HEADERS, 2 * i + 1, GET),
    "priority of itself": lambda i: frame(2, 0, 1, struct.pack(">IB", 1, 1)),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_of_frames_costs_its_connection_alone(gateway, upstream, kind):
    """It is ended, or held, and the process neither grows nor stops serving others."""
    gateway.chat()
    before = gateway.rss_bytes()
    limit = 12 << 20
    sent, ended, codes = flood(gateway, FLOODS[kind], limit)
    if kind in ("settings", "pings", "rapid reset", "continuations without end"):
        assert ended and sent < limit, (sent, codes)
    assert gateway.rss_bytes() - before < 64 << 20, "it grew"
    assert is_hit(gateway.chat())


PSEUDO = {
    "line end in the path": [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/v1/models HTTP/1.1\r\nX: y"),
                             (b":authority", b"x")],
    "space in the method": [(b":method", b"GET /evil HTTP/1.1"), (b":scheme", b"http"), (b":path", b"/v1/models"),
                            (b":authority", b"x")],
    "two paths": [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/v1/a"), (b":path", b"/v1/b"),
                  (b":authority", b"x")],
    "a length that lies": [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/v1/models"),
                           (b":authority", b"x"), (b"content-length", b"10")],
    "transfer-encoding": [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/v1/models"),
                          (b":authority", b"x"), (b"transfer-encoding", b"chunked")],
    "connection": [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/v1/models"), (b":authority", b"x"),
                   (b"connection", b"authorization")],
    "line end in a value": [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/v1/models"),
                            (b":authority", b"x"), (b"x-a", b"b\r\nX-Evil: 1")],
    "line end in a name": [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/v1/models"),
                           (b":authority", b"x"), (b"x-a: b\r\nx-evil", b"1")],
    "upper case": [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/v1/models"), (b":authority", b"x"),
                   (b"X-Evil", b"1")],
    "no slash": [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"v1/models"), (b":authority", b"x")],
    "a full address as path": [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"http://evil.example/"),
                               (b":authority", b"x")],
    "a pseudo field behind": [(b":method", b"GET"), (b":scheme", b"http"), (b"x-a", b"b"), (b":path", b"/v1/models"),
                              (b":authority", b"x")],
}


@pytest.mark.parametrize("kind", PSEUDO)
def test_no_http_2_request_becomes_another_upstream(gateway, upstream, kind):
    """What HTTP/2 carries in lengths, HTTP/1.1 would read as lines."""
    block = b"".join(literal(*field) for field in PSEUDO[kind])
    with gateway.connect() as connection:
        connection.send(PREFACE + frame(SETTINGS) + frame(HEADERS, END_STREAM | END_HEADERS, 1, block))
        connection.send(frame(PING, 0, 0, b"to-the-e"))
        try:
            connection.read_until(b"to-the-e")
        except AssertionError:
            pass  # closed: refused as well
    eventually(lambda: gateway.chat().status_code == 200)
    for request in upstream.requests:
        assert request.path == CHAT and b"evil" not in request.raw_head.lower(), request.raw_head


# ---- hostile upstreams ---------------------------------------------------------------------------

SPLIT = {
    "bare CR": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-A: b\rX-Evil: 1\r\nContent-Length: 2\r\n\r\n{}",
    "bare LF": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-A: b\nX-Evil: 1\r\nContent-Length: 2\r\n\r\n{}",
    "NUL": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-A: b\x00c\r\nContent-Length: 2\r\n\r\n{}",
    "folded": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-A: b\r\n X-Evil: 1\r\nContent-Length: 2\r\n\r\n{}",
    "both framings": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}",
    "two answers": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
                   b"HTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil",
    "reason with a line end": b"HTTP/1.1 200 OK\rX-Evil: 1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "status beyond": b"HTTP/1.1 99999 OK\r\nContent-Length: 2\r\n\r\n{}",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\nX-Evil: 1\r\n\r\n",
    "head without end": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 200_000 + b"\r\n",
}


@pytest.mark.parametrize("kind", SPLIT)
def test_no_upstream_splits_an_answer(gateway, upstream, kind):
    upstream.fail(raw=SPLIT[kind])
    with gateway.connect() as connection:
        connection.send(POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        came = connection.read_to_end()
    assert not re.search(rb"(^|\r|\n)X-Evil", came, re.IGNORECASE), came
    assert b"evil" not in came.split(b"\r\n\r\n")[-1]
    assert len(re.findall(rb"HTTP/1\.1 \d{3} ", came)) in (1, 2)
    answer = gateway.chat()
    assert answer.status_code == 200 and not is_hit(answer)  # nothing of it was kept


@pytest.fixture
def elsewhere():
    """A host that is nobody's upstream: the metadata service of a cloud, say."""
    with Upstream() as running:
        yield running


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_handed_on_and_never_followed(make_gateway, upstream, elsewhere, tmp_path, status):
    config = write_config(tmp_path / "own.toml",
                          f'[upstreams.main]\nbase_url = "{upstream.url}"\nkey_env = "MAIN_KEY"\n')
    gateway = make_gateway("--config", config, env={"MAIN_KEY": "sk-upstream"})
    raw = (f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere.root}/latest/meta-data\r\nContent-Length: 0\r\n"
           "Connection: close\r\n\r\n").encode()
    upstream.fail(raw=raw, times=2)
    answer = gateway.chat()
    assert (answer.status_code, answer.headers["location"]) == (status, elsewhere.root + "/latest/meta-data")
    assert elsewhere.count == 0
    assert gateway.entries() == 0


def test_no_request_names_the_host_that_is_asked(gateway, upstream, elsewhere):
    """Targets, hosts and fields of proxies: all goes to the configured upstream, under its name."""
    host = elsewhere.root.removeprefix("http://")
    tries = [f"GET {elsewhere.root}/v1/models HTTP/1.1\r\nHost: {host}",
             f"GET http://user:pw@{host}/v1/models HTTP/1.1\r\nHost: x",
             f"GET /v1/models HTTP/1.1\r\nHost: {host}",
             f"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: {host}\r\nForwarded: host={host}",
             f"GET //{host}/v1/models HTTP/1.1\r\nHost: x",
             f"GET /v1/@{host}/models HTTP/1.1\r\nHost: x",
             f"CONNECT {host} HTTP/1.1\r\nHost: {host}",
             f"GET ftp://{host}/ HTTP/1.1\r\nHost: x",
             "OPTIONS * HTTP/1.1\r\nHost: x"]
    for start in tries:
        with gateway.connect() as connection:
            connection.send(f"{start}\r\nAuthorization: Bearer sk-a\r\nConnection: close\r\n\r\n".encode())
            connection.read_to_end()
    assert elsewhere.count == 0
    assert upstream.count >= 4
    for request in upstream.requests:
        assert request.header("host") == upstream.root.removeprefix("http://"), request.raw_head
        assert request.target.startswith("/")


def test_a_path_stays_below_its_base(make_gateway, upstream, tmp_path):
    """A caller of the gateway's own key would reach the rest of the upstream's host."""
    config = write_config(tmp_path / "own.toml",
                          f'[upstreams.main]\nbase_url = "{upstream.root}/tenant-a/v1"\nkey_env = "MAIN_KEY"\n')
    gateway = make_gateway("--config", config, env={"MAIN_KEY": "sk-upstream"})
    for path in ("/v1/../../tenant-b/v1/files", "/v1/%2e%2e/%2E%2e/tenant-b", "/v1/..%2f..%2ftenant-b", "/v1/x/..",
                 "/v1/..\\..\\tenant-b", "/v1/./files", "/../tenant-b", "/v1/.%2e/.%2e/tenant-b"):
        with gateway.connect() as connection:
            connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert connection.read_to_end().startswith(b"HTTP/1.1 400"), path
    assert upstream.count == 0
    gateway.client.get("/v1/files/a..b?x=../y")
    assert upstream.requests[0].target == "/tenant-a/v1/files/a..b?x=../y"


def test_the_upstreams_key_goes_to_its_host_alone(make_gateway, upstream, elsewhere, tmp_path):
    config = write_config(tmp_path / "two.toml", "\n".join([
        "[upstreams.main]", f'base_url = "{upstream.url}"', 'key_env = "MAIN_KEY"', 'models = ["m"]',
        "[upstreams.other]", f'base_url = "{elsewhere.url}"', 'key_env = "OTHER_KEY"', 'models = ["n"]']))
    gateway = make_gateway("--config", config, env={"MAIN_KEY": "sk-main", "OTHER_KEY": "sk-other"})
    gateway.chat(chat_body(model="m"), Authorization="Bearer sk-caller", Proxy_Authorization="Basic cHJveHk=")
    gateway.chat(chat_body(model="n"), x_api_key="sk-caller", Proxy_Authorization="Basic cHJveHk=")
    for asked, own, others in ((upstream, b"sk-main", b"sk-other"), (elsewhere, b"sk-other", b"sk-main")):
        (request,) = asked.requests
        assert own in request.raw_head and others not in request.raw_head
        assert b"sk-caller" not in request.raw_head and b"cHJveHk=" not in request.raw_head


def test_the_admin_token_goes_to_this_machine_alone(gateway, upstream, elsewhere):
    """`payonce cache --url` finds the token of this user's instance by its port, which another host may have as well."""
    gateway.chat(Authorization="Bearer sk-a")
    token = next(gateway.folder.rglob("*token*"))
    port = elsewhere.root.rpartition(":")[2]
    token.with_name(token.name.replace(str(gateway.port), port)).write_text("another-token")
    run_cli("cache", "ls", "--url", f"http://0.0.0.0:{port}", home=gateway.folder)  # here, by no name of loopback
    assert elsewhere.count == 1 and elsewhere.requests[0].header("authorization") is None
    own = run_cli("cache", "ls", "--json", "--url", gateway.root, home=gateway.folder)
    assert len(json.loads(own.stdout)["entries"]) == 1  # of another scope: seen with the token alone


# ---- bombs ---------------------------------------------------------------------------------------

def bomb(size):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(size >> 20)) + packer.flush()


def test_nothing_packed_is_unpacked_on_the_way(gateway, upstream):
    """Neither a request's nor an answer's bytes: they are passed on as they came, and not kept."""
    packed = bomb(1 << 30)
    assert len(packed) < 2 << 20
    before = gateway.rss_bytes()
    answer = gateway.post(CHAT, packed, Content_Encoding="gzip")
    assert upstream.requests[0].body == packed and "fwd=bypass" in answer.headers["cache-status"]
    upstream.fail(body=packed, headers=(("Content-Encoding", "gzip"),), content_type="application/json")
    with gateway.client.stream("POST", CHAT, json=chat_body()) as came:
        assert b"".join(came.iter_raw()) == packed
    assert gateway.entries() == 0
    assert gateway.rss_bytes() - before < 128 << 20
    assert upstream.requests[1].header("accept-encoding") == "identity"


def test_a_packed_prompt_is_not_taken_for_its_text(gateway, upstream):
    body = json.dumps(chat_body()).encode()
    gateway.chat()
    for name, packed in (("gzip", gzip.compress(body)), ("identity", body), ("x-evil", body)):
        assert "payonce; hit" not in gateway.post(CHAT, packed, Content_Encoding=name).headers["cache-status"], name
