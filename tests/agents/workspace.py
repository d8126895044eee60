"""The project that agents work on: a small git repository, the same bytes at the same path each time."""

import os
import pathlib
import shutil
import subprocess

FILES = {
    "calc.py": "def add(a, b):\n    return a + b\n\n\ndef divide(a, b):\n    return a / b\n",
    "notes.txt": "Remember: divide() has no check for zero.\n",
    "README.md": "# calc\n\nTwo functions.\n",
    "test_calc.py": "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
}
RULES = "# Rules\n\nUse four spaces.\n"
DATE = "2026-11-20T10:00:00+00:00"


class Workspace:
    """The repository. A change of a file is hidden from git's status, so that it reaches the model in one way only:
    through the tool, or the rules, that read it."""

    def __init__(self, folder: pathlib.Path, rules_file: str) -> None:
        self.folder = folder
        self.rules_file = rules_file

    def reset(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name, text in {**FILES, self.rules_file: RULES}.items():
            (self.folder / name).write_text(text)
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("add", ".")
        self._git("commit", "--quiet", "--message", "The calculator")
        self._git("update-index", "--assume-unchanged", *FILES, self.rules_file)

    def change(self, name: str, old: str, new: str) -> None:
        file = self.folder / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def _git(self, *arguments: str) -> None:
        who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_AUTHOR_DATE": DATE,
               "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org", "GIT_COMMITTER_DATE": DATE,
               "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", *arguments], cwd=self.folder, env=os.environ | who, check=True, capture_output=True)
