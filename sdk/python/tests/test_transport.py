"""What the client does when an instance is not there, slow or broken. No binary is needed."""

from __future__ import annotations

import logging
import os
import pathlib
import socket
import struct
import threading
import time
from typing import Any

import pytest
from scripted import MISS, Scripted, frame, polite

import payonce
from payonce import _address, _pool


def client_of(server: Scripted, **options: Any) -> payonce.Client:
    """Patient, since a machine may be busy; with timeout=None as patient as a client is by default."""
    return payonce.Client("http://127.0.0.1:9", socket=server.path, **{"timeout": 30.0, **options})


def test_no_instance_is_a_quick_miss_without_a_ticket() -> None:
    took = []
    for _ in range(10):
        client = payonce.Client()  # each tries for the first time
        started = time.perf_counter()
        found = client.lookup("llm", {"prompt": "x"})
        took.append(time.perf_counter() - started)
        assert found == payonce.Miss(reason="unavailable")
        assert isinstance(client.last_error, payonce.Unavailable)
    assert min(took) < 0.001, took


def test_a_refused_connection_is_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client = payonce.Client()
    client.lookup("llm", {})
    tried = []
    monkeypatch.setattr(_pool, "connect", lambda *_: tried.append(1) or (_ for _ in ()).throw(OSError()))
    for _ in range(10):
        client.lookup("llm", {})
    assert tried == []
    client._pool._pause_until = 0
    client.lookup("llm", {})
    assert tried == [1]


def test_nothing_raises_without_an_instance() -> None:
    client = payonce.Client()
    ticket = payonce.Ticket("t-1")
    assert client.commit(ticket, 1) is None
    assert client.commit(None, 1) is None
    assert client.commit_run("r") is None
    assert client.abort(ticket) == client.abort_run("r") == client.invalidate(kind="plan") == 0
    assert client.stats() == {}
    client.hint("7", event="waiting")


def test_strict_raises_what_is_swallowed_otherwise() -> None:
    client = payonce.Client(strict=True)
    with pytest.raises(payonce.Unavailable, match=r"127\.0\.0\.1:9"):
        client.lookup("llm", {})
    with pytest.raises(payonce.Misuse, match="kind 'llms' is none of llm, plan"):
        client.lookup("llms", {})  # type: ignore[arg-type]
    with pytest.raises(payonce.Misuse, match="not JSON"):
        client.lookup("llm", {"prompt": object()})
    with pytest.raises(payonce.Misuse, match="wait is 61"):
        client.lookup("llm", {}, wait=61)


def test_misuse_is_logged_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    client = payonce.Client()
    with caplog.at_level(logging.WARNING, "payonce"):
        assert client.lookup("llms", {}) == payonce.Miss(reason="refused")  # type: ignore[arg-type]
    assert "kind 'llms'" in caplog.text


def test_a_slow_instance_is_a_miss_after_the_timeout(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pool, "PAUSE_S", 60.0)
    with Scripted(tmp_path, lambda *_: None) as server:  # it never answers
        client = client_of(server, timeout=None)
        started = time.perf_counter()
        assert client.lookup("llm", {}).ticket is None  # type: ignore[union-attr]
        assert time.perf_counter() - started > 0.045
        client.lookup("llm", {})
        client.lookup("llm", {})
        assert "within 50 ms" in str(client.last_error)
        for _ in range(5):  # slow three times in a row: a pause
            client.lookup("llm", {})
            assert "not tried again yet" in str(client.last_error)


def test_a_trickle_does_not_stretch_the_timeout(tmp_path: pathlib.Path) -> None:
    def trickle(connection: socket.socket, verb: bytes, body: dict[str, Any]) -> None:
        for byte in frame(verb, MISS):
            connection.sendall(bytes([byte]))
            time.sleep(0.03)

    with Scripted(tmp_path, trickle) as server:
        found = client_of(server, timeout=None).lookup("llm", {})
        assert found == payonce.Miss(reason="unavailable")  # all of it would have come after seconds


def test_a_late_answer_is_never_taken_for_the_next_one(tmp_path: pathlib.Path) -> None:
    over, sent = threading.Event(), threading.Event()

    def late(connection: socket.socket, verb: bytes, body: dict[str, Any]) -> None:
        if body["parts"] == {"n": 1}:
            over.wait(60)
        try:
            connection.sendall(frame(verb, {**MISS, "key": str(body["parts"]["n"])}))
        finally:
            sent.set()

    with Scripted(tmp_path, late) as server:
        client = client_of(server, timeout=0.1)
        client.lookup("llm", {"n": 1})
        over.set()
        sent.wait(60)
        client.timeout = 30.0
        assert client.lookup("llm", {"n": 2}).key == "2"


def test_one_connection_is_kept(tmp_path: pathlib.Path) -> None:
    with Scripted(tmp_path) as server:
        client = client_of(server, api_key="sk-1")
        for _ in range(20):
            assert client.lookup("llm", {}).ticket  # type: ignore[union-attr]
        assert server.connections == 1
        assert [verb for verb, _ in server.frames] == [b"K"] + [b"L"] * 20
        assert server.frames[0][1] == {"credential": "sk-1"}


def test_a_kept_connection_that_was_closed_is_made_again(tmp_path: pathlib.Path) -> None:
    with Scripted(tmp_path) as server:
        client = client_of(server)

        def close_after(connection: socket.socket, verb: bytes, body: dict[str, Any]) -> None:
            polite(connection, verb, body)
            raise OSError

        server.answer = close_after
        for _ in range(5):
            assert client.lookup("llm", {}).ticket  # type: ignore[union-attr]
        assert server.connections == 5


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"L\0\0",
        b"L\0\0\0\x02{",
        b"L\xff\xff\xff\xff",
        b"Z\0\0\0\x02{}",
        b"L\0\0\0\x02[]",
        b"L\0\0\0\x02{}",
    ],
)
def test_nonsense_is_a_miss(tmp_path: pathlib.Path, answer: bytes) -> None:
    def nonsense(connection: socket.socket, verb: bytes, body: dict[str, Any]) -> None:
        connection.sendall(answer)
        raise OSError

    with Scripted(tmp_path, nonsense) as server:
        found = client_of(server).lookup("llm", {})
        assert isinstance(found, payonce.Miss) and found.ticket is None


def test_bytes_that_are_no_json_are_a_miss(tmp_path: pathlib.Path) -> None:
    def garbage(connection: socket.socket, verb: bytes, body: dict[str, Any]) -> None:
        connection.sendall(struct.pack(">cI", verb, 3) + b"\xff{]")

    with Scripted(tmp_path, garbage) as server:
        assert client_of(server).lookup("llm", {}) == payonce.Miss(reason="unavailable")


def test_an_error_frame_says_what_is_wrong(tmp_path: pathlib.Path) -> None:
    def refuse(connection: socket.socket, verb: bytes, body: dict[str, Any]) -> None:
        error = {
            "type": "invalid_request",
            "message": "deps[0].path is not absolute",
            "status": 400,
        }
        connection.sendall(frame(b"X", {"error": error}))

    with Scripted(tmp_path, refuse) as server:
        with pytest.raises(payonce.Refused, match="400 invalid_request: deps"):
            client_of(server, strict=True).lookup("llm", {})
        assert client_of(server).lookup("llm", {}) == payonce.Miss(reason="refused")


def test_threads_share_a_client(tmp_path: pathlib.Path) -> None:
    def echo(connection: socket.socket, verb: bytes, body: dict[str, Any]) -> None:
        connection.sendall(frame(verb, {**MISS, "key": str(body["parts"]["n"])}))

    with Scripted(tmp_path, echo) as server:
        client = client_of(server)
        wrong: list[int] = []

        def ask(thread: int) -> None:
            for n in range(thread * 1000, thread * 1000 + 100):
                if client.lookup("llm", {"n": n}).key != str(n):
                    wrong.append(n)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert wrong == []
        assert len(server.frames) == 800
        assert server.connections <= 8


def test_a_forked_child_does_not_speak_on_its_parents_connection(tmp_path: pathlib.Path) -> None:
    def echo(connection: socket.socket, verb: bytes, body: dict[str, Any]) -> None:
        connection.sendall(frame(verb, {**MISS, "key": str(body["parts"]["n"])}))

    with Scripted(tmp_path, echo) as server:
        client = client_of(server)
        client.lookup("llm", {"n": 0})
        child = os.fork()
        if child == 0:
            os._exit(0 if all(client.lookup("llm", {"n": n}).key == str(n) for n in range(50)) else 1)
        assert all(client.lookup("llm", {"n": n}).key == str(n) for n in range(100, 150))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert server.connections == 2


def test_where_the_instance_is(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYONCE_URL", "http://127.0.0.1:4321/v1")
    assert _address.address_of() == _address.Address(None, "127.0.0.1", 4321, False)
    beside = tmp_path / "payonce" / "4321.sock"
    beside.parent.mkdir()
    beside.write_text("no socket")
    assert _address.address_of().socket is None
    beside.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(beside))
        assert _address.address_of().socket == str(beside)
        assert _address.address_of("http://localhost:4321").socket == str(beside)
        assert _address.address_of("http://192.0.2.1:4321").socket is None
    monkeypatch.setenv("PAYONCE_SOCKET", "/run/other.sock")
    assert _address.address_of().socket == "/run/other.sock"
    assert _address.address_of("https://cache.example").port == 443
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert _address.default_socket(4141) == f"/tmp/payonce-{os.getuid()}/4141.sock"
    for wrong in ("127.0.0.1:4141", "ftp://x", "http://x:port"):
        with pytest.raises(payonce.Misuse, match="no address"):
            _address.address_of(wrong)


def test_a_socket_that_nobody_listens_behind_falls_back_to_http(tmp_path: pathlib.Path) -> None:
    client = payonce.Client("http://127.0.0.1:9", socket=str(tmp_path / "gone.sock"), strict=True)
    with pytest.raises(payonce.Unavailable, match="refused"):
        client.lookup("llm", {})


def test_a_wrong_variable_is_told_and_no_reason_to_fail(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, wrong in (("PAYONCE_URL", "4141"), ("PAYONCE_TIMEOUT_MS", "soon"), ("PAYONCE_API_KEY", "sk-\n")):
        with monkeypatch.context() as patched:
            patched.setenv(name, wrong)
            assert payonce.Client().lookup("llm", {}) == payonce.Miss(reason="unavailable")
            with pytest.raises(payonce.Misuse):
                payonce.Client(strict=True)
    assert "'4141' is no address" in caplog.text and "PAYONCE_TIMEOUT_MS is 'soon'" in caplog.text


def test_the_variable_bounds_a_lookup_unless_the_caller_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert payonce.Client(strict=True).timeout == 0.05
    for told, seconds in (("", 0.05), ("30000", 30.0), ("12.5", 0.0125), ("007", 0.007)):
        monkeypatch.setenv("PAYONCE_TIMEOUT_MS", told)
        assert payonce.Client(strict=True).timeout == seconds
        assert payonce.Client(strict=True, timeout=2.0).timeout == 2.0
    wrong_ones = "soon|0|0.0|-5|+5|nan|inf|1e3|0x10|1_000| 50|50 |5.|.5|.|5.5.5|50ms|\u0665"
    for wrong in (*wrong_ones.split("|"), "9" * 400):
        monkeypatch.setenv("PAYONCE_TIMEOUT_MS", wrong)
        assert payonce.Client(strict=True, timeout=2.0).timeout == 2.0  # it is not looked at
        with pytest.raises(payonce.Misuse, match=r"PAYONCE_TIMEOUT_MS is .*, no positive number of milliseconds"):
            payonce.Client(strict=True)


def test_a_lookup_ends_after_the_variables_bound(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYONCE_TIMEOUT_MS", "120")
    with Scripted(tmp_path, lambda *_: None) as server:  # it never answers
        client = client_of(server, timeout=None)
        started = time.perf_counter()
        assert client.lookup("llm", {}) == payonce.Miss(reason="unavailable")
        assert time.perf_counter() - started > 0.11
        assert "within 120 ms" in str(client.last_error)


def test_a_bound_beyond_what_a_socket_takes_is_no_error(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYONCE_TIMEOUT_MS", "9" * 300)
    with Scripted(tmp_path) as server:
        for timeout in (None, float("inf")):
            found = client_of(server, timeout=timeout, strict=True).lookup("llm", {})
            assert isinstance(found, payonce.Miss) and found.ticket


def test_a_value_that_is_no_json_leaves_the_agent_alone(tmp_path: pathlib.Path) -> None:
    with Scripted(tmp_path) as server:
        client = client_of(server)
        found = client.lookup("llm", {})
        assert isinstance(found, payonce.Miss)
        assert client.commit(found.ticket, {1, 2}) is None
        assert isinstance(client.last_error, payonce.Misuse)
