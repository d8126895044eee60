"""For frameworks that ask for a key and later give the value, without a ticket in between."""

from __future__ import annotations

import collections
import json
import threading
from collections.abc import Mapping

from payonce._client import Client
from payonce._default import default_client
from payonce._types import Hit, Json, Kind, Ticket

MAX_TICKETS = 1024  # of lookups whose value never came


class Remembered:
    """Keeps the tickets of lookups that missed until the value comes. Any thread may call."""

    def __init__(self, kind: Kind, client: Client | None, versions: Mapping[str, str]) -> None:
        self._kind = kind
        self._client = client
        self._versions = dict(versions)
        self._tickets: collections.OrderedDict[str, Ticket] = collections.OrderedDict()
        self._lock = threading.Lock()

    @property
    def client(self) -> Client:
        return self._client or default_client()

    def get(self, parts: Mapping[str, Json], **more: str) -> Hit | None:
        """The stored value; `more` are further version tags."""
        found = self.client.lookup(self._kind, parts, versions=self._versions | more, semantic=False)
        if isinstance(found, Hit):
            return found
        if found.ticket:
            with self._lock:
                self._tickets[_name(parts, more)] = found.ticket
                if len(self._tickets) > MAX_TICKETS:
                    self._tickets.popitem(last=False)
        return None

    def put(self, parts: Mapping[str, Json], value: Json, ttl: float | None = None, **more: str) -> None:
        with self._lock:
            ticket = self._tickets.pop(_name(parts, more), None)
        if ticket is None:  # never asked for here
            self.get(parts, **more)
            with self._lock:
                ticket = self._tickets.pop(_name(parts, more), None)
        self.client.commit(ticket, value, ttl=ttl)


def _name(parts: Mapping[str, Json], more: Mapping[str, str]) -> str:
    return json.dumps([parts, more], sort_keys=True, default=str)
