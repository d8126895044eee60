"""The client against the real binary, over the socket and over HTTP."""

from __future__ import annotations

import asyncio
import pathlib
import threading
import time
from collections.abc import Callable

import pytest

import payonce
from payonce import Client, Hit, Miss, Stale

Make = Callable[..., Client]


def miss(client: Client, *args: object, **named: object) -> Miss | Stale:
    found = client.lookup(*args, **named)  # type: ignore[arg-type]
    assert not isinstance(found, Hit) and found.ticket
    return found


def store(client: Client, kind: str, parts: object, value: object, **named: object) -> payonce.Committed:
    stored = client.commit(miss(client, kind, parts, **named).ticket, value)
    assert stored and stored.stored
    return stored


def test_what_is_committed_comes_back(client: Client) -> None:
    parts = {"task": "Grüße", "model": "m", "n": 1}
    found = miss(client, "plan", parts, semantic=False)
    assert found.reason == "cold" and found.key.startswith("plan:")
    value = {"steps": ["a", "b"], "text": "東京 🌍", "none": None, "float": 0.5}
    stored = client.commit(found.ticket, value)
    assert stored and stored.stored and stored.entry and stored.key == found.key
    hit = client.lookup("plan", dict(reversed(parts.items())), semantic=False)
    assert isinstance(hit, Hit)
    assert (hit.value, hit.entry, hit.key, hit.detail) == (value, stored.entry, found.key, "exact")
    assert hit.age >= 0 and not hit.pending


def test_every_kind_is_its_own(client: Client) -> None:
    for kind in payonce.KINDS:
        store(client, kind, {"same": 1}, kind, semantic=False)
    for kind in payonce.KINDS:
        hit = client.lookup(kind, {"same": 1}, semantic=False)  # type: ignore[arg-type]
        assert isinstance(hit, Hit) and hit.value == kind


def test_another_credential_or_version_never_hits(client: Client, make_client: Make) -> None:
    store(client, "llm", {"q": 1}, "mine", versions={"tools": "v1"})
    assert client.lookup("llm", {"q": 1}, versions={"tools": "v1"}).hit
    assert not client.lookup("llm", {"q": 1}, versions={"tools": "v2"}).hit
    assert not make_client(api_key="sk-somebody-else").lookup("llm", {"q": 1}, versions={"tools": "v1"}).hit
    assert not make_client(scope="user:ann").lookup("llm", {"q": 1}, versions={"tools": "v1"}).hit


def test_a_changed_file_is_stale_and_says_which(client: Client, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "calc.py"
    path.write_text("1")
    deps = [payonce.file(path)]
    store(client, "tool_result", {"read": str(path)}, "one", deps=deps)
    assert client.lookup("tool_result", {"read": str(path)}, deps=deps).hit
    path.write_text("2")
    found = client.lookup("tool_result", {"read": str(path)}, deps=deps)
    assert isinstance(found, Stale)
    assert [(changed["type"], changed["path"]) for changed in found.stale] == [("file", str(path))]
    path.write_text("1")
    assert client.lookup("tool_result", {"read": str(path)}, deps=deps).hit


def test_a_dependency_that_changes_before_the_commit_drops_it(client: Client, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a"
    path.write_text("1")
    ticket = miss(client, "tool_result", {"r": 1}, deps=[payonce.file(path)]).ticket
    path.write_text("22")
    dropped = client.commit(ticket, "1")
    assert dropped and (dropped.status, dropped.reason) == ("dropped", "dependency")


def test_directories_and_values(client: Client, tmp_path: pathlib.Path) -> None:
    deps = [payonce.directory(tmp_path), payonce.value("kb", 7)]
    store(client, "retrieval", {"query": "x"}, [1, 2], deps=deps, semantic=False)
    assert client.lookup("retrieval", {"query": "x"}, deps=deps, semantic=False).hit
    newer = [payonce.directory(tmp_path), payonce.value("kb", 8)]
    assert isinstance(client.lookup("retrieval", {"query": "x"}, deps=newer, semantic=False), Stale)
    (tmp_path / "new").write_text("")
    assert isinstance(client.lookup("retrieval", {"query": "x"}, deps=deps, semantic=False), Stale)


def test_outcomes_tickets_and_aborts(client: Client, make_client: Make) -> None:
    failed = client.commit(miss(client, "plan", {"p": 1}, semantic=False).ticket, "x", outcome="failure")
    assert failed and (failed.status, failed.reason) == ("dropped", "outcome")
    ticket = miss(client, "plan", {"p": 1}, semantic=False).ticket
    client.abort(ticket)
    with pytest.raises(payonce.Refused, match="404 unknown_ticket"):
        client.commit(ticket, "x")
    lenient = make_client(strict=False)
    assert lenient.commit(ticket, "x") is None
    assert isinstance(lenient.last_error, payonce.Refused) and lenient.last_error.status == 404
    assert not client.lookup("plan", {"p": 1}, semantic=False).hit


def test_runs_publish_at_their_end(client: Client, make_client: Make) -> None:
    other = make_client()
    store(client, "llm", {"r": 1}, "pending", run="run-1")
    own = client.lookup("llm", {"r": 1}, run="run-1")
    assert isinstance(own, Hit) and own.pending
    assert not other.lookup("llm", {"r": 1}).hit
    published = client.commit_run("run-1")
    assert published and published.entries == 1
    assert other.lookup("llm", {"r": 1}).hit
    store(client, "llm", {"r": 2}, "pending", run="run-2")
    assert client.abort_run("run-2") == 1
    assert not other.lookup("llm", {"r": 2}).hit


def test_invalidate(client: Client, tmp_path: pathlib.Path) -> None:
    entry = store(client, "llm", {"i": 1}, 1).entry
    assert client.invalidate(entry=entry) == 1
    assert not client.lookup("llm", {"i": 1}).hit
    path = tmp_path / "f"
    path.write_text("")
    store(client, "tool_result", {"i": 2}, 2, deps=[payonce.file(path)])
    assert client.invalidate(path=path) == 1
    store(client, "compaction", {"i": 3}, 3)
    assert client.invalidate(kind="compaction") == 1
    with pytest.raises(payonce.Refused, match="400"):
        client.invalidate()


def test_explain_names_what_differs(client: Client) -> None:
    store(client, "llm", {"model": "m", "tools": ["a"]}, 1)
    found = client.lookup("llm", {"model": "m", "tools": ["b"]}, explain=True)
    assert found.explain and "parts.tools" in found.explain["changed"]


def test_waiting_for_another_callers_commit(client: Client, make_client: Make) -> None:
    first = miss(client, "llm", {"w": 1})
    at_once = make_client().lookup("llm", {"w": 1})
    assert isinstance(at_once, Miss) and at_once.in_flight
    client.abort(at_once.ticket)
    threading.Timer(0.2, client.commit, (first.ticket, "late")).start()
    waited = make_client().lookup("llm", {"w": 1}, wait=10)
    assert isinstance(waited, Hit) and waited.value == "late"


def test_tools_mode_used_looks_at_the_used_tools_alone(client: Client) -> None:
    def parts(read: str, write: str) -> dict[str, object]:
        tools = [{"name": "read", "version": read}, {"name": "write", "version": write}]
        return {"task": "x", "tools": tools}

    found = miss(client, "plan", parts("1", "1"), tools_mode="used", semantic=False)
    assert found.tags["tools"].startswith("tools:v1:")
    client.commit(found.ticket, "plan", used=["read"])
    assert client.lookup("plan", parts("1", "2"), tools_mode="used", semantic=False).hit
    stale = client.lookup("plan", parts("2", "1"), tools_mode="used", semantic=False)
    assert isinstance(stale, Stale) and stale.stale[0] == {"type": "tool", "name": "read"}


def test_secrets_are_dropped(client: Client, tmp_path: pathlib.Path) -> None:
    key = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\n-----END RSA " + "PRIVATE KEY-----"
    dropped = client.commit(miss(client, "tool_result", {"s": 1}).ticket, key)
    assert dropped and (dropped.status, dropped.reason) == ("dropped", "secret")


def test_stats_and_hints(client: Client) -> None:
    store(client, "compaction", {"s": time.time()}, 1)
    assert client.stats()["layers"]["compaction"]["entries"] >= 1
    client.hint("7", event="waiting", expect_return_s=30)


def test_a_large_value(client: Client) -> None:
    value = "ü" * 3_000_000
    store(client, "llm", {"large": 1}, value)
    hit = client.lookup("llm", {"large": 1})
    assert isinstance(hit, Hit) and hit.value == value


def test_asyncio(make_client: Make) -> None:
    async def ask() -> None:
        async with payonce.AsyncClient(client=make_client()) as client:
            found = await asyncio.gather(*(client.lookup("llm", {"a": n}) for n in range(20)))
            await asyncio.gather(*(client.commit(f.ticket, n) for n, f in enumerate(found)))
            again = await asyncio.gather(*(client.lookup("llm", {"a": n}) for n in range(20)))
            assert [hit.value for hit in again] == list(range(20))  # type: ignore[union-attr]
            assert (await client.stats())["layers"]

    asyncio.run(ask())
