"""`payonce engine` by the official OpenAI and Anthropic clients: every endpoint, whole and as streams."""

import json

import anthropic
import openai
import pydantic
import pytest

from harness import sse_events

CAPITAL = [{"role": "user", "content": "Name the capital of France."}]
GREEDY = {"model": "any", "temperature": 0, "max_tokens": 16}
CLAUDE = {"model": "any", "extra_body": {"temperature": 0}}  # this client has no name for it any more
WEATHER = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"],
           "additionalProperties": False}
WEATHER_TOOL = {"type": "function",
                "function": {"name": "get_weather", "description": "The weather of a city", "parameters": WEATHER}}
STORY = "The clockmaker of the old town kept every spring and every wheel that he had ever made. " * 12


@pytest.fixture
def client(engine, request):
    with openai.OpenAI(base_url=engine.url, api_key=request.node.name, max_retries=0, timeout=120) as made:
        yield made


@pytest.fixture
def claude(engine, request):
    with anthropic.Anthropic(base_url=engine.root, api_key=request.node.name, max_retries=0, timeout=120) as made:
        yield made


def content_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


# ---- chat completions ------------------------------------------------------------------------------

def test_a_chat_answers_and_counts(client):
    answer = client.chat.completions.create(**GREEDY, messages=CAPITAL)
    assert "Paris" in answer.choices[0].message.content and answer.model == "any"
    assert answer.id.startswith("chatcmpl-") and answer.object == "chat.completion"
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens == 0 and 0 < usage.completion_tokens <= 16
    again = client.chat.completions.create(**GREEDY, messages=CAPITAL)
    assert again.choices[0].message.content == answer.choices[0].message.content
    assert again.usage.prompt_tokens_details.cached_tokens == usage.prompt_tokens - 1


def test_a_stream_is_the_same_answer_in_pieces(client):
    whole = client.chat.completions.create(**GREEDY, messages=CAPITAL)
    chunks = list(client.chat.completions.create(**GREEDY, messages=CAPITAL, stream=True,
                                                 stream_options={"include_usage": True}))
    assert content_of(chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len([chunk for chunk in chunks if chunk.choices]) > 3, "not in pieces"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] in ("stop", "length")
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_streaming_helper_assembles_it(client):
    with client.chat.completions.stream(**GREEDY, messages=CAPITAL) as stream:
        assert "Paris" in stream.get_final_completion().choices[0].message.content


def test_a_stream_ends_with_done(engine):
    answer = engine.chat({"messages": CAPITAL, "max_tokens": 4, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert sse_events(answer.content)[-1] == (None, "[DONE]")


def test_parts_and_a_developers_message_are_read(client):
    answer = client.chat.completions.create(**GREEDY, messages=[
        {"role": "developer", "content": "Answer in English."},
        {"role": "user", "content": [{"type": "text", "text": "Name the capital"},
                                     {"type": "text", "text": "of France."}]}])
    assert answer.choices[0].message.content


def test_n_choices_differ_and_a_seed_repeats_them(client):
    ask = {"model": "any", "messages": [{"role": "user", "content": "Write any sentence."}], "n": 3,
           "temperature": 1.2, "max_tokens": 12, "seed": 7}
    first, second = (client.chat.completions.create(**ask) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert [choice.index for choice in first.choices] == [0, 1, 2] and len(set(texts)) > 1
    assert texts == [choice.message.content for choice in second.choices]
    other = client.chat.completions.create(**ask | {"seed": 8})
    assert texts != [choice.message.content for choice in other.choices]


def test_the_best_and_beams_are_whole_answers(client):
    ask = GREEDY | {"messages": CAPITAL, "max_tokens": 8}
    best = client.chat.completions.create(**ask | {"temperature": 1}, extra_body={"best_of": 3})
    assert len(best.choices) == 1 and best.choices[0].message.content
    beams = [client.chat.completions.create(**ask, n=2, extra_body={"use_beam_search": True, "best_of": 3})
             for _ in range(2)]
    texts = [[choice.message.content for choice in one.choices] for one in beams]
    assert len(texts[0]) == 2 and texts[0][0] != texts[0][1] and texts[0] == texts[1]
    with pytest.raises(openai.BadRequestError, match="beam"):
        client.chat.completions.create(**ask, stream=True, extra_body={"use_beam_search": True})


def test_logprobs_are_of_the_tokens_that_came(client):
    answer = client.chat.completions.create(**GREEDY, messages=CAPITAL, logprobs=True, top_logprobs=3)
    tokens = answer.choices[0].logprobs.content
    text = answer.choices[0].message.content
    assert b"".join(bytes(token.bytes) for token in tokens).decode().startswith(text)
    for token in tokens:
        assert len(token.top_logprobs) == 3 and token.logprob <= 0
        assert token.token == token.top_logprobs[0].token, "greedy takes the likeliest"
    chunks = list(client.chat.completions.create(**GREEDY, messages=CAPITAL, logprobs=True, stream=True))
    streamed = [token for chunk in chunks if chunk.choices and chunk.choices[0].logprobs
                for token in chunk.choices[0].logprobs.content]
    assert [token.token for token in streamed] == [token.token for token in tokens]


def test_stop_strings_end_the_text_before_them(client):
    free = client.chat.completions.create(**GREEDY, messages=CAPITAL).choices[0].message.content
    word = free.split()[2]
    cut = client.chat.completions.create(**GREEDY, messages=CAPITAL, stop=[word]).choices[0]
    assert cut.message.content == free[:free.index(word)] and cut.finish_reason == "stop"
    chunks = client.chat.completions.create(**GREEDY, messages=CAPITAL, stop=word, stream=True)
    assert content_of(chunks) == cut.message.content
    short = client.chat.completions.create(**GREEDY | {"max_tokens": 2}, messages=CAPITAL).choices[0]
    assert short.finish_reason == "length"


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=20)
    age: int = pydantic.Field(ge=0, le=120)


def test_a_json_schema_binds_the_answer(client):
    ask = {"model": "any", "temperature": 0, "max_tokens": 80,
           "messages": [{"role": "user", "content": "Invent a person, as JSON."}]}
    schema = {"type": "json_schema", "json_schema": {"name": "person", "strict": True,
                                                     "schema": Person.model_json_schema()}}
    answer = client.chat.completions.create(**ask, response_format=schema)
    Person.model_validate_json(answer.choices[0].message.content)
    streamed = content_of(client.chat.completions.create(**ask, response_format=schema, stream=True))
    assert streamed == answer.choices[0].message.content
    parsed = client.chat.completions.parse(**ask, response_format=Person).choices[0].message.parsed
    assert isinstance(parsed, Person)
    guided = client.chat.completions.create(**ask, extra_body={"guided_grammar": 'root ::= "yes" | "no"'})
    assert guided.choices[0].message.content in ("yes", "no")


def test_a_forced_tool_is_called_whole_and_as_a_stream(client):
    ask = {"model": "any", "temperature": 0, "max_tokens": 80, "tools": [WEATHER_TOOL],
           "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
           "tool_choice": {"type": "function", "function": {"name": "get_weather"}}}
    choice = client.chat.completions.create(**ask).choices[0]
    assert choice.finish_reason == "tool_calls"
    call = choice.message.tool_calls[0]
    assert call.id.startswith("call_") and call.function.name == "get_weather"
    assert set(json.loads(call.function.arguments)) == {"city"}
    with client.chat.completions.stream(**ask) as stream:
        streamed = stream.get_final_completion().choices[0]
    assert streamed.finish_reason == "tool_calls"
    again = streamed.message.tool_calls[0]
    assert (again.function.name, again.function.arguments) == (call.function.name, call.function.arguments)
    assert again.id != call.id
    told = ask["messages"] + [choice.message.to_dict(),
                              {"role": "tool", "tool_call_id": call.id, "content": "Sunny, 21 degrees."}]
    final = client.chat.completions.create(**GREEDY, messages=told, tools=[WEATHER_TOOL], tool_choice="none")
    assert final.choices[0].message.content and not final.choices[0].message.tool_calls


def test_a_message_may_be_continued(client):
    started = CAPITAL + [{"role": "assistant", "content": "The capital of France is"}]
    answer = client.chat.completions.create(**GREEDY, messages=started, extra_body={"continue_final_message": True})
    assert "Paris" in answer.choices[0].message.content


# ---- completions -----------------------------------------------------------------------------------

def test_completions_take_every_form_of_prompt(client):
    ask = {"model": "any", "max_tokens": 4, "temperature": 0}
    text = client.completions.create(**ask, prompt="Once upon a time").choices[0].text
    both = client.completions.create(**ask, prompt=["Once upon a time", "In the beginning"])
    assert [choice.index for choice in both.choices] == [0, 1] and both.choices[0].text == text
    tokens = client.completions.create(**ask, prompt=[1, 2, 3])
    lists = client.completions.create(**ask, prompt=[[1, 2, 3], [4, 5]])
    assert tokens.usage.prompt_tokens == 3 and lists.usage.prompt_tokens == 5
    assert lists.choices[0].text == tokens.choices[0].text
    many = client.completions.create(**ask | {"temperature": 1}, prompt=["a", "b"], n=2)
    assert [choice.index for choice in many.choices] == [0, 1, 2, 3]
    chunks = list(client.completions.create(**ask, prompt="Once upon a time", stream=True,
                                            stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == text
    assert chunks[-1].usage.completion_tokens == 4


def test_echo_with_logprobs_scores_the_prompt(client):
    ask = {"model": "any", "prompt": "The capital of France is", "temperature": 0, "logprobs": 2, "echo": True}
    choice = client.completions.create(**ask, max_tokens=1).choices[0]
    scores = choice.logprobs
    assert choice.text.startswith(ask["prompt"]) and "Paris" in choice.text
    assert "".join(scores.tokens) == choice.text
    assert scores.token_logprobs[0] is None and all(value <= 0 for value in scores.token_logprobs[1:])
    assert scores.text_offset == [len("".join(scores.tokens[:i])) for i in range(len(scores.tokens))]
    only = client.completions.create(**ask, max_tokens=0)
    assert only.choices[0].text == ask["prompt"] and only.usage.completion_tokens == 0
    assert only.choices[0].logprobs.token_logprobs[1:] == pytest.approx(scores.token_logprobs[1:-1], abs=1e-3)


# ---- messages --------------------------------------------------------------------------------------

def test_a_message_answers_and_streams(claude):
    ask = CLAUDE | {"max_tokens": 16, "system": "Be brief.", "messages": CAPITAL}
    answer = claude.messages.create(**ask)
    assert answer.type == "message" and answer.role == "assistant" and answer.id.startswith("msg_")
    assert "Paris" in answer.content[0].text and answer.stop_reason in ("end_turn", "max_tokens")
    assert claude.messages.count_tokens(model="any", system="Be brief.", messages=CAPITAL).input_tokens == \
        answer.usage.input_tokens + answer.usage.cache_read_input_tokens
    events = []
    with claude.messages.stream(**ask) as stream:
        events = [event.type for event in stream]
        final = stream.get_final_message()
    assert events[0] == "message_start" and events[-1] == "message_stop"
    assert final.content[0].text == answer.content[0].text and final.stop_reason == answer.stop_reason
    assert final.usage.output_tokens == answer.usage.output_tokens
    assert final.usage.cache_read_input_tokens > 0, "the first call's prompt is there"


def test_cache_control_is_counted_as_written_and_then_as_read(claude):
    system = [{"type": "text", "text": STORY, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    ask = CLAUDE | {"max_tokens": 4, "system": system}
    first = claude.messages.create(**ask, messages=[{"role": "user", "content": "Who is it about?"}]).usage
    second = claude.messages.create(**ask, messages=[{"role": "user", "content": "Where does he live?"}]).usage
    written = first.cache_creation_input_tokens
    assert written > 150 and first.cache_read_input_tokens == 0
    assert first.cache_creation.ephemeral_1h_input_tokens == written
    assert first.cache_creation.ephemeral_5m_input_tokens == 0
    assert second.cache_read_input_tokens >= written and second.cache_creation_input_tokens == 0
    for usage in (first, second):
        assert 0 < usage.input_tokens < 40
    with pytest.raises(anthropic.BadRequestError, match="maximum of 4"):
        claude.messages.create(model="any", max_tokens=4, system=system * 5, messages=CAPITAL)


def test_a_forced_tool_is_used_whole_and_as_a_stream(claude):
    tool = {"name": "get_weather", "description": "The weather of a city", "input_schema": WEATHER,
            "cache_control": {"type": "ephemeral"}}
    ask = CLAUDE | {"max_tokens": 80, "tools": [tool],
           "tool_choice": {"type": "tool", "name": "get_weather"},
           "messages": [{"role": "user", "content": "What is the weather in Paris?"}]}
    answer = claude.messages.create(**ask)
    assert answer.stop_reason == "tool_use"
    use = next(block for block in answer.content if block.type == "tool_use")
    assert use.id.startswith("toolu_") and use.name == "get_weather" and set(use.input) == {"city"}
    with claude.messages.stream(**ask) as stream:
        streamed = next(block for block in stream.get_final_message().content if block.type == "tool_use")
    assert streamed.input == use.input and streamed.id != use.id
    turns = ask["messages"] + [
        {"role": "assistant", "content": [use.to_dict()]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "Sunny."}]}]
    told = claude.messages.create(**ask | {"messages": turns, "tool_choice": {"type": "none"}, "max_tokens": 16})
    assert told.stop_reason in ("end_turn", "max_tokens") and told.content[0].type == "text"


def test_stop_sequences_are_named(claude):
    ask = CLAUDE | {"max_tokens": 16, "messages": CAPITAL}
    word = claude.messages.create(**ask).content[0].text.split()[2]
    stopped = claude.messages.create(**ask, stop_sequences=["never", word])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", word)
    assert word not in stopped.content[0].text
    prefilled = claude.messages.create(**ask | {"messages": CAPITAL + [
        {"role": "assistant", "content": "The capital of France is"}]})
    assert "Paris" in prefilled.content[0].text


# ---- responses -------------------------------------------------------------------------------------

def test_a_response_answers_and_streams(client):
    ask = {"model": "any", "input": "Name the capital of France.", "temperature": 0, "max_output_tokens": 16}
    answer = client.responses.create(**ask, instructions="Be brief.")
    assert "Paris" in answer.output_text and answer.id.startswith("resp_")
    assert answer.status in ("completed", "incomplete") and answer.usage.output_tokens_details.reasoning_tokens == 0
    events = list(client.responses.create(**ask, instructions="Be brief.", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    types = [event.type for event in events]
    assert types[:4] == ["response.created", "response.in_progress", "response.output_item.added",
                         "response.content_part.added"]
    assert types[-1] == f"response.{answer.status}"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == answer.output_text
    assert events[-1].response.output_text == answer.output_text
    assert events[-1].response.usage.input_tokens_details.cached_tokens == answer.usage.input_tokens - 1
    with pytest.raises(openai.BadRequestError, match="not stored"):
        client.responses.create(**ask, previous_response_id=answer.id)


def test_a_response_calls_a_function_and_fits_a_schema(client):
    tool = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}
    ask = {"model": "any", "temperature": 0, "max_output_tokens": 80, "tools": [tool],
           "tool_choice": {"type": "function", "name": "get_weather"}}
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    answer = client.responses.create(**ask, input=question)
    call = next(item for item in answer.output if item.type == "function_call")
    assert call.name == "get_weather" and set(json.loads(call.arguments)) == {"city"}
    with client.responses.stream(**ask, input=question) as stream:
        final = stream.get_final_response()
    assert next(item for item in final.output if item.type == "function_call").arguments == call.arguments
    told = question + [call.to_dict(), {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny."}]
    assert client.responses.create(**ask | {"tool_choice": "none"}, input=told).output_text
    parsed = client.responses.parse(model="any", input="Invent a person, as JSON.", temperature=0,
                                    max_output_tokens=80, text_format=Person)
    assert isinstance(parsed.output_parsed, Person)


# ---- the rest --------------------------------------------------------------------------------------

def test_models_are_listed_by_both_clients(client, claude):
    name = client.models.list().data[0].id
    assert client.models.retrieve(name).id == name
    listed = claude.models.list().data[0]
    assert listed.id == name and claude.models.retrieve(name).lifecycle == "active" and listed.max_tokens > 0
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.models.retrieve("gpt-nobody")


def test_errors_raise_the_clients_own_types(engine, client, claude):
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model="any", messages=CAPITAL, temperature=-1)
    assert wrong.value.param == "temperature" and wrong.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError, match="maximum context length") as long:
        client.chat.completions.create(model="any", messages=CAPITAL, max_tokens=10_000_000)
    assert long.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="reads text only"):
        client.chat.completions.create(model="any", messages=[{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}])
    with pytest.raises(openai.NotFoundError, match="no embeddings"):
        client.embeddings.create(model="any", input="x")
    with pytest.raises(anthropic.BadRequestError, match="exceed context limit"):
        claude.messages.create(model="any", messages=CAPITAL, max_tokens=20_000)
    with pytest.raises(anthropic.BadRequestError, match="text only|reads text"):
        claude.messages.create(model="any", max_tokens=4, messages=[{"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}])
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="any", messages=CAPITAL, max_tokens=8,
                                       extra_body={"grammar": "root ::= ("})
    assert engine.client.get("/v1/messages").status_code == 405
