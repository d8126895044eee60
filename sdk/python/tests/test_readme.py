"""The examples of the README run, one after another, as they stand there."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest

import payonce

README = pathlib.Path(__file__).parents[1] / "README.md"


def test_the_examples_run(default: payonce.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYONCE_URL", f"http://127.0.0.1:{default.address.port}")
    monkeypatch.setenv("PAYONCE_TIMEOUT_MS", "30000")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.chdir(README.parent)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, Any] = {"__name__": "readme"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"README.md, example {number + 1}", "exec"), names)
    assert names["answer"] == "Hello"
    assert names["client"].lookup("llm", {"model": "m", "prompt": "Hi"}).hit
    assert default.stats()["layers"]["plan"]["entries"] >= 1
