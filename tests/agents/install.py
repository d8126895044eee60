#!/usr/bin/env python3
"""Installs the agents, each from its own pinned list into build/agents-NAME: install.py [NAME…].

An agent that cannot be installed leaves the reason in build/agents-NAME/problem.txt, and its tests say it when they
are skipped; the others go on.
"""

import json
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = pathlib.Path(__file__).resolve().parent / "packages"
LIMIT_S = 600


def folder_of(name: str) -> pathlib.Path:
    return ROOT / "build" / f"agents-{name}"


def pinned(name: str) -> pathlib.Path:
    """The list that its environment is made of."""
    npm = PACKAGES / name / "package-lock.json"
    return npm if npm.exists() else PACKAGES / name / "requirements.txt"


def version_of(name: str) -> str:
    manifest = PACKAGES / name / "package.json"
    if manifest.exists():
        return str(next(iter(json.loads(manifest.read_text())["dependencies"].values())))
    lines = pinned(name).read_text().splitlines()
    return next(line.split("==")[1] for line in lines if line.startswith(f"{name}-chat=="))


def problem_of(name: str) -> str:
    """Why it cannot run; empty when it can."""
    folder = folder_of(name)
    if (folder / "problem.txt").exists():
        return (folder / "problem.txt").read_text().strip()
    return "" if is_installed(name) else "run ./dev agents"


def is_installed(name: str) -> bool:
    copy = folder_of(name) / "installed.txt"
    return copy.exists() and copy.read_bytes() == pinned(name).read_bytes()


def commands(name: str) -> list[list[str]]:
    folder = folder_of(name)
    if pinned(name).name == "package-lock.json":
        for part in ("package.json", "package-lock.json"):
            shutil.copy(PACKAGES / name / part, folder)
        # Not `ci`, which wants the programs of all platforms in the list, also where a registry lacks some.
        return [["npm", "install", "--no-save", "--prefix", str(folder), "--no-audit", "--no-fund",
                 "--loglevel=error"]]
    venv = folder / "venv"
    return [[sys.executable, "-m", "venv", str(venv)],
            [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r",
             str(pinned(name))]]


def install(name: str) -> str:
    """The problem, or nothing."""
    folder = folder_of(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for command in commands(name):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
            problem = done.stderr.strip() if done.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        if problem:
            # npm ends with pages of advice; what happened stands in its first lines.
            first = " ".join(problem.replace("npm error", "").split())[:200]
            (folder / "problem.txt").write_text(f"{pathlib.Path(command[0]).name} failed: {first}\n")
            return problem
    shutil.copy(pinned(name), folder / "installed.txt")
    return ""


def main() -> int:
    for name in sys.argv[1:] or sorted(path.name for path in PACKAGES.iterdir()):
        if is_installed(name):
            continue
        print(f"== installing {name} {version_of(name)}", file=sys.stderr)
        if problem := install(name):
            print(f"{name} cannot be installed, its tests are skipped:\n{problem}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
