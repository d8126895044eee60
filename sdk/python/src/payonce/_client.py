"""The client of the agent API. Nothing that it does makes an agent fail or wait."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from payonce import _run
from payonce._address import Address, address_of
from payonce._pool import Pool
from payonce._transport import encode
from payonce._types import (
    KINDS,
    Committed,
    Dependency,
    Hit,
    Json,
    Kind,
    Miss,
    Misuse,
    PayonceError,
    Refused,
    Result,
    Stale,
    Ticket,
    Unavailable,
    result_of,
)

logger = logging.getLogger("payonce")

LOOKUP_TIMEOUT_S = 0.05  # of a lookup; PAYONCE_TIMEOUT_MS sets another
TIMEOUT_S = 1.0
NOWHERE = Address(None, "127.0.0.1", 0, False)  # where nobody can listen
MAX_WAIT_S = 60
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")  # what all clients of Payonce read alike


class Client:
    """Any thread may call; a forked child goes on with connections of its own.

    `url`, `socket` and `api_key` default to PAYONCE_URL, PAYONCE_SOCKET and PAYONCE_API_KEY.
    `timeout`, in seconds, bounds a lookup; it defaults to PAYONCE_TIMEOUT_MS, else 50 ms.
    With `strict` every failure is raised instead of being logged and kept in `last_error`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        socket: str | None = None,
        api_key: str | None = None,
        scope: str | None = None,
        timeout: float | None = None,
        strict: bool = False,
    ) -> None:
        self.scope = scope
        self.strict = strict
        self.last_error: PayonceError | None = None
        self.timeout, self.address, credential = LOOKUP_TIMEOUT_S, NOWHERE, None
        try:
            self.timeout = _timeout_of(timeout)
            credential = _credential_of(api_key or os.environ.get("PAYONCE_API_KEY"))
            self.address = address_of(url, socket)
        except Misuse as error:  # a variable of the environment is no reason to fail, either
            self._note(error)
        self._pool = Pool(self.address, credential)

    def lookup(
        self,
        kind: Kind,
        parts: Mapping[str, Json],
        *,
        versions: Mapping[str, str] | None = None,
        scope: str | None = None,
        deps: Iterable[Dependency] = (),
        run: str | None = None,
        max_age: float | None = None,
        wait: float | None = None,
        semantic: bool | None = None,
        tools_mode: str | None = None,
        explain: bool = False,
    ) -> Result:
        """A Hit with the value, or a Miss or Stale whose ticket commits what the caller computes.

        `run` is the surrounding `payonce.run()` when none is given. `wait` seconds may pass while
        another caller computes the same; without it the answer comes at once.
        """
        run = run or _run.current_id()
        try:
            if kind not in KINDS:
                raise Misuse(f"kind {kind!r} is none of {', '.join(KINDS)}")
            if wait is not None and not 0 <= wait <= MAX_WAIT_S:
                raise Misuse(f"wait is {wait}; it goes from 0 to {MAX_WAIT_S} seconds")
            body: dict[str, Json] = {"kind": kind, "parts": parts}
            optional: dict[str, Json] = {
                "versions": versions,
                "scope": scope or self.scope,
                "deps": _deps_of(deps),
                "run": run,
                "max_age": max_age,
                "wait": wait,
                "tools_mode": tools_mode,
                "explain": explain,
            }
            body.update({name: given for name, given in optional.items() if given})
            if max_age == 0:
                body["max_age"] = 0
            if semantic is not None:
                body["semantic"] = semantic
            answer = self._ask("lookup", body, self.timeout + (wait or 0))
            try:
                return result_of(answer, run)
            except (TypeError, ValueError) as error:
                raise Unavailable(f"an answer of another shape: {error}") from error
        except PayonceError as error:
            self._note(error)
            return Miss(reason="unavailable" if isinstance(error, Unavailable) else "refused")

    def commit(
        self,
        ticket: Ticket | None,
        value: Json,
        *,
        outcome: str | None = None,
        deps: Iterable[Dependency] = (),
        ttl: float | None = None,
        usage: Mapping[str, Json] | None = None,
        used: Iterable[str] | None = None,
    ) -> Committed | None:
        """Stores the value. Of a lookup within a run it stays pending until the run's end.

        None: nothing was stored (no ticket, or a failure that `last_error` has).
        """
        if ticket is None:
            return None
        outcome = outcome or ("pending" if ticket.run else "success")
        body: dict[str, Json] = {"ticket": ticket.id, "value": value, "outcome": outcome}
        optional: dict[str, Json] = {"deps": _deps_of(deps), "ttl": ttl, "usage": usage}
        body.update({name: given for name, given in optional.items() if given})
        if used is not None:
            body["used"] = list(used)
        return self._committed(body)

    def commit_run(self, run: str) -> Committed | None:
        """Publishes all that is pending in the run."""
        return self._committed({"run": run, "outcome": "success"})

    def abort(self, ticket: Ticket | None) -> int:
        """Gives the ticket back, so that others who wait may compute. How many were pending."""
        return self._count("abort", {"ticket": ticket.id}, "entries") if ticket else 0

    def abort_run(self, run: str) -> int:
        """Deletes what is pending in the run; how much that was."""
        return self._count("abort", {"run": run}, "entries")

    def invalidate(
        self,
        *,
        entry: str | None = None,
        version: str | None = None,
        scope: str | None = None,
        path: str | os.PathLike[str] | None = None,
        kind: Kind | None = None,
    ) -> int:
        """Removes entries by exactly one of these; how many."""
        where = os.path.abspath(path) if path is not None else None
        named = {"entry": entry, "version": version, "scope": scope, "path": where, "kind": kind}
        body = {name: given for name, given in named.items() if given is not None}
        return self._count("invalidate", body, "removed")

    def hint(self, session: str, **fields: Json) -> None:
        """Advice on a session's future, such as event="waiting", expect_return_s=30."""
        self._count("hint", {"session": session, **fields}, "")

    def stats(self) -> dict[str, Any]:
        """`{"layers": {kind: {"hits", "misses", "entries", …}}}`; empty without an instance."""
        try:
            return dict(self._ask("stats", {}, TIMEOUT_S))
        except PayonceError as error:
            self._note(error)
            return {}

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, verb: str, body: Json, timeout_s: float) -> Mapping[str, Json]:
        answer = self._pool.ask(verb, encode(body), timeout_s)
        if not isinstance(answer, dict):
            raise Unavailable(f"{verb} was answered with {type(answer).__name__}, not an object")
        return answer

    def _committed(self, body: Json) -> Committed | None:
        try:
            answer = self._ask("commit", body, TIMEOUT_S)
        except PayonceError as error:
            self._note(error)
            return None
        known = ("status", "reason", "entry", "key", "entries")
        return Committed(**{name: answer[name] for name in known if name in answer})

    def _count(self, verb: str, body: Json, field: str) -> int:
        try:
            return int(self._ask(verb, body, TIMEOUT_S).get(field, 0))
        except PayonceError as error:
            self._note(error)
            return 0

    def _note(self, error: PayonceError) -> None:
        """The one place where failures end."""
        self.last_error = error
        if self.strict:
            raise error
        # A ticket that is not known any more is no mistake: it may have waited too long.
        mistake = isinstance(error, Misuse) or (isinstance(error, Refused) and error.status != 404)
        logger.log(logging.WARNING if mistake else logging.DEBUG, "%s", error)


def _credential_of(given: str | None) -> str | None:
    if given and not (given.isascii() and given.isprintable()):
        raise Misuse("the API key holds characters that no header can carry")
    return given or None


def _timeout_of(given: float | None) -> float:
    if given is not None:
        return given
    told = os.environ.get("PAYONCE_TIMEOUT_MS")
    if not told:
        return LOOKUP_TIMEOUT_S
    timeout_ms = float(told) if _DECIMAL.fullmatch(told) else 0.0
    if not 0 < timeout_ms < math.inf:
        raise Misuse(f"PAYONCE_TIMEOUT_MS is {told!r}, no positive number of milliseconds, such as 200")
    return timeout_ms / 1000


def _deps_of(deps: Iterable[Dependency]) -> list[dict[str, Json]]:
    return [dependency.to_json() for dependency in deps]


__all__ = ["Client", "Committed", "Hit", "Miss", "Stale", "logger"]
