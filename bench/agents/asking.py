"""The real binary, its socket, and what comes of many lookups: how many hit, how many of these were wrong."""

import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from bfcl import ROOT, Json, Task

sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from agent_api import Socket, socket_path  # noqa: E402
from harness import Gateway, free_port  # noqa: E402

Question = dict[str, Json]


class Caller(Socket):  # type: ignore[misc]
    """One connection. Keeps how long each lookup took, from the first byte sent to the last received."""

    def __init__(self, path: pathlib.Path, credential: str, times: dict[str, list[float]]) -> None:
        self.times = times
        super().__init__(path, credential)

    def frame(self, verb: str, body: Question) -> tuple[str, Json]:
        raw = json.dumps(body).encode()
        message = verb.encode() + struct.pack(">I", len(raw)) + raw
        started = time.perf_counter()
        self._socket.sendall(message)
        head = self._exactly(5)
        content = self._exactly(struct.unpack(">I", head[1:])[0])
        seconds = time.perf_counter() - started
        answer = json.loads(content)
        if head[:1] == b"L":
            self.times[answer.get("detail", answer["status"])].append(seconds)
        return chr(head[0]), answer

    def become(self, credential: str) -> None:
        """Another user, from here on."""
        assert self.frame("K", {"credential": credential})[0] == "K"

    def ask(self, question: Question) -> Json:
        """A lookup that nothing follows: the ticket of a miss is given back."""
        answer = self("lookup", **question)
        if "ticket" in answer:
            self("abort", ticket=answer["ticket"])
        return answer

    def store(self, question: Question, value: Json, **commit: Json) -> Json:
        """Looks up, and commits what a model would have answered if it is a miss. The lookup's answer."""
        answer = self("lookup", **question)
        if "ticket" in answer:
            stored = self("commit", ticket=answer["ticket"], outcome="success", value=value, **commit)
            assert stored["status"] == "stored", f"{question}: {stored}"
        return answer


class Server:
    def __init__(self, gateway: Any) -> None:
        self._gateway, self._path = gateway, socket_path(gateway)
        self.times: dict[str, list[float]] = collections.defaultdict(list)
        self._callers = 0

    def caller(self) -> Caller:
        """As a user of its own, who sees nothing of the others' entries."""
        self._callers += 1
        return Caller(self._path, f"sk-user-{self._callers}", self.times)


@contextlib.contextmanager
def running(layers: str, *flags: str) -> Iterator[Server]:
    """`payonce serve` with these layers. No upstream is ever asked."""
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(folder, "--upstream", f"http://127.0.0.1:{free_port()}/v1", "--layers", layers, *flags,
                          env={"PAYONCE_EMBEDDER": os.environ["PAYONCE_EMBEDDER"]})
        try:
            yield Server(gateway.start())
        finally:
            gateway.stop()
            gateway.client.close()


@dataclasses.dataclass
class Tally:
    """What some lookups of one sort gave. `wanted` is checked: all | none | bound | "" for what is merely told."""
    section: str
    what: str
    wanted: str = ""
    lookups: int = 0
    hits: int = 0
    by_intent: int = 0       # hits that the manners' rules found though no intent was named
    by_meaning: int = 0
    wrong: int = 0           # hits whose call, function and arguments, is not right for the task
    wrong_function: int = 0  # of these, such as call another function
    examples: list[list[str]] = dataclasses.field(default_factory=list)

    def add(self, answer: Json, task: Task, asked: str = "", trap: bool = False) -> None:
        """`asked`: the text, if it was not the task's. `trap`: it asks for something else, so any value is wrong."""
        self.lookups += 1
        if answer["status"] != "hit":
            return
        self.hits += 1
        self.by_intent += answer["detail"] == "intent"
        self.by_meaning += answer["detail"] == "semantic"
        value = answer["value"]
        right = value == task.selection if isinstance(value[0], str) else task.accepts(value)
        if trap or not right:
            self.wrong += 1
            self.wrong_function += (value[0] if isinstance(value[0], str) else value[0]["name"]) != task.function
            self.examples.append([task.id, asked or task.text, json.dumps(value)])

    @property
    def met(self) -> bool | None:
        kept = {"all": self.hits == self.lookups and not self.wrong, "none": not self.hits,
                "none wrong": not self.wrong, "bound": self.wrong <= ERROR_BOUND * self.lookups}
        return kept[self.wanted] if self.wanted else None


ERROR_BOUND = 0.01  # the default of `payonce serve`


def value_of(kind: str, task: Task) -> list[Json]:
    return task.selection if kind == "tools" else task.plan


def question_of(kind: str, task: Task, text: str = "", tools: Json = None, **more: Json) -> Question:
    changed = ({"task": text} if text else {}) | ({"tools": tools} if tools is not None else {})
    return {"kind": kind, "parts": task.parts(**changed)} | more
