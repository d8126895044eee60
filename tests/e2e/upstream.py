"""A scripted upstream: an HTTP/1.1 server on raw sockets that answers as a provider, records what came, and fails on
demand in the ways that providers and networks do. One thread a connection; all methods may be called from any thread.
"""

import dataclasses
import json
import select
import socket
import struct
import threading
import time

import answers
from ports import free_port


class Hold:
    """A place where the upstream waits until the test lets it go on, so that no test has to guess a pause."""

    def __init__(self):
        self.reached = threading.Event()
        self.released = threading.Event()

    def release(self):
        self.released.set()

    def wait_reached(self, timeout_s=60):
        assert self.reached.wait(timeout_s), "the upstream was never asked"


@dataclasses.dataclass
class Fault:
    """What goes wrong with the next `times` requests that `match`. A part of an answer is a chunk of its stream, or
    the whole body of a plain one (cut in two when `after` is 0 and it is to break)."""

    match: object = None  # of a Request; None: any
    times: int = 1
    status: int = 0       # an error answer instead
    headers: tuple = ()   # added to the answer
    head_delay_s: float = 0
    chunk_delay_s: float = 0
    hold: Hold = None     # waits after `after` parts; -1: before the head
    after: int = -1
    cut: str = ""         # after `after` parts: "reset" (RST), "close" (FIN), "bad_chunk" (no chunk size), "hang"
    drop_last: int = 0    # a stream ends in order, without its last events
    length_delta: int = 0  # added to the Content-Length that is told
    body: bytes = None    # instead of the scripted one
    chunks: list = None   # a stream of these instead
    content_type: str = ""
    raw: bytes = None     # the whole answer as bytes, then the connection closes
    before: bytes = b""   # bytes before the head, such as an interim answer
    hang_up: bool = False  # closes after a whole answer, though it promised to keep the connection


class Request:
    """One recorded request."""

    def __init__(self, number, raw_head, body):
        self.number = number
        self.raw_head = raw_head
        self.body = body
        lines = raw_head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ", 2)
        self.path = self.target.split("?")[0]
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line]
        self.disconnected = threading.Event()  # the caller left before its answer was whole
        self.answered = threading.Event()

    def header(self, name):
        """The field's value, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def json(self):
        return json.loads(self.body)


class Gone(Exception):
    """The other side closed."""


class Upstream:
    """`with Upstream() as upstream:` serves at upstream.url ("http://127.0.0.1:PORT/v1"). `answer` is what it says:
    a function like answers.answer."""

    def __init__(self, tls=None, host_name="127.0.0.1", answer=answers.answer):
        self._tls = tls
        self._answer_of = answer
        self._host_name = host_name
        self._lock = threading.Lock()
        self._faults = []
        self._connections = set()
        self._listener = None
        self.port = 0
        self.requests = []

    # ---- what tests ask --------------------------------------------------------------------------

    @property
    def root(self):
        return f"{'https' if self._tls else 'http'}://{self._host_name}:{self.port}"

    @property
    def url(self):
        return self.root + "/v1"

    @property
    def count(self):
        return len(self.requests)

    def fail(self, **what):
        fault = Fault(**what)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self):
        with self._lock:
            self._faults.clear()

    def wait_count(self, count, timeout_s=60):
        deadline = time.monotonic() + timeout_s
        while self.count < count:
            assert time.monotonic() < deadline, f"expected {count} requests upstream, found {self.count}"
            time.sleep(0.005)

    # ---- life ------------------------------------------------------------------------------------

    def start(self):
        self.port = self.port or free_port()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def stop(self):
        """Refuses connections from here on, and cuts those that are open. start() serves again on the same port."""
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            open_ones, self._connections = self._connections, set()
        for connection in open_ones:
            abort(connection)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        reader = None
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with self._lock:
                self._connections.add(connection)
            reader = connection.makefile("rb")
            while self._serve_one(connection, reader):
                pass
        except (OSError, Gone, ValueError):
            pass
        finally:
            with self._lock:
                self._connections.discard(connection)
            if reader:
                reader.close()  # it holds the descriptor too
            connection.close()

    # ---- one request -----------------------------------------------------------------------------

    def _serve_one(self, connection, reader):
        raw_head = read_head(reader)
        if raw_head is None:
            return False
        with self._lock:
            request = Request(len(self.requests) + 1, raw_head, b"")
        if (request.header("expect") or "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = read_body(request, reader)
        with self._lock:
            if connection not in self._connections:  # stopped: what still came in is lost
                raise Gone()
            fault = self._record(request)
        try:
            return self._answer(connection, request, fault)
        except (OSError, Gone):
            request.disconnected.set()
            raise Gone() from None
        finally:
            request.answered.set()

    def _record(self, request):
        """Numbers it and keeps it; what goes wrong with it. Under the lock."""
        request.number = len(self.requests) + 1
        self.requests.append(request)
        return self._take_fault(request)

    def _take_fault(self, request):
        for fault in self._faults:
            if fault.match is None or fault.match(request):
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
                return fault
        return Fault()

    def _answer(self, connection, request, fault):
        if fault.raw is not None:
            connection.sendall(fault.raw)
            return False
        if fault.status:
            reply = answers.error_reply(request.path, fault.status)
        else:
            reply = self._answer_of(request.method, request.target, request.body, request.number)
        if fault.body is not None:
            reply.body, reply.chunks = fault.body, None
        if fault.chunks is not None:
            reply = answers.stream_reply(fault.chunks)
        reply.content_type = fault.content_type or reply.content_type
        pause(connection, fault.head_delay_s)
        if fault.after < 0:
            self._break(connection, fault)
        connection.sendall(fault.before)
        headers = [("Content-Type", reply.content_type), ("X-Request-Id", f"req-{request.number}"),
                   *reply.headers, *fault.headers]
        send = self._send_body if reply.chunks is None else self._send_stream
        return send(connection, reply, headers, fault) and not fault.hang_up

    def _send_body(self, connection, reply, headers, fault):
        told = len(reply.body) + fault.length_delta
        head = head_bytes(reply.status, [*headers, ("Content-Length", str(told))])
        if fault.after == 0 and (fault.cut or fault.hold):
            half = len(reply.body) // 2
            connection.sendall(head + reply.body[:half])
            self._break(connection, fault)
            connection.sendall(reply.body[half:])
        else:
            connection.sendall(head + reply.body)
        return fault.length_delta == 0

    def _send_stream(self, connection, reply, headers, fault):
        connection.sendall(head_bytes(reply.status, [*headers, ("Transfer-Encoding", "chunked")]))
        chunks = reply.chunks[:len(reply.chunks) - fault.drop_last]
        for index, chunk in enumerate(chunks):
            if index == fault.after:
                self._break(connection, fault)
            connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            pause(connection, fault.chunk_delay_s)
        connection.sendall(b"0\r\n\r\n")
        return True

    def _break(self, connection, fault):
        if fault.hold:
            fault.hold.reached.set()
            while not fault.hold.released.is_set():
                pause(connection, 0.01)
        if fault.cut == "bad_chunk":
            connection.sendall(b"xyz\r\nnot a chunk\r\n")
        if fault.cut == "reset":
            abort(connection)
        while fault.cut == "hang":
            pause(connection, 0.05)
        if fault.cut:
            raise Gone()


# ---- sockets -------------------------------------------------------------------------------------

def pause(connection, seconds):
    """Waits, and raises Gone as soon as the other side closes."""
    if seconds <= 0:
        return
    readable, _, _ = select.select([connection], [], [], seconds)
    if readable:
        if not connection.recv(1, socket.MSG_PEEK):
            raise Gone()
        time.sleep(seconds)  # a pipelined request waits its turn


def abort(connection):
    """Closes with a reset."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)  # wakes the thread that reads
    except OSError:
        pass
    connection.close()


def head_bytes(status, headers):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode("latin-1")


def read_head(reader):
    """The head with its empty line, or None when the connection ended before one began."""
    lines = []
    while True:
        line = reader.readline(65536)
        if not line:
            return None
        lines.append(line)
        if line == b"\r\n":
            return b"".join(lines)


def read_body(request, reader):
    if "chunked" in (request.header("transfer-encoding") or "").lower():
        body = b""
        while size := int(reader.readline().split(b";")[0], 16):
            body += reader.read(size)
            reader.readline()
        while reader.readline() not in (b"\r\n", b""):
            pass
        return body
    return reader.read(int(request.header("content-length") or 0))
