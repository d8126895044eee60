"""Forms of answers: what one form holds is not lost in the other, however the provider cuts, spells or extends it."""

import json

import pytest

from answers import text_of
from harness import CacheStatus, chat_body, is_hit, messages_body, responses_body, sse_events

CHUNK = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
WHOLE = {"id": "x", "object": "chat.completion", "created": 1, "model": "m",
         "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}
STREAM = chat_body(stream=True, stream_options={"include_usage": True})


def chunk(delta, finish=None, index=0, **more):
    return CHUNK | {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]} | more


def sse(values, line="data: {}\n\n"):
    return [line.format(json.dumps(value, ensure_ascii=False)).encode() for value in values]


USAGE = CHUNK | {"choices": [], "usage": WHOLE["usage"]}
DONE = b"data: [DONE]\n\n"


def data_of(answer):
    """The JSON of each event of a chat stream, which must end with [DONE]."""
    events = sse_events(answer.content)
    assert events[-1][1] == "[DONE]"
    return [json.loads(data) for _, data in events[:-1]]


def gathered(events, field, index=0):
    """What the deltas of one choice add up to."""
    deltas = [choice["delta"] for event in events for choice in event["choices"] if choice["index"] == index]
    return "".join(delta.get(field) or "" for delta in deltas)


# ---- how a stream may be cut and spelled ---------------------------------------------------------

TEXT = text_of(1)
EVENTS = [chunk({"role": "assistant", "content": ""}), *[chunk({"content": char}) for char in TEXT],
          chunk({}, "stop"), USAGE]
PLAIN = b"".join(sse(EVENTS)) + DONE
SPELLINGS = {
    "seven_bytes_each": [PLAIN[at:at + 7] for at in range(0, len(PLAIN), 7)],
    "at_once": [PLAIN],
    "crlf": [PLAIN.replace(b"\n", b"\r\n")],
    "no_space": [PLAIN.replace(b"data: ", b"data:")],
    "comments": [b": PROCESSING\n\n", *[b": ping\n\n" + event for event in sse(EVENTS)], DONE],
    "other_fields": [b"retry: 3000\nid: 1\n" + event for event in sse(EVENTS)] + [DONE],
    "several_lines": [b"data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\n"
                      b"data: \"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                      + json.dumps(TEXT).encode() + b"},\"finish_reason\":null}]}\n\n"]
    + sse([chunk({}, "stop"), USAGE]) + [DONE],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_stream_is_read_however_it_is_cut_and_spelled(gateway, upstream, spelling):
    sent = SPELLINGS[spelling]
    upstream.fail(chunks=sent)
    first = gateway.chat(STREAM)
    assert first.content == b"".join(sent)
    again = gateway.chat(STREAM)
    assert is_hit(again) and again.content == first.content
    whole = gateway.chat()
    assert is_hit(whole) and whole.json()["choices"][0]["message"]["content"] == TEXT
    assert whole.json()["usage"]["total_tokens"] == 7
    assert upstream.count == 1


# ---- what providers add --------------------------------------------------------------------------

MESSAGES = {
    "reasoning": {"role": "assistant", "content": "Yes", "reasoning_content": "Let me think."},
    "refusal": {"role": "assistant", "content": None, "refusal": "I cannot."},
    "two_calls": {"role": "assistant", "content": "Both:", "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
    "unknown": {"role": "assistant", "content": "Yes", "invented_next_year": {"deep": [1, "ü"]}},
    "annotations": {"role": "assistant", "content": "See", "annotations": [
        {"type": "url_citation", "url_citation": {"url": "https://example.test", "title": "t", "start_index": 0,
                                                  "end_index": 3}}]},
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_stream_made_from_a_whole_answer_loses_nothing(gateway, upstream, kind):
    """It holds every field of the message, or the upstream is asked: never a hit with less."""
    message = MESSAGES[kind]
    stored = WHOLE | {"choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]}
    upstream.fail(body=json.dumps(stored).encode())
    gateway.chat()
    answer = gateway.chat(STREAM)
    if not is_hit(answer):
        return
    events = data_of(answer)
    for field, value in message.items():
        if isinstance(value, str):
            assert gathered(events, field) == value, field
        elif value is not None:
            deltas = [choice["delta"] for event in events for choice in event["choices"]]
            assert any(field in delta for delta in deltas), f"{field} is lost"
    assert [calls_of(events)[i]["function"]["arguments"] for i in range(len(message.get("tool_calls", [])))] == [
        call["function"]["arguments"] for call in message.get("tool_calls", [])]
    assert events[-1]["usage"] == WHOLE["usage"]


def calls_of(events):
    """Tool calls by their index, arguments put together."""
    calls = {}
    for event in events:
        for choice in event["choices"]:
            for part in choice["delta"].get("tool_calls") or []:
                call = calls.setdefault(part["index"], {"function": {"name": "", "arguments": ""}})
                call["id"] = part.get("id") or call.get("id")
                for field in ("name", "arguments"):
                    call["function"][field] += (part.get("function") or {}).get(field) or ""
    return calls


def test_a_whole_answer_made_from_a_stream_loses_nothing(gateway, upstream):
    calls = [{"index": 1, "id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{"}},
             {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\""}},
             {"index": 1, "function": {"arguments": "}"}}, {"index": 0, "function": {"arguments": ":1}"}}]
    events = [chunk({"role": "assistant", "reasoning_content": "Let me "}), chunk({"reasoning_content": "think."}),
              chunk({"content": "Bo"}), chunk({"content": "th:"}), *[chunk({"tool_calls": [call]}) for call in calls],
              chunk({}, "tool_calls"), USAGE]
    upstream.fail(chunks=sse(events) + [DONE])
    gateway.chat(STREAM)
    answer = gateway.chat()
    if not is_hit(answer):
        return
    choice = answer.json()["choices"][0]
    message = choice["message"]
    assert (message["content"], message["reasoning_content"]) == ("Both:", "Let me think.")
    assert [(c["id"], c["function"]) for c in message["tool_calls"]] == [
        ("call_1", {"name": "f", "arguments": '{"a":1}'}), ("call_2", {"name": "g", "arguments": "{}"})]
    assert all("index" not in call for call in message["tool_calls"])
    assert choice["finish_reason"] == "tool_calls"
    assert answer.json()["usage"] == WHOLE["usage"]


def test_several_choices_stay_apart(gateway, upstream):
    events = [chunk({"role": "assistant", "content": text}, index=index) for index, text in ((1, "b"), (0, "a"))]
    events += [chunk({"content": text}, index=index) for index, text in ((0, "A"), (1, "B"))]
    events += [chunk({}, "stop", index=0), chunk({}, "length", index=1), USAGE]
    upstream.fail(chunks=sse(events) + [DONE])
    gateway.chat(STREAM | {"n": 2})
    answer = gateway.chat(chat_body(n=2))
    if is_hit(answer):
        choices = answer.json()["choices"]
        assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in choices] == [
            (0, "aA", "stop"), (1, "bB", "length")]


def test_several_choices_of_a_whole_answer_are_all_streamed(gateway, upstream):
    gateway.chat(chat_body(n=3))
    answer = gateway.chat(STREAM | {"n": 3})
    if is_hit(answer):
        events = data_of(answer)
        assert [gathered(events, "content", index) for index in range(3)] == [text_of(1)] * 3


def test_one_choice_of_several_that_is_not_finished_is_not_whole(gateway, upstream):
    events = [chunk({"content": "a"}, index=0), chunk({"content": "b"}, index=1), chunk({}, "stop", index=0)]
    upstream.fail(chunks=sse(events))
    gateway.chat(STREAM | {"n": 2})
    assert gateway.entries() == 0


# ---- sizes ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [60_000, 70_000, 1_000_000, 7_000_000])
@pytest.mark.parametrize("stream", [False, True])
def test_the_very_next_request_is_a_hit_at_every_size(gateway, upstream, size, stream):
    text = "z" * size
    if stream:
        pieces = [chunk({"content": text[at:at + 5000]}) for at in range(0, size, 5000)]
        upstream.fail(chunks=sse([*pieces, chunk({}, "stop"), USAGE]) + [DONE])
    else:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        upstream.fail(body=json.dumps(WHOLE | {"choices": [choice]}).encode())
    first, second = gateway.chat(STREAM if stream else None), gateway.chat(STREAM if stream else None)
    assert is_hit(second) and second.content == first.content
    other = gateway.chat(None if stream else STREAM)
    assert is_hit(other)
    came = other.json()["choices"][0]["message"]["content"] if stream else gathered(data_of(other), "content")
    assert came == text


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_too_large_to_keep_is_passed_on_whole(gateway, upstream, stream):
    text = "z" * 12_000_000
    if stream:
        sent = sse([chunk({"content": text[at:at + 50_000]}) for at in range(0, len(text), 50_000)])
        sent += sse([chunk({}, "stop")]) + [DONE]
        upstream.fail(chunks=sent)
        assert gateway.chat(STREAM).content == b"".join(sent)
    else:
        body = json.dumps({"id": "x", "choices": [], "x": text}).encode()
        upstream.fail(body=body)
        assert gateway.chat().content == body
    assert gateway.entries() == 0


# ---- other framings ------------------------------------------------------------------------------

def test_an_interim_answer_is_skipped(gateway, upstream):
    upstream.fail(before=b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
    assert gateway.chat().json()["choices"][0]["message"]["content"] == text_of(1)
    assert is_hit(gateway.chat())


def test_an_encoded_answer_is_passed_on_and_not_kept(gateway, upstream):
    upstream.fail(body=b"\x1f\x8b\x08\x00 not really gzip", headers=(("Content-Encoding", "x-test"),))
    answer = gateway.chat()
    assert answer.headers["content-encoding"] == "x-test" and not CacheStatus(answer).stored
    assert gateway.entries() == 0


def test_a_body_that_ends_with_the_connection_is_kept_only_when_whole(gateway, upstream):
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    body = json.dumps(WHOLE | {"choices": [choice]}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    upstream.fail(raw=head + body[:-10])
    gateway.chat()
    assert gateway.entries() == 0
    upstream.fail(raw=head + body)
    assert gateway.chat().content == body
    assert upstream.count == 2


@pytest.mark.parametrize("path, body", [("/v1/responses", responses_body()), ("/v1/messages", messages_body())],
                         ids=["responses", "messages"])
@pytest.mark.parametrize("stop", ["incomplete", "failed"])
def test_an_answer_that_the_provider_calls_unfinished_is_told_as_such(gateway, upstream, path, body, stop):
    """A failed one is never kept; one that ran into its own max_tokens is whole, and may be."""
    if path == "/v1/messages":
        sent = {"id": "msg_x", "type": "message", "role": "assistant", "model": "m", "content": [],
                "stop_reason": None if stop == "failed" else "max_tokens", "usage": {"input_tokens": 1,
                                                                                     "output_tokens": 1}}
    else:
        sent = {"id": "resp_x", "object": "response", "created_at": 1, "model": "m", "status": stop, "output": [],
                "error": {"code": "server_error", "message": "x"} if stop == "failed" else None,
                "incomplete_details": {"reason": "max_output_tokens"} if stop == "incomplete" else None}
    upstream.fail(body=json.dumps(sent).encode())
    assert gateway.post(path, body).json() == sent
    if stop == "failed":
        assert gateway.entries() == 0
