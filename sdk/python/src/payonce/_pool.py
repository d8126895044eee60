"""The kept connections to one instance, and when not to try it."""

from __future__ import annotations

import os
import threading
import time

from payonce._address import Address
from payonce._transport import Connection, Lost, connect
from payonce._types import Json, Refused, Unavailable

PAUSE_S = 1.0  # how long nothing is tried after an instance was not there
TIMEOUTS_IN_A_ROW = 3  # slow that often: as good as not there
MAX_IDLE = 16
LONGEST_S = 86400.0  # a timeout, since a socket's cannot be without a bound


class Pool:
    """Any thread may ask. A child of fork() opens connections of its own."""

    def __init__(self, address: Address, credential: str | None) -> None:
        self._address = address
        self._credential = credential
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._pause_until = 0.0
        self._timeouts = 0

    def ask(self, verb: str, body: bytes, timeout_s: float) -> Json:
        """The answer's JSON; raises Unavailable or Refused."""
        if self._pid != os.getpid():
            self._reset()
        started = time.monotonic()
        if started < self._pause_until:
            raise Unavailable("no instance was there a moment ago; not tried again yet")
        deadline = started + min(LONGEST_S, timeout_s)
        try:
            answer = self._ask_before(deadline, verb, body)
        except TimeoutError as error:
            self._count_timeout()
            raise Unavailable(f"no answer to {verb} within {timeout_s * 1000:.0f} ms") from error
        except (OSError, Lost) as error:
            self._pause_until = time.monotonic() + PAUSE_S
            raise Unavailable(f"{self._where()}: {error}") from error
        self._timeouts = 0
        return answer

    def _ask_before(self, deadline: float, verb: str, body: bytes) -> Json:
        while True:
            with self._lock:
                kept = self._idle.pop() if self._idle else None
            connection = kept or connect(self._address, self._credential, _left(deadline))
            whole = False
            try:
                answer = connection.ask(verb, body, _left(deadline))
                whole = True
                return answer
            except Lost as error:
                # A kept connection may have been closed by the other side since; a new one tells.
                if not (kept and error.silent):
                    raise
            except Refused as error:
                whole = error.status != 400  # after a malformed frame the instance closes
                raise
            finally:
                if whole:
                    self._keep(connection)
                else:
                    connection.close()

    def _keep(self, connection: Connection) -> None:
        with self._lock:
            if len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _count_timeout(self) -> None:
        self._timeouts += 1
        if self._timeouts >= TIMEOUTS_IN_A_ROW:
            self._timeouts = 0
            self._pause_until = time.monotonic() + PAUSE_S

    def _where(self) -> str:
        return self._address.socket or f"{self._address.host}:{self._address.port}"

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("out of time")
    return left
