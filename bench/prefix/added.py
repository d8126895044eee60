#!/usr/bin/env python3
"""What the prefix layer adds to a request: the same agent's requests (about 40 KB, one session after another, all
new) through two gateways in turns, one without layers and one with prefix in mode safe, on one connection each.

  bench/prefix/added.py --binary build/release/payonce --mock build/bench/bench/mock_upstream
"""

import argparse
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from servers import free_port, listens, wait_for  # noqa: E402

RULES = "\n".join(f"Rule {i}: keep the code as it is indented, whatever it is." for i in range(300))
TOOLS = [{"name": f"tool_{i}", "description": "reads a file and says what is in it", "input_schema": {
    "type": "object", "properties": {"path": {"type": "string"}, "line": {"type": "number"}}}} for i in range(30)]


def bodies(sessions, turns):
    """Growing conversations; the last of a session has about 40 KB."""
    for session in range(sessions):
        history = []
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--mock", type=pathlib.Path, required=True)
    parser.add_argument("--sessions", type=int, default=60)
    arguments = parser.parse_args()
    processes, ports = [], {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            mock = free_port()
            processes.append(subprocess.Popen([arguments.mock, "--port", str(mock)], stdout=subprocess.DEVNULL))
            wait_for(lambda: listens(mock), "the mock listens")
            for layers in ("none", "prefix"):
                ports[layers] = free_port()
                processes.append(subprocess.Popen(
                    [arguments.binary, "serve", "--listen", f"127.0.0.1:{ports[layers]}", "--upstream",
                     f"http://127.0.0.1:{mock}/v1", "--layers", layers, "--data", f"{folder}/{layers}"],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
                wait_for(lambda port=ports[layers]: listens(port), "the gateway listens")
            measure(ports, arguments.sessions)
        finally:
            for process in processes:
                process.terminate()
                process.wait(20)


def measure(ports, sessions):
    connections = {layers: http.client.HTTPConnection("127.0.0.1", port) for layers, port in ports.items()}
    times, sizes = {layers: [] for layers in ports}, []
    for number, body in enumerate(bodies(sessions, 20)):
        order = list(connections.items())
        for layers, connection in order if number % 2 else reversed(order):
            started = time.perf_counter()
            connection.request("POST", "/v1/messages", body, {"Content-Type": "application/json",
                                                              "x-api-key": "sk-bench"})
            answer = connection.getresponse()
            answer.read()
            times[layers].append((time.perf_counter() - started) * 1000)
            assert answer.status == 200, answer.status
        sizes.append(len(body))
    late = [i for i, size in enumerate(sizes) if 35_000 <= size <= 45_000]
    differences = sorted(times["prefix"][i] - times["none"][i] for i in late)
    without, with_it = (statistics.median(times[layers][i] for i in late) for layers in ("none", "prefix"))
    print(f"{len(late)} requests of 35 to 45 KB: p50 without {without:.3f} ms, with {with_it:.3f} ms; added: p50 "
          f"{statistics.median(differences):.3f} ms, p90 {differences[len(differences) * 9 // 10]:.3f} ms")


if __name__ == "__main__":
    main()
