"""The wheel that carries the program, installed where nothing else is."""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess
import sys
import zipfile

import pytest
from instance import binary, environment

import payonce

PROJECT = pathlib.Path(__file__).parents[1]


def wheel_of(folder: pathlib.Path, program: str) -> pathlib.Path:
    """Built from a copy, so that no build leaves anything in the tree. The program lies as the tarball unpacks it."""
    unpacked = folder / "unpacked"
    if program:
        (unpacked / "bin").mkdir(parents=True)
        (unpacked / "bin" / "payonce").symlink_to(program)
    source = folder / "source"
    subprocess.run(["cp", "-r", str(PROJECT), str(source)], check=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        ".",
    ]
    environ = {name: value for name, value in os.environ.items() if name != "PAYONCE_PROGRAM"}
    environ |= {"PAYONCE_PROGRAM": str(unpacked)} if program else {}
    subprocess.run(command, cwd=source, env=environ, check=True, timeout=240)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_without_a_program_the_wheel_is_pure(tmp_path: pathlib.Path) -> None:
    wheel = wheel_of(tmp_path, "")
    assert wheel.name == f"payonce-{payonce.__version__}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    assert "payonce/py.typed" in names and "payonce/agents/cheetahclaws.py" in names
    assert not any(name.startswith(("payonce/program", "tests")) for name in names)


@pytest.mark.skipif(sys.platform != "linux", reason="the tag is Linux's")
def test_with_a_program_it_runs_from_a_fresh_environment(tmp_path: pathlib.Path) -> None:
    wheel = wheel_of(tmp_path, binary())
    assert wheel.name == f"payonce-{payonce.__version__}-py3-none-linux_{platform.machine()}.whl"
    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", str(fresh)], check=True, timeout=120)
    subprocess.run([fresh / "bin" / "pip", "install", "-q", "--no-index", wheel], check=True, timeout=120)
    env = environment(tmp_path)
    del env["PYTHONPATH"]

    def run(*command: str) -> str:
        words = [str(fresh / "bin" / command[0]), *command[1:]]
        done = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    own = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout
    assert run("payonce", "--version") == own == run("python", "-m", "payonce", "--version")
    assert "Usage: payonce" in run("payonce", "--help")
    assert run("python", "-c", "import payonce; print(payonce.Client().lookup('llm', {}).reason)") == "unavailable\n"
    script = "from payonce import _instance; print(_instance.start(('--upstream', 'http://127.0.0.1:9/v1')))"
    assert run("python", "-c", script).startswith("http://127.0.0.1:")
