"""Runs: what an agent computes becomes visible to others when its run ended well, or never."""

from __future__ import annotations

import asyncio
import contextvars
import uuid
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payonce._client import Client

_current: contextvars.ContextVar[str | None] = contextvars.ContextVar("payonce_run", default=None)


def current_id() -> str | None:
    """The run that this code is in."""
    return _current.get()


def ended_well(error: BaseException | None) -> bool:
    """No exception, or `sys.exit()` with success."""
    return error is None or (isinstance(error, SystemExit) and error.code in (None, 0))


class run:
    """`with payonce.run():` holds back what is committed inside until the block ends well.

    An exception, Ctrl-C or `sys.exit(1)` deletes it; a killed process leaves nothing visible,
    either. A run inside a run is part of the outer one. `async with` works as well. Threads that
    are started inside join it when `payonce.lookup(…, run=run.id)` names it.
    """

    def __init__(self, name: str | None = None, *, client: Client | None = None) -> None:
        self.id = name or f"run-{uuid.uuid4().hex}"
        self._client = client
        self._token: contextvars.Token[str | None] | None = None
        self._inner = False

    def __enter__(self) -> run:
        outer = _current.get()
        self._inner = outer is not None
        if outer is not None:
            self.id = outer
        self._token = _current.set(self.id)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
            self._token = None
        if not self._inner:
            self._end(error)

    async def __aenter__(self) -> run:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
            self._token = None
        if self._inner:
            return
        if isinstance(error, asyncio.CancelledError):
            self._end(error)  # a cancelled task is not to wait
        else:
            await asyncio.to_thread(self._end, error)

    def _end(self, error: BaseException | None) -> None:
        from payonce._default import default_client

        client = self._client or default_client()
        if ended_well(error):
            client.commit_run(self.id)
        else:
            client.abort_run(self.id)
