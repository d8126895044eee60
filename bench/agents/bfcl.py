"""The public function-calling set: tasks, the tools that each may call, and the calls that are right.

The Berkeley Function Calling Leaderboard comes inside the wheel bfcl-eval (Apache 2.0), pinned here by version and
hash. It is fetched into build/ by pip and read from the wheel; nothing of it is kept in the repository.
"""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import zipfile

from base.run import Json
from base.settings import ROOT, Skipped

VERSION = "2026.3.23"
SHA256 = "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a"
FOLDER = ROOT / "build" / "bfcl"
# Each task of these has one turn and one right call. The live ones were written by users of the leaderboard's demo.
CATEGORIES = ("simple_python", "multiple", "live_simple", "live_multiple")


@dataclasses.dataclass(frozen=True)
class Task:
    id: str
    category: str
    text: str
    system: str
    tools: list[dict[str, Json]]
    function: str                  # the tool that is right
    options: dict[str, list[Json]]  # and for each argument the values that are; "" for one that may be left out

    @property
    def selection(self) -> list[str]:
        return [self.function]

    @property
    def plan(self) -> list[Json]:
        return [{"name": self.function, "arguments": first_choice(self.options)}]

    def accepts(self, plan: list[Json]) -> bool:
        """Whether this plan, made for whatever task, is right for this one: function and arguments."""
        return plan[0]["name"] == self.function and fits(plan[0]["arguments"], self.options)

    def parts(self, **changed: Json) -> dict[str, Json]:
        system = {"system": self.system} if self.system else {}
        return {"task": self.text, "tools": self.tools, "model": "m"} | system | changed

    @property
    def same_tools(self) -> str:
        """Equal for tasks whose every part but the task is equal."""
        return json.dumps([self.system, self.tools], sort_keys=True)


def first_choice(options: dict[str, list[Json]]) -> dict[str, Json]:
    """One right call's arguments: the first value that is one."""
    chosen = {name: next((value for value in values if value not in ("", None)), None)
              for name, values in options.items()}
    return {name: first_choice(value) if is_options(value) else value
            for name, value in chosen.items() if value is not None}


def is_options(value: Json) -> bool:
    """An object as an argument is written as its members' options."""
    return isinstance(value, dict) and bool(value) and all(isinstance(item, list) for item in value.values())


def fits(arguments: Json, options: dict[str, list[Json]]) -> bool:
    """As the leaderboard compares: any listed value; what lists "", null or nothing may be missing."""
    if not isinstance(arguments, dict) or not set(arguments) <= set(options):
        return False
    return all(any(is_value(arguments[name], value) for value in values) if name in arguments
               else not values or "" in values or None in values for name, values in options.items())


def is_value(given: Json, value: Json) -> bool:
    if is_options(value):
        return fits(given, value)
    return bool(plain(given) == plain(value))


def plain(value: Json) -> Json:
    """Without what the leaderboard's check does not see either: case, blanks and some punctuation of strings."""
    if isinstance(value, str):
        return re.sub(r"[ ,./\-_*^]", "", value).lower().replace("'", '"')
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {name: plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def wheel() -> pathlib.Path:
    """The wheel, fetched once; pip refuses one with another hash."""
    path = FOLDER / f"bfcl_eval-{VERSION}-py3-none-any.whl"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        wanted = FOLDER / "requirements.txt"
        wanted.write_text(f"bfcl-eval=={VERSION} --hash=sha256:{SHA256}\n")
        done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes",
                               "-d", str(FOLDER), "-r", str(wanted)], check=False)
        if done.returncode or not path.exists():
            raise Skipped(f"pip could not fetch bfcl-eval {VERSION}; put its wheel into {FOLDER}")
    return path


def tasks(limit: int = 0) -> list[Task]:
    """All tasks with one right call, in the files' order; the first `limit` of each category, if not 0."""
    out = []
    with zipfile.ZipFile(wheel()) as files:
        for category in CATEGORIES:
            name = f"BFCL_v4_{category}.json"
            answers = {row["id"]: row["ground_truth"] for row in rows(files, f"possible_answer/{name}")}
            asked = rows(files, name)
            for row in asked[:limit] if limit else asked:
                [(function, options)] = answers[row["id"]][0].items()
                [turn] = row["question"]
                system = "\n".join(message["content"] for message in turn if message["role"] == "system")
                out.append(Task(row["id"], category, turn[-1]["content"], system, row["function"], function, options))
    return out


def rows(files: zipfile.ZipFile, name: str) -> list[Json]:
    return [json.loads(line) for line in files.read(f"bfcl_eval/data/{name}").decode().splitlines() if line.strip()]
