"""The official OpenAI client, pointed at the gateway by its base URL alone: answers, streams, tools, typed errors."""

import asyncio

import openai
import pytest

from answers import text_of
from harness import CacheStatus, is_hit

ASK = {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": "Where is Zürich?"}]}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]
RESPONSES_TOOLS = [{"type": "function", "name": "weather", "strict": False,
                    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]


@pytest.fixture
def client(gateway):
    with openai.OpenAI(base_url=gateway.url, api_key="sk-test-openai", max_retries=0, timeout=20) as made:
        yield made


def streamed_chat(client, **fields):
    """(text, chunks) of a streamed answer, and whether it was a hit."""
    with client.chat.completions.with_streaming_response.create(**ASK, **fields, stream=True) as raw:
        hit = CacheStatus(raw.http_response).hit
        chunks = list(raw.parse())
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    return text, chunks, hit


def test_a_repeated_chat_is_answered_once_and_served_twice(client, upstream):
    raws = [client.chat.completions.with_raw_response.create(**ASK) for _ in range(2)]
    first, second = (raw.parse() for raw in raws)
    assert [is_hit(raw.http_response) for raw in raws] == [False, True]
    assert upstream.count == 1
    assert (first.id, first.created) == (second.id, second.created) == ("chatcmpl-up1", 1_700_000_001)
    assert first.choices[0].message.content == second.choices[0].message.content == text_of(1)
    assert first.usage == second.usage and first.usage.completion_tokens == 11
    saved = raws[1].headers["x-payonce-saved"]
    assert f"input={first.usage.prompt_tokens}," in saved and "output=11," in saved


def test_a_repeated_chat_stream_is_served_from_the_cache(client, upstream):
    first, first_chunks, first_hit = streamed_chat(client)
    second, second_chunks, second_hit = streamed_chat(client)
    assert (first_hit, second_hit, upstream.count) == (False, True, 1)
    assert first == second == text_of(1)
    assert [c.to_dict() for c in first_chunks] == [c.to_dict() for c in second_chunks]
    assert second_chunks[-1].choices[0].finish_reason == "stop"


def test_a_stored_chat_serves_a_streaming_caller(client, upstream):
    whole = client.chat.completions.create(**ASK)
    text, chunks, hit = streamed_chat(client, stream_options={"include_usage": True})
    assert (hit, upstream.count) == (True, 1)
    assert text == whole.choices[0].message.content
    assert {c.id for c in chunks} == {whole.id}
    assert chunks[-1].choices == [] and chunks[-1].usage.to_dict() == whole.usage.to_dict()
    assert next(c.choices[0].finish_reason for c in reversed(chunks) if c.choices) == "stop"


def test_a_stored_chat_stream_serves_a_plain_caller(client, upstream):
    text, chunks, _ = streamed_chat(client, stream_options={"include_usage": True})
    raw = client.chat.completions.with_raw_response.create(**ASK)
    whole = raw.parse()
    assert is_hit(raw.http_response) and upstream.count == 1
    assert (whole.id, whole.object, whole.choices[0].message.content) == (chunks[0].id, "chat.completion", text)
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage.to_dict() == chunks[-1].usage.to_dict()


def test_usage_comes_only_to_a_streaming_caller_that_asked_for_it(client, upstream):
    streamed_chat(client, stream_options={"include_usage": True})
    _, chunks, hit = streamed_chat(client)
    assert hit and upstream.count == 1
    assert all(c.choices for c in chunks)


def test_tool_calls_are_the_same_in_every_form(client, upstream):
    plain = client.chat.completions.create(**ASK, tools=TOOLS).choices[0]
    with client.chat.completions.stream(**ASK, tools=TOOLS) as stream:
        streamed = stream.get_final_completion().choices[0]
    assert upstream.count == 1
    assert plain.finish_reason == streamed.finish_reason == "tool_calls"
    for one in (plain, streamed):
        call = one.message.tool_calls[0]
        assert (call.id, call.function.name) == ("call_up1", "weather")
    assert plain.message.tool_calls[0].function.arguments == streamed.message.tool_calls[0].function.arguments


def test_a_tool_loop_is_answered_from_the_cache_turn_by_turn(client, upstream):
    def loop():
        turns = list(ASK["messages"])
        asked = client.chat.completions.create(**(ASK | {"messages": turns}), tools=TOOLS).choices[0].message
        turns += [asked.to_dict(), {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "sunny"}]
        return client.chat.completions.create(**(ASK | {"messages": turns}), tools=TOOLS)

    first, second = loop(), loop()
    assert first.to_dict() == second.to_dict()
    assert first.choices[0].message.content == text_of(2)
    assert upstream.count == 2


def test_responses_are_cached_and_serve_both_forms(client, upstream):
    ask = {"model": "m", "temperature": 0, "input": "Where is Zürich?"}
    raw = client.responses.with_raw_response.create(**ask)
    whole = raw.parse()
    assert not is_hit(raw.http_response) and whole.output_text == text_of(1)
    again = client.responses.with_raw_response.create(**ask)
    assert is_hit(again.http_response) and again.parse().to_dict() == whole.to_dict()
    with client.responses.stream(**ask) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert upstream.count == 1
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    assert "response.output_text.delta" in kinds
    assert (final.id, final.output_text) == (whole.id, whole.output_text)


def test_a_stored_responses_stream_serves_a_plain_caller(client, upstream):
    ask = {"model": "m", "temperature": 0, "input": [{"role": "user", "content": "Hi"}], "tools": RESPONSES_TOOLS}
    with client.responses.stream(**ask) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    raw = client.responses.with_raw_response.create(**ask)
    whole = raw.parse()
    assert is_hit(raw.http_response) and upstream.count == 1
    assert whole.id == final.id
    assert whole.output[0].type == final.output[0].type == "function_call"
    assert (whole.output[0].call_id, whole.output[0].arguments) == ("call_up1", final.output[0].arguments)


@pytest.mark.parametrize("format_", ["float", "base64"])
def test_embeddings_are_cached(client, upstream, format_):
    ask = {"model": "e", "input": ["one", "two"], "encoding_format": format_}
    first, second = (client.embeddings.with_raw_response.create(**ask) for _ in range(2))
    assert (is_hit(first.http_response), is_hit(second.http_response), upstream.count) == (False, True, 1)
    assert first.http_response.content == second.http_response.content
    assert len(second.parse().data) == 2


def test_embeddings_of_another_format_are_another_answer(client, upstream):
    ask = {"model": "e", "input": "one"}
    client.embeddings.create(**ask, encoding_format="float")
    client.embeddings.create(**ask, encoding_format="base64")
    assert upstream.count == 2


def test_completions_are_cached_and_serve_both_forms(client, upstream):
    ask = {"model": "m", "temperature": 0, "prompt": "Once upon"}
    whole = client.completions.create(**ask)
    streamed = "".join(c.choices[0].text for c in client.completions.create(**ask, stream=True) if c.choices)
    assert upstream.count == 1
    assert whole.choices[0].text == streamed == text_of(1)


def test_models_are_listed_by_the_upstream(client, upstream):
    assert [model.id for model in client.models.list()] == ["m", "m1"]
    assert [model.id for model in client.models.list()] == ["m", "m2"]  # passed through, not kept


@pytest.mark.parametrize("status, kind", [(400, openai.BadRequestError), (401, openai.AuthenticationError),
                                          (404, openai.NotFoundError), (429, openai.RateLimitError),
                                          (500, openai.InternalServerError), (503, openai.InternalServerError)])
def test_failures_of_the_provider_arrive_as_the_clients_own_errors(client, upstream, status, kind):
    upstream.fail(status=status, headers=(("Retry-After", "7"),))
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**ASK)
    assert "scripted failure" in caught.value.message
    assert caught.value.response.headers["retry-after"] == "7"
    assert client.chat.completions.create(**ASK).id == "chatcmpl-up2"  # the failure was not kept


def test_the_clients_own_retry_gets_an_answer(gateway, upstream):
    upstream.fail(status=429, headers=(("Retry-After-Ms", "10"),))
    with openai.OpenAI(base_url=gateway.url, api_key="sk-test-openai", max_retries=1) as client:
        assert client.chat.completions.create(**ASK).choices[0].message.content == text_of(2)


def test_a_request_that_we_refuse_ourselves_raises_a_typed_error(client, upstream):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**ASK, extra_headers={"X-Payonce-TTL": "soon"})
    assert "X-Payonce-TTL" in caught.value.message
    assert caught.value.type == "invalid_request_error"
    assert upstream.count == 0


def test_a_stream_that_breaks_raises_in_the_client(client, upstream):
    upstream.fail(after=3, cut="reset")
    with pytest.raises((openai.APIError, openai.APIConnectionError)):
        for _ in client.chat.completions.create(**ASK, stream=True):
            pass
    text, _, hit = streamed_chat(client)
    assert (text, hit) == (text_of(2), False)


async def ask_async(url):
    async with openai.AsyncOpenAI(base_url=url, api_key="sk-test-openai", max_retries=0) as client:
        stream = await client.chat.completions.create(**ASK, stream=True)
        streamed = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
        whole = await client.chat.completions.create(**ASK)
    return streamed, whole.choices[0].message.content


def test_the_asynchronous_client_works_as_well(gateway, upstream):
    assert asyncio.run(ask_async(gateway.url)) == (text_of(1), text_of(1))
    assert upstream.count == 1
