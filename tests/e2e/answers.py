"""What the scripted upstream says: JSON and event streams of the OpenAI and Anthropic dialects.

Every answer holds the number of the call that made it, in its id and in its text, so that a cached one can be told
from a fresh one. The shapes follow the providers' API references (October 2026).
"""

import base64
import dataclasses
import hashlib
import json
import struct


@dataclasses.dataclass
class Reply:
    """One answer: either a whole body, or the chunks of an event stream."""

    status: int = 200
    content_type: str = "application/json"
    body: bytes = b""
    chunks: list = None  # of a stream; sent with chunked coding
    headers: list = dataclasses.field(default_factory=list)


class Worded(int):
    """The number of a call whose words are given."""

    text = ""


def text_of(number):
    """The words of call `number`; beyond ASCII, with quotes and line breaks, as real answers are."""
    if isinstance(number, Worded):
        return number.text
    return f"Answer {number}: “Grüße” from 東京 🌍.\n\tIt says \"{number}\" \\ and nothing else."


def pieces_of(text, count=5):
    """The text as a stream's deltas."""
    step = max(1, -(-len(text) // count))
    return [text[at:at + step] for at in range(0, len(text), step)]


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def json_reply(value, status=200, headers=()):
    return Reply(status=status, body=dump(value), headers=list(headers))


def data_events(values, done=False):
    """Events without a name, as chat and completions have them; `done` adds the closing [DONE]."""
    chunks = [b"data: " + dump(value) + b"\n\n" for value in values]
    return chunks + ([b"data: [DONE]\n\n"] if done else [])


def named_events(values):
    """Events named by their type, as Responses and Messages have them."""
    return [b"event: " + value["type"].encode() + b"\ndata: " + dump(value) + b"\n\n" for value in values]


def stream_reply(chunks):
    return Reply(content_type="text/event-stream; charset=utf-8", chunks=chunks)


def wants_tool(body):
    """A tool is called unless the last message already brings a tool's result."""
    if not body.get("tools"):
        return False
    turns = body.get("messages", body.get("input"))
    last = turns[-1] if isinstance(turns, list) and turns else {}
    if last.get("role") == "tool" or last.get("type") == "function_call_output":
        return False
    content = last.get("content")
    return not (isinstance(content, list) and any(part.get("type") == "tool_result" for part in content))


def tool_name(body):
    tool = body["tools"][0]
    return tool.get("name") or tool["function"]["name"]


def arguments_of(number):
    return json.dumps({"city": f"Zürich {number}", "days": 2}, ensure_ascii=False)


# ---- OpenAI chat and completions -----------------------------------------------------------------

def chat_usage(raw, number):
    prompt, completion = len(raw) // 4 + 1, 10 + number
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0}}


def chat(body, raw, number):
    common = {"id": f"chatcmpl-up{number}", "created": 1_700_000_000 + number, "model": body.get("model", "m"),
              "system_fingerprint": "fp_scripted"}
    if body.get("stream"):
        return chat_stream(body, raw, number, common)
    choices = []
    for index in range(body.get("n", 1)):
        message = {"role": "assistant", "content": text_of(number), "refusal": None, "annotations": []}
        if wants_tool(body):
            message |= {"content": None, "tool_calls": [
                {"id": f"call_up{number}", "type": "function",
                 "function": {"name": tool_name(body), "arguments": arguments_of(number)}}]}
        choices.append({"index": index, "message": message, "logprobs": None,
                        "finish_reason": "tool_calls" if wants_tool(body) else "stop"})
    return json_reply({**common, "object": "chat.completion", "choices": choices, "usage": chat_usage(raw, number)})


def chat_stream(body, raw, number, common):
    with_usage = (body.get("stream_options") or {}).get("include_usage", False)

    def event(delta, finish=None):
        value = {**common, "object": "chat.completion.chunk",
                 "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}
        return value | ({"usage": None} if with_usage else {})

    if wants_tool(body):
        call = {"index": 0, "id": f"call_up{number}", "type": "function",
                "function": {"name": tool_name(body), "arguments": ""}}
        events = [event({"role": "assistant", "content": None, "tool_calls": [call]})]
        events += [event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
                   for piece in pieces_of(arguments_of(number))]
        events.append(event({}, "tool_calls"))
    else:
        events = [event({"role": "assistant", "content": "", "refusal": None})]
        events += [event({"content": piece}) for piece in pieces_of(text_of(number))]
        events.append(event({}, "stop"))
    if with_usage:
        events.append({**common, "object": "chat.completion.chunk", "choices": [], "usage": chat_usage(raw, number)})
    return stream_reply(data_events(events, done=True))


def completions(body, raw, number):
    common = {"id": f"cmpl-up{number}", "object": "text_completion", "created": 1_700_000_000 + number,
              "model": body.get("model", "m")}

    def choice(text, finish):
        return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}

    if not body.get("stream"):
        return json_reply({**common, "choices": [choice(text_of(number), "stop")], "usage": chat_usage(raw, number)})
    events = [{**common, "choices": [choice(piece, None)]} for piece in pieces_of(text_of(number))]
    events.append({**common, "choices": [choice("", "stop")]})
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append({**common, "choices": [], "usage": chat_usage(raw, number)})
    return stream_reply(data_events(events, done=True))


def embeddings(body, raw, number):
    texts = body.get("input", "")
    count = len(texts) if isinstance(texts, list) and texts and not isinstance(texts[0], int) else 1
    data = []
    for index in range(count):
        vector = [float(number), float(index), 0.25, -1.5]
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack("<4f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = len(raw) // 4 + 1
    return json_reply({"object": "list", "data": data, "model": body.get("model", "e"),
                       "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})


def completion(text, model="m"):
    """The body of a whole chat answer that says `text`."""
    return dump({"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]})


# ---- OpenAI Responses ----------------------------------------------------------------------------

def responses(body, raw, number):
    tokens = len(raw) // 4 + 1
    usage = {"input_tokens": tokens, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 10 + number,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": tokens + 10 + number}
    base = {"id": f"resp_up{number}", "object": "response", "created_at": 1_700_000_000 + number,
            "model": body.get("model", "m"), "parallel_tool_calls": True, "tool_choice": "auto",
            "tools": body.get("tools", []), "error": None, "incomplete_details": None, "instructions": None,
            "metadata": {}, "temperature": 1.0, "top_p": 1.0}
    if wants_tool(body):
        item = {"type": "function_call", "id": f"fc_up{number}", "call_id": f"call_up{number}",
                "name": tool_name(body), "arguments": arguments_of(number), "status": "completed"}
    else:
        part = {"type": "output_text", "text": text_of(number), "annotations": [], "logprobs": []}
        item = {"type": "message", "id": f"msg_up{number}", "role": "assistant", "status": "completed",
                "content": [part]}
    whole = {**base, "status": "completed", "output": [item], "usage": usage}
    if not body.get("stream"):
        return json_reply(whole)
    return stream_reply(named_events(responses_events(base, item, whole)))


def responses_events(base, item, whole):
    started = {**base, "status": "in_progress", "output": [], "usage": None}
    where = {"item_id": item["id"], "output_index": 0}
    events = [{"type": "response.created", "response": started},
              {"type": "response.in_progress", "response": started}]
    if item["type"] == "function_call":
        empty = {**item, "arguments": "", "status": "in_progress"}
        events.append({"type": "response.output_item.added", "output_index": 0, "item": empty})
        events += [{"type": "response.function_call_arguments.delta", **where, "delta": piece}
                   for piece in pieces_of(item["arguments"])]
        events.append({"type": "response.function_call_arguments.done", **where, "name": item["name"],
                       "arguments": item["arguments"]})
    else:
        part = item["content"][0]
        where["content_index"] = 0
        events.append({"type": "response.output_item.added", "output_index": 0,
                       "item": {**item, "content": [], "status": "in_progress"}})
        events.append({"type": "response.content_part.added", **where, "part": {**part, "text": ""}})
        events += [{"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []}
                   for piece in pieces_of(part["text"])]
        events.append({"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []})
        events.append({"type": "response.content_part.done", **where, "part": part})
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    events.append({"type": "response.completed", "response": whole})
    return [{**event, "sequence_number": index} for index, event in enumerate(events)]


# ---- Anthropic -----------------------------------------------------------------------------------

def messages(body, raw, number):
    content = []
    if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        signature = base64.b64encode(hashlib.sha256(str(number).encode()).digest()).decode()
        content.append({"type": "thinking", "thinking": f"I think of {number}.", "signature": signature})
    if wants_tool(body):
        content.append({"type": "tool_use", "id": f"toolu_up{number}", "name": tool_name(body),
                        "input": json.loads(arguments_of(number))})
    else:
        content.append({"type": "text", "text": text_of(number)})
    usage = {"input_tokens": len(raw) // 4 + 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
             "output_tokens": 10 + number}
    whole = {"id": f"msg_up{number}", "type": "message", "role": "assistant", "model": body.get("model", "m"),
             "content": content, "stop_reason": "tool_use" if wants_tool(body) else "end_turn",
             "stop_sequence": None, "usage": usage}
    if not body.get("stream"):
        return json_reply(whole)
    return stream_reply(named_events(messages_events(whole)))


def messages_events(whole):
    usage = whole["usage"]
    events = [{"type": "message_start", "message": {**whole, "content": [], "stop_reason": None,
                                                    "usage": {**usage, "output_tokens": 1}}}]
    for index, block in enumerate(whole["content"]):
        events.append({"type": "content_block_start", "index": index, "content_block": empty_block(block)})
        if index == 0:
            events.append({"type": "ping"})
        events += [{"type": "content_block_delta", "index": index, "delta": delta}
                   for delta in deltas_of(block)]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta",
                   "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None},
                   "usage": {"output_tokens": usage["output_tokens"]}})
    events.append({"type": "message_stop"})
    return events


def empty_block(block):
    return block | {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""},
                    "tool_use": {"input": {}}}[block["type"]]


def deltas_of(block):
    if block["type"] == "text":
        return [{"type": "text_delta", "text": piece} for piece in pieces_of(block["text"])]
    if block["type"] == "tool_use":
        arguments = json.dumps(block["input"], ensure_ascii=False)
        return [{"type": "input_json_delta", "partial_json": piece} for piece in pieces_of(arguments)]
    return [{"type": "thinking_delta", "thinking": piece} for piece in pieces_of(block["thinking"], 2)] + [
        {"type": "signature_delta", "signature": block["signature"]}]


# ---- Gemini --------------------------------------------------------------------------------------

def gemini_document(number, text, **candidate):
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **candidate}],
            "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 2}, "modelVersion": "gemini-2.5-pro",
            "responseId": f"gemini-up{number}"}


def gemini(target, number):
    text = text_of(number)
    if "streamGenerateContent" in target:
        pieces = [gemini_document(number, piece) for piece in pieces_of(text)]
        return stream_reply(data_events([*pieces, gemini_document(number, "", finishReason="STOP")]))
    return json_reply(gemini_document(number, text, finishReason="STOP"))


# ---- the table -----------------------------------------------------------------------------------

ENDPOINTS = {"/v1/chat/completions": chat, "/v1/completions": completions, "/v1/embeddings": embeddings,
             "/v1/responses": responses, "/v1/messages": messages,
             "/v1/messages/count_tokens": lambda body, raw, number: json_reply({"input_tokens": 1000 + number})}


def error_reply(path, status, message="scripted failure", headers=()):
    """A failure as the provider of that path words it."""
    kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error",
             429: "rate_limit_error", 529: "overloaded_error"}
    kind = kinds.get(status, "api_error")
    if path.startswith("/v1/messages"):
        return json_reply({"type": "error", "error": {"type": kind, "message": message}}, status, headers)
    return json_reply({"error": {"message": message, "type": kind, "param": None, "code": None}}, status, headers)


def answer(method, target, raw, number):
    """The answer of call `number` to a request."""
    path = target.split("?")[0]
    if method == "GET" and path == "/v1/models":
        models = [{"id": name, "object": "model", "created": 1, "owned_by": "scripted"}
                  for name in ("m", f"m{number}")]
        return json_reply({"object": "list", "data": models})
    if method == "POST" and path.endswith((":generateContent", ":streamGenerateContent")):
        return gemini(target, number)
    if method == "POST" and path in ENDPOINTS:
        return ENDPOINTS[path](json.loads(raw), raw, number)
    if method in ("POST", "PUT"):
        digest = hashlib.sha256(raw).hexdigest()
        return json_reply({"id": f"file-up{number}", "object": "file", "bytes": len(raw), "sha256": digest})
    return error_reply(path, 404, f"no {method} {path} here")
