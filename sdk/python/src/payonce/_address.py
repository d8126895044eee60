"""Where the instance is: PAYONCE_SOCKET, else the socket of a loopback PAYONCE_URL, else HTTP."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from urllib.parse import urlsplit

from payonce._types import Misuse

DEFAULT_URL = "http://127.0.0.1:4141"
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True, slots=True)
class Address:
    """`socket` is tried first, when there is one."""

    socket: str | None
    host: str
    port: int
    tls: bool
    prefix: str = ""


def address_of(url: str | None = None, socket: str | None = None) -> Address:
    """Arguments win over the environment; an argument `url` alone also wins over PAYONCE_SOCKET."""
    if socket is None and url is None:
        socket = os.environ.get("PAYONCE_SOCKET") or None
    text = url or os.environ.get("PAYONCE_URL") or DEFAULT_URL
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise Misuse(f"{text!r} is no address of an instance: write http://HOST:PORT")
    tls = parts.scheme == "https"
    port = port or (443 if tls else 80)
    # Looking a name up can take longer than a lookup may.
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    if socket is None and parts.hostname in _LOOPBACK and not tls:
        socket = _own_socket(default_socket(port))
    return Address(socket, host, port, tls, parts.path.rstrip("/").removesuffix("/v1"))


def default_socket(port: int) -> str:
    """Where an instance that listens on this port of the loopback has its socket."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = os.path.join(runtime, "payonce") if runtime else f"/tmp/payonce-{os.getuid()}"
    return os.path.join(folder, f"{port}.sock")


def _own_socket(path: str) -> str | None:
    """The path, when a socket of this user or of root is there: anybody may write to /tmp."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    trusted = found.st_uid in (os.getuid(), 0)
    return path if stat.S_ISSOCK(found.st_mode) and trusted else None
