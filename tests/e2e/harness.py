"""Runs the real binary, talks to it, and reads its answers. Nothing here knows how the gateway works inside."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import http_sf
import httpx
from prometheus_client.parser import text_string_to_metric_families

from ports import free_port

READY_TIMEOUT_S = 60
EXIT_TIMEOUT_S = 60


def binary():
    path = os.environ.get("PAYONCE_BINARY", "")
    assert path and os.access(path, os.X_OK), f"PAYONCE_BINARY is '{path}', no program: run ./dev test"
    return path


def eventually(check, timeout_s=60, what=""):
    """The first true value of check(), polled; fails when none comes in time, which is long: machines are shared."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"still false after {timeout_s} s: {what or check}"
        time.sleep(0.01)


def paths_in(folder, look):
    """What look(path) says of all that lies in it now. A running gateway replaces files: what goes meanwhile is left
    out."""
    said = {}
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            said[path] = look(path)
    return said


def environment(home):
    """The test's own, without what would configure the program, and with all its files in `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PAYONCE_", "OTEL_", "XDG_"))}
    return kept | {"PAYONCE_HOME": str(home), "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}


def run_cli(*arguments, home, env=None, timeout_s=60):
    """One command of the binary, to its end."""
    return subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, timeout=timeout_s,
                          env=environment(home) | (env or {}), check=False)


def model_file():
    path = os.environ.get("PAYONCE_MODEL", "")
    assert path and os.path.exists(path), f"PAYONCE_MODEL is '{path}', no file: run ./dev test"
    return path


class Gateway:
    """A running `payonce serve` (or `up`, `engine`). `arguments` are its flags; the address and, unless `keep` is
    false, the data directory are added."""

    def __init__(self, folder, *arguments, command="serve", env=None, scheme="http", preexec=None, keep=True):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.log_file = self.folder / "log.txt"
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.root = f"{scheme}://{self.address}"
        self.url = self.root + "/v1"
        data = ["--data", str(self.data)] if keep else []
        self._command = [binary(), command, "--listen", self.address, *data, *map(str, arguments)]
        self._env = environment(self.folder) | (env or {})
        self._preexec = preexec
        self.process = None
        self.client = httpx.Client(base_url=self.root, timeout=30, trust_env=False, verify=False)

    def launch(self):
        """Starts it and does not wait until it is ready."""
        self._log_start = len(self.log())
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._env,
                                            preexec_fn=self._preexec)
        return self

    def start(self, timeout_s=READY_TIMEOUT_S, scanned=False):
        """Until it is ready; `scanned`: and until what lies on its disk is found again, which requests do not wait
        for."""
        self.launch()
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            assert self.process.poll() is None, f"exit status {self.process.returncode} at start:\n{self.log()}"
            assert time.monotonic() < deadline, f"not ready after {timeout_s} s:\n{self.log()}"
            time.sleep(0.01)
        if scanned:
            eventually(lambda: " entries in " in self.log()[self._log_start:], what="the response log is read")
        return self

    def is_ready(self):
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """At once, as a power cut does to a process."""
        self.process.kill()
        self.process.wait(EXIT_TIMEOUT_S)

    def stop(self, timeout_s=EXIT_TIMEOUT_S):
        """Asks it to end; its exit status."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(EXIT_TIMEOUT_S)
                raise
        return self.process.returncode if self.process else None

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def wait_logged(self, *texts):
        """A line about a step may come a moment after the step shows otherwise, such as in /readyz."""
        eventually(lambda: all(text in self.log() for text in texts), what=texts)

    def rss_bytes(self):
        """Resident memory of the process (Linux)."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def post(self, path, body, **headers):
        """POSTs JSON (or bytes as they are); header names with '_' for '-'."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, content=content, headers={"Content-Type": "application/json"} | fields)

    def chat(self, body=None, **headers):
        return self.post("/v1/chat/completions", body or chat_body(), **headers)

    def stats(self):
        return self.client.get("/payonce/v1/stats").raise_for_status().json()

    def entries(self):
        """How many answers are stored."""
        return self.stats()["layers"]["exact"]["entries"]

    def metrics(self):
        return self.client.get("/metrics").raise_for_status().text

    def metric(self, sample_name, **labels):
        """Sum of the samples of that name whose labels include `labels`."""
        return sum(sample.value for family in text_string_to_metric_families(self.metrics())
                   for sample in family.samples
                   if sample.name == sample_name and labels.items() <= sample.labels.items())

    def connect(self):
        """A raw connection."""
        return RawConnection(self.port)


def chat_body(text="Hello", **fields):
    return {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": text}], **fields}


def messages_body(text="Hello", **fields):
    turns = [{"role": "user", "content": text}]
    return {"model": "m", "max_tokens": 100, "temperature": 0, "messages": turns, **fields}


def responses_body(text="Hello", **fields):
    return {"model": "m", "temperature": 0, "input": text, **fields}


class CacheStatus:
    """Cache-Status, read strictly as RFC 9211 and RFC 9651 have it: one member, `payonce`, with known parameters."""

    KNOWN = {"hit", "fwd", "fwd-status", "ttl", "stored", "collapsed", "key", "detail", "similarity",
             "prefix-expected"}

    def __init__(self, response):
        value = response.headers.get("cache-status")
        assert value is not None, f"no Cache-Status in a {response.status_code}: {dict(response.headers)}"
        members = http_sf.parse(value.encode(), tltype="list")
        assert [str(name) for name, _ in members] == ["payonce"], value
        self.parameters = members[0][1]
        assert set(self.parameters) <= self.KNOWN, value
        assert self.hit != ("fwd" in self.parameters), f"either hit or fwd: {value}"

    @property
    def hit(self):
        return self.parameters.get("hit") is True

    @property
    def fwd(self):
        value = self.parameters.get("fwd")
        return None if value is None else str(value)

    @property
    def stored(self):
        return self.parameters.get("stored") is True

    @property
    def collapsed(self):
        return self.parameters.get("collapsed") is True


def is_hit(response):
    """Whether an answer is a hit, after checking that it is a good one with all that a hit carries."""
    assert response.status_code == 200, f"{response.status_code}: {response.text}"
    status = CacheStatus(response)
    if status.hit:
        assert str(status.parameters["detail"]) == "exact"
        assert int(response.headers["age"]) >= 0
        saved = dict(part.split("=") for part in response.headers["x-payonce-saved"].split(","))
        assert set(saved) == {"input", "output", "usd"}, saved
    else:
        assert "x-payonce-saved" not in response.headers
    return status.hit


def assert_served_from_cache(upstream, ask):
    """Asks twice: one call upstream, the second answer equal to the first and a hit."""
    before = upstream.count
    first, second = ask(), ask()
    assert (is_hit(first), is_hit(second), upstream.count - before) == (False, True, 1)
    assert first.content == second.content
    return first, second


def sse_events(content):
    """(name, data) of each event of a stream, strictly: every event ends with an empty line."""
    text = content.decode() if isinstance(content, bytes) else content
    assert not text or text.endswith("\n\n"), f"the stream ends inside an event: {text[-80:]!r}"
    events = []
    for block in filter(None, text.split("\n\n")):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if fields:
            events.append((fields.get("event"), fields.get("data")))
    return events


class RawConnection:
    """Bytes over a socket, for what no HTTP client would send."""

    def __init__(self, port, timeout_s=20, receive_buffer=0):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout_s)
        self.socket.connect(("127.0.0.1", port))
        self._buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused while sending; the answer tells why
        return self

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        return bool(data)

    def read_until(self, mark):
        while mark not in self._buffer:
            assert self._more(), f"closed before {mark!r}; came: {self._buffer[:400]!r}"
        end = self._buffer.index(mark) + len(mark)
        taken, self._buffer = self._buffer[:end], self._buffer[end:]
        return taken

    def read_exactly(self, size):
        while len(self._buffer) < size:
            assert self._more(), f"closed after {len(self._buffer)} of {size} bytes"
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def read_answer(self):
        """(status, {lower-case name: value}, body) of the next answer."""
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:] if line)}
        if status < 200:
            return status, headers, b""
        if headers.get("transfer-encoding") != "chunked":
            return status, headers, self.read_exactly(int(headers.get("content-length", 0)))
        body = b""
        while size := int(self.read_until(b"\r\n"), 16):
            body += self.read_exactly(size)
            self.read_exactly(2)
        self.read_until(b"\r\n")
        return status, headers, body

    def read_to_end(self):
        while self._more():
            pass
        taken, self._buffer = self._buffer, b""
        return taken

    def is_closed(self):
        """Waits until the other side closes; False when it does not in time, or sends more."""
        try:
            return not self._more()
        except TimeoutError:
            return False


def raw_post(path, body, *lines, length=True):
    """An HTTP/1.1 request as bytes."""
    fields = ["Host: test", "Content-Type: application/json", *lines]
    if length:
        fields.append(f"Content-Length: {len(body)}")
    return f"POST {path} HTTP/1.1\r\n".encode() + "\r\n".join(fields).encode("latin-1") + b"\r\n\r\n" + body


def write_config(path, text):
    path = pathlib.Path(path)
    path.write_text(text)
    return path


SIGHUP, SIGTERM = signal.SIGHUP, signal.SIGTERM
