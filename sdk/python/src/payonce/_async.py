"""The same client for asyncio: each call is made by a thread, so that no loop ever waits."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from payonce._client import Client
from payonce._types import Committed, Json, Kind, PayonceError, Result, Ticket

P = ParamSpec("P")
R = TypeVar("R")
MAX_THREADS = 32


class AsyncClient:
    """As `Client`, which see; takes the same arguments, or a client to share connections with."""

    def __init__(self, *arguments: Any, client: Client | None = None, **named: Any) -> None:
        self.client = client or Client(*arguments, **named)
        self._executor: ThreadPoolExecutor | None = None
        self._pid = 0

    @property
    def last_error(self) -> PayonceError | None:
        return self.client.last_error

    async def lookup(self, kind: Kind, parts: Any, **named: Any) -> Result:
        return await self.run(self.client.lookup, kind, parts, **named)

    async def commit(self, ticket: Ticket | None, value: Json, **named: Any) -> Committed | None:
        return await self.run(self.client.commit, ticket, value, **named)

    async def commit_run(self, run: str) -> Committed | None:
        return await self.run(self.client.commit_run, run)

    async def abort(self, ticket: Ticket | None) -> int:
        return await self.run(self.client.abort, ticket)

    async def abort_run(self, run: str) -> int:
        return await self.run(self.client.abort_run, run)

    async def invalidate(self, **named: Any) -> int:
        return await self.run(self.client.invalidate, **named)

    async def hint(self, session: str, **fields: Json) -> None:
        await self.run(self.client.hint, session, **fields)

    async def stats(self) -> dict[str, Any]:
        return await self.run(self.client.stats)

    async def close(self) -> None:
        self.client.close()
        if self._executor:
            self._executor.shutdown(wait=False)
            self._executor = None

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Any call, made by one of the threads and within the caller's context."""
        # Threads do not survive a fork, and do not see the caller's context.
        if self._executor is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._executor = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="payonce")
        bound = functools.partial(contextvars.copy_context().run, call, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, bound)
