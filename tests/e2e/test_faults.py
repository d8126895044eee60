"""When the upstream, the network or the client fails: nothing that is not whole is stored, and everybody is told."""

import concurrent.futures
import json

import httpx
import pytest

from answers import text_of
from harness import (CacheStatus, chat_body, eventually, is_hit, messages_body, raw_post, responses_body, sse_events,
                     write_config)
from upstream import Hold, Upstream

STREAM = chat_body(stream=True)
STREAMS = {"chat": ("/v1/chat/completions", STREAM),
           "messages": ("/v1/messages", messages_body(stream=True)),
           "responses": ("/v1/responses", responses_body(stream=True)),
           "completions": ("/v1/completions", {"model": "m", "prompt": "Hi", "stream": True})}


def ask(gateway, body, path="/v1/chat/completions"):
    """(status, bytes that came, whole): of an answer that may break off."""
    came = b""
    try:
        with gateway.client.stream("POST", path, json=body) as answer:
            for chunk in answer.iter_raw():
                came += chunk
        return answer.status_code, came, True
    except httpx.TransportError:
        return None, came, False


def told(came):
    """Whether a stream that broke off does not pretend to be whole."""
    return b"[DONE]" not in came and b"message_stop" not in came and b"response.completed" not in came


def assert_nothing_was_kept(gateway, upstream, body, path="/v1/chat/completions"):
    """The next request goes upstream again, succeeds, and only then there is a hit."""
    upstream.clear()
    assert gateway.entries() == 0
    before = upstream.count
    assert not is_hit(gateway.post(path, body))
    assert is_hit(gateway.post(path, body))
    assert upstream.count == before + 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 529])
@pytest.mark.parametrize("path, body", [("/v1/chat/completions", chat_body()), ("/v1/messages", messages_body())],
                         ids=["chat", "messages"])
def test_an_error_answer_is_passed_on_and_not_kept(gateway, upstream, status, path, body):
    upstream.fail(status=status, headers=(("Retry-After", "3"),))
    answer = gateway.post(path, body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"] == "scripted failure"
    assert answer.headers["retry-after"] == "3" and answer.headers["x-request-id"] == "req-1"
    assert CacheStatus(answer).parameters["fwd-status"] == status
    assert_nothing_was_kept(gateway, upstream, body, path)


PLAIN_BREAKS = {"reset": {"after": 0, "cut": "reset"}, "close": {"after": 0, "cut": "close"},
                "too_short": {"length_delta": 7}, "reset_before_head": {"raw": b""},
                "no_http": {"raw": b"SSH-2.0-OpenSSH_9.2\r\n"}, "head_cut": {"raw": b"HTTP/1.1 200 OK\r\nContent-"},
                "two_lengths": {"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\n{\"a\":1}"}}


@pytest.mark.parametrize("kind", PLAIN_BREAKS)
def test_a_plain_answer_that_breaks_is_an_error_and_not_kept(gateway, upstream, kind):
    upstream.fail(**PLAIN_BREAKS[kind], times=9)
    answer = gateway.chat()
    assert answer.status_code == 502, answer.text
    assert answer.json()["error"]["message"]
    assert_nothing_was_kept(gateway, upstream, chat_body())


def test_an_answer_longer_than_told_does_not_leak_into_the_next(gateway, upstream):
    upstream.fail(length_delta=-5)
    gateway.chat()
    assert_nothing_was_kept(gateway, upstream, chat_body("another"))


STREAM_BREAKS = {"reset": {"after": 3, "cut": "reset"}, "close": {"after": 3, "cut": "close"},
                 "bad_chunk": {"after": 3, "cut": "bad_chunk"}}


@pytest.mark.parametrize("kind", STREAM_BREAKS)
@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
def test_a_stream_that_breaks_is_visible_and_not_kept(gateway, upstream, kind, dialect):
    path, body = STREAMS[dialect]
    upstream.fail(**STREAM_BREAKS[kind])
    _, came, whole = ask(gateway, body, path)
    assert came and told(came)
    assert b"error" in came or not whole
    assert_nothing_was_kept(gateway, upstream, body, path)


@pytest.mark.parametrize("dialect", ["chat", "messages", "responses", "completions"])
def test_a_stream_that_ends_in_order_without_its_last_events_is_not_kept(gateway, upstream, dialect):
    path, body = STREAMS[dialect]
    # The last two: a chat without [DONE] alone still tells its finish_reason.
    upstream.fail(drop_last=2)
    _, came, _ = ask(gateway, body, path)
    assert came and told(came)
    assert_nothing_was_kept(gateway, upstream, body, path)


@pytest.mark.parametrize("event", [b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n',
                                   b'data: {"id":"x","choices":[\n\n'], ids=["error", "no_json"])
def test_a_stream_with_an_error_or_nonsense_in_it_is_not_kept(gateway, upstream, event):
    good = b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,' \
           b'"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
    upstream.fail(body=good + event + b"data: [DONE]\n\n", content_type="text/event-stream")
    _, came, _ = ask(gateway, STREAM)
    assert event in came
    assert_nothing_was_kept(gateway, upstream, STREAM)


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b'{"id":"x","choices":[', b"[]",
                                  b'{"error":{"message":"quota","type":"x"}}'],
                         ids=["empty", "html", "cut", "array", "error"])
def test_a_200_that_is_no_answer_is_passed_on_and_not_kept(gateway, upstream, body):
    upstream.fail(body=body)
    answer = gateway.chat()
    assert (answer.status_code, answer.content) == (200, body)
    assert_nothing_was_kept(gateway, upstream, chat_body())


def test_a_client_that_leaves_ends_the_call_upstream(gateway, upstream):
    hold = Hold()
    upstream.fail(after=3, hold=hold)
    with gateway.client.stream("POST", "/v1/chat/completions", json=STREAM) as answer:
        chunks = answer.iter_raw()  # kept: httpx hangs up when it is dropped
        next(chunks)
        hold.wait_reached()
    assert upstream.requests[0].disconnected.wait(60), "the upstream still thinks that somebody listens"
    assert_nothing_was_kept(gateway, upstream, STREAM)


def test_a_client_that_leaves_before_the_head_ends_the_call_too(gateway, upstream):
    hold = Hold()
    upstream.fail(hold=hold)
    with gateway.connect() as connection:
        connection.send(raw_post("/v1/chat/completions", json.dumps(chat_body()).encode()))
        hold.wait_reached()
    assert upstream.requests[0].disconnected.wait(60)
    assert_nothing_was_kept(gateway, upstream, chat_body())


@pytest.mark.parametrize("after_head", [True, False])
def test_followers_of_a_leader_that_fails_get_an_answer_or_an_error(gateway, upstream, after_head):
    hold = Hold()
    upstream.fail(after=2 if after_head else -1, hold=hold, cut="reset")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = [pool.submit(ask, gateway, STREAM) for _ in range(5)]
        hold.wait_reached()
        eventually(lambda: gateway.stats()["layers"]["exact"]["collapsed"] == 4, what="four joined")
        hold.release()
        answers = [one.result(timeout=30) for one in asked]
    for status, came, whole in answers:
        good = whole and status == 200 and sse_events(came)[-1] == (None, "[DONE]")
        assert good or (told(came) and (b"error" in came or not whole)), (status, came[-200:], whole)
    upstream.clear()
    gateway.chat(STREAM)
    assert is_hit(gateway.chat(STREAM))


def test_an_upstream_that_is_away_is_a_502_in_the_dialects_shape(gateway, upstream):
    upstream.stop()
    chat = gateway.chat()
    assert (chat.status_code, chat.json()["error"]["type"]) == (502, "server_error")
    message = gateway.post("/v1/messages", messages_body())
    assert (message.status_code, message.json()["type"]) == (502, "error")
    assert message.json()["error"]["type"] == "api_error"
    upstream.start()
    assert not is_hit(gateway.chat())
    assert is_hit(gateway.chat())


def test_connections_that_the_upstream_closed_meanwhile_cost_nothing(gateway, upstream):
    upstream.fail(hang_up=True, times=1000)
    for index in range(50):
        answer = gateway.chat(chat_body(f"text {index}"))
        assert answer.status_code == 200, f"request {index}: {answer.text}"
    assert upstream.count == 50


def test_a_restarted_upstream_is_found_again_at_once(gateway, upstream):
    for index in range(5):
        assert gateway.chat(chat_body(f"text {index}")).status_code == 200
        upstream.stop()
        upstream.start()


def test_stored_answers_outlive_the_upstream(gateway, upstream):
    stored = gateway.chat()
    upstream.stop()
    again = gateway.chat()
    assert is_hit(again) and again.content == stored.content


def test_a_refused_connection_is_tried_again(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, env={"PAYONCE_RETRY_ATTEMPTS": "5",
                                                            "PAYONCE_RETRY_BASE_PAUSE": "2s"})
    upstream.stop()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(gateway.chat)
        eventually(lambda: "payonce_upstream_errors_total{" in gateway.metrics(), what="the first try fails")
        upstream.start()
        assert asked.result(timeout=30).status_code == 200
    assert upstream.count == 1


def test_a_listed_status_is_tried_again_and_others_are_not(make_gateway, upstream, tmp_path):
    config = write_config(tmp_path / "retry.toml", f'[upstreams.one]\nbase_url = "{upstream.url}"\n'
                          '[retry]\nattempts = 3\nstatuses = [503]\n')
    gateway = make_gateway("--config", config)
    upstream.fail(status=503, times=2)
    answer = gateway.chat()
    assert answer.json()["choices"][0]["message"]["content"] == text_of(3)
    upstream.fail(status=500)
    assert gateway.chat(chat_body("more")).status_code == 500
    assert upstream.count == 4


@pytest.fixture
def two(make_gateway, upstream, tmp_path):
    """A gateway over `upstream`, then a second one: (gateway, second)."""
    with Upstream() as second:
        config = write_config(tmp_path / "two.toml", f'[upstreams.first]\nbase_url = "{upstream.url}"\n'
                              f'[upstreams.second]\nbase_url = "{second.url}"\n')
        yield make_gateway("--config", config), second


def test_another_upstream_takes_over(two, upstream):
    gateway, second = two
    upstream.stop()
    answer = gateway.chat()
    assert answer.status_code == 200
    assert second.count == 1 and second.requests[0].body == upstream_body(answer)
    assert gateway.chat().content == answer.content
    upstream.start()
    assert gateway.chat(chat_body("later"), Cache_Control="no-store").status_code == 200


def upstream_body(answer):
    return answer.request.content


@pytest.mark.parametrize("status", [429, 503])
def test_an_upstream_that_is_busy_hands_over(two, upstream, status):
    gateway, second = two
    upstream.fail(status=status, headers=(("Retry-After", "30"),))
    assert gateway.chat().status_code == 200
    assert (upstream.count, second.count) == (1, 1)


def test_a_request_that_is_wrong_is_not_sent_to_everybody(two, upstream):
    gateway, second = two
    upstream.fail(status=400)
    assert gateway.chat().status_code == 400
    assert (upstream.count, second.count) == (1, 0)


def test_an_upstream_that_keeps_failing_is_left_alone_for_a_while(two, upstream):
    gateway, second = two
    upstream.fail(status=500, times=1000)
    tries = 20
    answers = [gateway.chat(chat_body(f"text {i}")) for i in range(tries)]
    assert second.count >= tries - 6  # five failures open the breaker; the probe is one more
    assert upstream.count <= 8, "the breaker never opened"
    assert {answer.status_code for answer in answers[-5:]} == {200}
    told = [line for line in gateway.log().splitlines() if "is left alone for 10 s: it answers 500" in line]
    assert len(told) == 1, gateway.log()


def test_models_are_routed_to_the_upstream_that_names_them(make_gateway, upstream, tmp_path):
    with Upstream() as second:
        config = write_config(tmp_path / "models.toml",
                              f'[upstreams.any]\nbase_url = "{upstream.url}"\n[upstreams.special]\n'
                              f'base_url = "{second.url}"\nmodels = ["special-*", "exact-name"]\n')
        gateway = make_gateway("--config", config)
        for model in ("special-1", "exact-name", "other", "not-special-1"):
            assert gateway.chat(chat_body(model=model)).status_code == 200
        assert [request.json["model"] for request in second.requests] == ["special-1", "exact-name"]
        assert [request.json["model"] for request in upstream.requests] == ["other", "not-special-1"]


def test_an_upstream_that_never_answers_is_given_up(make_gateway, upstream, tmp_path):
    config = write_config(tmp_path / "slow.toml", f'[upstreams.slow]\nbase_url = "{upstream.url}"\n'
                          'first_byte_timeout = "1s"\nidle_timeout = "1s"\n')
    gateway = make_gateway("--config", config)
    upstream.fail(hold=Hold())
    answer = gateway.chat()
    assert answer.status_code == 504 and "within 1000 ms" in answer.json()["error"]["message"], answer.text
    upstream.fail(after=2, cut="hang")
    _, came, whole = ask(gateway, STREAM)
    assert came and told(came) and (b"error" in came or not whole)
    assert_nothing_was_kept(gateway, upstream, STREAM)
