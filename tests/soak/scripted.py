"""The upstream of a run: tests/e2e's, with answers that tell who asked what, a book of every call, and faults that the
client names in a header, so that they are part of the plan."""

import dataclasses
import json
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import answers
import plan
import questions
from dialects import Essence, Said, digest, essence
from upstream import Fault, Hold, Request, Upstream

PLAIN_CUT: dict[str, Any] = {"after": 0}
STREAM_CUT: dict[str, Any] = {"after": 2}
# With these the answer is not the whole one of the provider; nothing of it may ever be a hit.
DAMAGES = set(plan.FAULTS) - {"slow", "hang_up"}
STATUSES = {"500", "503", "429", "400"}
LARGE_CHARS, MIDDLE_CHARS = 150_000, 8000


@dataclasses.dataclass
class Call:
    """One call that came upstream, and what was answered."""

    number: int
    action: str
    who: str
    asked: Essence
    check: int  # CRC of the answer's text
    fault: str
    started: float
    ended: float = 0.0  # 0: not yet

    @property
    def damaged(self) -> bool:
        return self.fault in DAMAGES


class Book:
    """All calls of a run, of both upstreams. Threads: any."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: dict[int, Call] = {}
        self._by_action: dict[str, list[int]] = {}
        self.wrong: list[str] = []  # credentials that came where they do not belong

    def add(self, action: str, who: str, asked: Essence, fault: str, times: int) -> Call:
        with self.lock:
            mine = self._by_action.setdefault(action, [])
            call = Call(
                len(self.calls) + 1, action, who, asked, 0, fault if len(mine) < times else "", time.monotonic()
            )
            mine.append(call.number)
            self.calls[call.number] = call
        return call

    def of_action(self, action: str) -> list[Call]:
        with self.lock:
            return [self.calls[number] for number in self._by_action.get(action, ())]

    def open_calls(self) -> int:
        with self.lock:
            return sum(not call.ended for call in self.calls.values())

    def since(self, started: float) -> list[Call]:
        """Calls that were under way after that time, newest first."""
        found = []
        with self.lock:
            for number in range(len(self.calls), 0, -1):
                call = self.calls[number]
                if call.started < started - 120:
                    break
                if not call.ended or call.ended >= started:
                    found.append(call)
        return found


def text_for(who: str, asked: Essence) -> str:
    """The words of an answer: a function of who asked what, so that two calls for the same say the same."""
    name = f"For {who.partition('|')[0]}: "
    meaning = questions.MEANING.get(asked.question)
    if meaning:
        return name + questions.prose(meaning)
    mark = digest(asked.context + asked.question + who)
    draw = plan.stream_of(0, mark)
    size = {0: LARGE_CHARS, 1: MIDDLE_CHARS, 2: MIDDLE_CHARS}.get(int(mark[:8], 16) % 40, 200)
    text = name + plan.words(draw, size // 6)
    return text[:size]


def check_of(text: str) -> int:
    return zlib.crc32(text.encode())


def says_what_it_should(call: Call, said: Said) -> bool:
    """Whether every byte of the text is what was answered to that call."""
    if said.text.startswith("{"):  # the arguments of a call
        return bool(json.loads(said.text) == json.loads(answers.arguments_of(call.number)))
    return said.text == "" or check_of(said.text) == call.check


class Scripted(Upstream):
    """One upstream; several may share a book. Only that is kept of a request."""

    def __init__(self, book: Book) -> None:
        super().__init__()
        self._book = book

    def _record(self, request: Request) -> Fault:
        fields = {name.lower(): value for name, value in request.headers}
        try:
            body = json.loads(request.body) if request.body else {}
        except ValueError:
            body = {}
        who, action = fields.get("x-soak-who", ""), fields.get("x-soak-action", "")
        call = self._book.add(
            action,
            who,
            essence(request.target, body),
            fields.get("x-soak-fault", ""),
            int(fields.get("x-soak-fault-times", "0")),
        )
        self._check_credential(fields, who, action)
        request.number = answers.Worded(call.number)
        request.number.text = text_for(who, call.asked)
        call.check = check_of(request.number.text)
        return fault_of(call.fault, bool(body.get("stream")) or "streamGenerate" in request.target)

    def _check_credential(self, fields: dict[str, str], who: str, action: str) -> None:
        came = (
            fields.get("x-api-key")
            or fields.get("x-goog-api-key")
            or fields.get("authorization", "").removeprefix("Bearer ")
        )
        if came not in (plan.credential(who.partition("|")[0]), UPSTREAM_KEY):
            self._book.wrong.append(f"{action}: upstream came the credential '{came}' for {who}")

    def _answer(self, connection: Any, request: Request, fault: Fault) -> bool:
        try:
            return bool(super()._answer(connection, request, fault))
        finally:
            self._book.calls[int(request.number)].ended = time.monotonic()


UPSTREAM_KEY = "sk-soak-upstream"


def fault_of(name: str, stream: bool) -> Fault:
    """What goes wrong, as tests/e2e/upstream.py has it."""
    cut = STREAM_CUT if stream else PLAIN_CUT
    if name in STATUSES:
        return Fault(status=int(name), headers=(("Retry-After", "1"),))
    faults: dict[str, Callable[[], Fault]] = {
        "": lambda: Fault(),
        "reset_head": lambda: Fault(raw=b""),
        "reset_mid": lambda: Fault(**cut, cut="reset"),
        "close_mid": lambda: Fault(**cut, cut="close"),
        "hang_head": lambda: Fault(hold=Hold()),
        "hang_mid": lambda: Fault(**cut, cut="hang"),
        "bad_chunk": lambda: Fault(**cut, cut="bad_chunk"),
        "html": lambda: Fault(body=b"<html>Bad gateway</html>"),
        "cut_json": lambda: Fault(body=b'{"id":"x","choices":['),
        "short": lambda: Fault(drop_last=2) if stream else Fault(length_delta=7),
        "drop_last": lambda: Fault(drop_last=2) if stream else Fault(body=b"[]"),
        "slow": lambda: Fault(head_delay_s=0.15, chunk_delay_s=0.03),
        "hang_up": lambda: Fault(hang_up=True),
    }
    return faults[name]()
