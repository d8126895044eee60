"""Judges one answer of the data plane: whose it is, what it answers, whether every byte is there, and if not, what in
the plan explains that. Whatever nothing explains is a finding."""

import dataclasses
import json
import re

import plan
import questions
from dialects import Essence, Said, Torn, essence, looks_whole, read_answer
from harness import CacheStatus
from scripted import Call, says_what_it_should
from world import World

SERIAL = re.compile(r"[-_]up(\d+)$")
MAX_CALLS = 6  # of one request: the tries at an upstream, those after a flight that failed


@dataclasses.dataclass
class Outcome:
    """What came of a request."""

    status: int = 0  # 0: no head came
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    error: str = ""  # "timeout", "cut: …", "left"
    started: float = 0
    ended: float = 0
    life: int = 0


class Headers:
    """As CacheStatus wants an answer."""

    def __init__(self, outcome: Outcome) -> None:
        self.headers, self.status_code = outcome.headers, outcome.status


class Oracle:
    def __init__(self, world: World) -> None:
        self._world = world
        self._engine_says: dict[tuple[str, str], str] = {}
        self._engine_ids: dict[str, str] = {}

    @classmethod
    def of(cls, world: World) -> "Oracle":
        """The one oracle of that world: what the engine said is known to all actors."""
        with world.lock:
            if world.oracle is None:
                world.oracle = cls(world)
            return world.oracle

    def judge(self, ask: plan.Ask, got: Outcome) -> CacheStatus | None:
        """Counts the answer and records what is wrong with it. Its Cache-Status, if it is a good answer."""
        world, name = self._world, ask.name
        if got.error == "timeout":
            world.fail(
                name,
                f"no answer within {world.patience_s} s; {describe(ask, got)}; upstream: "
                f"{world.book.of_action(name)}",
            )
            return None
        status = self._status(ask, got)
        if got.error:
            self._broken(ask, got)
        elif got.status != 200:
            self._refused(ask, got)
        elif status is not None:
            try:
                self._good(ask, got, status)
                return status
            except Torn as torn:
                self._torn(ask, got, status, torn)
            except Wrong as wrong:
                world.fail(name, f"{wrong}; {describe(ask, got)}")
        return None

    def _status(self, ask: plan.Ask, got: Outcome) -> CacheStatus | None:
        """The Cache-Status, counted; a request that left or was cut before its head is a doubt in the counts."""
        world, life = self._world, got.life
        if got.status == 0:
            world.count("unknown", life)
            return None
        if got.status != 200 and "cache-status" not in got.headers:
            return None
        try:
            status = CacheStatus(Headers(got))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the field is the finding
            world.fail(ask.name, f"Cache-Status: {error}; {describe(ask, got)}")
            return None
        if status.hit:
            world.count(f"hit {status.parameters['detail']}", life)
        elif ask.dialect not in ("files", "models"):
            world.count("collapsed" if status.collapsed else f"fwd {status.fwd}", life)
        return status

    # ---- good answers ----------------------------------------------------------------------------

    def _good(self, ask: plan.Ask, got: Outcome, status: CacheStatus) -> None:
        asked = essence(ask.path, ask.body)
        calls = self._world.book.of_action(ask.name)
        if status.hit:
            need(
                "x-payonce-saved" in got.headers and int(got.headers["age"]) >= 0,
                "a hit without Age or X-Payonce-Saved",
            )
            need(not calls or str(status.parameters["detail"]) == "semantic", f"a hit that went upstream: {calls}")
        elif ask.kind not in ("engine", "models"):  # else the engine inside answers
            call = self._call_of("-up" + got.headers.get("x-request-id", "").removeprefix("req-"))
            self._forwarded(ask, got, status, call, calls)
            if call.damaged:
                self._world.count("damaged answers passed on")
                return
        said = read_answer(ask.dialect, ask.stream, got.body)
        if ask.kind == "models":
            return None
        if ask.kind == "engine":
            return self._engine(ask, said, asked)
        self._belongs(ask, got, status, said, asked)

    def _forwarded(self, ask: plan.Ask, got: Outcome, status: CacheStatus, call: Call, calls: list[Call]) -> None:
        """A miss asked once, unless a fault explains more; one that joined another asked not at all."""
        troubled = any(mine.fault for mine in calls) or self._world.in_outage(got.started, got.ended)
        if status.collapsed:
            need(
                not calls or troubled or self._flight_failed(ask, got),
                f"it joined another's call and asked itself: {calls}",
            )
        else:
            need(call.action == ask.name, f"not collapsed, and answered by the call of {call.action}")
            need(
                len(calls) == 1 or (troubled and len(calls) <= MAX_CALLS) or self._flight_failed(ask, got),
                f"{len(calls)} calls upstream for one miss: {calls}",
            )

    def _call_of(self, made_id: str) -> Call:
        """The call upstream that an id names."""
        found = SERIAL.search(made_id)
        call = self._world.book.calls.get(int(found.group(1))) if found else None
        if call is None:
            raise Wrong(f"the id {made_id!r} is none that the upstream gave")
        return call

    def _flight_failed(self, ask: plan.Ask, got: Outcome) -> bool:
        """Whether a call of somebody else for the same went wrong meanwhile: its followers ask themselves then."""
        asked = essence(ask.path, ask.body)
        return any(call.fault and call.asked == asked for call in self._world.book.since(got.started))

    def _belongs(self, ask: plan.Ask, got: Outcome, status: CacheStatus, said: Said, asked: Essence) -> None:
        call = self._call_of(said.id)
        teams = any(mode.teams for mode in self._world.possible_modes(0, got.ended))
        mine = plan.who(ask.user, ask.scope)
        need(plan.may_share(mine, call.who, teams), f"CROSSED: made for {call.who}, given to {mine}")
        need(not call.damaged or not status.hit, f"an answer that was never complete is a hit: {call}")
        need(says_what_it_should(call, said), f"TORN: not the text of call {call.number}: {said.text[:200]!r}")
        need(call.asked.context == asked.context, f"another conversation's answer: {call}")
        if call.asked.question == asked.question:
            return
        need(status.hit and str(status.parameters["detail"]) == "semantic", f"another question's answer: {call}")
        self._world.count("semantic hits of other words")
        if questions.MEANING.get(call.asked.question) != questions.MEANING.get(asked.question):
            self._world.count("semantic hits that were wrong")
            self._world.log(ask.name, f"WRONG MEANING {asked.question!r} got the answer of {call.asked.question!r}")

    def _engine(self, ask: plan.Ask, said: Said, asked: Essence) -> None:
        """The engine says the same to the same, whatever else it computes; an id is one scope's."""
        text = self._engine_says.setdefault((asked.context, asked.question), said.text)
        need(text == said.text, f"the engine said {text!r} before, now {said.text!r}")
        mine = plan.who(ask.user, ask.scope)
        maker = self._engine_ids.setdefault(said.id, mine)
        need(plan.may_share(mine, maker, True), f"CROSSED: the engine's {said.id} was {maker}'s, now {mine}'s")

    # ---- answers that are not good -----------------------------------------------------------------

    def _torn(self, ask: plan.Ask, got: Outcome, status: CacheStatus, torn: Torn) -> None:
        self._world.fail(ask.name, f"TORN: {torn}; {describe(ask, got)}")

    def _broken(self, ask: plan.Ask, got: Outcome) -> None:
        """Cut on the way."""
        world = self._world
        if got.error == "left":
            return world.count("left by the client")
        ended = world.cut_explained(got.life, got.ended)
        if got.status == 200 and ask.stream and got.body and looks_whole(got.body) and not ended:
            world.fail(ask.name, f"a stream that broke looks whole; {describe(ask, got)}")
        if ended:
            world.count("cut by the end of the process")
            before = [call for call in world.book.of_action(ask.name) if call.started < world.ending_since]
            if (
                before
                and not got.whole
                and world.life == got.life
                and world.draining
                and not self._troubled(ask, got)
            ):
                world.fail(ask.name, f"SIGTERM cut a request that was under way: {got.error}; {describe(ask, got)}")
        elif self._troubled(ask, got):
            world.count("cut by a fault upstream")
        else:
            world.fail(ask.name, f"cut, and nothing explains it: {got.error}; {describe(ask, got)}")

    def _troubled(self, ask: plan.Ask, got: Outcome) -> bool:
        """Whether a planned fault of this request, or of one for the same that it joined, explains an error."""
        world = self._world
        return (
            any(call.damaged for call in world.book.of_action(ask.name))
            or self._flight_failed(ask, got)
            or world.in_outage(got.started - 1, got.ended)
        )

    def _refused(self, ask: plan.Ask, got: Outcome) -> None:
        world, code = self._world, got.status
        world.count(f"answered {code}")
        try:
            shape_of_error(ask.dialect, got.body)
        except (ValueError, KeyError, TypeError) as error:
            return world.fail(ask.name, f"an error without its dialect's shape ({error}); {describe(ask, got)}")
        if self._is_expected(ask, got):
            return None
        return world.fail(ask.name, f"answered {code}, and nothing explains it; {describe(ask, got)}")

    def _is_expected(self, ask: plan.Ask, got: Outcome) -> bool:
        world, code = self._world, got.status
        modes = world.possible_modes(got.started, got.ended)
        if code == 404:
            return ask.kind == "passed"  # goes to the first upstream, the engine, which has no such path
        if code == 413:
            return ask.kind == "huge"
        if code == 429 and any(mode.rate for mode in modes) and "x-request-id" not in got.headers:
            return True
        if code == 504 and ask.headers.get("Cache-Control") == "only-if-cached":
            return True
        if code in (503, 504, 502) and world.cut_explained(got.life, got.ended):
            return True
        if ask.kind == "engine":
            return code == 503  # loading
        return code in (400, 429, 500, 502, 503, 504) and self._troubled(ask, got)


class Wrong(Exception):
    """What must not be."""


def need(condition: object, what: str) -> None:
    if not condition:
        raise Wrong(what)


def shape_of_error(dialect: str, body: bytes) -> None:
    value = json.loads(body)
    if dialect == "messages" and value["type"] != "error":
        raise ValueError("no type: error")
    if not value["error"]["message"]:
        raise ValueError("no message")


def describe(ask: plan.Ask, got: Outcome) -> str:
    mine = plan.who(ask.user, ask.scope)
    return (
        f"{ask.kind} {ask.dialect}{' stream' if ask.stream else ''} of {mine}, "
        f"fault '{ask.fault}'×{ask.fault_times}, "
        f"{'h2, ' if ask.http2 else ''}{got.status} {got.headers.get('cache-status', '')} id "
        f"{got.headers.get('x-payonce-id', '')}, {len(got.body)} bytes, whole {got.whole}, life {got.life}, "
        f"{got.ended - got.started:.2f} s: {got.body[:300]!r} … {got.body[-150:]!r}"
    )
