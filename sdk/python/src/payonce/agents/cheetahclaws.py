"""`python -m payonce.agents.cheetahclaws ARGUMENTS`: cheetahclaws with a cache in its loop.

Two functions are rebound before its `main` runs: `providers.stream` (LLM calls, compaction) and
`tool_registry.execute_tool` (read-only tools, sub-agents). What they commit becomes visible when
the session ended well. PAYONCE_OFF=1 runs cheetahclaws as it is.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from payonce._client import Client
from payonce.agents._cheetah_llm import TRACE, Calls
from payonce.agents._cheetah_tools import Tools
from payonce.agents._session import Session, Trace

TESTED = "3.5.89"


def install(session: Session) -> None:
    """Rebinds the functions wherever cheetahclaws imported them by name."""
    from cheetahclaws import agent, providers, tool_registry
    from cheetahclaws.ui import suggest

    version = importlib.metadata.version("cheetahclaws")
    calls = Calls(session, providers)
    tools = Tools(session, version, tool_registry)
    _rebind(providers.stream, calls.beside)
    agent.stream = calls.loop
    _rebind(tool_registry.execute_tool, tools.execute)
    _rebind(agent.run, _watched(agent.run, session))
    suggest.schedule = _scheduled(suggest.schedule, session)


def _rebind(original: object, replacement: object) -> None:
    for name, module in list(sys.modules.items()):
        if name == "cheetahclaws" or name.startswith("cheetahclaws."):
            for attribute, value in list(vars(module).items()):
                if value is original:
                    setattr(module, attribute, replacement)


def _watched(run: Callable[..., Iterator[Any]], session: Session) -> Callable[..., Iterator[Any]]:
    """The agent's loop, whose outermost call is a turn: it ended well if it ended in an answer."""

    def watched(
        user_message: str,
        state: Any,
        config: dict[str, Any],
        system_prompt: str,
        depth: int = 0,
        cancel_check: Any = None,
    ) -> Iterator[Any]:
        if TRACE in config:
            yield from run(user_message, state, config, system_prompt, depth, cancel_check)
            return
        trace = Trace()
        well = False
        try:
            config = {**config, TRACE: trace}
            yield from run(user_message, state, config, system_prompt, depth, cancel_check)
            well = trace.complete
        finally:
            session.turn_ended(well)

    return watched


def _scheduled(schedule: Callable[..., Any], session: Session) -> Callable[..., Any]:
    """Drafts of the user's next line, an LLM call a turn, are for a prompt that shows them.

    Without a terminal nobody sees them, and whether such a call is still made is the chance of how
    quickly the process ends.
    """

    def scheduled(messages: Any, config: Any) -> Any:
        unseen = session.live and not session.dialogue
        return None if unseen else schedule(messages, config)

    return scheduled


def main() -> None:
    """Runs cheetahclaws on this process's arguments."""
    try:
        from cheetahclaws.cli import main as cheetahclaws
    except ImportError:
        sys.exit(f"cheetahclaws is not installed: pip install cheetahclaws=={TESTED}")
    sys.argv[0] = "cheetahclaws"
    if os.environ.get("PAYONCE_OFF"):
        cheetahclaws()
        return
    # An agent's screen is no place for a library's warnings.
    logging.getLogger("payonce").addHandler(logging.NullHandler())
    dialogue = sys.stdin.isatty() and not any(word[0] != "-" for word in sys.argv[1:] if word)
    session = Session(Client(), dialogue)
    install(session)
    error: BaseException | None = None
    try:
        cheetahclaws()
    except BaseException as raised:
        error = raised
        raise
    finally:
        session.end(error)


if __name__ == "__main__":
    main()
