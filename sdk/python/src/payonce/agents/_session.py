"""What one process of an agent shares: the client, the run, and how its turns ended."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from payonce._client import Client
from payonce._run import ended_well
from payonce._types import Dependency, Hit, Json, Kind, Result, Ticket
from payonce.agents._readset import states_of

LAST_CALLS_S = 2.0  # how long the end waits for calls that background threads still make


@dataclass
class Trace:
    """What one loop of the agent, or of a sub-agent, did so far."""

    complete: bool = False  # its last LLM call answered, and asked for no tool
    repeatable: bool = True  # all its tools were read-only, with a known read set
    watching: bool = False  # a sub-agent's, whose report may be stored
    states: dict[Dependency, str] = field(default_factory=dict)

    def read(self, deps: Sequence[Dependency] | None) -> None:
        """A tool read these, or did something that cannot be told."""
        if deps is None:
            self.repeatable = False
        elif self.watching:
            self.states.update(states_of([dep for dep in deps if dep not in self.states]))


class Session:
    """All that is committed stays pending until `end`, or, in dialogue, until the turn's end."""

    def __init__(self, client: Client, dialogue: bool) -> None:
        self.client = client
        self.dialogue = dialogue
        self.run = _new_run()
        self.live = False  # an instance answered
        self._lock = threading.Lock()
        self._open = 0
        self._failed = False

    def lookup(self, kind: Kind, parts: dict[str, Json], deps: Sequence[Dependency] = ()) -> Result:
        found = self.client.lookup(kind, parts, deps=deps, run=self.run)
        self.live = isinstance(found, Hit) or found.reason != "unavailable"
        if not found.hit and found.ticket:
            with self._lock:
                self._open += 1
        return found

    def commit(self, ticket: Ticket | None, value: Json, deps: Sequence[Dependency] = (), usage: Json = None) -> None:
        if ticket:
            self.client.commit(ticket, value, deps=deps, usage=usage)
            self._closed()

    def abort(self, ticket: Ticket | None) -> None:
        if ticket:
            self.client.abort(ticket)
            self._closed()

    def _closed(self) -> None:
        with self._lock:
            self._open -= 1

    def turn_ended(self, well: bool) -> None:
        """In dialogue each turn is a run; otherwise one turn that failed is the whole run's end."""
        if not self.dialogue:
            self._failed = self._failed or not well
            return
        run, self.run = self.run, _new_run()
        self._finish(run, well)

    def end(self, error: BaseException | None) -> None:
        deadline = time.monotonic() + LAST_CALLS_S
        well = ended_well(error) and not self._failed
        while well and self._open > 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        self._finish(self.run, well)

    def _finish(self, run: str, well: bool) -> None:
        if well:
            self.client.commit_run(run)
        else:
            self.client.abort_run(run)


def _new_run() -> str:
    return f"cheetahclaws-{uuid.uuid4().hex}"
