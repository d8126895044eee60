#!/usr/bin/env python3
"""What a lookup of the agent API costs over the Unix socket, beside GET of Redis over its own, in turns.

  bench/agents/lookup.py [--entries 100000] [--json FILE]

Fills an instance and a Redis (redis-server in the path; without it that column is left out) with equal values, then
asks both, in turns, from one client that only writes and reads bytes. The client is Python: its own share, measured
by an echo server of nothing but a socket pair, is shown as well. PAYONCE_BINARY, or build/release/payonce.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from agent_api import Socket  # noqa: E402
from harness import Gateway, eventually  # noqa: E402

ROUNDS = 5
LOOKUPS = 4000
VALUE = "x" * 200


class Redis:
    def __init__(self, folder):
        self.path = f"{folder}/redis.sock"
        self._process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL)
        eventually(lambda: os.path.exists(self.path), what="redis-server's socket")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(self.path)
        self._buffer = b""

    def command(self, *words):
        raw = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in (str(w).encode() for w in words))
        return self.send(b"*%d\r\n%s" % (len(words), raw))

    def send(self, raw):
        self._socket.sendall(raw)
        lines = 1
        while self._buffer.count(b"\r\n") < lines:
            self._buffer += self._socket.recv(1 << 16)
            lines = 2 if self._buffer.startswith(b"$") else 1  # a value follows its length
        answer, self._buffer = self._buffer, b""
        return answer

    def stop(self):
        self._socket.close()
        self._process.terminate()
        self._process.wait(10)


def frame(body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"L" + len(raw).to_bytes(4, "big") + raw


def asker(connection, expected):
    """Sends a frame's bytes, reads the answer whole, and checks it."""
    raw_socket = connection._socket  # the client's own JSON is no part of what is measured

    def ask(raw):
        raw_socket.sendall(raw)
        head = connection._exactly(5)
        assert expected in connection._exactly(int.from_bytes(head[1:], "big")), expected
    return ask


def timed(ask, requests):
    out = []
    for request in requests:
        begin = time.perf_counter()
        ask(request)
        out.append((time.perf_counter() - begin) * 1e6)
    return out


def echo_floor():
    ours, theirs = socket.socketpair()

    def echo():
        while data := theirs.recv(1 << 16):
            theirs.sendall(data)
    threading.Thread(target=echo, daemon=True).start()

    def ask(raw):
        ours.sendall(raw)
        ours.recv(1 << 16)
    return statistics.median(timed(ask, [b"x" * 120] * LOOKUPS))


def agent_request(number):
    """About 35 kB, as a coding agent sends it: 38 tools, system text, ten messages."""
    schema = {"type": "object", "properties": {"path": {"type": "string", "description": "q" * 100}}}
    return {"kind": "llm", "parts": {
        "model": "m", "system": f"{number}" + "s" * 10_000,
        "tools": [{"name": f"tool{n}", "description": f"{number}" + "d" * 380, "schema": schema} for n in range(38)],
        "messages": [{"role": "user", "content": f"{number}" + "m" * 400} for _ in range(10)]}}


def put(call, body, value=VALUE, **commit):
    found = call("lookup", **body)
    if found["status"] != "hit":
        assert call("commit", ticket=found["ticket"], outcome="success", value=value, **commit)["status"] == "stored"


def measure(folder, entries):
    gateway = Gateway(f"{folder}/payonce", "--upstream", "http://127.0.0.1:9/v1", "--layers", "exact").start()
    redis = Redis(folder) if shutil.which("redis-server") else None
    try:
        call = Socket(f"{folder}/payonce/payonce/{gateway.port}.sock")
        for number in range(entries):
            put(call, {"kind": "tool_result", "parts": {"tool": "read", "n": number}})
            if redis:
                redis.command("SET", f"tool:{number}", VALUE)
        files = pathlib.Path(folder) / "files"
        files.mkdir()
        for number in range(100):
            (files / str(number)).write_text("x" * 5000)
        time.sleep(0.3)  # older than the clock's ticks, as files are
        deps = [{"type": "file", "path": str(files / str(number))} for number in range(100)]
        put(call, {"kind": "subagent", "parts": {"task": "a"}, "deps": deps})
        put(call, agent_request(0))
        draw = random.Random(1)
        hit, miss = asker(call, b'"status":"hit"'), asker(call, b'"status":"miss"')
        steps = {
            "hit": (hit, lambda: frame({"kind": "tool_result", "parts": {"tool": "read", "n": draw.randrange(entries)}})),
            "miss": (miss, lambda: frame({"kind": "tool_result", "parts": {"tool": "read", "n": -draw.randrange(1 << 40)}})),
            "hit, 100 files looked at": (hit, lambda: frame({"kind": "subagent", "parts": {"task": "a"}})),
            "hit, 35 kB, parts seen before": (hit, lambda: frame(agent_request(0))),
            "miss, 35 kB, every part new": (miss, lambda: frame(agent_request(draw.randrange(1, 1 << 40))))}
        if redis:
            steps["Redis GET"] = (redis.send, lambda: b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (
                lambda key: (len(key), key))(f"tool:{draw.randrange(entries)}".encode()))
        times = {name: [] for name in steps}
        for _ in range(ROUNDS):
            for name, (ask, make) in steps.items():
                count = LOOKUPS // 8 if "35 kB" in name else LOOKUPS
                times[name] += timed(ask, [make() for _ in range(count)])
        return {name: {"p50_us": statistics.median(all_), "p99_us": sorted(all_)[len(all_) * 99 // 100]}
                for name, all_ in times.items()} | {"client alone": {"p50_us": echo_floor(), "p99_us": None}}
    finally:
        if redis:
            redis.stop()
        gateway.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    os.environ.setdefault("PAYONCE_BINARY", str(ROOT / "build/release/payonce"))
    with tempfile.TemporaryDirectory() as folder:
        found = measure(folder, options.entries)
    print(f"{options.entries} entries; µs at the client, one call at a time, {ROUNDS} rounds in turns")
    for name, value in found.items():
        tail = "" if value["p99_us"] is None else f"   p99 {value['p99_us']:7.0f}"
        print(f"{name:32} p50 {value['p50_us']:7.1f}{tail}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
