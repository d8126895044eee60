"""One answer of a model, whole or as a stream, in the four ways that providers write it: OpenAI's chat and its
Responses, Anthropic's Messages, Gemini's generateContent.

Every answer holds the number of the upstream call that made it, in its text and in its tool call's id, so that one
from the cache can be told from a fresh one.
"""

import dataclasses
import json
from typing import Any

from answers import (Reply, data_events, error_reply, json_reply, messages_events, named_events, pieces_of,
                     responses_events, stream_reply)


@dataclasses.dataclass(frozen=True)
class Text:
    """Words."""

    text: str


@dataclasses.dataclass(frozen=True)
class Call:
    """One tool to be called."""

    name: str
    arguments: dict[str, object]

    @property
    def json(self) -> str:
        return json.dumps(self.arguments, ensure_ascii=False)


Said = Text | Call
Json = dict[str, Any]

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
GEMINI = "/v1beta/models/"


def dialect_of(path: str) -> str:
    """Of the paths above the one that `path` is, else the empty text."""
    if path.startswith(GEMINI):
        return GEMINI if path.endswith(("generateContent", "streamGenerateContent")) else ""
    return path if path in (CHAT, RESPONSES, MESSAGES) else ""


def write(path: str, body: Json, tokens: int, number: int, said: Said) -> Reply:
    """`said` as the answer of call `number` to a request of `tokens`."""
    writers = {CHAT: chat, RESPONSES: responses, MESSAGES: messages, GEMINI: gemini}
    writer = writers.get(dialect_of(path))
    if writer is None:
        return error_reply(path, 404, f"no {path} here")
    return writer(path, body, tokens, number, said)


def chat(_path: str, body: Json, tokens: int, number: int, said: Said) -> Reply:
    common = {"id": f"chatcmpl-up{number}", "created": 1_700_000_000 + number, "model": body.get("model", "m")}
    usage = {"prompt_tokens": tokens, "completion_tokens": 20, "total_tokens": tokens + 20,
             "prompt_tokens_details": {"cached_tokens": 0}}
    message: Json = {"role": "assistant", "content": None}
    if isinstance(said, Text):
        message["content"] = said.text
    else:
        message["tool_calls"] = [{"id": f"call_up{number}", "type": "function",
                                  "function": {"name": said.name, "arguments": said.json}}]
    finish = "stop" if isinstance(said, Text) else "tool_calls"
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return json_reply({**common, "object": "chat.completion", "choices": [choice], "usage": usage})

    def event(delta: Json, finish_reason: str | None = None) -> Json:
        return {**common, "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]}

    if isinstance(said, Text):
        events = [event({"role": "assistant", "content": ""})]
        events += [event({"content": piece}) for piece in pieces_of(said.text)]
    else:
        call = message["tool_calls"][0]
        begun = {"index": 0, **call, "function": {"name": said.name, "arguments": ""}}
        events = [event({"role": "assistant", "content": None, "tool_calls": [begun]})]
        events += [event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
                   for piece in pieces_of(said.json)]
    events.append(event({}, finish))
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append({**common, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    return stream_reply(data_events(events, done=True))


def responses(_path: str, body: Json, tokens: int, number: int, said: Said) -> Reply:
    usage = {"input_tokens": tokens, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 20,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": tokens + 20}
    base = {"id": f"resp_up{number}", "object": "response", "created_at": 1_700_000_000 + number,
            "model": body.get("model", "m"), "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
            "error": None, "incomplete_details": None, "instructions": None, "metadata": {}}
    if isinstance(said, Text):
        part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        item = {"type": "message", "id": f"msg_up{number}", "role": "assistant", "status": "completed",
                "content": [part]}
    else:
        item = {"type": "function_call", "id": f"fc_up{number}", "call_id": f"call_up{number}", "name": said.name,
                "arguments": said.json, "status": "completed"}
    whole = {**base, "status": "completed", "output": [item], "usage": usage}
    if not body.get("stream"):
        return json_reply(whole)
    return stream_reply(named_events(responses_events(base, item, whole)))


def messages(_path: str, body: Json, tokens: int, number: int, said: Said) -> Reply:
    if isinstance(said, Text):
        block: Json = {"type": "text", "text": said.text}
    else:
        block = {"type": "tool_use", "id": f"toolu_up{number}", "name": said.name, "input": said.arguments}
    usage = {"input_tokens": tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
             "output_tokens": 20}
    whole = {"id": f"msg_up{number}", "type": "message", "role": "assistant", "model": body.get("model", "m"),
             "content": [block], "stop_reason": "end_turn" if isinstance(said, Text) else "tool_use",
             "stop_sequence": None, "usage": usage}
    return stream_reply(named_events(messages_events(whole))) if body.get("stream") else json_reply(whole)


def gemini(path: str, _body: Json, tokens: int, number: int, said: Said) -> Reply:
    usage = {"promptTokenCount": tokens, "candidatesTokenCount": 20, "totalTokenCount": tokens + 20}
    common = {"modelVersion": path.removeprefix(GEMINI).split(":")[0], "responseId": f"resp-up{number}"}

    def chunk(parts: list[Json], **more: str) -> Json:
        return {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, **more}],
                "usageMetadata": usage, **common}

    if isinstance(said, Call):
        call = {"functionCall": {"name": said.name, "args": said.arguments}}  # no id: the agent makes one
        chunks = [chunk([call], finishReason="STOP")]
    else:
        chunks = [chunk([{"text": piece}]) for piece in pieces_of(said.text)]
        chunks.append(chunk([{"text": ""}], finishReason="STOP"))
    if path.endswith("streamGenerateContent"):
        return stream_reply(data_events(chunks))
    return json_reply(chunk([call] if isinstance(said, Call) else [{"text": said.text}], finishReason="STOP"))
