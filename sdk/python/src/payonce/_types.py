"""What goes to an instance and comes back from it, in the agent API's own words."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, Union

KINDS = ("llm", "plan", "tools", "tool_result", "subagent", "retrieval", "compaction")
Kind: TypeAlias = Literal["llm", "plan", "tools", "tool_result", "subagent", "retrieval", "compaction"]
Json: TypeAlias = Any
"""Whatever `json.dumps` takes; checked when it is sent."""


class PayonceError(Exception):
    """The base of all errors here. Outside of strict mode none of them reaches the caller."""


class Misuse(PayonceError):
    """The call itself is wrong, and would be with any instance."""


class Unavailable(PayonceError):
    """No instance answered in time."""


class Refused(PayonceError):
    """The instance said no: `status` as in HTTP, `type` as in the error's body."""

    def __init__(self, status: int, type: str, message: str) -> None:
        super().__init__(f"{status} {type}: {message}")
        self.status = status
        self.type = type


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that a value was made from. Make one with `file`, `directory`, `git` or `value`."""

    type: Literal["file", "dir", "git", "value"]
    path: str | None = None
    name: str | None = None
    value: str | None = None

    def to_json(self) -> dict[str, Json]:
        if self.type == "value":
            return {"type": "value", "name": self.name, "value": self.value}
        return {"type": self.type, "path": self.path}


def file(path: str | os.PathLike[str]) -> Dependency:
    """Stale when the file's content changes, or when it goes or comes."""
    return Dependency("file", os.path.abspath(path))


def directory(path: str | os.PathLike[str]) -> Dependency:
    """Stale when a name appears or goes anywhere below the directory (`.git` aside)."""
    return Dependency("dir", os.path.abspath(path))


def git(path: str | os.PathLike[str] = ".") -> Dependency:
    """Stale when HEAD, or the content of a changed or untracked file of the work tree, changes."""
    return Dependency("git", os.path.abspath(path))


def value(name: str, value: object) -> Dependency:
    """Stale when a later lookup gives the same name with another value: an epoch, a digest."""
    return Dependency("value", name=name, value=str(value))


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to commit one value, given by a lookup that missed."""

    id: str
    key: str = ""
    expires_in: float = 900
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """The value as it was committed, equal as JSON."""

    value: Json
    entry: str
    key: str
    age: float
    detail: str = "exact"
    similarity: float | None = None
    pending: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Json] = field(default_factory=dict)
    saved: Mapping[str, Json] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    explain: Mapping[str, Json] | None = None
    hit: Literal[True] = True


@dataclass(frozen=True, slots=True)
class Miss:
    """No value. Without a ticket (no instance, or a refused lookup) nothing can be committed."""

    ticket: Ticket | None = None
    reason: str = "unavailable"
    key: str = ""
    in_flight: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    explain: Mapping[str, Json] | None = None
    hit: Literal[False] = False


@dataclass(frozen=True, slots=True)
class Stale:
    """There was a value, but what it was made from has changed; `stale` says what."""

    ticket: Ticket | None
    stale: Sequence[Mapping[str, Json]]
    key: str = ""
    reason: str = "dependency"
    tags: Mapping[str, str] = field(default_factory=dict)
    explain: Mapping[str, Json] | None = None
    hit: Literal[False] = False


Result: TypeAlias = Union[Hit, Miss, Stale]  # noqa: UP007 (3.10 evaluates it)


@dataclass(frozen=True, slots=True)
class Committed:
    """`status` is "stored", or "dropped" with a reason: "outcome", "dependency" or "secret"."""

    status: str
    reason: str | None = None
    entry: str | None = None
    key: str | None = None
    entries: int = 0

    @property
    def stored(self) -> bool:
        return self.status == "stored"


def result_of(answer: Mapping[str, Json], run: str | None) -> Result:
    """What a lookup's answer says."""
    status = answer.get("status")
    key = str(answer.get("key", ""))
    tags = answer.get("tags") or {}
    explain = answer.get("explain")
    if status == "hit":
        return Hit(
            value=answer.get("value"),
            entry=str(answer.get("entry", "")),
            key=key,
            age=float(answer.get("age", 0)),
            detail=str(answer.get("detail", "exact")),
            similarity=answer.get("similarity"),
            pending=bool(answer.get("pending", False)),
            versions=answer.get("versions") or {},
            provenance=answer.get("provenance") or {},
            saved=answer.get("saved") or {},
            tags=tags,
            explain=explain,
        )
    ticket = None
    if answer.get("ticket"):
        ticket = Ticket(str(answer["ticket"]), key, float(answer.get("expires_in", 900)), run)
    reason = str(answer.get("reason", ""))
    if status == "stale":
        return Stale(ticket, answer.get("stale") or (), key, reason, tags, explain)
    if status == "miss":
        return Miss(ticket, reason, key, bool(answer.get("in_flight", False)), tags, explain)
    raise Unavailable(f"an instance answered a lookup with status {status!r}")
