"""An instance that does what a test says, on a Unix socket: slow, rude, or not there."""

from __future__ import annotations

import json
import pathlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

Answer = Callable[[socket.socket, bytes, dict[str, Any]], None]


def frame(verb: bytes, body: Any) -> bytes:
    raw = json.dumps(body).encode()
    return struct.pack(">cI", verb, len(raw)) + raw


MISS = {
    "status": "miss",
    "ticket": "t-1",
    "expires_in": 900,
    "key": "llm:v1:u-1:x",
    "reason": "cold",
}


def polite(connection: socket.socket, verb: bytes, body: dict[str, Any]) -> None:
    connection.sendall(frame(verb, MISS))


class Scripted:
    """`answer` gets the connection and one frame; raising OSError closes."""

    def __init__(self, folder: pathlib.Path, answer: Answer = polite) -> None:
        self.path = str(folder / "scripted.sock")
        self.answer = answer
        self.frames: list[tuple[bytes, dict[str, Any]]] = []
        self.connections = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            while head := reader.read(5):
                verb, length = struct.unpack(">cI", head)
                body = json.loads(reader.read(length))
                self.frames.append((verb, body))
                if verb == b"K":
                    connection.sendall(frame(b"K", {"status": "ok"}))
                    continue
                try:
                    self.answer(connection, verb, body)
                except OSError:
                    return

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        # A thread that still waits in accept() would take the connections of the next listener with this number.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
