"""An agent that is killed, and a stream that breaks, leave nothing half."""

import pathlib

from agent import Agent, kill
from harness import eventually
from lab import Lab
from upstream import Hold, Request


def test_a_killed_session_leaves_no_torn_answer(agent: Agent, tmp_path: pathlib.Path, note: dict[str, str]) -> None:
    last = f"turn {len(agent.steps)}"
    with Lab(agent, tmp_path) as lab:

        def is_last(request: Request) -> bool:
            return lab.model.labelled(request) == last

        hold = Hold()
        lab.model.upstream.fail(match=is_last, hold=hold, after=2, cut="reset")
        process = agent.start(lab.setup())
        try:
            hold.wait_reached(60)
            kill(process)
        finally:
            kill(process)
            process.communicate()
        hold.release()
        begun = lab.model.new()
        cut = next(request for request in lab.model.upstream.requests if is_last(request))
        assert cut.answered.wait(30)
        finished = len(begun) - begun.count(last)
        eventually(lambda: lab.gateway.entries() == finished, what="only whole answers are kept")
        lab.workspace.reset()
        again = lab.session()
        note["abort"] = f"{len(again.upstream)} of {len(begun)} again"
        assert last in again.upstream
        assert again.hits == len(begun) - len(again.upstream)
        assert lab.gateway.entries() == len(begun)
        assert again.ended.out.count("It defines add and divide.") == 1
