"""Instances of this process's own, one for each upstream; they end with it, however it ends."""

from __future__ import annotations

import atexit
import hashlib
import http.client
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from payonce import _binary
from payonce._client import logger

READY_S = 10.0
# Its standard input closes when the last process that holds the other end is gone.
_WATCHED = '"$@" <&- & child=$!; read -r _; kill "$child"; wait "$child"'
_lock = threading.Lock()
_started: dict[tuple[str, ...], tuple[subprocess.Popen[bytes], str]] = {}


def is_ready(url: str, timeout_s: float = 1.0) -> bool:
    """Whether an instance answers at this root."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", parts.path.rstrip("/") + "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def start(flags: tuple[str, ...]) -> str | None:
    """The URL of `payonce serve FLAGS`, started at the first call; None when it cannot be."""
    with _lock:
        running = _started.get(flags)
        if running and running[0].poll() is None:
            return running[1]
        program = _binary.find()
        if program is None:
            return None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        arguments = ["serve", "--listen", f"127.0.0.1:{port}", "--data", _data_of(flags), *flags]
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _WATCHED, "sh", program, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for this process, which may go on
            )
        except OSError as error:
            logger.warning("%s does not start: %s", program, error)
            return None
        atexit.register(_stop, process, os.getpid())
        deadline = time.monotonic() + READY_S
        while not is_ready(url):
            if time.monotonic() > deadline:
                logger.warning("%s serve was not ready after %.0f s", program, READY_S)
                _stop(process, os.getpid())
                return None
            time.sleep(0.01)
        _started[flags] = (process, url)
        return url


def _data_of(flags: tuple[str, ...]) -> str:
    """A folder for each upstream. The instance of a second process there keeps to memory."""
    home = os.environ.get("PAYONCE_HOME")
    shared = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    root = Path(home) if home else Path(shared) / "payonce"
    return str(root / "wrap" / hashlib.sha256("\0".join(flags).encode()).hexdigest()[:12])


def _stop(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner or process.stdin is None:
        return
    process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
