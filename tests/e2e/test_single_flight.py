"""Equal requests at once: one call upstream, and everybody gets the whole answer, also when the first one leaves."""

import concurrent.futures
import json

import pytest

from answers import Worded, answer as answer_of, text_of
from harness import CacheStatus, RawConnection, chat_body, eventually, messages_body, raw_post, sse_events
from upstream import Hold

CALLERS = 20
STREAM = chat_body(stream=True)


def collapsed(gateway):
    return gateway.stats()["layers"]["exact"]["collapsed"]


@pytest.fixture(params=["1", "4"], ids=["one_loop", "four_loops"])
def gateway(request, make_gateway, upstream):
    return make_gateway("--upstream", upstream.url, "--layers", "exact", "--threads", request.param)


@pytest.mark.parametrize("path, body", [
    ("/v1/chat/completions", chat_body()), ("/v1/chat/completions", STREAM), ("/v1/messages", messages_body()),
    ("/v1/messages", messages_body(stream=True)), ("/v1/embeddings", {"model": "e", "input": "one"})],
    ids=["chat", "chat_stream", "messages", "messages_stream", "embeddings"])
def test_twenty_equal_requests_are_one_call_upstream(gateway, upstream, path, body):
    upstream.fail(head_delay_s=0.3)
    with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(lambda _: gateway.post(path, body), range(CALLERS)))
    assert upstream.count == 1
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    statuses = [CacheStatus(answer) for answer in answers]
    late = sum(status.hit for status in statuses)  # came after the answer
    assert sum(status.collapsed for status in statuses) == CALLERS - 1 - late
    assert sum(not status.collapsed and not status.hit for status in statuses) == 1
    assert collapsed(gateway) == CALLERS - 1 - late


def test_different_requests_at_once_do_not_wait_for_each_other(gateway, upstream):
    hold = Hold()
    upstream.fail(hold=hold)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        held = pool.submit(gateway.chat)
        hold.wait_reached()
        assert gateway.chat(chat_body("other")).status_code == 200
        assert not held.done()
        hold.release()
        assert held.result().status_code == 200


def test_followers_of_a_stream_get_each_part_when_it_comes(gateway, upstream):
    hold = Hold()
    upstream.fail(after=3, hold=hold)
    with gateway.client.stream("POST", "/v1/chat/completions", json=STREAM) as leader:
        leaders_parts = leader.iter_raw()
        first = next(leaders_parts)
        hold.wait_reached()
        with gateway.client.stream("POST", "/v1/chat/completions", json=STREAM) as follower:
            assert CacheStatus(follower).collapsed
            parts = follower.iter_raw()
            came = next(parts)
            assert came and b"[DONE]" not in came  # the upstream has not said the rest yet
            hold.release()
            rest = b"".join(parts)
        whole = first + b"".join(leaders_parts)
    assert came + rest == whole
    assert sse_events(whole)[-1] == (None, "[DONE]")
    assert upstream.count == 1


@pytest.mark.parametrize("stream", [True, False])
def test_the_followers_finish_when_the_leader_leaves(gateway, upstream, stream):
    hold = Hold()
    upstream.fail(hold=hold, after=2 if stream else -1)
    body = chat_body(stream=True) if stream else chat_body()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with gateway.connect() as leader:
            leader.send(asking(body))
            hold.wait_reached()
            followers = [pool.submit(gateway.chat, body) for _ in range(5)]
            eventually(lambda: collapsed(gateway) == 5, what="five joined")
            connected = clients(gateway)
        eventually(lambda: clients(gateway) < connected, what="the leader has left")
        hold.release()
        answers = [one.result(timeout=30) for one in followers]
    assert upstream.count == 1 and not upstream.requests[0].disconnected.is_set()
    assert len({answer.content for answer in answers}) == 1
    assert text_of(1)[:8] in answers[0].text
    assert CacheStatus(gateway.chat(body)).hit


@pytest.mark.parametrize("first, second", [(False, True), (True, False)], ids=["plain first", "stream first"])
def test_who_has_an_answer_does_not_pay_for_another_form_of_it(make_gateway, upstream, first, second):
    """At once, over another connection, also when it has left with the last event: what it has seen whole is stored."""
    gateway = make_gateway("--upstream", upstream.url, "--threads", "4")
    for number in range(1, 101):
        for stream in (first, second):
            with gateway.connect() as connection:
                connection.send(asking(chat_body(f"Question {number}", stream=stream)))
                _ = connection.read_until(b"[DONE]") if stream else connection.read_answer()
        assert upstream.count == number


def asking(body):
    return raw_post("/v1/chat/completions", json.dumps(body).encode())


def clients(gateway):
    return gateway.metric("payonce_connections", side="client")


def test_when_all_leave_the_call_upstream_ends(gateway, upstream):
    hold = Hold()
    upstream.fail(hold=hold)
    with gateway.connect() as first, gateway.connect() as second, gateway.connect() as third:
        for leaving in (first, second, third):
            leaving.send(asking(chat_body()))
        eventually(lambda: collapsed(gateway) == 2, what="two joined")
        hold.wait_reached()
    assert upstream.requests[0].disconnected.wait(60)
    assert upstream.count == 1
    assert gateway.chat().json()["id"] == "chatcmpl-up2"


def test_a_caller_that_wants_no_cached_answer_gets_a_call_of_its_own(gateway, upstream):
    hold = Hold()
    upstream.fail(hold=hold, times=3)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = [pool.submit(gateway.chat), pool.submit(gateway.chat, Cache_Control="no-cache"),
                 pool.submit(gateway.chat, X_Payonce_Layers="none")]
        upstream.wait_count(3)
        hold.release()
        assert len({one.result().content for one in asked}) == 3


def test_a_slow_reader_holds_nobody_up(gateway, upstream):
    """One caller reads nothing of a large stream (small buffers): an equal request is served whole."""
    event = b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,' \
            b'"delta":{"content":"%s"},"finish_reason":%s}]}\n\n'
    chunks = [event % (b"y" * 8000, b"null")] * 800 + [event % (b"", b'"stop"') + b"data: [DONE]\n\n"]
    hold = Hold()
    upstream.fail(chunks=chunks, hold=hold, after=1)
    with RawConnection(gateway.port, receive_buffer=4096) as slow:
        slow.send(raw_post("/v1/chat/completions", json.dumps(STREAM).encode()))
        hold.wait_reached()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            quick = pool.submit(gateway.chat, STREAM)
            eventually(lambda: collapsed(gateway) == 1, what="the second joined")
            hold.release()
            answer = quick.result(timeout=60)
        assert answer.content == b"".join(chunks)
    assert upstream.count == 1


def test_an_abandoned_follower_does_not_harm_the_others(gateway, upstream):
    hold = Hold()
    upstream.fail(after=2, hold=hold)
    with gateway.client.stream("POST", "/v1/chat/completions", json=STREAM) as leader:
        hold.wait_reached()
        with gateway.client.stream("POST", "/v1/chat/completions", json=STREAM) as follower:
            next(follower.iter_raw())
        hold.release()
        whole = b"".join(leader.iter_raw())
    assert sse_events(whole)[-1] == (None, "[DONE]")
    assert CacheStatus(gateway.chat(STREAM)).hit


def test_who_leaves_with_the_last_event_of_a_long_answer_disturbs_nobody(gateway, upstream):
    """Long answers are judged on a thread of the pool, and the row of who leaves is written meanwhile (TSan)."""
    number = Worded(1)
    number.text = "x" * 300_000
    for turn in range(20):
        body = chat_body(f"question {turn}", stream=True)
        upstream.fail(chunks=answer_of("POST", "/v1/chat/completions", json.dumps(body), number).chunks)
        with RawConnection(gateway.port) as leaver:
            leaver.send(raw_post("/v1/chat/completions", json.dumps(body).encode())).read_until(b"data: [DONE]")
    eventually(lambda: gateway.stats()["layers"]["exact"]["entries"] == 20, what="all are stored")
    assert all(CacheStatus(gateway.chat(chat_body(f"question {turn}", stream=True))).hit for turn in range(20))
    assert upstream.count == 20
