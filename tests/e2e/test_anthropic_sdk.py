"""The official Anthropic client, pointed at the gateway by its base URL alone: answers, streams, tools, thinking."""

import anthropic
import pytest

from answers import text_of
from harness import CacheStatus, is_hit

ASK = {"model": "claude-m", "max_tokens": 100, "messages": [{"role": "user", "content": "Where is Zürich?"}]}
TOOLS = [{"name": "weather", "description": "Weather of a city", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]
THINKING = {"type": "enabled", "budget_tokens": 1024}


@pytest.fixture
def client(gateway):
    with anthropic.Anthropic(base_url=gateway.root, api_key="sk-ant-test", max_retries=0, timeout=20) as made:
        yield made


def streamed(client, **fields):
    """(final message, event types, hit) of a streamed answer."""
    with client.messages.with_streaming_response.create(**(ASK | fields), stream=True) as raw:
        hit = CacheStatus(raw.http_response).hit
        kinds = [event.type for event in raw.parse()]
    with client.messages.stream(**(ASK | fields)) as stream:
        final = stream.get_final_message()
    return final, kinds, hit


def test_a_repeated_message_is_answered_once_and_served_twice(client, upstream):
    raws = [client.messages.with_raw_response.create(**ASK) for _ in range(2)]
    first, second = (raw.parse() for raw in raws)
    assert [is_hit(raw.http_response) for raw in raws] == [False, True]
    assert upstream.count == 1
    assert first.to_dict() == second.to_dict()
    assert (first.id, first.content[0].text, first.stop_reason) == ("msg_up1", text_of(1), "end_turn")
    saved = raws[1].headers["x-payonce-saved"]
    assert f"input={first.usage.input_tokens}," in saved and "output=11," in saved


def test_a_message_stream_serves_the_next_stream_and_the_next_plain_caller(client, upstream):
    final, kinds, hit = streamed(client)
    assert not hit and upstream.count == 1
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    raw = client.messages.with_raw_response.create(**ASK)
    assert is_hit(raw.http_response) and upstream.count == 1
    whole = raw.parse()
    assert (whole.id, whole.content[0].text, whole.stop_reason) == (final.id, text_of(1), "end_turn")
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (final.usage.input_tokens, 11)


def test_a_stored_message_serves_a_streaming_caller(client, upstream):
    whole = client.messages.create(**ASK)
    final, kinds, hit = streamed(client)
    assert hit and upstream.count == 1
    assert (final.id, final.content[0].text, final.stop_reason) == (whole.id, text_of(1), "end_turn")
    assert (final.usage.input_tokens, final.usage.output_tokens) == (whole.usage.input_tokens, 11)
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]


@pytest.mark.parametrize("stream_first", [True, False])
def test_thinking_and_tool_use_survive_both_ways(client, upstream, stream_first):
    fields = {"tools": TOOLS, "thinking": THINKING, "max_tokens": 2048}

    def plain():
        return client.messages.create(**(ASK | fields))

    def by_stream():
        return streamed(client, **fields)[0]

    first, second = (by_stream(), plain()) if stream_first else (plain(), by_stream())
    assert upstream.count == 1
    for one in (first, second):
        thinking, tool = one.content
        assert (thinking.thinking, len(thinking.signature)) == ("I think of 1.", 44)
        assert (tool.id, tool.name, tool.input) == ("toolu_up1", "weather", {"city": "Zürich 1", "days": 2})
        assert one.stop_reason == "tool_use"
    assert first.content[0].signature == second.content[0].signature


def test_a_tool_loop_is_answered_from_the_cache_turn_by_turn(client, upstream):
    def loop():
        turns = list(ASK["messages"])
        asked = client.messages.create(**(ASK | {"messages": turns}), tools=TOOLS)
        result = {"type": "tool_result", "tool_use_id": asked.content[0].id, "content": "sunny"}
        turns += [{"role": "assistant", "content": [block.to_dict() for block in asked.content]},
                  {"role": "user", "content": [result]}]
        return client.messages.create(**(ASK | {"messages": turns}), tools=TOOLS)

    first, second = loop(), loop()
    assert first.to_dict() == second.to_dict()
    assert first.content[0].text == text_of(2)
    assert upstream.count == 2


def test_token_counts_are_cached(client, upstream):
    ask = {"model": "claude-m", "messages": ASK["messages"]}
    first, second = (client.messages.with_raw_response.count_tokens(**ask) for _ in range(2))
    assert (is_hit(first.http_response), is_hit(second.http_response), upstream.count) == (False, True, 1)
    assert first.parse().input_tokens == second.parse().input_tokens == 1001


def test_a_count_and_an_answer_are_not_mixed_up(client, upstream):
    client.messages.count_tokens(model="claude-m", messages=ASK["messages"])
    assert client.messages.create(**ASK).id == "msg_up2"


def test_prompt_cache_marks_do_not_change_the_key(client, upstream):
    def with_system(part):
        return client.messages.create(**ASK, system=[part]).id

    part = {"type": "text", "text": "Be brief."}
    assert with_system(part) == with_system(part | {"cache_control": {"type": "ephemeral"}})
    assert upstream.count == 1


@pytest.mark.parametrize("status, kind", [
    (400, anthropic.BadRequestError), (401, anthropic.AuthenticationError), (404, anthropic.NotFoundError),
    (429, anthropic.RateLimitError), (500, anthropic.InternalServerError), (529, anthropic.InternalServerError)])
def test_failures_of_the_provider_arrive_as_the_clients_own_errors(client, upstream, status, kind):
    upstream.fail(status=status, headers=(("Retry-After", "7"),))
    with pytest.raises(kind) as caught:
        client.messages.create(**ASK)
    assert caught.value.status_code == status
    assert caught.value.body["type"] == "error" and caught.value.body["error"]["message"] == "scripted failure"
    assert caught.value.response.headers["retry-after"] == "7"
    assert client.messages.create(**ASK).id == "msg_up2"  # the failure was not kept


def test_a_request_that_we_refuse_ourselves_has_the_dialects_shape(client, upstream):
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(**ASK, extra_headers={"X-Payonce-Scope": "galaxy"})
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == "invalid_request_error"
    assert "X-Payonce-Scope" in caught.value.body["error"]["message"]
    assert upstream.count == 0


def test_a_stream_that_breaks_raises_in_the_client(client, upstream):
    upstream.fail(after=4, cut="reset")
    with pytest.raises(anthropic.APIError):
        with client.messages.stream(**ASK) as stream:
            stream.get_final_message()
    assert client.messages.create(**ASK).id == "msg_up2"


def test_the_callers_key_reaches_the_provider(client, upstream):
    client.messages.create(**ASK, extra_headers={"anthropic-beta": "x-1", "X-Payonce-TTL": "60"})
    request = upstream.requests[0]
    assert request.target == "/v1/messages"
    assert request.header("x-api-key") == "sk-ant-test"
    assert request.header("anthropic-version") and request.header("anthropic-beta") == "x-1"
    assert request.header("x-payonce-ttl") is None
