"""What the tests need to know of an agent: how it is set up, started, and which of its tools the scripted model calls."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess

from wire import Call

ROOT = pathlib.Path(__file__).resolve().parents[2]
SESSION_LIMIT_S = 120
PROMPT = "Which functions does calc.py define, and how long is notes.txt? Answer in one sentence."
OTHER_PROMPT = "Does calc.py handle division by zero? Answer in one sentence."


@dataclasses.dataclass(frozen=True)
class Setup:
    """One session: who asks what, through which gateway."""

    root: str  # of the gateway, "http://127.0.0.1:PORT"
    home: pathlib.Path
    repo: pathlib.Path
    prompt: str = PROMPT
    key: str = "sk-first-user"
    model: str = ""  # the agent's own choice when empty
    fewer_tools: bool = False
    resume: bool = False  # goes on with the last session
    compacting: bool = False  # the context is small, so that it has to be summarised
    answer_tokens: int = 8_000  # at most, where the agent takes a limit
    headers: tuple[tuple[str, str], ...] = ()  # further header fields of each request


@dataclasses.dataclass(frozen=True)
class Ended:
    """What a session left."""

    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit status {self.status}\n--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-4000:]}"


class Agent:
    """A real agent, run headless. Subclasses say how."""

    name = ""
    program = ""  # in its environment's folder of programs
    model = ""
    other_model = ""
    rules_file = "AGENTS.md"  # of the project, read into the system text
    steps: tuple[Call, ...] = ()  # reads calc.py, searches, runs `wc -c notes.txt`
    has_tools = True
    titles_by_its_model = False  # the session's title is asked of the session's model, not of a small one
    priced = True  # a list price of its model is known
    compacts_with = ""  # words of the request that asks for a summary of the session
    compact_prompt = "And what does divide do?"  # goes on with a session so that it is compacted, if need be
    full_at = ""  # the call whose answer says that the context is full, where the agent counts by that

    @property
    def folder(self) -> pathlib.Path:
        return ROOT / "build" / f"agents-{self.name}"

    @property
    def binary(self) -> pathlib.Path:
        return self.folder / "node_modules" / ".bin" / self.program

    def files(self, setup: Setup) -> dict[str, str]:
        """Its configuration: text by path under the home directory."""
        return {}

    def environment(self, setup: Setup) -> dict[str, str]:
        return {}

    def arguments(self, setup: Setup) -> list[str]:
        raise NotImplementedError

    def start(self, setup: Setup) -> subprocess.Popen[str]:
        for path, text in self.files(setup).items():
            file = setup.home / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        # Nothing of the machine's own settings: keys, proxies, other homes.
        kept = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb", "HOME": str(setup.home), "CI": "1",
                "NO_PROXY": "127.0.0.1,localhost", "TZ": "UTC", "GIT_CONFIG_NOSYSTEM": "1"}
        return subprocess.Popen([str(self.binary), *self.arguments(setup)], cwd=setup.repo, text=True,
                                env=kept | self.environment(setup), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, start_new_session=True)

    def run(self, setup: Setup) -> Ended:
        """One session to its end."""
        process = self.start(setup)
        try:
            out, err = process.communicate(timeout=SESSION_LIMIT_S)
        except subprocess.TimeoutExpired:
            kill(process)
            out, err = process.communicate()
            raise AssertionError(f"{self.name} did not end in {SESSION_LIMIT_S} s:\n{Ended(-9, out, err)}") from None
        return Ended(process.returncode, out, err)


def kill(process: subprocess.Popen[str]) -> None:
    """At once, with all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
