"""Starts and stops what is measured, pins it to cores, and reads what it used: CPU time and memory."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

Answer = tuple[int, http.client.HTTPMessage, bytes]
LOOPBACK = "127.0.0.1"
STOP_S = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 10.0, pause_s: float = 0.01) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} within {seconds} s: it did not happen")
        time.sleep(pause_s)


def request(port: int, method: str, path: str, body: bytes | str | None = None, timeout_s: float = 30,
            credential: str = "bench") -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)
    try:
        connection.request(method, path, body=body, headers={
            "Content-Type": "application/json", "Authorization": f"Bearer {credential}"})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def post_json(port: int, path: str, body: Any, timeout_s: float = 300) -> Any:
    status, _, content = request(port, "POST", path, json.dumps(body), timeout_s)
    if status != 200:
        raise RuntimeError(f"{path}: {status} {content[:300]!r}")
    return json.loads(content)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def find_program(name: str, package: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    if not found:
        raise RuntimeError(f"'{name}' was not found; Debian package: {package}")
    return found


class Server:
    """A process on some cores ("0", "0,1") with everything that it started. Its log lies in `directory`.

    `ready` is a path that answers 200 once it can be measured; None: it is enough that the port listens.
    """

    def __init__(self, name: str, command: list[Any], port: int, cores: str, directory: pathlib.Path,
                 ready: str | None = None, env: Mapping[str, str] | None = None) -> None:
        self.name, self.port, self.directory, self.ready = name, port, directory, ready
        self.ready_seconds = 0.0
        self._log = open(directory / f"{name}.log", "wb")
        self.started = time.monotonic()
        # A session of its own, so that stopping ends the children too. taskset execs: the pid is the server's.
        self.process = subprocess.Popen(["taskset", "-c", cores, *map(str, command)], cwd=directory,
                                        stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
                                        start_new_session=True, env=env)

    def wait(self, seconds: float = 60) -> Self:
        wait_for(self._is_up, f"{self.name} is ready on port {self.port}", seconds, 0.0005)
        self.ready_seconds = time.monotonic() - self.started
        return self

    def _is_up(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.log_tail()}")
        if self.ready is None:
            return listens(self.port)
        with contextlib.suppress(OSError, http.client.HTTPException):
            return request(self.port, "GET", self.ready, timeout_s=2)[0] == 200
        return False

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/v1"

    def log_tail(self, size: int = 2000) -> str:
        return (self.directory / f"{self.name}.log").read_text(errors="replace")[-size:]

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self._log.close()

    def pids(self) -> list[int]:
        """The process and its descendants (nginx answers from a child)."""
        parents: dict[int, list[int]] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
                    parents.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry))
        found = [self.process.pid]
        for pid in found:
            found.extend(parents.get(pid, []))
        return found

    def cpu_seconds(self) -> float:
        """CPU time of all threads so far, to the nanosecond (the clock ticks of /proc/PID/stat are too coarse)."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with contextlib.suppress(OSError):
                        total += int(pathlib.Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
        return total / 1e9

    def rss_bytes(self) -> int:
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmRSS:"):
                        total += int(line.split()[1]) * 1024
        return total


class Payonce(Server):
    """`payonce COMMAND FLAGS`, with a data directory of its own and none of the caller's settings but `env`."""

    def __init__(self, binary: pathlib.Path, directory: pathlib.Path, cores: str, command: str = "serve",
                 flags: tuple[Any, ...] = (), name: str = "payonce", env: Mapping[str, str] | None = None) -> None:
        port = free_port()
        home = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-home-", dir=directory))  # a name may come again
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PAYONCE_", "OTEL_", "XDG_"))}
        mine = {**kept, "PAYONCE_HOME": str(home), "XDG_RUNTIME_DIR": str(home), **(env or {})}
        super().__init__(name, [binary, command, "--listen", f"{LOOPBACK}:{port}", "--data", home / "data", *flags],
                         port, cores, directory, "/readyz", mine)
        self.socket_path = home / "payonce" / f"{port}.sock"

    def stats(self) -> Any:
        return json.loads(request(self.port, "GET", "/payonce/v1/stats")[2])
