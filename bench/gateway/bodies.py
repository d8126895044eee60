"""Request bodies of the benchmarks: always the same bytes, with a mark that the load generators replace by a number."""

import json
import pathlib
import sys
from collections.abc import Callable
from typing import Any

MARK = "0" * 12
SMALL_BYTES = 408
AGENT_BYTES = 41_700
WORDS = ("cache", "answer", "request", "stable", "prefix", "token", "stream", "review", "module", "header", "branch",
         "commit", "report", "number", "update", "search")


def words(size: int, seed: int) -> str:
    """Text of exactly `size` characters; a linear congruence chooses the words, so it is the same everywhere."""
    state, length = seed, 0
    out: list[str] = []
    while length < size:
        state = (state * 1_103_515_245 + 12_345) % 2**31
        out.append(WORDS[state >> 16 & 15])
        length += len(out[-1]) + 1
    return " ".join(out)[:size]


def _fit(build: Callable[[int], Any], size: int) -> str:
    """build(n) makes the body with n characters of filler; one length fits."""
    missing = size - len(json.dumps(build(0)))
    assert missing >= 0, f"the body is {-missing} bytes too long"
    body = json.dumps(build(missing))
    assert len(body) == size
    return body


def small(stream: bool = False) -> str:
    """A short chat question, 408 bytes."""
    def build(filler: int) -> Any:
        body = {"model": "gpt-4o-mini", "temperature": 0, "max_tokens": 128, "messages": [
            {"role": "system", "content": "You answer in one sentence."},
            {"role": "user", "content": f"Question {MARK}: {words(filler, 1)}"}]}
        return body | ({"stream": True} if stream else {})
    return _fit(build, SMALL_BYTES)


def _tool(number: int) -> Any:
    return {"type": "function", "function": {
        "name": f"tool_{number}", "description": words(500, number + 10),
        "parameters": {"type": "object", "additionalProperties": False, "required": ["path", "limit"], "properties": {
            "path": {"type": "string", "description": words(160, number + 30)},
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "description": words(120, number + 50)},
            "flags": {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}}}}}}


def agent(stream: bool = False) -> str:
    """A turn of a coding agent, 41.7 KB: 14 KB system prompt, 12 tools, 10 messages."""
    def build(filler: int) -> Any:
        messages: list[Any] = [{"role": "system", "content": words(14_000, 2)}]
        for turn in range(4):
            messages.append({"role": "user" if turn == 0 else "tool", "content": words(2_000, turn + 70),
                             **({"tool_call_id": f"call_{turn - 1}"} if turn else {})})
            messages.append({"role": "assistant", "content": None, "tool_calls": [
                {"id": f"call_{turn}", "type": "function", "function": {
                    "name": f"tool_{turn}", "arguments": json.dumps({"path": words(80, turn), "limit": 10})}}]})
        messages.append({"role": "tool", "tool_call_id": "call_3", "content": f"Run {MARK}: {words(filler, 3)}"})
        tools = [_tool(number) for number in range(12)]
        body = {"model": "gpt-4o-mini", "temperature": 0, "messages": messages, "tools": tools}
        return body | ({"stream": True} if stream else {})
    return _fit(build, AGENT_BYTES)


def write(directory: pathlib.Path) -> None:
    """One file for each body: small.json, small-stream.json, agent.json, agent-stream.json."""
    directory.mkdir(parents=True, exist_ok=True)
    for build in (small, agent):
        (directory / f"{build.__name__}.json").write_text(build())
        (directory / f"{build.__name__}-stream.json").write_text(build(stream=True))


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
