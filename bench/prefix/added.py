"""What the prefix layer adds to a request: the same agent's requests (about 40 KB, one session after another, all
new) through two gateways in turns, one without layers and one with prefix in mode safe, on one connection each.
"""

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

from base.run import Run
from gateway.rivals import Mock

RULES = "\n".join(f"Rule {i}: keep the code as it is indented, whatever it is." for i in range(300))
TOOLS = [{"name": f"tool_{i}", "description": "reads a file and says what is in it", "input_schema": {
    "type": "object", "properties": {"path": {"type": "string"}, "line": {"type": "number"}}}} for i in range(30)]


def bodies(sessions: int, turns: int) -> Iterator[bytes]:
    """Growing conversations; the last of a session has about 40 KB."""
    for session in range(sessions):
        history: list[Any] = []
        for turn in range(turns):
            question = f"session {session}, question {turn}: " + "def f(x): return x\n" * 8
            history.append({"role": "user", "content": question})
            yield json.dumps({"model": "claude-sonnet-4-6", "max_tokens": 16, "system": RULES, "tools": TOOLS,
                              "messages": history}).encode()
            history.append({"role": "assistant", "content": [
                {"type": "text", "text": f"answer {turn}"},
                {"type": "tool_use", "id": f"t{turn}", "name": "tool_1", "input": {"path": "a.py", "line": turn}}]})
            history.append({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": f"t{turn}", "content": "return 1\n" * 20}]})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sessions", type=int, default=60)


def study(run: Run, options: argparse.Namespace) -> None:
    mock = run.start(Mock(run.settings.tool("mock_upstream"), run.settings.load_core, run.folder)).wait()
    ports = {layers: run.payonce("serve", "--upstream", mock.url, "--layers", layers, name=layers).port
             for layers in ("none", "prefix")}
    measure(ports, options.sessions)


def measure(ports: dict[str, int], sessions: int) -> None:
    connections = {layers: http.client.HTTPConnection("127.0.0.1", port) for layers, port in ports.items()}
    times: dict[str, list[float]] = {layers: [] for layers in ports}
    sizes: list[int] = []
    for number, body in enumerate(bodies(sessions, 20)):
        order = list(connections.items())
        for layers, connection in order if number % 2 else reversed(order):
            started = time.perf_counter()
            connection.request("POST", "/v1/messages", body, {"Content-Type": "application/json",
                                                              "x-api-key": "sk-bench"})
            answer = connection.getresponse()
            answer.read()
            times[layers].append((time.perf_counter() - started) * 1000)
            if answer.status != 200:
                raise RuntimeError(f"status {answer.status}")
        sizes.append(len(body))
    late = [i for i, size in enumerate(sizes) if 35_000 <= size <= 45_000]
    differences = sorted(times["prefix"][i] - times["none"][i] for i in late)
    without, with_it = (statistics.median(times[layers][i] for i in late) for layers in ("none", "prefix"))
    print(f"{len(late)} requests of 35 to 45 KB: p50 without {without:.3f} ms, with {with_it:.3f} ms; added: p50 "
          f"{statistics.median(differences):.3f} ms, p90 {differences[len(differences) * 9 // 10]:.3f} ms")

