"""What changes between two sessions misses exactly the calls that depend on it."""

import re
from collections.abc import Callable

import pytest

from agent import Agent
from lab import Lab, Session
from workspace import RULES

Change = Callable[[Lab], dict[str, object]]


def notes(lab: Lab) -> dict[str, object]:
    """The shell's output of the last step."""
    lab.workspace.change("notes.txt", "Remember", "Never forget")
    return {}


def source(lab: Lab) -> dict[str, object]:
    """What the first step reads; the line that the search finds stays."""
    lab.workspace.change("calc.py", "return a + b", "return b + a")
    return {}


def rules(lab: Lab) -> dict[str, object]:
    """The system text."""
    lab.workspace.change(lab.agent.rules_file, RULES, RULES + "Be brief.\n")
    return {}


def tools(_lab: Lab) -> dict[str, object]:
    return {"fewer_tools": True}


def model(lab: Lab) -> dict[str, object]:
    return {"model": lab.agent.other_model}


def first_turn_of(agent: Agent, change: Change) -> int:
    """The first call that a change reaches."""
    if not agent.has_tools or change in (rules, tools, model):
        return 0
    return 1 if change is source else len(agent.steps)


@pytest.mark.parametrize("change", (notes, source, rules, tools, model), ids=lambda change: change.__name__)
def test_a_change_misses_what_depends_on_it(recorded: tuple[Lab, Session], change: Change,
                                            note: dict[str, str]) -> None:
    lab, first = recorded
    if change is tools and not lab.agent.has_tools:
        pytest.skip(f"{lab.agent.name} declares no tools")
    lab.workspace.reset()
    changed = lab.session(**change(lab))
    expected = [f"turn {step}" for step in range(first_turn_of(lab.agent, change), len(lab.agent.steps) + 1)]
    if change is model and lab.agent.titles_by_its_model:
        expected = ["side", *expected]
    assert changed.upstream == expected
    assert changed.hits == len(first.upstream) - len(expected)
    assert changed.answer > first.answer
    note["matrix"] = f"{note.get('matrix', '')} {change.__name__} {len(expected)}".strip()


def test_replayed_calls_keep_their_ids(recorded: tuple[Lab, Session]) -> None:
    """A miss behind hits goes upstream with the recorded ids: those of the first session, and no others."""
    lab, first = recorded
    if not lab.agent.steps:
        pytest.skip(f"{lab.agent.name} calls no tools")
    lab.workspace.reset()
    lab.workspace.change("notes.txt", "Remember", "Always remember")
    late = lab.session()
    assert late.upstream == [f"turn {len(lab.agent.steps)}"]
    sent = lab.model.upstream.requests[-1].body.decode()
    ids = {int(number) for number in re.findall(r"\"(?:call|toolu)_up(\d+)\"", sent)}
    assert all(number <= first.answer for number in ids), ids
    assert len(ids) in (0, len(lab.agent.steps))  # none where the model gives none


def test_after_all_changes_the_first_session_is_whole(recorded: tuple[Lab, Session]) -> None:
    lab, first = recorded
    lab.workspace.reset()
    again = lab.session()
    assert again.upstream == []
    assert again.answer == first.answer


def test_it_can_be_switched_off_by_a_header(recorded: tuple[Lab, Session]) -> None:
    lab, first = recorded
    lab.workspace.reset()
    kept = lab.gateway.entries()
    off = lab.session(headers=(("X-Payonce-Layers", "none"),))
    assert off.upstream == first.upstream
    assert off.hits == 0
    assert lab.gateway.entries() == kept
