"""The actors that ask the agent API, over HTTP and over the Unix socket: results of tools that depend on files which
change meanwhile, plans in other words, runs that publish, abort or vanish."""

import collections
import pathlib
import random
import threading
import time
import zlib
from typing import Any

import httpx

import agent_api
import plan
import questions
from dialects import digest
from harness import Gateway
from world import World

FLOWS = {"result": 40, "plan": 20, "run": 15, "edit": 12, "invalidate": 2, "hint": 3, "wait": 5, "vanish": 3}
FILES = 8
TASKS = {
    f"tests:{name}": (f"add tests for {name}.py", f"write tests for {name}.py", f"please add tests for {name}.py")
    for name in ("calc", "parser", "server", "cache", "store", "router")
}
MEANING = {wording: task for task, wordings in TASKS.items() for wording in wordings}
EXPLAIN_SHARE = 0.05
FATES = ("success", "success", "success", "failure", "abort", "vanish")


class Files:
    """Files that agents read, and who may have read what when: a value that was made from a content may be given only
    while the file had it. Each content is new, so that none comes back."""

    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._made = 0
        self.paths = [folder / f"file{number}.py" for number in range(FILES)]
        self._past: dict[pathlib.Path, list[tuple[str, float, float]]] = collections.defaultdict(list)
        for path in self.paths:
            self.edit(path)

    def edit(self, path: pathlib.Path) -> None:
        with self._lock:
            self._made += 1
            content = f"# version {self._made}\n" + "x = 1\n" * (self._made % 50)
            past = self._past[path]
            began = time.monotonic()
            fresh = path.with_suffix(".new")
            fresh.write_text(content)
            fresh.replace(path)
            if past:
                past[-1] = (past[-1][0], past[-1][1], time.monotonic())
            past.append((digest(content), began, float("inf")))

    def could_be(self, path: str, content: str, started: float, ended: float) -> bool:
        with self._lock:
            return any(
                known == content and since <= ended and until >= started
                for known, since, until in self._past[pathlib.Path(path)]
            )


class Unexplained(Exception):
    """An answer of the API that must not be."""


class AgentActor:
    def __init__(self, world: World, gateway: Gateway, files: Files, name: str) -> None:
        self._world = world
        self._gateway = gateway
        self._files = files
        self._name = name
        self._calls: dict[tuple[str, bool], Any] = {}
        self._life = 0

    def run(self) -> None:
        number = 0
        while not self._world.over.is_set():
            draw = plan.stream_of(self._world.seed, self._name, number)
            time.sleep(draw.random() * 0.06)
            name = f"{self._name}/{number}"
            with self._world.action(name) as life:
                if self._world.over.is_set():
                    break
                self._begin(life)
                try:
                    self._one(draw, name)
                except (httpx.TransportError, OSError, ConnectionError) as error:
                    self._hang_up()
                    if not self._world.cut_explained(life, time.monotonic()):
                        self._world.fail(name, f"cut, and nothing explains it: {type(error).__name__} {error}")
                except (AssertionError, Unexplained, KeyError) as error:
                    self._world.fail(name, f"{type(error).__name__} {error}")
            number += 1
        self._hang_up()

    def _begin(self, life: int) -> None:
        if life != self._life:
            self._hang_up()
            self._life = life

    def _hang_up(self) -> None:
        for call in self._calls.values():
            call.close()
        self._calls.clear()

    def _call(self, user: str, socket: bool) -> Any:
        key = (user, socket)
        if key not in self._calls:
            self._calls[key] = (
                agent_api.Socket(agent_api.socket_path(self._gateway), plan.credential(user))
                if socket
                else agent_api.Http(self._gateway.root, plan.credential(user))
            )
        return self._calls[key]

    def _one(self, draw: random.Random, name: str) -> None:
        flow, user, socket = plan.pick(draw, FLOWS), draw.choice(plan.USERS), draw.random() < 0.5
        scope = draw.choice(("", "", "session:7", "user:1"))
        self._world.count(f"requests agent {flow}")
        self._world.log(name, f"agent {flow} {plan.who(user, scope)} {'socket' if socket else 'http'}")
        if flow == "edit":
            return self._files.edit(draw.choice(self._files.paths))
        call = self._call(user, socket)
        if flow == "hint":
            call("hint", session="7", event=draw.choice(("open", "turn", "waiting", "end")))
            return None
        if flow == "invalidate":
            what = draw.choice(
                ({"kind": "tool_result"}, {"path": str(draw.choice(self._files.paths))}, {"version": "tools=v1"})
            )
            need(call("invalidate", **what)["status"] == "ok", "invalidate")
            return None
        if flow == "run":
            return self._run(draw, name, call, user, scope)
        kind, parts, made_from = self._question(draw, flow)
        asked = {"kind": kind, "parts": parts} | ({"scope": scope} if scope else {})
        if made_from:
            asked["deps"] = [{"type": "file", "path": str(made_from)}]
        if flow == "wait":
            asked["wait"] = 2
        if flow == "vanish":
            return self._vanish(user, asked)
        self._ask(draw, name, call, user, scope, asked, made_from)
        return None

    def _question(self, draw: random.Random, flow: str) -> tuple[str, dict[str, Any], pathlib.Path | None]:
        if flow == "plan" or (flow == "wait" and draw.random() < 0.5):
            task = draw.choice(list(TASKS))
            return "plan", {"task": draw.choice(TASKS[task]), "model": "m", "tools": [{"name": "read"}]}, None
        path = draw.choice(self._files.paths)
        return "tool_result", {"tool": draw.choice(("read", "grep")), "arguments": {"path": str(path)}}, path

    def _value(
        self, name: str, user: str, scope: str, asked: dict[str, Any], made_from: pathlib.Path | None, run: str
    ) -> dict[str, Any]:
        content = digest(made_from.read_text()) if made_from else ""
        text = plan.words(plan.stream_of(0, name), (10, 200, 3000)[zlib.crc32(name.encode()) % 3])
        return {
            "who": plan.who(user, scope),
            "asked": digest(str(asked["parts"])),
            "task": asked["parts"].get("task", ""),
            "content": content,
            "run": run,
            "text": text,
            "sum": zlib.crc32(text.encode()),
        }

    def _ask(
        self,
        draw: random.Random,
        name: str,
        call: Any,
        user: str,
        scope: str,
        asked: dict[str, Any],
        made_from: pathlib.Path | None,
        run: str = "",
    ) -> None:
        """A lookup; a hit is checked, a miss computed and committed as its fate has it."""
        started = time.monotonic()
        found = call("lookup", **asked)
        self._world.took(time.monotonic() - started, name)
        self._count(asked["kind"], found["status"])
        if found["status"] == "hit":
            self._check(name, user, scope, asked, found, made_from, run, started)
            if draw.random() < EXPLAIN_SHARE and not found.get("pending"):
                self._explain(name, user, found["entry"])
            return
        need(found["status"] in ("miss", "stale") and found["ticket"], f"{found}")
        fate = "pending" if run else draw.choice(FATES)
        if fate == "vanish":
            return
        value = self._value(name, user, scope, asked, made_from, run)
        if fate == "abort":
            self._settle(call, "abort", ticket=found["ticket"])
        else:
            self._settle(call, "commit", ticket=found["ticket"], value=value, outcome=fate)

    def _settle(self, call: Any, verb: str, **body: Any) -> None:
        """A ticket may be gone: invalidated by another, or forgotten by a process that ended."""
        try:
            done = call(verb, **body)
        except AssertionError as error:
            if "unknown_ticket" not in str(error):
                raise
            self._world.count("agent tickets gone")
            return
        need(done["status"] in ("stored", "dropped", "aborted"), f"{verb}: {done}")

    def _check(
        self,
        name: str,
        user: str,
        scope: str,
        asked: dict[str, Any],
        found: dict[str, Any],
        made_from: pathlib.Path | None,
        run: str,
        started: float,
    ) -> None:
        value = found["value"]
        mine = plan.who(user, scope)
        need(value["who"] == mine, f"CROSSED: an entry of {value['who']} given to {mine}: {found['entry']}")
        need(zlib.crc32(value["text"].encode()) == value["sum"], f"TORN: {found}")
        with self._world.lock:
            visible = not value["run"] or value["run"] == run or value["run"] in self._world.ended_well
        need(visible, f"an entry of the run {value['run']}, which was not published, given to {run or 'no run'}")
        if made_from:
            fresh = self._files.could_be(str(made_from), value["content"], started, time.monotonic())
            need(fresh, f"a stale value: {made_from} had {value['content']} at another time: {found['entry']}")
        if value["asked"] == digest(str(asked["parts"])):
            return
        need(found.get("detail") in ("semantic", "intent"), f"an answer to other parts: {found}")
        if MEANING[value["task"]] != MEANING[asked["parts"]["task"]]:
            self._world.count("agent hits that were wrong")
            self._world.log(name, f"WRONG MEANING {asked['parts']['task']!r} got the plan of {value['task']!r}")

    def _count(self, kind: str, status: str) -> None:
        self._world.count(f"{'hit' if status == 'hit' else 'miss'} {kind}", self._life)

    def _run(self, draw: random.Random, name: str, call: Any, user: str, scope: str) -> None:
        run = f"run-{name}-{self._world.life}"
        for step in range(3):
            parts = {"task": f"step {draw.randrange(6)} of {questions.COUNTRIES[step]}"}
            asked = {"kind": "subagent", "parts": parts, "run": run, "semantic": False} | (
                {"scope": scope} if scope else {}
            )
            self._ask(draw, f"{name}.{step}", call, user, scope, asked, None, run)
        fate = draw.choice(("success", "success", "abort", "vanish"))
        if fate == "success":
            with self._world.lock:
                self._world.ended_well.add(run)
            call("commit", run=run, outcome="success")
        elif fate == "abort":
            call("abort", run=run)

    def _vanish(self, user: str, asked: dict[str, Any]) -> None:
        """Sends a lookup and is gone before its answer."""
        self._world.count("unknown agent", self._life)
        gone = agent_api.Socket(agent_api.socket_path(self._gateway), plan.credential(user))
        try:
            gone.send("L", asked)
        finally:
            gone.close()

    def _explain(self, name: str, user: str, entry: str) -> None:
        told = self._gateway.client.get(
            "/payonce/v1/explain", params={"id": entry}, headers={"Authorization": f"Bearer {plan.credential(user)}"}
        )
        self._world.count("hits explained")
        # Gone meanwhile is an answer too: evicted, invalidated, or stale and replaced.
        need(told.status_code in (200, 404), f"explain {entry}: {told.status_code} {told.text}")
        if told.status_code == 404:
            self._world.count("explained entries gone")


def need(condition: object, what: str) -> None:
    if not condition:
        raise Unexplained(what)
