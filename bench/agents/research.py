"""What the agent caches gain in a loop: a research agent answers 10 questions on this repository, each asked twice in
other words, without Payonce and with it; then all of them once more.

The agent may only search and read, as ForgeCode's SAGE. Its model is scripted (it takes --latency seconds a call) so
that each run is the same; --url and --model name a real one. An answer is right when it holds the fact, which is read
from the source here, not by the agent.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from agents.questions import QUESTIONS, Question, fact_of
from base.run import Run
from base.settings import ROOT

sys.path[:0] = [str(ROOT / "sdk/python/src"), str(ROOT / "sdk/python/tests")]

import payonce  # noqa: E402
from model import Model, Say, results_since_question  # noqa: E402

# How it is decided whether a question in other words may get the stored answer: by the error bound, which serves
# nothing before it has seen enough labels, or by a fixed cosine.
POLICIES = {
    "bound": [],
    "threshold": ["--semantic-policy", "threshold", "--semantic-threshold", "0.85"],
}
SYSTEM = "You research the codebase at hand. Search, read, then answer in one sentence with the fact."


# ---- the agent: all of it ------------------------------------------------------------------------


@dataclasses.dataclass
class Spent:
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class Agent:
    """With a client its steps are looked up first; the same code runs without an instance."""

    def __init__(self, url: str, model: str) -> None:
        self.url, self.model, self.spent = url, model, Spent()
        self.tools = {"search": search, "read": read}

        @payonce.cached(
            "subagent",
            parts=lambda task: {"task": task, "model": model, "tools": TOOLS},
            deps=[payonce.git(ROOT)],
            keep=bool,
        )
        def answer(task: str) -> str:
            steps = self.plan(task)
            messages = [
                {"role": "system", "content": f"{SYSTEM}\nPlan: {steps}"},
                {"role": "user", "content": task},
            ]
            tools = self.choose(task)
            for _ in range(8):
                said = self.chat(messages, tools)
                messages.append(said)
                if not said.get("tool_calls"):
                    return str(said["content"])
                for call in said["tool_calls"]:
                    tool: Callable[..., str] = self.tools[call["function"]["name"]]
                    result = tool(**json.loads(call["function"]["arguments"]))
                    messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
            return ""

        @payonce.cached("plan", parts=lambda task: {"task": task, "model": model})
        def plan(task: str) -> str:
            return str(self.chat([{"role": "user", "content": f"PLAN: {task}"}], [])["content"])

        @payonce.cached("tools", parts=lambda task: {"task": task, "model": model, "tools": TOOLS})
        def choose(task: str) -> list[Any]:
            named = str(self.chat([{"role": "user", "content": f"TOOLS: {task}"}], [])["content"])
            return [tool for tool in TOOLS if tool["function"]["name"] in named]

        @payonce.cached(
            "llm",
            parts=lambda messages, tools: {"messages": messages, "tools": tools, "model": model},
        )
        def chat(messages: list[Any], tools: list[Any]) -> dict[str, Any]:
            body = {"model": model, "messages": messages, "temperature": 0} | ({"tools": tools} if tools else {})
            request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode())
            with urllib.request.urlopen(request, timeout=300) as response:
                whole = json.load(response)
            self.spent.calls += 1
            self.spent.input_tokens += whole["usage"]["prompt_tokens"]
            self.spent.output_tokens += whole["usage"]["completion_tokens"]
            return dict(whole["choices"][0]["message"])

        self.answer, self.plan, self.choose, self.chat = answer, plan, choose, chat


@payonce.tool(deps=[payonce.git(ROOT)])
def search(pattern: str) -> str:
    """Lines of the sources that match, with their files."""
    command = ["git", "-C", str(ROOT), "grep", "-nE", pattern, "--", "src"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
    return found[:4000] or "nothing found"


@payonce.tool(deps=lambda path: [payonce.file(ROOT / path)])
def read(path: str) -> str:
    """A file of the repository."""
    return (ROOT / path).read_text()[:8000]


def described(name: str, parameter: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {parameter: {"type": "string"}},
        "required": [parameter],
    }
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{name} in the repository",
            "parameters": schema,
        },
    }


TOOLS = [described("search", "pattern"), described("read", "path")]


# ---- the scripted model --------------------------------------------------------------------------


def scripted(turns: list[dict[str, Any]]) -> Say:
    """Plans, chooses tools, searches, reads the first file found, and quotes the line with the fact."""
    asked = [turn["text"] for turn in turns if turn["role"] == "user"][-1]
    if asked.startswith("PLAN:"):
        return "Search for the name, read the file, quote the line."
    if asked.startswith("TOOLS:"):
        return "search, read"
    question = next(q for q in QUESTIONS if asked in (q.first, q.second))
    results = results_since_question(turns)
    if not results:
        return [("search", {"pattern": question.name})]
    if len(results) == 1:
        paths = [line.split(":")[0] for line in results[0].splitlines()]
        return [("read", {"path": question.path if question.path in paths else paths[0]})]
    line = next(line for line in results[1].splitlines() if question.name in line)
    return f"It is this: {line.strip()}"


# ---- the measuring -------------------------------------------------------------------------------


@dataclasses.dataclass
class Pass:
    name: str
    llm_calls: int
    input_tokens: int
    output_tokens: int
    wall_s: float
    right: int
    asked: int
    hits: dict[str, int]


def measure(name: str, agent: Agent, asked: list[tuple[str, Question]]) -> Pass:
    agent.spent = Spent()
    before = hits()
    right = 0
    started = time.perf_counter()
    for text, question in asked:
        with payonce.run():
            answer = agent.answer(text)
        if fact_of(ROOT, question) in answer:
            right += 1
        else:
            print(f"wrong: {text!r} → {answer!r}", file=sys.stderr)
    wall_s = time.perf_counter() - started
    found = {kind: count - before.get(kind, 0) for kind, count in hits().items()}
    spent = agent.spent
    return Pass(name, spent.calls, spent.input_tokens, spent.output_tokens, wall_s, right, len(asked), found)


def hits() -> dict[str, int]:
    layers = payonce.default_client().stats().get("layers", {})
    return {kind: layers[kind]["hits"] for kind in payonce.KINDS if kind in layers}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--latency", type=float, default=0.3, help="seconds that the scripted model takes a call")
    parser.add_argument("--url", help="a real model instead: its OpenAI base URL")
    parser.add_argument("--model", default="scripted")
    parser.add_argument("--questions", type=int, default=len(QUESTIONS), help="only so many of the ten")


def study(run: Run, options: argparse.Namespace) -> int:
    first = [(question.first, question) for question in QUESTIONS[: options.questions]]
    second = [(question.second, question) for question in QUESTIONS[: options.questions]]
    rows = []
    with Model(scripted, options.latency) as model:
        url = options.url or model.url
        payonce.set_default_client(payonce.Client("http://127.0.0.1:9", socket=""))  # nobody is there
        rows.append(measure("without Payonce", Agent(url, options.model), first + second))
        for policy, flags in POLICIES.items():
            server = run.payonce("serve", "--upstream", url, "--layers", "exact,semantic", *flags, name=policy)
            # More than the usual 50 ms, since the first look at a repository takes longer.
            root = server.url.removesuffix("/v1")
            payonce.set_default_client(payonce.Client(root, socket=str(server.socket_path), timeout=2))
            agent = Agent(url, options.model)
            rows.append(measure(f"{policy}: first wording", agent, first))
            rows.append(measure(f"{policy}: other wording", agent, second))
            rows.append(measure(f"{policy}: all once more", agent, first + second))
            server.stop()
    report(rows)
    return 1 if not options.url and any(row.right < row.asked for row in rows) else 0


def report(rows: list[Pass]) -> None:
    print(f"{'':28}{'LLM calls':>10}{'input':>9}{'output':>9}{'wall s':>8}{'right':>8}  hits")
    for row in rows:
        hits = " ".join(f"{kind}={count}" for kind, count in row.hits.items() if count)
        print(
            f"{row.name:28}{row.llm_calls:>10}{row.input_tokens:>9}{row.output_tokens:>9}{row.wall_s:>8.2f}"
            f"{row.right:>5}/{row.asked}  {hits}"
        )

