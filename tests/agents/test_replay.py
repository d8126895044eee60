"""A session that was run before costs nothing, and nobody else's session or question is answered by it."""

from agent import OTHER_PROMPT
from lab import Lab, Session


def test_s1_every_call_is_paid_once(recorded: tuple[Lab, Session], note: dict[str, str]) -> None:
    lab, first = recorded
    turns = [label for label in first.upstream if label.startswith("turn")]
    assert turns == [f"turn {step}" for step in range(len(lab.agent.steps) + 1)], first
    assert first.hits == 0
    note["s1"] = str(len(first.upstream))


def test_s2_the_same_session_costs_no_call(recorded: tuple[Lab, Session], note: dict[str, str]) -> None:
    lab, first = recorded
    lab.workspace.reset()
    again = lab.session()
    note["s2"] = str(len(again.upstream))
    assert again.upstream == []
    assert again.hits == len(first.upstream)
    assert again.answer == first.answer


def test_s3_another_prompt_gets_its_own_answers(recorded: tuple[Lab, Session], note: dict[str, str]) -> None:
    lab, first = recorded
    lab.workspace.reset()
    other = lab.session(prompt=OTHER_PROMPT)
    note["s3"] = f"{len(other.upstream)}, {other.hits} hits"
    assert other.upstream == first.upstream
    assert other.hits == 0
    assert other.answer > first.answer


def test_s4_another_user_gets_nothing_of_the_first(recorded: tuple[Lab, Session], note: dict[str, str]) -> None:
    lab, first = recorded
    lab.workspace.reset()
    stranger = lab.session(key="sk-second-user")
    note["s4"] = f"{len(stranger.upstream)}, {stranger.hits} hits"
    assert stranger.upstream == first.upstream
    assert stranger.hits == 0
    assert stranger.answer > first.answer
