"""A session whose context is full is summarised; the same summary is not paid for twice, and one sees what it saved."""

import json
import pathlib

from agent import Agent
from harness import CacheStatus, run_cli
from lab import Lab
from upstream import Request


def compacted(lab: Lab) -> list[str]:
    """Labels of what reached the upstream: a session and what goes on with it, from an empty home."""
    lab.fresh_home()
    lab.workspace.reset()
    lab.model.full_at = {lab.agent.full_at}
    reached = lab.session(compacting=True).upstream
    if lab.agent.compact_prompt:
        reached += lab.session(prompt=lab.agent.compact_prompt, resume=True, compacting=True).upstream
    return reached


def test_the_second_compaction_is_a_hit(agent: Agent, tmp_path: pathlib.Path, note: dict[str, str]) -> None:
    with Lab(agent, tmp_path) as lab:
        paid = compacted(lab)
        assert "compaction" in paid, paid
        again = compacted(lab)
        note["compaction"] = f"{len(paid)} ({paid.count('compaction')}), then {len(again)}"
        assert again == []
        asked = next(one for one in lab.model.upstream.requests if lab.model.labelled(one) == "compaction")
        told_what_it_saved(lab, asked)
        assert lab.model.new() == []


def told_what_it_saved(lab: Lab, asked: Request) -> None:
    """The very request once more, so that its answer's head is seen."""
    fields = {name: value for name, value in asked.headers if name.lower() not in ("host", "content-length")}
    answer = lab.gateway.client.post(asked.target, content=asked.body, headers=fields)
    assert CacheStatus(answer).hit
    saved = dict(part.split("=") for part in answer.headers["x-payonce-saved"].split(","))
    assert int(saved["input"]) == len(asked.body) // 4 + 1
    assert (float(saved["usd"]) > 0) == lab.agent.priced
    why = run_cli("cache", "why", answer.headers["x-payonce-id"], "--url", lab.gateway.root, "--json",
                  home=lab.gateway.folder)
    assert why.returncode == 0, why.stderr
    assert json.loads(why.stdout)["outcome"] == "hit", why.stdout
