"""Which agents run, one shared lab for each, and the table at the end."""

import os
import pathlib
import sys
from collections.abc import Iterator

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1] / "e2e")]

from agent import Agent  # noqa: E402
from agents import AGENTS  # noqa: E402
from install import problem_of, version_of  # noqa: E402
from lab import Lab, Session  # noqa: E402

TABLE = pytest.StashKey[dict[str, dict[str, str]]]()


def chosen() -> list[str]:
    """PAYONCE_AGENTS, names separated by blanks; else all."""
    return os.environ.get("PAYONCE_AGENTS", "").split() or list(AGENTS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "agent" in metafunc.fixturenames:
        metafunc.parametrize("agent", chosen(), indirect=True, scope="session")


@pytest.fixture(scope="session")
def agent(request: pytest.FixtureRequest) -> Agent:
    found = AGENTS[request.param]
    problem = problem_of(found.name)
    if problem:
        row(request.config, found.name)["s1"] = "skipped"
        pytest.skip(f"{found.name} is not installed: {problem}")
    return found


@pytest.fixture(scope="session")
def recorded(agent: Agent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Session]]:
    """A lab whose cache holds one session. Tests that share it ask something else each, or expect hits alone."""
    with Lab(agent, tmp_path_factory.mktemp(agent.name), layers="exact,semantic,prefix") as lab:
        yield lab, lab.session()


def row(config: pytest.Config, name: str) -> dict[str, str]:
    """Of the table at the end."""
    return config.stash.setdefault(TABLE, {}).setdefault(name, {})


@pytest.fixture
def note(request: pytest.FixtureRequest, agent: Agent) -> dict[str, str]:
    """The agent's row: a test writes what it measured."""
    return row(request.config, agent.name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    table = config.stash.get(TABLE, {})
    columns = ["s1", "s2", "s3", "s4", "matrix", "abort", "compaction"]
    if not table:
        return
    terminalreporter.section("upstream calls by session")
    lines = [["agent", "version", *columns]]
    lines += [[name, version_of(name), *(cells.get(column, "") for column in columns)]
              for name, cells in table.items()]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    for line in lines:
        terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
