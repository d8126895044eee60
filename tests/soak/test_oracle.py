"""The oracle itself: it must see what it is there to see, and nothing else. Its world has one call upstream."""

import json
import pathlib
import sys
from typing import Any

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

import answers  # noqa: E402
import plan  # noqa: E402
from dialects import Conversation, Turn, essence, render  # noqa: E402
from oracle import Oracle, Outcome  # noqa: E402
from scripted import check_of, text_for  # noqa: E402
from watch import Sample, Watch  # noqa: E402
from world import Mode, World  # noqa: E402

HIT = "payonce; hit; ttl=9; detail=exact"
CAPITAL, REWORDED, OTHER = (
    "What is the capital of Italy?",
    "what's the capital of Italy",
    "What is the capital of Peru?",
)


def an_ask(
    user: str = "ann", text: str = CAPITAL, name: str = "gw0/2", stream: bool = False, **fields: Any
) -> plan.Ask:
    path, body = render("chat", Conversation("m", (Turn("user", text),)), stream, plan.stream_of(0))
    return plan.Ask(name, "question", user, "", "chat", path, body, stream, {}, "", 0, "", False, 0, **fields)


@pytest.fixture
def world(tmp_path: pathlib.Path) -> World:
    made = World(1, tmp_path, 1)
    made.modes.append(Mode(0, True, 0, ""))
    made.born()
    return made


def answered(world: World, by: plan.Ask, fault: str = "") -> bytes:
    """What the upstream answers to a call of `by`, which is in the book."""
    asked = essence(by.path, by.body)
    call = world.book.add(by.name, plan.who(by.user, by.scope), asked, fault, 9)
    number = answers.Worded(call.number)
    number.text = text_for(call.who, asked)
    call.check = check_of(number.text)
    reply = answers.answer("POST", by.path, json.dumps(by.body).encode(), number)
    return bytes(reply.body or b"".join(reply.chunks))


def a_hit(body: bytes, status: str = HIT) -> Outcome:
    return Outcome(200, {"cache-status": status, "age": "1", "x-payonce-saved": "input=1"}, body, True, life=1)


def findings(world: World, ask: plan.Ask, got: Outcome) -> str:
    Oracle.of(world).judge(ask, got)
    return "\n".join(world.findings)


def test_a_good_hit_is_none(world: World) -> None:
    body = answered(world, an_ask(name="gw0/1"))
    assert findings(world, an_ask(), a_hit(body)) == ""
    assert world.counted(1, "hit exact") == 1


def test_other_words_are_good_by_meaning_alone(world: World) -> None:
    body = answered(world, an_ask(name="gw0/1"))
    semantic = "payonce; hit; ttl=9; detail=semantic; similarity=0.9"
    assert findings(world, an_ask(text=REWORDED), a_hit(body, semantic)) == ""
    findings(world, an_ask(text=OTHER), a_hit(body, semantic))
    assert world.totals["semantic hits that were wrong"] == 1
    assert "another question" in findings(world, an_ask(text=REWORDED), a_hit(body))


def test_anothers_answer_is_seen(world: World) -> None:
    body = answered(world, an_ask("bob", name="gw0/1"))
    assert "CROSSED" in findings(world, an_ask("ann"), a_hit(body))


@pytest.mark.parametrize("stream", [False, True])
def test_torn_bytes_are_seen(world: World, stream: bool) -> None:
    body = answered(world, an_ask(name="gw0/1", stream=stream))
    assert "TORN" in findings(world, an_ask(stream=stream), a_hit(body[:-20]))
    world.findings.clear()
    assert "TORN" in findings(world, an_ask(stream=stream), a_hit(body.replace(b"For ann", b"For anna")))


def test_an_answer_that_was_never_complete_is_seen(world: World) -> None:
    body = answered(world, an_ask(name="gw0/1"), fault="reset_mid")
    assert "never complete" in findings(world, an_ask(), a_hit(body))


def test_a_hit_that_went_upstream_is_seen(world: World) -> None:
    body = answered(world, an_ask())
    assert "went upstream" in findings(world, an_ask(), a_hit(body))


def test_errors_cuts_and_silence_need_a_reason(world: World) -> None:
    error = Outcome(502, {}, b'{"error":{"message":"x"}}', True, life=1)
    assert "nothing explains" in findings(world, an_ask(), error)
    world.findings.clear()
    assert "nothing explains" in findings(world, an_ask(), Outcome(error="cut: x", life=1))
    world.findings.clear()
    assert "no answer" in findings(world, an_ask(), Outcome(error="timeout", life=1))
    world.findings.clear()
    answered(world, an_ask(), fault="500")
    assert findings(world, an_ask(), error) == ""


def test_a_broken_stream_must_not_look_whole(world: World) -> None:
    body = answered(world, an_ask(stream=True), fault="reset_mid")
    got = Outcome(200, {"cache-status": "payonce; fwd=miss"}, body, False, "cut: x", life=1)
    assert "looks whole" in findings(world, an_ask(stream=True), got)


@pytest.mark.parametrize("growth_a_minute, found", [(0, False), (10 << 20, True)])
def test_memory_that_grows_is_seen_and_noise_is_not(world: World, growth_a_minute: int, found: bool) -> None:
    watch = Watch(world, None)
    noise = plan.stream_of(1, "noise")
    for second in range(400):
        rss = (200 << 20) + noise.randrange(20 << 20) + growth_a_minute * second // 60
        watch.samples.append(Sample(1, second, rss, 50 + noise.randrange(30), 14, 9 << 20))
    watch.judge(900)
    assert any("rss grows" in finding for finding in world.findings) == found
    assert len(world.findings) == found
