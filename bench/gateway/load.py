"""Load on one server: wrk for whole answers, sse_client for streams. Each run is checked against the mock's counter."""

import json
import pathlib
import time
from typing import Any

from base.run import Run, output_of
from base.servers import Server, find_program, request
from gateway import bodies
from gateway.rivals import CHAT, HERE, Mock

STILL_LOOKS = 5


class Load:
    def __init__(self, run: Run, mock: Mock) -> None:
        self.run, self.mock = run, mock
        # A number is never used twice within a run, nor by a second run on the same data.
        self._next_number = int(time.time()) % 1_000_000 * 100_000
        bodies.write(run.folder)

    def numbers(self, count: int) -> int:
        first = self._next_number
        self._next_number += count
        return first

    def body_file(self, kind: str) -> pathlib.Path:
        return self.run.folder / f"{kind}.json"

    def fresh_body(self) -> str:
        return bodies.small().replace(bodies.MARK, f"{self.numbers(1):012d}")

    def settled(self) -> int:
        """The mock's counter, once nothing is on its way: a request that was cut off at a run's end counts in it. A
        slow server may sit on one for some time, so it has to stand still for a while."""
        last, still = self.mock.count(), 0
        for _ in range(50):
            time.sleep(0.02)
            now = self.mock.count()
            still = still + 1 if now == last else 0
            if still == STILL_LOOKS:
                break
            last = now
        return last

    def wrk(self, port: int, kind: str, connections: int, unique: bool, seconds: int) -> Any:
        command = ["taskset", "-c", self.run.settings.load_core, find_program("wrk", "wrk"), "-t1",
                   f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", HERE / "wrk.lua",
                   f"http://127.0.0.1:{port}{CHAT}", "--", self.body_file(kind)]
        if unique:
            command.append(str(self.numbers(10_000_000)))
        result = json.loads(output_of(command).strip().splitlines()[-1])
        errors = result["status_errors"] + result["socket_errors"]
        self.run.check(errors == 0, "no answer but 2xx, no socket error",
                       f"{errors} of {result['requests']} requests to port {port}")
        return result

    def measure(self, name: str, server: Server, port: int, kind: str, connections: int, unique: bool,
                seconds: int) -> None:
        """One wrk run; rps, p50, p99 and CPU per request become values under `name`."""
        seen, cpu = self.settled(), server.cpu_seconds()
        result = self.wrk(port, kind, connections, unique, seconds)
        cpu, seen = server.cpu_seconds() - cpu, self.settled() - seen
        self.run.add_all(name, {
            "rps": result["requests"] / result["seconds"], "p50_us": result["p50_us"], "p99_us": result["p99_us"],
            "cpu_us": cpu * 1e6 / max(1, result["requests"])})
        if not unique:
            self.run.check(seen == 0, "no hit reached the upstream", f"{name}: {seen} upstream calls")
        else:
            # wrk does not count what is in flight at its end: at most one request a connection.
            self.run.check(result["requests"] <= seen <= result["requests"] + connections,
                           "each miss reached the upstream once",
                           f"{name}: {result['requests']} requests, {seen} upstream calls")

    def streams(self, port: int, kind: str, streams: int, connections: int) -> Any:
        command = ["taskset", "-c", self.run.settings.load_core, self.run.settings.tool("sse_client"), "--port", port,
                   "--body", self.body_file(f"{kind}-stream"), "--streams", streams, "--connections", connections,
                   "--seed", self.numbers(streams)]
        seen = self.settled()
        result = json.loads(output_of(command))
        self.run.check(result["errors"] == 0 and result["streams"] == streams, "each stream came to its end",
                       f"{result['errors']} of {streams} streams from port {port} were cut")
        seen = self.settled() - seen
        self.run.check(seen == streams, "each missed stream reached the upstream once",
                       f"{streams} streams, {seen} upstream calls")
        return result

    def prime(self, port: int, kind: str, seconds: float = 20) -> None:
        """Asks until the answer comes from the cache."""
        body, deadline = self.body_file(kind).read_bytes(), time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = self.mock.count()
            status, _, text = request(port, "POST", CHAT, body)
            if status != 200:
                raise RuntimeError(f"port {port} answered {status}: {text[:500]!r}")
            if self.mock.count() == before:
                return
            time.sleep(0.05)
        raise RuntimeError(f"port {port}: the {kind} body was never answered from the cache")
