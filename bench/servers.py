"""Starts and stops what is measured, pins it to a core, and reads what it used: CPU time, memory, descriptors."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import string
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what, seconds=10.0, pause=0.02):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(pause)
    raise RuntimeError(f"{what} within {seconds} s: it did not happen")


def request(port, method, path, body=None, timeout=30):
    """(status, headers, body) of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        headers = {"Content-Type": "application/json", "Authorization": "Bearer bench"}
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A process on one core with everything that it started."""

    def __init__(self, name, command, port, core, directory, env=None):
        self.name, self.port, self.directory = name, port, pathlib.Path(directory)
        self.log = open(self.directory / f"{name}.log", "wb")
        self.started = time.monotonic()
        # A session of its own, so that stopping ends the children too. taskset execs: the pid is the server's.
        self.process = subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], cwd=self.directory,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
                                        start_new_session=True, env=env)

    def wait_listening(self, seconds=10.0):
        def up():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.log_tail()}")
            return listens(self.port)
        wait_for(up, f"{self.name} listens on {self.port}", seconds)
        return self

    def log_tail(self, size=2000):
        return (self.directory / f"{self.name}.log").read_text(errors="replace")[-size:]

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.close()

    def pids(self):
        """The process and its descendants (nginx answers from a child)."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
                    parents.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry))
        found = [self.process.pid]
        for pid in found:
            found.extend(parents.get(pid, []))
        return found

    def cpu_seconds(self):
        """CPU time of all threads so far, to the nanosecond (the clock ticks of /proc/PID/stat are too coarse)."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with contextlib.suppress(OSError):
                        total += int(pathlib.Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
        return total / 1e9

    def rss_bytes(self):
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmRSS:"):
                        total += int(line.split()[1]) * 1024
        return total


class Mock(Server):
    """The provider; it counts what reaches it."""

    def __init__(self, binaries, core, directory):
        port = free_port()
        super().__init__("mock", [binaries / "mock_upstream", "--port", port], port, core, directory)
        self.wait_listening()

    def count(self):
        return json.loads(request(self.port, "GET", "/count")[2])["requests"]

    def set(self, **options):
        query = "&".join(f"{name.replace('_', '-')}={value}" for name, value in options.items())
        request(self.port, "GET", f"/set?{query}")

    def answer(self, body):
        """Its answer to `body`, which is counted."""
        return request(self.port, "POST", "/v1/chat/completions", body)[2].decode()


class Nginx(Server):
    """Three ports: a fixed answer, a proxy, a proxy that does not buffer."""

    def __init__(self, binary, mock_port, answer, core, directory):
        home = pathlib.Path(directory) / "nginx"
        home.mkdir()
        self.static_port, self.proxy_port, self.stream_port = free_port(), free_port(), free_port()
        template = string.Template((HERE / "nginx" / "bench.conf").read_text())
        (home / "bench.conf").write_text(template.substitute(
            upstream_port=mock_port, static_port=self.static_port, proxy_port=self.proxy_port,
            stream_port=self.stream_port, answer=answer))
        # Started as root, the worker becomes another user, who must be able to write here.
        home.chmod(0o777)
        super().__init__("nginx", [binary, "-p", home, "-c", home / "bench.conf", "-e", "stderr"], self.static_port,
                         core, directory)
        self.wait_listening()


class Payonce(Server):
    """The gateway, with the options that users are told to start from."""

    def __init__(self, binary, mock_port, core, directory, name="payonce"):
        port = free_port()
        data = pathlib.Path(directory) / f"{name}-data"
        super().__init__(name, [binary, "serve", "--upstream", f"http://127.0.0.1:{mock_port}/v1", "--listen",
                                f"127.0.0.1:{port}", "--data", data, "--threads", "1"], port, core, directory)
        self.ready_seconds = None

    def wait_ready(self, seconds=10.0):
        """Asks /readyz over and over; the time from exec to its first 200 is kept, exact to a millisecond or so."""
        deadline = self.started + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.log_tail()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if request(self.port, "GET", "/readyz", timeout=1)[0] == 200:
                    self.ready_seconds = time.monotonic() - self.started
                    return self
            time.sleep(0.0005)
        raise RuntimeError(f"{self.name} was not ready within {seconds} s:\n{self.log_tail()}")


@contextlib.contextmanager
def workplace():
    """A directory for configurations, data and logs, removed afterwards; the servers in it are stopped before that."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="payonce-bench-"))
    directory.chmod(0o755)
    servers = []
    try:
        yield directory, servers
    finally:
        for server in reversed(servers):
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def find_program(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin")
    if not found:
        raise RuntimeError(f"'{name}' was not found; Debian packages: nginx-light wrk")
    return found
