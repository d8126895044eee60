"""HTTP/2 by curl, h2load and frame by frame, and TLS on both sides."""

import json
import subprocess

import h2.connection
import h2.errors
import h2.events
import httpx
import pytest

import certificates
from answers import text_of
from harness import CacheStatus, RawConnection, chat_body, eventually, is_hit, sse_events, write_config
from upstream import Hold, Upstream

CHAT = "/v1/chat/completions"
BODY = json.dumps(chat_body()).encode()


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return certificates.make(tmp_path_factory.mktemp("certificates"))


def curl(*arguments, body=None):
    command = ["curl", "-sS", "--max-time", "30", *map(str, arguments)]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
    ended = subprocess.run(command, input=body, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def test_http_2_without_tls_by_prior_knowledge(gateway, upstream):
    for hit in (False, True):
        came = curl("--http2-prior-knowledge", "-i", gateway.root + CHAT, body=BODY).decode()
        assert came.startswith("HTTP/2 200")
        assert ("payonce; hit" in came) == hit and '"chatcmpl-up1"' in came
    stream = curl("--http2-prior-knowledge", gateway.root + CHAT, body=json.dumps(chat_body(stream=True)).encode())
    assert sse_events(stream)[-1] == (None, "[DONE]")
    assert upstream.count == 1


class Http2Connection:
    """HTTP/2 frame by frame, for what no client would send."""

    def __init__(self, port):
        self._raw = RawConnection(port)
        self.h2 = h2.connection.H2Connection()
        self.h2.initiate_connection()
        self._events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._raw.socket.close()

    def post(self, body):
        """Starts a request; its stream."""
        stream = self.h2.get_next_available_stream_id()
        fields = [(":method", "POST"), (":scheme", "http"), (":authority", "test"), (":path", CHAT),
                  ("content-type", "application/json")]
        self.h2.send_headers(stream, fields)
        self.h2.send_data(stream, json.dumps(body).encode(), end_stream=True)
        return stream

    def flush(self):
        self._raw.send(self.h2.data_to_send())

    def wait_for(self, kind, stream):
        """Sends what is due, reads until that event of that stream comes; the events before it are gone."""
        event = self.wait_for_any(kind)
        while event.stream_id != stream:
            event = self.wait_for_any(kind)
        return event

    def wait_for_any(self, kind):
        while True:
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, kind):
                    return event
            self.flush()
            data = self._raw.socket.recv(65536)
            assert data, f"closed before {kind.__name__}"
            self._events = self.h2.receive_data(data)

    def wait_for_ends(self, streams):
        """Until all of them have ended, in any order."""
        waited = set(streams)
        while waited:
            ended = self.wait_for_any(h2.events.StreamEnded)
            waited.discard(ended.stream_id)


def test_a_reset_stream_ends_its_call_and_no_other(gateway, upstream):
    hold = Hold()
    upstream.fail(after=3, hold=hold)
    with Http2Connection(gateway.port) as connection:
        reset = connection.post(chat_body(stream=True))
        connection.wait_for(h2.events.DataReceived, reset)
        hold.wait_reached()
        connection.h2.reset_stream(reset, h2.errors.ErrorCodes.CANCEL)
        connection.flush()
        assert upstream.requests[0].disconnected.wait(60), "a reset stream went unnoticed"
        connection.wait_for(h2.events.StreamEnded, connection.post(chat_body("other")))
    assert upstream.count == 2 and gateway.entries() == 1


def test_equal_streams_of_one_connection_are_one_call(gateway, upstream):
    hold = Hold()
    upstream.fail(hold=hold)
    with Http2Connection(gateway.port) as connection:
        streams = [connection.post(chat_body()) for _ in range(20)]
        connection.flush()
        eventually(lambda: gateway.stats()["layers"]["exact"]["collapsed"] == 19, what="19 joined")
        hold.release()
        connection.wait_for_ends(streams)
    assert upstream.count == 1


def test_a_stream_waits_for_a_client_that_opens_no_window(gateway, upstream):
    """The client lets 65,535 bytes come, then nothing: other requests of the connection are served meanwhile."""
    upstream.fail(body=b'{"id":"x","choices":[],"x":"' + b"z" * 1_000_000 + b'"}')
    with Http2Connection(gateway.port) as connection:
        held = connection.post(chat_body("large"))
        came = 0
        while came < 65_535:
            came += connection.wait_for(h2.events.DataReceived, held).flow_controlled_length
        connection.h2.increment_flow_control_window(100_000)  # of the connection alone
        connection.wait_for(h2.events.StreamEnded, connection.post(chat_body("small")))
        assert came == 65_535
        assert gateway.chat().status_code == 200


@pytest.fixture
def tls_gateway(make_gateway, upstream, certs):
    return make_gateway("--upstream", upstream.url, "--tls-certificate", certs.certificate, "--tls-key", certs.key,
                        scheme="https")


@pytest.mark.parametrize("flag, version", [("--http2", "HTTP/2 200"), ("--http1.1", "HTTP/1.1 200")])
def test_tls_negotiates_the_protocol(tls_gateway, certs, flag, version):
    came = curl(flag, "--cacert", certs.authority, "-i", tls_gateway.root + CHAT, body=BODY).decode()
    assert came.startswith(version) and "fwd=miss" in came


def test_two_clients_of_different_protocols_share_one_entry(tls_gateway, upstream):
    with httpx.Client(http2=True, verify=False, trust_env=False) as client:
        first = client.post(tls_gateway.root + CHAT, json=chat_body())
        with client.stream("POST", tls_gateway.root + CHAT, json=chat_body(stream=True)) as answer:
            assert (answer.http_version, CacheStatus(answer).hit) == ("HTTP/2", True)
            assert sse_events(answer.read())[-1] == (None, "[DONE]")
    assert first.http_version == "HTTP/2"
    assert is_hit(tls_gateway.chat())
    assert upstream.count == 1


def test_many_streams_of_many_connections(gateway, upstream, tmp_path):
    gateway.chat()
    body = tmp_path / "body.json"
    body.write_bytes(BODY)
    ended = subprocess.run(["h2load", "-n", "2000", "-c", "10", "-m", "20", "-d", body, "-H",
                            "content-type: application/json", gateway.root + CHAT],
                           capture_output=True, text=True, timeout=60, check=True)
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in ended.stdout, ended.stdout
    assert "status codes: 2000 2xx" in ended.stdout
    assert upstream.count == 1


def test_an_upstream_with_tls_is_verified(make_gateway, certs, tmp_path):
    with Upstream(tls=certs.server_context(), host_name="localhost") as secure:
        def gateway_with(name, *lines):
            config = write_config(tmp_path / f"{name}.toml", "\n".join(
                ["[upstreams.secure]", f'base_url = "{secure.url}"', *lines]))
            return make_gateway("--config", config, name=name)

        trusting = gateway_with("trusting", f'ca_file = "{certs.authority}"')
        assert trusting.chat().json()["choices"][0]["message"]["content"] == text_of(1)
        assert sse_events(trusting.chat(chat_body("s", stream=True)).content)[-1] == (None, "[DONE]")
        refused = gateway_with("refused").chat()
        assert refused.status_code == 502 and "certificate" in refused.json()["error"]["message"].lower()
        assert gateway_with("careless", "verify_tls = false").chat().status_code == 200
        assert secure.count == 3


def test_a_certificate_for_another_name_is_refused(make_gateway, tmp_path):
    other = certificates.make(tmp_path / "other", names="DNS:elsewhere.test")
    with Upstream(tls=other.server_context(), host_name="localhost") as secure:
        config = write_config(tmp_path / "name.toml", f'[upstreams.secure]\nbase_url = "{secure.url}"\n'
                              f'ca_file = "{other.authority}"\n')
        assert make_gateway("--config", config).chat().status_code == 502
        assert secure.count == 0
