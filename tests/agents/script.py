"""The scripted model: one tool after the other, then the answer; and which request of a session one is."""

import json
import pathlib
import threading

import answers
from agent import Agent
from upstream import Request, Upstream
from wire import Call, Json, Said, Text, dialect_of, write


FULL_TOKENS = 990_000
SUMMARY = ("<analysis>All is told.</analysis>\n<state_snapshot>\n<summary>\nThe user asked what calc.py defines: "
           "add and divide. ({number})\n</summary>\n</state_snapshot>")


def results(body: Json) -> int:
    """How many tool results the conversation holds."""
    count = 0
    for turn in body.get("messages") or body.get("input") or body.get("contents") or []:
        if not isinstance(turn, dict):
            continue
        if turn.get("role") == "tool" or turn.get("type") in ("function_call_output", "custom_tool_call_output"):
            count += 1
        for part in [*listed(turn.get("content")), *listed(turn.get("parts"))]:
            count += part.get("type") == "tool_result" or "functionResponse" in part
    return count


def listed(value: object) -> list[Json]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


class Model:
    """An upstream that plays the agent's script."""

    def __init__(self, agent: Agent, repo: pathlib.Path) -> None:
        self.agent = agent
        self.steps = [Call(step.name, json.loads(json.dumps(step.arguments).replace("{repo}", str(repo))))
                      for step in agent.steps]
        self.upstream = Upstream(answer=self.answer)
        self.full_at: set[str] = set()  # calls that are told, once, that the context is nearly full
        self._seen = 0
        self._lock = threading.Lock()

    def label(self, path: str, raw: bytes) -> str:
        """Which call of a session: "turn 0" is the first of the loop, "side" a title or another call without tools."""
        if not dialect_of(path):
            return path
        body = json.loads(raw)
        if self.agent.compacts_with and self.agent.compacts_with in raw.decode():
            return "compaction"
        if self.agent.has_tools and not body.get("tools"):
            return "side"
        return f"turn {results(body)}"

    def said(self, label: str, number: int) -> Said:
        if label == "compaction":
            return Text(SUMMARY.format(number=number))
        if label == "side":
            return Text(f"Sizes and functions {number}")
        step = int(label.removeprefix("turn "))
        return self.steps[step] if step < len(self.steps) else Text(f"It defines add and divide. (answer {number})")

    def answer(self, method: str, target: str, raw: bytes, number: int) -> answers.Reply:
        path = target.split("?")[0]
        if method != "POST" or not dialect_of(path):
            return answers.answer(method, target, raw, number)
        label = self.label(path, raw)
        with self._lock:
            tokens = FULL_TOKENS if label in self.full_at else len(raw) // 4 + 1
            self.full_at.discard(label)
        return write(path, json.loads(raw), tokens, number, self.said(label, number))

    def labelled(self, request: Request) -> str:
        return self.label(request.path, request.body) if request.method == "POST" else request.path

    def new(self) -> list[str]:
        """Labels of what came since the last call."""
        with self._lock:
            requests = self.upstream.requests[self._seen:]
            self._seen += len(requests)
        return [self.labelled(request) for request in requests]
