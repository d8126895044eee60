"""Ports for programs under test; sdk/python's tests take them here, too."""

from __future__ import annotations

import random
import socket

_held: list[socket.socket] = []


def free_port() -> int:
    """A port that stays free between two starts of a program: below those that the system gives to connections, and
    held against other runs of these tests by a name that only one process may have."""
    for port in random.sample(range(10_000, 32_000), 100):
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0payonce-test-port-{port}")
            with socket.create_server(("127.0.0.1", port)):
                _held.append(holder)
                return port
        except OSError:
            holder.close()
    raise AssertionError("100 ports were taken")
