"""The agent API's socket (docs/agents/api.md), timed, and what comes of many lookups: how many hit, how many wrongly."""

import collections
import dataclasses
import json
import pathlib
import socket
import struct
import time

from agents.bfcl import Task
from base.run import Json

Question = dict[str, Json]
TIMEOUT_S = 70
MAX_EXAMPLES = 2
ERROR_BOUND = 0.01  # the default of `payonce serve`


class Caller:
    """One user's connection. Keeps how long each lookup took, from the first byte sent to the last received."""

    def __init__(self, path: pathlib.Path, credential: str, times: dict[str, list[float]] | None = None) -> None:
        self.times = collections.defaultdict(list) if times is None else times
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(str(path))
        self.become(credential)

    def exchange(self, message: bytes) -> bytes:
        """A frame there and its answer back: a byte for what it is, the length, JSON."""
        self._socket.sendall(message)
        head = self._exactly(5)
        return head[:1] + self._exactly(struct.unpack(">I", head[1:])[0])

    def _exactly(self, size: int) -> bytes:
        out = b""
        while len(out) < size:
            chunk = self._socket.recv(size - len(out))
            if not chunk:
                raise ConnectionError("the server closed")
            out += chunk
        return out

    def __call__(self, verb: str, **body: Json) -> Json:
        message = frame(verb, body)
        started = time.perf_counter()
        content = self.exchange(message)
        seconds = time.perf_counter() - started
        answer = json.loads(content[1:])
        if content[:1] == b"X":
            raise RuntimeError(f"{verb} {body}: {answer}")
        if verb == "lookup":
            self.times[answer.get("detail", answer["status"])].append(seconds)
        return answer

    def become(self, credential: str) -> None:
        """Another user, from here on."""
        if self.exchange(frame("K", {"credential": credential}))[:1] != b"K":
            raise RuntimeError("the credential was refused")

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
            if stored["status"] != "stored":
                raise RuntimeError(f"{question}: {stored}")
        return answer

    def close(self) -> None:
        self._socket.close()


def frame(verb: str, body: Question) -> bytes:
    raw = json.dumps(body).encode()
    return verb[0].upper().encode() + struct.pack(">I", len(raw)) + raw


class Users:
    """Of one instance, whose socket lies at `path`."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self.times: dict[str, list[float]] = collections.defaultdict(list)
        self._callers = 0

    def caller(self) -> Caller:
        """A user of its own, who sees nothing of the others' entries."""
        self._callers += 1
        return Caller(self._path, f"sk-user-{self._callers}", self.times)


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
    examples: list[list[str]] = dataclasses.field(default_factory=list)  # the first wrong ones

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
            if len(self.examples) < MAX_EXAMPLES:
                self.examples.append([task.id, asked or task.text, json.dumps(value)])

    @property
    def met(self) -> bool | None:
        kept = {"all": self.hits == self.lookups and not self.wrong, "none": not self.hits,
                "none wrong": not self.wrong, "bound": self.wrong <= ERROR_BOUND * self.lookups}
        return kept[self.wanted] if self.wanted else None


def value_of(kind: str, task: Task) -> list[Json]:
    return task.selection if kind == "tools" else task.plan


def question_of(kind: str, task: Task, text: str = "", tools: Json = None, **more: Json) -> Question:
    changed = ({"task": text} if text else {}) | ({"tools": tools} if tools is not None else {})
    return {"kind": kind, "parts": task.parts(**changed)} | more
