"""The agent API's look-up by meaning with the real embedder: tasks in other words, and never another user's or kind's."""

import os

import pytest

from agent_api import Http, put

TASK = "How do I reset my password?"
REWORDED = "how can I reset my password"
OTHERS = ["How do I change my username?", "How do I reset my phone?", "How do I not reset my password?"]


@pytest.fixture
def call(make_gateway, upstream):
    path = os.environ.get("PAYONCE_EMBEDDER", "")
    assert path and os.path.exists(path), f"PAYONCE_EMBEDDER is '{path}', no file: run ./dev test"
    return Http(make_gateway("--upstream", upstream.url, "--layers", "exact,semantic",
                             env={"PAYONCE_EMBEDDER": path}).root)


def asked(kind, task, part="task", **more):
    return {"kind": kind, "parts": {part: task, "model": "m"}} | more


@pytest.mark.parametrize("kind, part", [("plan", "task"), ("subagent", "prompt"), ("retrieval", "query"),
                                        ("plan", "question")])
def test_a_task_in_other_words_gets_the_same_entry(call, kind, part):
    stored = put(call, ["a", "b"], **asked(kind, TASK, part))
    hit = call("lookup", **asked(kind, REWORDED, part))
    assert hit["status"] == "hit" and hit["value"] == ["a", "b"] and hit["entry"] == stored["entry"]
    assert hit["detail"] == "semantic" and 0.8 < hit["similarity"] <= 1
    for other in OTHERS:
        assert call("lookup", **asked(kind, other, part))["status"] == "miss", other
    assert call("lookup", **asked(kind, REWORDED, part, semantic=False))["status"] == "miss"


@pytest.mark.parametrize("kind", ["llm", "tools", "tool_result", "compaction"])
def test_other_kinds_match_exactly_or_not_at_all(call, kind):
    put(call, 1, **asked(kind, TASK))
    assert call("lookup", **asked(kind, REWORDED))["status"] == "miss"
    assert call("lookup", **asked(kind, TASK))["detail"] == "exact"


def test_all_else_must_be_equal(call, tmp_path):
    path = tmp_path / "kb"
    path.write_text("one")
    put(call, 1, **asked("plan", TASK, versions={"kb": "1"}, deps=[{"type": "file", "path": str(path)}]))
    reworded = asked("plan", REWORDED, versions={"kb": "1"})
    assert call("lookup", **reworded)["status"] == "hit"
    assert call("lookup", **reworded | {"versions": {"kb": "2"}})["status"] == "miss"
    assert call("lookup", **reworded | {"scope": "user:bob"})["status"] == "miss"
    assert call("lookup", **reworded | {"kind": "subagent"})["status"] == "miss"
    assert call("lookup", **reworded | {"parts": {"task": REWORDED, "model": "m2"}})["status"] == "miss"
    path.write_text("two")
    assert call("lookup", **reworded)["status"] == "miss"  # what it depends on has changed
    path.write_text("one")
    assert call("lookup", **reworded)["status"] == "hit"
    assert call("invalidate", kind="plan")["removed"] == 1
    assert call("lookup", **reworded)["status"] == "miss"
