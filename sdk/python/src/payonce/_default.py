"""The client of those who name none."""

from __future__ import annotations

import threading

from payonce._client import Client

_lock = threading.Lock()
_client: Client | None = None


def default_client() -> Client:
    """Made from the environment at its first use."""
    global _client
    with _lock:
        if _client is None:
            _client = Client()
        return _client


def set_default_client(client: Client | None) -> None:
    """None: the next use makes one from the environment again."""
    global _client
    with _lock:
        _client = client
