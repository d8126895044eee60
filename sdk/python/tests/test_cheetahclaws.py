"""The real cheetahclaws, headless, on a scripted model and the real binary."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from instance import Instance, environment
from model import Model, Say, results_since_question
from ports import free_port

QUESTION = "What does add do?"
CALC = "def add(a, b):\n    return a + b\n"


def plan(turns: list[dict[str, Any]]) -> Say:
    """Reads and searches at once, lists, runs a command, then answers from what it read."""
    results = results_since_question(turns)
    if not results:
        return [("Read", {"file_path": "calc.py"}), ("Grep", {"pattern": "def ", "path": "lib"})]
    if len(results) == 2:
        return [("Glob", {"pattern": "*.txt", "path": "docs"})]
    if len(results) == 3:
        return [("Bash", {"command": "cat docs/notes.txt"})]
    return "It was read: " + first_line(results[0])


def first_line(result: str) -> str:
    """Of a command's output, or of a file as Read shows it, with numbers."""
    return (result.split("\t")[1] if "\t" in result else result).splitlines()[0]


@dataclasses.dataclass
class Agent:
    """A user with a home, a workspace in git, and cheetahclaws configured for the scripted model."""

    folder: pathlib.Path
    model: Model
    instance_url: str
    config: dict[str, Any]
    variables: dict[str, str]

    @property
    def workspace(self) -> pathlib.Path:
        return self.folder / "work"

    def start(
        self,
        *words: str,
        module: str = "payonce.agents.cheetahclaws",
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        **variables: str,
    ) -> subprocess.Popen[str]:
        home = self.folder / "home" / ".cheetahclaws"
        home.mkdir(parents=True, exist_ok=True)
        (home / "config.json").write_text(json.dumps(self.config))
        variables = {
            "PAYONCE_URL": self.instance_url,
            "PAYONCE_TIMEOUT_MS": "30000",
            **self.variables,
            **variables,
        }
        command = [sys.executable, "-m", module, "--accept-all", "--show-tools", *(("-p", *words) if words else ())]
        # Its own folder for the socket's path, which is not the instance's: HTTP, but for tests that name it.
        env = environment(self.folder / "home", **variables)
        return subprocess.Popen(
            command,
            cwd=self.workspace,
            env=env,
            text=True,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
        )

    def run(self, *words: str, timeout_s: float = 60, **options: str) -> tuple[int, str]:
        """How many LLM calls it made, and what it printed."""
        before = self.model.calls
        process = self.start(*(words or (QUESTION,)), **options)
        output, _ = process.communicate(timeout=timeout_s)
        assert process.returncode == 0, output
        return self.model.calls - before, plain(output)


def plain(output: str) -> str:
    """Without colours, and without the lines of the spinner, which are random."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)
    text = re.sub(r"\r?[⠀-⣿][^\n]*?\(\d+s[^)]*\)", "", text)
    lines = [line.strip() for line in re.split(r"[\r\n]", text)]
    return "\n".join(line for line in lines if line)


@pytest.fixture
def model() -> Iterator[Model]:
    with Model(plan) as running:
        yield running


@pytest.fixture
def make_agent(tmp_path: pathlib.Path, model: Model, instance: Instance) -> Callable[..., Agent]:
    """make_agent(dialect="messages"): a user whose key is that of nobody else."""

    def make(dialect: str = "chat", key: str = f"sk-{tmp_path.name}", **config: Any) -> Agent:
        work = tmp_path / "work"
        if not work.exists():
            for folder in ("lib", "docs"):
                (work / folder).mkdir(parents=True)
            (work / "calc.py").write_text(CALC)
            (work / "lib" / "more.py").write_text("def sub(a, b): ...\n")
            (work / "docs" / "notes.txt").write_text("notes\n")
        chat = {"model": "custom/m", "custom_base_url": model.url, "custom_api_key": key}
        messages = {
            "model": "claude-sonnet-4-5",
            "anthropic_endpoint": model.root,
            "anthropic_api_key": key,
        }
        return Agent(
            tmp_path,
            model,
            instance.url,
            {**(chat if dialect == "chat" else messages), **config},
            {},
        )

    return make


@pytest.fixture
def agent(make_agent: Callable[..., Agent]) -> Agent:
    return make_agent()


def hits(instance: Instance, kind: str) -> tuple[int, int]:
    layer = instance.client().stats()["layers"].get(kind, {})
    return layer.get("hits", 0), layer.get("misses", 0)


@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_the_same_session_again_costs_nothing(
    make_agent: Callable[..., Agent], dialect: str, instance: Instance
) -> None:
    agent = make_agent(dialect)
    first, printed = agent.run()
    assert first == 4
    before = hits(instance, "tool_result")
    again, replayed = agent.run()
    assert (again, replayed) == (0, printed)
    assert "It was read: def add(a, b): [call 4]" in replayed
    after = hits(instance, "tool_result")
    assert (after[0] - before[0], after[1] - before[1]) == (3, 0)  # Bash is never looked up


def test_what_differs_misses(make_agent: Callable[..., Agent], agent: Agent, instance: Instance) -> None:
    agent.run()
    tools = hits(instance, "tool_result")
    assert agent.run("What does sub do?")[0] == 4  # another prompt: all LLM calls, no tool
    assert hits(instance, "tool_result") == (tools[0] + 3, tools[1])
    agent.config["model"] = "custom/other"
    assert agent.run()[0] == 4  # another model
    assert hits(instance, "tool_result") == (tools[0] + 6, tools[1])
    agent.config["model"] = "custom/m"
    agent.config["max_tokens"] = 1234
    assert agent.run()[0] == 4  # other sampling
    assert make_agent(key="sk-of-another-user").run()[0] == 4  # who pays with another key
    agent.config["max_tokens"] = 40000
    assert agent.run()[0] == 0  # and the first one still hits


def test_another_credential_shares_nothing(agent: Agent, instance: Instance) -> None:
    agent.variables["PAYONCE_API_KEY"] = "sk-ann"
    agent.run()
    tools = hits(instance, "tool_result")
    agent.variables["PAYONCE_API_KEY"] = "sk-bob"
    assert agent.run()[0] == 4
    assert hits(instance, "tool_result")[0] == tools[0]


def test_a_changed_file_misses_from_there_on(agent: Agent, instance: Instance) -> None:
    agent.run()
    (agent.workspace / "calc.py").write_text(CALC.replace("add", "plus"))
    before = hits(instance, "tool_result")
    calls, printed = agent.run()
    assert calls == 3  # the first call asked before anything was read
    assert "def plus" in printed
    after = hits(instance, "tool_result")
    assert after[0] - before[0] == 2  # of three, all but Read of that file
    (agent.workspace / "docs" / "new.txt").write_text("")
    calls, printed = agent.run()
    assert calls == 2 and "new.txt" not in printed  # from the listing on


def test_changed_instructions_miss(agent: Agent) -> None:
    """CLAUDE.md becomes part of the system text."""
    agent.run()
    (agent.workspace / "CLAUDE.md").write_text("Always answer in one word.\n")
    assert agent.run()[0] == 4


def test_changed_tools_miss(agent: Agent) -> None:
    agent.run()
    agent.config["disabled_tools"] = ["WebSearch"]
    assert agent.run()[0] == 4


@pytest.mark.parametrize("fail_after", [0, 2, 3])
def test_a_failed_run_leaves_nothing(agent: Agent, model: Model, instance: Instance, fail_after: int) -> None:
    model.fail_after = fail_after
    agent.run()  # it says so, and ends with 0 all the same
    model.fail_after = None
    before = hits(instance, "tool_result")
    assert agent.run()[0] == 4
    assert hits(instance, "tool_result")[0] == before[0]


def test_a_cut_stream_is_never_stored(agent: Agent, model: Model) -> None:
    """The provider's stream ends in order, but does not say that the answer is finished."""
    model.cut = True
    agent.run()
    model.cut = False
    assert agent.run()[0] == 4


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_leaves_nothing(agent: Agent, model: Model, number: signal.Signals) -> None:
    import threading

    model.plan = lambda turns: plan(turns)
    process = agent.start(QUESTION)
    deadline = time.monotonic() + 60
    while model.calls < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    model.hold = threading.Event()
    while model.calls < 4:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    model.hold.set()
    process.communicate(timeout=30)
    model.hold = None
    assert agent.run()[0] == 4


def test_questions_by_standard_input_are_one_run(agent: Agent, model: Model) -> None:
    """Two turns that end well and a third that fails: nothing of the session is seen."""
    model.fail_after = 8
    process = agent.start(stdin=subprocess.PIPE)
    process.communicate(f"{QUESTION}\nAnd again?\nAnd now?\n", timeout=90)
    assert model.calls >= 9
    model.fail_after = None
    assert agent.run()[0] == 4


def test_at_a_terminal_each_turn_is_a_run(agent: Agent, model: Model) -> None:
    ours, theirs = os.openpty()
    process = agent.start(stdin=theirs, stdout=theirs)
    os.close(theirs)
    try:
        os.write(ours, f"{QUESTION}\r".encode())
        seen = b""
        deadline = time.monotonic() + 60
        while "»" not in seen.partition(b"[call 4]")[2].decode(errors="replace"):  # asks for the next line
            assert time.monotonic() < deadline, seen
            if select.select([ours], [], [], 0.1)[0]:
                seen += os.read(ours, 65536)
    finally:
        process.kill()
        process.wait(60)
        os.close(ours)
    assert agent.run()[0] == 0


def test_without_an_instance_it_is_cheetahclaws(agent: Agent) -> None:
    agent.instance_url = f"http://127.0.0.1:{free_port()}"
    first, printed = agent.run()
    again, replayed = agent.run(module="cheetahclaws")
    assert first == again
    assert re.sub(r"call \d+", "", printed) == re.sub(r"call \d+", "", replayed)


def test_switched_off(agent: Agent) -> None:
    agent.run()
    assert agent.run(PAYONCE_OFF="1")[0] >= 4


def test_files_outside_and_secrets_are_never_looked_up(agent: Agent, model: Model, instance: Instance) -> None:
    outside = agent.folder / "outside.txt"
    outside.write_text("outside")
    (agent.workspace / ".env").write_text("TOKEN=1")
    os.symlink(outside, agent.workspace / "link.txt")

    def reads(turns: list[dict[str, Any]]) -> Say:
        if results_since_question(turns):
            return "done"
        paths = [str(outside), "../outside.txt", "link.txt", ".env"]
        return [("Read", {"file_path": path}) for path in paths] + [("Grep", {"pattern": "TOKEN"})]

    model.plan = reads
    before = hits(instance, "tool_result")
    agent.run()
    assert agent.run()[0] == 0
    assert hits(instance, "tool_result") == before


def sub_agents(tools: list[tuple[str, dict[str, Any]]]) -> Callable[[list[dict[str, Any]]], Say]:
    """The agent asks a sub-agent, whose task is told by its words, and repeats its report."""

    def speak(turns: list[dict[str, Any]]) -> Say:
        results = results_since_question(turns)
        asked = next(turn["text"] for turn in reversed(turns) if turn["role"] == "user")
        if "TASK" in asked:
            return "REPORT of " + first_line(results[0]) if results else tools
        if not results:
            return [("Agent", {"prompt": "TASK: look", "subagent_type": "researcher"})]
        return "Heard: " + results[0].splitlines()[-1]

    return speak


def test_a_sub_agent_that_only_reads_is_one_entry(agent: Agent, model: Model, instance: Instance) -> None:
    model.plan = sub_agents([("Read", {"file_path": "calc.py"})])
    calls, printed = agent.run()
    assert calls == 4 and "REPORT of def add" in printed
    before = hits(instance, "subagent")
    assert agent.run() == (0, printed)
    assert hits(instance, "subagent")[0] == before[0] + 1
    (agent.workspace / "lib" / "more.py").write_text("unread")
    assert agent.run()[0] == 0
    (agent.workspace / "calc.py").write_text("def changed(): ...\n")
    calls, printed = agent.run()
    assert calls == 2  # the sub-agent's second call, and the agent's own after its report
    assert "REPORT of def changed" in printed


def test_a_sub_agent_that_runs_commands_runs_again(agent: Agent, model: Model, instance: Instance) -> None:
    model.plan = sub_agents([("Bash", {"command": "echo x >> ran.txt; cat calc.py"})])
    _, printed = agent.run()
    before = hits(instance, "subagent")
    assert agent.run() == (0, printed)
    assert hits(instance, "subagent")[0] == before[0]
    assert (agent.workspace / "ran.txt").read_text() == "x\nx\n"


def test_compaction_is_an_entry_of_its_own_kind(agent: Agent, model: Model, instance: Instance) -> None:
    long = "word " * 4000

    def speak(turns: list[dict[str, Any]]) -> Say:
        if (
            turns[0]["text"].startswith("You are a concise summarizer")
            or "Summarize the following" in turns[-1]["text"]
        ):
            return "A SUMMARY"
        compacted = any("Previous conversation summary" in turn["text"] for turn in turns)
        return "Answered." if compacted else [("Bash", {"command": f"echo {long}"})]

    model.plan = speak
    agent.config["context_window"] = 9000
    agent.run()
    assert any("Summarize the following" in json.dumps(body) for body in model.bodies)
    before = hits(instance, "compaction")
    assert agent.run()[0] == 0
    assert hits(instance, "compaction")[0] > before[0]


def test_the_local_model(make_agent: Callable[..., Agent], tmp_path: pathlib.Path) -> None:
    """`payonce up` is the model and the instance at once; what SmolLM2 says does not matter."""
    gguf = os.environ.get("PAYONCE_MODEL", "")
    assert os.path.exists(gguf), f"PAYONCE_MODEL is {gguf!r}, no file: name the GGUF of the default model"
    running = Instance(tmp_path / "up", "--model", gguf, "--layers", "none", command="up")
    try:
        agent = make_agent(custom_base_url=running.url + "/v1", tool_profile="standard", max_tokens=24)
        agent.instance_url = running.url
        agent.run(timeout_s=500)
        calls = engine_calls(running)
        assert calls > 0
        agent.run()
        assert engine_calls(running) == calls
    finally:
        running.stop()


def engine_calls(running: Instance) -> float:
    with urllib.request.urlopen(running.url + "/metrics", timeout=10) as metrics:
        lines = metrics.read().decode().splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith('payonce_requests_total{dialect="openai_chat"')
    )
