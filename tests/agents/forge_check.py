"""ForgeCode, run headless with a scripted model and a real Payonce: `forge_check.py FORGE PAYONCE`.

Python's library alone, so that it runs where a checkout of ForgeCode is built. forge.sh calls it.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from typing import Any

from forge_model import Model, call

FORGE, PAYONCE = "", ""
LIMIT_S = 60
CALC = "def add(a, b):\n    return a + b\n"
ASKED = ["main 0", "main 1", "sage 0", "sage 1", "sage 2", "title"]
CONFIG = """\
research_subagent = true
[session]
provider_id = "openai_compatible"
model_id = "scripted"
[updates]
auto_update = false
frequency = "never"
[reasoning]
enabled = false
[retry]
max_attempts = 2
initial_backoff_ms = 1
min_delay_ms = 1
backoff_factor = 1
status_codes = [500]
suppress_errors = false
[payonce]
enabled = true
url = "http://127.0.0.1:{port}"
"""


class Payonce:
    """A real server, its upstream never needed: only the agent API is asked."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        with open(folder / "payonce.log", "wb") as log:
            self.process = subprocess.Popen(
                [PAYONCE, "serve", "--listen", f"127.0.0.1:{self.port}", "--upstream", "http://127.0.0.1:9/v1",
                 "--layers", "exact", "--data", str(folder / "data")], stdout=log, stderr=log, env=env)
        deadline = time.monotonic() + 30
        while not self._ready():
            assert self.process.poll() is None and time.monotonic() < deadline, (folder / "payonce.log").read_text()
            time.sleep(0.02)

    def _ready(self) -> bool:
        try:
            return bool(self.stats())
        except OSError:
            return False

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/payonce/v1/stats", timeout=5) as answer:
            layers: dict[str, Any] = json.load(answer)["layers"]
            return layers

    def entries(self) -> dict[str, int]:
        stats = self.stats()
        return {kind: stats[kind]["entries"] for kind in ("llm", "tool_result", "subagent")}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


class ForgeTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="payonce-forge-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.payonce = Payonce(self.folder)
        self.addCleanup(self.payonce.stop)
        self.home = self.folder / "home"
        (self.home / ".forge").mkdir(parents=True)
        (self.home / ".forge" / ".forge.toml").write_text(CONFIG.replace("{port}", str(self.payonce.port)))
        self.repo = self.folder / "repo"
        self.repo.mkdir()
        self.write("calc.py", CALC)
        self.write("notes.txt", "Nothing here.\n")
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "The calculator")
        self.model = Model([call("read", {"file_path": str(self.repo / "calc.py")}),
                            call("fs_search", {"pattern": "def ", "path": str(self.repo)})])
        self.model.__enter__()
        self.addCleanup(self.model.__exit__)

    def write(self, name: str, text: str) -> None:
        (self.repo / name).write_text(text)

    def git(self, *arguments: str) -> None:
        who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Ada",
               "GIT_COMMITTER_EMAIL": "ada@example.org", "GIT_CONFIG_GLOBAL": "/dev/null"}
        subprocess.run(["git", *arguments], cwd=self.repo, env=os.environ | who, check=True)

    def start(self, question: str, **more: str) -> subprocess.Popen[str]:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.folder),
               "PAYONCE_TIMEOUT_MS": "30000", "TERM": "dumb", "OPENAI_URL": self.model.url, "OPENAI_API_KEY": "sk-model",
               "ANTHROPIC_URL": self.model.url, "ANTHROPIC_API_KEY": "sk-model", "FORGE_TRACKER": "false", **more}
        return subprocess.Popen([FORGE, "-p", question], cwd=self.repo, env=env, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ask(self, question: str = "What does calc.py define?", status: int | None = 0, **more: str) -> str:
        process = self.start(question, **more)
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"forge did not end in {LIMIT_S} s:\n{out}\n{err}")
        if status is not None:
            self.assertEqual(process.returncode, status, out + err)
        return "\n".join(line for line in out.splitlines() if "answer" in line)

    # ---- what must hold --------------------------------------------------------------------------

    def test_the_same_question_again_costs_no_call(self) -> None:
        first = self.ask()
        self.assertEqual(self.model.take(), ASKED)
        second = self.ask()
        self.assertEqual(self.model.take(), [])
        self.assertEqual(second, first)
        self.assertIn("from what SAGE said", first)
        self.assertEqual(self.payonce.stats()["subagent"]["hits"], 1)

    def test_the_same_holds_for_anthropics_messages(self) -> None:
        config = self.home / ".forge" / ".forge.toml"
        text = config.read_text().replace('"openai_compatible"', '"anthropic_compatible"')
        config.write_text(text.replace("[reasoning]\nenabled = false", "[reasoning]\nenabled = true"))
        first = self.ask()
        self.assertEqual(self.model.take(), ASKED)
        second = self.ask()
        self.assertEqual((self.model.take(), second), ([], first))
        self.write("calc.py", CALC + "\n")
        self.ask()
        sent = json.dumps([body for label, body in self.model.requests if label == "sage 1"])
        # The thought before the tool call was replayed with its signature, as the provider wants it back.
        self.assertTrue('"signature": "c2lnbmVk' in sent, "no signature came back")
        self.assertEqual(self.model.take(), ["main 1", "sage 1", "sage 2"])

    def test_another_question_that_needs_the_same_research_costs_no_research(self) -> None:
        self.model.question = "Describe calc.py"
        self.ask("What does calc.py define?")
        self.model.take()
        self.ask("And how would you describe calc.py?")
        self.assertEqual(self.model.take(), ["main 0", "main 1", "title"])
        self.assertEqual(self.payonce.stats()["subagent"]["hits"], 1)

    def test_a_changed_file_that_was_read_misses(self) -> None:
        self.ask()
        self.model.take()
        self.write("calc.py", CALC + "\n\ndef divide(a, b):\n    return a / b\n")
        self.ask()
        # What was asked before the file was read is the same; all that came after it is not.
        self.assertEqual(self.model.take(), ["main 1", "sage 1", "sage 2"])
        self.assertEqual(self.payonce.stats()["subagent"]["reasons"]["dependency"], 1)

    def test_a_changed_file_that_the_search_did_not_find_makes_the_report_stale(self) -> None:
        self.ask()
        self.model.take()
        self.write("notes.txt", "def here(): pass\n")
        self.ask()
        self.assertEqual(self.model.take(), ["main 1", "sage 2"])

    def test_without_a_search_other_files_do_not_matter(self) -> None:
        self.model.sage = self.model.sage[:1]
        self.ask()
        self.model.take()
        self.write("notes.txt", "Something else.\n")
        self.ask()
        self.assertEqual(self.model.take(), [])

    def test_a_failed_run_leaves_nothing(self) -> None:
        self.model.fails_after_reports = True
        self.ask(status=None)
        self.assertEqual(self.payonce.entries(), {"llm": 0, "tool_result": 0, "subagent": 0})
        self.model.fails_after_reports = False
        self.model.take()
        self.ask()
        self.assertEqual(self.model.take(), ASKED)

    def test_an_interrupted_run_leaves_nothing(self) -> None:
        for number in (signal.SIGINT, signal.SIGKILL):
            self.model.hang_at("sage 2")
            process = self.start("What does calc.py define?")
            self.assertTrue(self.model.hanging.wait(LIMIT_S), "SAGE did not come that far")
            process.send_signal(number)
            process.communicate(timeout=LIMIT_S)
            self.model.hang_at("")
            self.assertEqual(self.payonce.entries(), {"llm": 0, "tool_result": 0, "subagent": 0}, number)
            self.model.take()
        self.ask()
        self.assertEqual(self.model.take(), ASKED)

    def test_another_user_shares_nothing(self) -> None:
        self.ask(PAYONCE_API_KEY="sk-ann")
        self.model.take()
        self.ask(PAYONCE_API_KEY="sk-bob")
        self.assertEqual(self.model.take(), ASKED)

    def test_off_and_without_a_server_it_is_forge_as_ever(self) -> None:
        first = self.ask(FORGE_PAYONCE__ENABLED="false")
        self.assertEqual(self.model.take(), ASKED)
        self.assertEqual(self.payonce.entries(), {"llm": 0, "tool_result": 0, "subagent": 0})
        self.payonce.stop()
        second = self.ask()
        self.assertEqual(self.model.take(), ASKED)
        self.assertIn("from what SAGE said", first)
        self.assertIn("from what SAGE said", second)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: forge_check.py FORGE PAYONCE [unittest arguments]")
    FORGE, PAYONCE = sys.argv[1], sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
