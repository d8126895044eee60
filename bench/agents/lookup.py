"""What a lookup of the agent API costs over the Unix socket, beside GET of Redis over its own, in turns.

An instance and a Redis hold equal values; both are asked from one client that only writes and reads bytes. The client
is Python: its own share, measured by an echo server of nothing but a socket pair, is shown as well.
"""

import pathlib
import random
import shutil
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterable

from agents.asking import Caller, Question, frame
from base.results import first_line
from base.run import Json, Run
from base.servers import Server, wait_for

ROUNDS = 5
LOOKUPS = 4000
VALUE = "x" * 200
Ask = Callable[[bytes], None]
Step = tuple[Ask, Callable[[], bytes]]


class Redis:
    def __init__(self, run: Run) -> None:
        path = run.folder / "redis.sock"
        command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", run.folder]
        self.server = run.start(Server("redis", command, 0, run.settings.both_cores, run.folder))
        self._socket = socket.socket(socket.AF_UNIX)
        wait_for(lambda: self._socket.connect_ex(str(path)) == 0, "redis-server listens on its socket")

    def send(self, raw: bytes) -> None:
        self._socket.sendall(raw)
        answer, lines = b"", 1
        while answer.count(b"\r\n") < lines:
            answer += self._socket.recv(1 << 16)
            lines = 2 if answer.startswith(b"$") else 1  # a value follows its length

    def command(self, *words: str) -> None:
        self.send(redis_command(*words))


def redis_command(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)


def asker(call: Caller, expected: bytes) -> Ask:
    """Sends a frame's bytes, reads the answer whole, and checks it; JSON is no part of what is measured."""
    def ask(raw: bytes) -> None:
        if expected not in call.exchange(raw):
            raise RuntimeError(f"a lookup was not answered by {expected!r}")
    return ask


def timed_us(ask: Ask, requests: Iterable[bytes]) -> list[float]:
    out = []
    for request in requests:
        begin = time.perf_counter()
        ask(request)
        out.append((time.perf_counter() - begin) * 1e6)
    return out


def echo_us() -> float:
    ours, theirs = socket.socketpair()

    def echo() -> None:
        while data := theirs.recv(1 << 16):
            theirs.sendall(data)

    def ask(raw: bytes) -> None:
        ours.sendall(raw)
        ours.recv(1 << 16)

    threading.Thread(target=echo, daemon=True).start()
    try:
        return statistics.median(timed_us(ask, [b"x" * 120] * LOOKUPS))
    finally:
        ours.close()


def agent_request(number: int) -> Question:
    """About 35 kB, as a coding agent sends it: 38 tools, system text, ten messages."""
    schema = {"type": "object", "properties": {"path": {"type": "string", "description": "q" * 100}}}
    return {"kind": "llm", "parts": {
        "model": "m", "system": f"{number}" + "s" * 10_000,
        "tools": [{"name": f"tool{n}", "description": f"{number}" + "d" * 380, "schema": schema} for n in range(38)],
        "messages": [{"role": "user", "content": f"{number}" + "m" * 400} for _ in range(10)]}}


def result_of(number: int) -> Question:
    return {"kind": "tool_result", "parts": {"tool": "read", "n": number}}


def report_on_files(call: Caller, folder: pathlib.Path) -> Question:
    """An entry that depends on 100 files, and the question that finds it."""
    folder.mkdir()
    for number in range(100):
        (folder / str(number)).write_text("x" * 5000)
    time.sleep(0.3)  # older than the clock's ticks, as files are
    question: Question = {"kind": "subagent", "parts": {"task": "a"}}
    call.store(question | {"deps": [{"type": "file", "path": str(folder / str(n))} for n in range(100)]}, VALUE)
    return question


def steps_of(run: Run, entries: int) -> dict[str, Step]:
    gateway = run.payonce("serve", "--upstream", "http://127.0.0.1:9/v1", "--layers", "exact")
    call = Caller(gateway.socket_path, "sk-bench")
    for number in range(entries):
        call.store(result_of(number), VALUE)
    on_files = report_on_files(call, run.folder / "files")
    call.store(agent_request(0), VALUE)
    draw = random.Random(1)
    hit, miss = asker(call, b'"status":"hit"'), asker(call, b'"status":"miss"')
    steps: dict[str, Step] = {
        "hit": (hit, lambda: frame("lookup", result_of(draw.randrange(entries)))),
        "miss": (miss, lambda: frame("lookup", result_of(-draw.randrange(1 << 40)))),
        "hit, 100 files looked at": (hit, lambda: frame("lookup", on_files)),
        "hit, 35 kB, parts seen before": (hit, lambda: frame("lookup", agent_request(0))),
        "miss, 35 kB, every part new": (miss, lambda: frame("lookup", agent_request(draw.randrange(1, 1 << 40))))}
    if shutil.which("redis-server"):
        redis = Redis(run)
        for number in range(entries):
            redis.command("SET", f"tool:{number}", VALUE)
        steps["Redis GET"] = (redis.send, lambda: redis_command("GET", f"tool:{draw.randrange(entries)}"))
        run.versions["Redis"] = first_line(["redis-server", "--version"]).split("v=")[1].split()[0]
    else:
        run.notes.append("Redis was not measured: no redis-server in the path (Debian package redis-server)")
    return steps


def measure(run: Run) -> Json:
    entries, lookups = (2_000, 400) if run.settings.quick else (100_000, LOOKUPS)
    steps = steps_of(run, entries)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, (ask, make) in steps.items():
            times[name] += timed_us(ask, [make() for _ in range(lookups // 8 if "35 kB" in name else lookups)])
    out: Json = {name: {"p50_us": statistics.median(found), "p99_us": sorted(found)[len(found) * 99 // 100]}
                 for name, found in times.items()}
    return {"entries": entries, "rounds": ROUNDS, "times": out | {"client alone": {"p50_us": echo_us()}}}
