"""What all actors of a run share: the life of the process, the configurations that may be in force, counts, findings."""

import collections
import contextlib
import dataclasses
import pathlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from scripted import Book

MAX_FINDINGS = 20  # then a run ends: the first ones tell the most


@dataclasses.dataclass
class Mode:
    """A configuration, as far as answers depend on it."""

    since: float
    teams: bool  # keys of the gateway are in force, two of one team
    rate: int  # requests a minute of each caller; 0: no limit
    layers: str
    until: float = float("inf")  # when the next one was confirmed to be in force


class World:
    def __init__(self, seed: int, folder: pathlib.Path, patience_s: float) -> None:
        self.seed = seed
        self.folder = folder
        self.patience_s = patience_s  # for one request; a sanitized build is slow
        self.book = Book()
        self.lock = threading.Condition()
        self.over = threading.Event()
        self.life = 0  # counts the processes
        self.modes: list[Mode] = []
        self.outages: list[tuple[float, float]] = []
        self.counts: collections.Counter[tuple[int, str]] = collections.Counter()  # (life, what)
        self.totals: collections.Counter[str] = collections.Counter()
        self.findings: list[str] = []
        self.worst_s = (0.0, "")
        self.ended_well: set[str] = set()  # runs of the agent API that may be seen
        self.ending_since = 0.0  # 0: the process is to live
        self.draining = False  # it ends by SIGTERM
        self.oracle: Any = None  # of all actors
        self._open = False  # whether actors may begin something
        self._in_flight: dict[str, float] = {}
        self._log = open(folder / "actions.log", "w", encoding="utf-8", buffering=1 << 16)
        self._began = time.monotonic()

    # ---- the life of the process ---------------------------------------------------------------

    def open_gate(self) -> None:
        with self.lock:
            self._open = True
            self.lock.notify_all()

    def close_gate(self) -> None:
        with self.lock:
            self._open = False

    def born(self) -> None:
        with self.lock:
            self.life += 1
            self.ending_since = 0.0

    def ending(self, draining: bool) -> None:
        """From now on connections may be cut; when it drains, not those with a request."""
        with self.lock:
            self.draining = draining
            self.ending_since = time.monotonic()

    @contextlib.contextmanager
    def action(self, name: str) -> Iterator[int]:
        """One action: waits until the gate is open; the life that it began in."""
        with self.lock:
            while not self._open and not self.over.is_set():
                self.lock.wait(0.2)
            self._in_flight[name] = time.monotonic()
            life = self.life
        try:
            yield life
        finally:
            with self.lock:
                del self._in_flight[name]
                self.lock.notify_all()

    def wait_quiet(self, timeout_s: float) -> list[str]:
        """With the gate closed: waits until no action is under way; those that stay."""
        deadline = time.monotonic() + timeout_s
        with self.lock:
            while self._in_flight and time.monotonic() < deadline:
                self.lock.wait(0.2)
            return list(self._in_flight)

    def cut_explained(self, life: int, ended: float) -> bool:
        """Whether a connection of that life could be cut because the process ended."""
        with self.lock:
            return self.life != life or (self.ending_since != 0 and ended >= self.ending_since)

    # ---- configurations ------------------------------------------------------------------------

    def possible_modes(self, started: float, ended: float) -> list[Mode]:
        """Those that may have been in force at some time between."""
        with self.lock:
            return [mode for mode in self.modes if mode.since <= ended and mode.until >= started]

    def confirm_mode(self) -> None:
        """The last one is in force, none before it any more."""
        with self.lock:
            for mode in self.modes[:-1]:
                mode.until = min(mode.until, time.monotonic())

    def in_outage(self, started: float, ended: float) -> bool:
        with self.lock:
            return any(begin <= ended and end >= started for begin, end in self.outages)

    # ---- what is found -------------------------------------------------------------------------

    def count(self, what: str, life: int = 0) -> None:
        with self.lock:
            self.totals[what] += 1
            if life:
                self.counts[life, what] += 1

    def counted(self, life: int, what: str) -> int:
        with self.lock:
            return self.counts[life, what]

    def took(self, seconds: float, name: str) -> None:
        with self.lock:
            self.worst_s = max(self.worst_s, (seconds, name))

    def log(self, name: str, text: str) -> None:
        with self.lock:
            self._log.write(f"{time.monotonic() - self._began:9.3f} {self.life} {name} {text}\n")

    def fail(self, name: str, text: str) -> None:
        """Something that must not happen."""
        with self.lock:
            self.findings.append(f"{name}: {text}")
            number = len(self.findings)
        self.log(name, f"FINDING {text}")
        print(f"FINDING {number}, seed {self.seed}, life {self.life}, action {name}: {text}", flush=True)
        if number >= MAX_FINDINGS:
            self.over.set()

    def flush(self) -> None:
        with self.lock:
            self._log.flush()
