"""Decorated functions and runs, against the real binary."""

from __future__ import annotations

import asyncio
import logging
import pathlib
import sys
from typing import Any

import pytest

import payonce
from payonce import Client

pytestmark = pytest.mark.usefixtures("default")


class Counted:
    """A function's body that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, value: Any) -> Any:
        self.calls += 1
        return value


def test_a_tool_runs_once_for_equal_arguments(tmp_path: pathlib.Path) -> None:
    count = Counted()
    path = tmp_path / "a.txt"
    path.write_text("one")

    @payonce.tool(deps=lambda path: [payonce.file(path)])
    def read(path: pathlib.Path) -> str:
        """Reads a file."""
        return str(count(path.read_text()))

    assert [read(path), read(path=path), read(pathlib.Path(f"{tmp_path}/./a.txt"))] == ["one"] * 3
    assert count.calls == 1
    path.write_text("two")
    assert read(path) == "two"
    assert count.calls == 2


def test_arguments_defaults_and_versions_are_the_key() -> None:
    count = Counted()

    def search(pattern: str, limit: int = 5) -> list[str]:
        return [count(pattern)] * limit

    first = payonce.tool(search)
    assert first("x") == first("x", 5) == first(limit=5, pattern="x")
    assert count.calls == 1
    first("x", 6)
    assert count.calls == 2
    payonce.tool(version="2")(search)("x")
    assert count.calls == 3


def test_another_implementation_is_another_tool() -> None:
    def make(text: str) -> Any:
        scope: dict[str, Any] = {}
        exec(f"def f(x: int) -> int:\n    return x + {text}\n", scope)
        scope["f"].__module__ = "tools"
        return payonce.tool(scope["f"])

    assert (make("1")(1), make("1")(1), make("2")(1)) == (2, 2, 3)


def test_failures_and_unwanted_results_are_not_stored() -> None:
    count = Counted()

    @payonce.tool(keep=lambda text: not text.startswith("error"))
    def fetch(fails: bool, text: str) -> str:
        count(None)
        if fails:
            raise ValueError(text)
        return text

    for _ in range(2):
        with pytest.raises(ValueError, match="boom"):
            fetch(True, "boom")
        assert fetch(False, "error: no") == "error: no"
    assert count.calls == 4


def test_results_that_json_would_change_are_not_stored(caplog: pytest.LogCaptureFixture) -> None:
    count = Counted()

    @payonce.tool
    def pair() -> tuple[int, int]:
        return (count(1), 2)

    with caplog.at_level(logging.WARNING, "payonce"):
        assert pair() == pair() == (1, 2)
    assert count.calls == 2
    assert "name encode" in caplog.text

    @payonce.tool(encode=list, decode=tuple)
    def other() -> tuple[int, int]:
        return (count(1), 2)

    assert other() == other() == (1, 2)
    assert count.calls == 3


def test_an_argument_that_is_no_key_is_precise() -> None:
    @payonce.tool
    def odd(x: object) -> int:
        return 1

    with pytest.raises(payonce.Misuse, match="an argument of type object is no part of a key"):
        odd(object())
    payonce.set_default_client(Client())
    assert odd(object()) == 1


def test_deps_that_fail_leave_the_tool_alone(caplog: pytest.LogCaptureFixture) -> None:
    payonce.set_default_client(Client())

    @payonce.tool(deps=lambda name: [payonce.file(name["path"])])
    def read(name: str) -> str:
        return name

    assert read("x") == "x"
    assert "is not cached" in caplog.text


def test_generators_are_refused() -> None:
    with pytest.raises(payonce.Misuse, match="yields"):

        @payonce.tool
        def lines() -> Any:
            yield 1


def test_plans_by_their_own_parts() -> None:
    count = Counted()

    @payonce.cached("plan", parts=lambda task, trace: {"task": task}, semantic=False)
    def plan(task: str, trace: object) -> list[str]:
        return [count(task)]

    assert plan("x", object()) == plan("x", object()) == ["x"]
    assert count.calls == 1


def test_async_tools() -> None:
    count = Counted()

    @payonce.tool
    async def add(a: int, b: int) -> int:
        await asyncio.sleep(0)
        return int(count(a + b))

    async def both() -> None:
        assert [await add(1, 2), await add(1, b=2)] == [3, 3]
        async with payonce.run():
            assert await add(5, 5) == 10

    asyncio.run(both())
    assert count.calls == 2
    assert asyncio.run(add(5, 5)) == 10
    assert count.calls == 2


@pytest.mark.parametrize(
    "error", [ValueError(), KeyboardInterrupt(), SystemExit(1), SystemExit("no"), GeneratorExit()]
)
def test_a_run_that_fails_leaves_nothing(error: BaseException) -> None:
    count = Counted()
    name = repr(error)

    @payonce.tool
    def work(name: str) -> str:
        return str(count(name))

    with pytest.raises(type(error)), payonce.run():
        work(name)
        work(name)  # the run's own
        assert count.calls == 1
        raise error
    work(name)
    assert count.calls == 2


def test_a_run_that_ends_well_is_published_at_its_end(make_client: Any) -> None:
    count = Counted()

    @payonce.tool
    def work(x: int) -> int:
        return int(count(x))

    other = payonce.tool(work.__wrapped__)  # type: ignore[attr-defined]
    with pytest.raises(SystemExit), payonce.run():
        with payonce.run():
            work(7)
        payonce.set_default_client(make_client())
        found = asyncio.run(_outside(other, 7))
        assert found == 7 and count.calls == 2  # not visible outside, though the inner run ended
        sys.exit(0)
    other(7)
    assert count.calls == 2


async def _outside(function: Any, x: int) -> Any:
    import contextvars

    return contextvars.Context().run(function, x)
