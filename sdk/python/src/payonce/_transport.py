"""One connection to an instance: frames over a Unix socket, or HTTP/1.1 kept alive."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
from typing import Protocol

from payonce._address import Address
from payonce._types import Json, Misuse, Refused, Unavailable

VERBS = {
    "lookup": b"L",
    "commit": b"C",
    "abort": b"A",
    "invalidate": b"I",
    "hint": b"H",
    "stats": b"S",
    "credential": b"K",
}
MAX_FRAME_BYTES = 64 << 20
_HEAD = struct.Struct(">cI")


class Lost(Exception):
    """The connection broke; `silent` when it did so before a byte of the answer."""

    def __init__(self, message: str, silent: bool) -> None:
        super().__init__(message)
        self.silent = silent


class Connection(Protocol):
    def ask(self, verb: str, body: bytes, timeout_s: float) -> Json: ...
    def close(self) -> None: ...


def _refused(status: int, answer: Json) -> Refused:
    error = answer.get("error") if isinstance(answer, dict) else None
    error = error if isinstance(error, dict) else {}
    told = error.get("status")
    status = status or (told if isinstance(told, int) else 500)
    return Refused(status, str(error.get("type", "error")), str(error.get("message", "")))


class SocketConnection:
    """A frame is a verb's byte, four bytes of length, a JSON body; answers have the same shape."""

    def __init__(self, path: str, credential: str | None, timeout_s: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout_s)
            self._socket.connect(path)
            if credential:
                self.ask("credential", encode({"credential": credential}), timeout_s)
        except BaseException:
            self._socket.close()
            raise

    def ask(self, verb: str, body: bytes, timeout_s: float) -> Json:
        deadline = time.monotonic() + timeout_s
        self._socket.settimeout(timeout_s)
        try:
            self._socket.sendall(_HEAD.pack(VERBS[verb], len(body)) + body)
        except (BrokenPipeError, ConnectionError) as error:
            raise Lost(str(error), silent=True) from error
        head = self._receive(_HEAD.size, deadline, silent=True)
        answered, length = _HEAD.unpack(head)
        if length > MAX_FRAME_BYTES:
            raise Lost(f"an answer of {length} bytes", silent=False)
        answer = _decoded(self._receive(length, deadline, silent=False))
        if answered == b"X":
            raise _refused(0, answer)
        if answered != VERBS[verb]:
            raise Lost(f"{answered!r} is no answer to {verb}", silent=False)
        return answer

    def _receive(self, count: int, deadline: float, silent: bool) -> bytes:
        parts: list[bytes] = []
        while count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer was not whole in time")
            self._socket.settimeout(left)
            try:
                part = self._socket.recv(min(count, 1 << 20))
            except ConnectionError as error:
                raise Lost(str(error), silent and not parts) from error
            if not part:
                raise Lost("the instance closed the connection", silent and not parts)
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        self._socket.close()


class HttpConnection:
    """`/payonce/v1/VERB` on one kept connection."""

    def __init__(self, address: Address, credential: str | None, timeout_s: float) -> None:
        kind = http.client.HTTPSConnection if address.tls else http.client.HTTPConnection
        self._http = kind(address.host, address.port, timeout=timeout_s)
        self._prefix = address.prefix + "/payonce/v1/"
        self._headers = {"Content-Type": "application/json"}
        if credential:
            self._headers["Authorization"] = f"Bearer {credential}"
        if address.tls:
            self._http.connect()
        else:
            self._http.sock = _tcp(address.host, address.port, timeout_s)

    def ask(self, verb: str, body: bytes, timeout_s: float) -> Json:
        if self._http.sock is None:
            raise Lost("the instance closed the connection", silent=True)
        self._http.sock.settimeout(timeout_s)
        method = "GET" if verb == "stats" else "POST"
        content = None if verb == "stats" else body
        try:
            self._http.request(method, self._prefix + verb, content, self._headers)
            response = self._http.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            raise Lost(str(error), silent=True) from error
        except http.client.HTTPException as error:
            raise Lost(f"no HTTP: {error}", silent=False) from error
        try:
            raw = response.read()
        except (http.client.HTTPException, ConnectionError) as error:
            raise Lost(str(error), silent=False) from error
        if response.status >= 400:
            raise _refused(response.status, _decoded(raw))
        return _decoded(raw)

    def close(self) -> None:
        self._http.close()


def _decoded(raw: bytes) -> Json:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Lost(f"an answer that is no JSON: {error}", silent=False) from error


def _tcp(host: str, port: int, timeout_s: float) -> socket.socket:
    """A numeric address needs no look-up of its name, which is slow even for those."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return socket.create_connection((host, port), timeout_s)
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout_s)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.connect((host, port))
    except BaseException:
        made.close()
        raise
    return made


def encode(body: Json) -> bytes:
    """The body as JSON; precise about what cannot be."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise Misuse(f"not JSON: {error}") from error


def connect(address: Address, credential: str | None, timeout_s: float) -> Connection:
    """The socket first. A file that nobody listens behind any more is no reason to give up."""
    if address.socket:
        try:
            return SocketConnection(address.socket, credential, timeout_s)
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        except Lost as error:
            raise Unavailable(f"{address.socket}: {error}") from error
    return HttpConnection(address, credential, timeout_s)
