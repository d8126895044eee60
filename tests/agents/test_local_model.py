"""Once with the real engine and a real model: small prompts only, since the model is small. What it says does not
matter; that it is asked once does."""

import pathlib

import pytest

from agent import Agent, Setup
from harness import Gateway, model_file
from workspace import Workspace

SMALL_PROMPTS = ("aider", "pi")


def test_a_session_with_a_real_model_is_replayed(agent: Agent, tmp_path: pathlib.Path) -> None:
    if agent.name not in SMALL_PROMPTS:
        pytest.skip(f"{agent.name}'s prompt is longer than the model's context")
    workspace = Workspace(tmp_path / "project", agent.rules_file)
    (tmp_path / "home").mkdir()
    up = Gateway(tmp_path / "gateway", "--model", model_file(), "--layers", "exact", command="up")
    try:
        up.start(120)
        setup = Setup(root=up.root, home=tmp_path / "home", repo=workspace.folder, prompt="Say hello in one word.",
                      answer_tokens=8)
        for _ in range(2):
            workspace.reset()
            ended = agent.run(setup)
            assert ended.status == 0, str(ended)
        exact = up.stats()["layers"]["exact"]
        assert (exact["hits"], exact["misses"]) == (1, 1)
    finally:
        up.client.close()
        up.stop()
