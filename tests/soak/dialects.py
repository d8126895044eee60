"""One conversation in each dialect of the data plane, what is essential in a request, and what an answer says. The
upstream and the clients both use this, so that each can tell whether an answer belongs to a request."""

import dataclasses
import hashlib
import json
import random
from typing import Any

from harness import sse_events

CHATS = ("chat", "messages", "responses", "gemini")
STREAMED = (*CHATS, "completions")
PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "embeddings": "/v1/embeddings",
    "completions": "/v1/completions",
    "files": "/v1/files",
    "models": "/v1/models",
}
GEMINI = "/v1beta/models/gemini-2.5-pro:"


@dataclasses.dataclass(frozen=True)
class Turn:
    role: str  # user, assistant, tool
    text: str
    call: tuple[str, dict[str, Any]] | None = None  # of an assistant: a tool's name and arguments


@dataclasses.dataclass(frozen=True)
class Conversation:
    model: str
    turns: tuple[Turn, ...]
    system: str = ""
    tools: tuple[str, ...] = ()
    max_tokens: int = 300
    temperature: float = 0


def render(dialect: str, what: Conversation, stream: bool, draw: random.Random) -> tuple[str, dict[str, Any]]:
    """The path and the body of a request."""
    if dialect == "gemini":
        return GEMINI + ("streamGenerateContent?alt=sse" if stream else "generateContent"), render_gemini(what)
    path = PATHS[dialect]
    text = what.turns[-1].text if what.turns else ""
    if dialect in ("embeddings", "completions", "files", "models"):
        field = {"embeddings": "input", "completions": "prompt"}.get(dialect, "content")
        body: dict[str, Any] = {"model": what.model, field: text}
        return path, body | ({"stream": True} if stream else {})
    body = {"chat": render_chat, "messages": render_messages, "responses": render_responses}[dialect](what)
    body |= {"model": what.model, "temperature": what.temperature}
    if stream:
        body["stream"] = True
        if dialect == "chat" and draw.random() < 0.5:
            body["stream_options"] = {"include_usage": True}
    return path, body


def schema(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"path": {"type": "string", "description": f"what {name} works on"}}}


def render_chat(what: Conversation) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": what.system}] if what.system else []
    for index, turn in enumerate(what.turns):
        if turn.role == "tool":
            messages.append({"role": "tool", "tool_call_id": f"call_{index - 1}", "content": turn.text})
            continue
        messages.append({"role": turn.role, "content": turn.text})
        if turn.call:
            messages[-1]["tool_calls"] = [
                {
                    "id": f"call_{index}",
                    "type": "function",
                    "function": {"name": turn.call[0], "arguments": json.dumps(turn.call[1])},
                }
            ]
    tools = [{"type": "function", "function": {"name": name, "parameters": schema(name)}} for name in what.tools]
    return {"messages": messages, "max_tokens": what.max_tokens} | ({"tools": tools} if tools else {})


def render_messages(what: Conversation) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for index, turn in enumerate(what.turns):
        if turn.role == "tool":
            messages.append(
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": f"toolu_{index - 1}", "content": turn.text}],
                }
            )
        elif turn.call:
            messages.append(
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": turn.text},
                        {"type": "tool_use", "id": f"toolu_{index}", "name": turn.call[0], "input": turn.call[1]},
                    ],
                }
            )
        else:
            messages.append({"role": turn.role, "content": turn.text})
    tools = [{"name": name, "input_schema": schema(name)} for name in what.tools]
    return (
        {"messages": messages, "max_tokens": what.max_tokens}
        | ({"tools": tools} if tools else {})
        | ({"system": what.system} if what.system else {})
    )


def render_responses(what: Conversation) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    for index, turn in enumerate(what.turns):
        if turn.role == "tool":
            items.append({"type": "function_call_output", "call_id": f"call_{index - 1}", "output": turn.text})
            continue
        items.append({"role": turn.role, "content": turn.text})
        if turn.call:
            items.append(
                {
                    "type": "function_call",
                    "call_id": f"call_{index}",
                    "name": turn.call[0],
                    "arguments": json.dumps(turn.call[1]),
                }
            )
    tools = [{"type": "function", "name": name, "parameters": schema(name)} for name in what.tools]
    return (
        {"input": items, "max_output_tokens": what.max_tokens}
        | ({"tools": tools} if tools else {})
        | ({"instructions": what.system} if what.system else {})
    )


def render_gemini(what: Conversation) -> dict[str, Any]:
    contents = [
        {"role": "model" if turn.role == "assistant" else "user", "parts": [{"text": turn.text}]}
        for turn in what.turns
    ]
    body: dict[str, Any] = {"contents": contents, "generationConfig": {"temperature": what.temperature}}
    return body | ({"systemInstruction": {"parts": [{"text": what.system}]}} if what.system else {})


# ---- what is essential in a request --------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Essence:
    context: str  # hash of all but the last user turn's text
    question: str  # that text, or its hash when it is long; "" when a tool's result is last


def dialect_of(target: str) -> str:
    path = target.split("?")[0]
    if path.startswith(GEMINI):
        return "gemini"
    return next((name for name, known in PATHS.items() if known == path), "files")


def text_in(content: Any) -> str:
    if isinstance(content, list):
        return "".join(text_in(part.get("text", part.get("content", ""))) for part in content)
    return content if isinstance(content, str) else ""


def calls_in(item: dict[str, Any]) -> list[Any]:
    """Calls and results of a turn, without the ids that link them."""
    found = [
        (call["function"]["name"], json.loads(call["function"]["arguments"])) for call in item.get("tool_calls", ())
    ]
    if item.get("type") == "function_call":
        found.append((item["name"], json.loads(item["arguments"])))
    if isinstance(item.get("content"), list):
        found += [(part["name"], part["input"]) for part in item["content"] if part.get("type") == "tool_use"]
        found += ["result" for part in item["content"] if part.get("type") == "tool_result"]
    return found


def essence(target: str, body: dict[str, Any]) -> Essence:
    """Equal for requests that ask the same, however they are spelled, ordered or marked for a prompt cache."""
    dialect = dialect_of(target)
    items = body.get(
        "messages", body.get("input", body.get("contents", body.get("prompt", body.get("content", ""))))
    )
    if not isinstance(items, list):
        items = [{"role": "user", "content": items}]
    turns = [
        [
            item.get("role", item.get("type")),
            text_in(item.get("content", item.get("parts", item.get("output", "")))),
            calls_in(item),
        ]
        for item in items
    ]
    system = text_in(body.get("system", body.get("instructions", ""))) + text_in(
        body.get("systemInstruction", {}).get("parts", "")
    )
    tools = sorted(json.dumps(tool, sort_keys=True) for tool in map(without_marks, body.get("tools", ())))
    asked = turns[-1][1] if turns and turns[-1][0] == "user" and not turns[-1][2] else ""
    if asked:
        turns[-1][1] = ""
    rest = [
        dialect,
        body.get("model"),
        system,
        turns,
        tools,
        body.get("temperature"),
        body.get("max_tokens"),
        body.get("max_output_tokens"),
        body.get("generationConfig"),
    ]
    return Essence(digest(json.dumps(rest, sort_keys=True)), asked if len(asked) < 100 else digest(asked))


def without_marks(tool: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tool.items() if name != "cache_control"}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# ---- what an answer says -------------------------------------------------------------------------


class Torn(Exception):
    """An answer that is not whole, or not what its dialect calls one."""


@dataclasses.dataclass(frozen=True)
class Said:
    id: str
    text: str  # of a call: its arguments


def read_answer(dialect: str, stream: bool, body: bytes) -> Said:
    """What a whole answer says, read strictly; Torn when it is not whole."""
    try:
        if stream:
            return READ_STREAM[dialect](sse_events(body))
        return READ_WHOLE[dialect](json.loads(body))
    except (AssertionError, KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise Torn(
            f"{dialect}, {'stream' if stream else 'whole'}: {type(error).__name__} {error}: "
            f"{body[:300]!r} … {body[-200:]!r}"
        ) from error


def need(condition: object, what: str) -> None:
    if not condition:
        raise ValueError(what)


def chat_whole(value: dict[str, Any]) -> Said:
    need(value["object"] == "chat.completion" and value["choices"][0]["finish_reason"], "no finish_reason")
    message = value["choices"][0]["message"]
    calls = message.get("tool_calls")
    return Said(value["id"], calls[0]["function"]["arguments"] if calls else message["content"])


def chat_stream(events: list[Any]) -> Said:
    need(events[-1] == (None, "[DONE]"), "no [DONE]")
    values = [json.loads(data) for _, data in events[:-1]]
    need(len({value["id"] for value in values}) == 1, "several ids")
    choices = [value["choices"][0] for value in values if value["choices"]]
    need(choices[-1]["finish_reason"], "no finish_reason")
    deltas = [choice["delta"] for choice in choices]
    arguments = "".join(
        call["function"].get("arguments", "") for delta in deltas for call in delta.get("tool_calls", ())
    )
    return Said(values[0]["id"], arguments or "".join(delta.get("content") or "" for delta in deltas))


def messages_whole(value: dict[str, Any]) -> Said:
    need(value["type"] == "message" and value["stop_reason"], "no stop_reason")
    block = value["content"][-1]
    return Said(value["id"], json.dumps(block["input"]) if block["type"] == "tool_use" else block["text"])


def messages_stream(events: list[Any]) -> Said:
    values = [json.loads(data) for name, data in events]
    need(
        all(name == value["type"] for (name, _), value in zip(events, values, strict=True)),
        "an event with another's name",
    )
    need(values[0]["type"] == "message_start" and values[-1]["type"] == "message_stop", "not from start to stop")
    deltas = [value["delta"] for value in values if value["type"] == "content_block_delta"]
    return Said(values[0]["message"]["id"], "".join(d.get("text", "") + d.get("partial_json", "") for d in deltas))


def responses_whole(value: dict[str, Any]) -> Said:
    need(value["status"] == "completed", "not completed")
    item = value["output"][-1]
    return Said(value["id"], item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"])


def responses_stream(events: list[Any]) -> Said:
    values = [json.loads(data) for _, data in events]
    need([value["sequence_number"] for value in values] == list(range(len(values))), "sequence numbers")
    need(values[-1]["type"] == "response.completed", "no response.completed")
    said = responses_whole(values[-1]["response"])
    deltas = "".join(value["delta"] for value in values if value["type"].endswith(".delta"))
    need(deltas == said.text, "deltas differ from the whole")
    return said


def completion_whole(value: dict[str, Any]) -> Said:
    need(value["choices"][0]["finish_reason"], "no finish_reason")
    return Said(value["id"], value["choices"][0]["text"])


def completion_stream(events: list[Any]) -> Said:
    need(events[-1] == (None, "[DONE]"), "no [DONE]")
    values = [json.loads(data) for _, data in events[:-1]]
    choices = [value["choices"][0] for value in values if value["choices"]]
    need(choices[-1]["finish_reason"], "no finish_reason")
    return Said(values[0]["id"], "".join(choice["text"] for choice in choices))


def gemini_whole(value: dict[str, Any]) -> Said:
    candidate = value["candidates"][0]
    need(candidate["finishReason"] == "STOP", "no finishReason")
    return Said(value["responseId"], "".join(part["text"] for part in candidate["content"]["parts"]))


def gemini_stream(events: list[Any]) -> Said:
    values = [json.loads(data) for _, data in events]
    need(values[-1]["candidates"][0].get("finishReason") == "STOP", "no finishReason")
    return Said(
        values[0]["responseId"],
        "".join(part["text"] for value in values for part in value["candidates"][0]["content"]["parts"]),
    )


def embedding_whole(value: dict[str, Any]) -> Said:
    return Said(f"emb-up{int(value['data'][0]['embedding'][0])}", "")


def file_whole(value: dict[str, Any]) -> Said:
    return Said(value["id"], "")


def models_whole(value: dict[str, Any]) -> Said:
    return Said(value["data"][0]["id"], "")


READ_WHOLE = {
    "chat": chat_whole,
    "messages": messages_whole,
    "responses": responses_whole,
    "gemini": gemini_whole,
    "completions": completion_whole,
    "embeddings": embedding_whole,
    "files": file_whole,
    "models": models_whole,
}
READ_STREAM = {
    "chat": chat_stream,
    "messages": messages_stream,
    "responses": responses_stream,
    "gemini": gemini_stream,
    "completions": completion_stream,
}
ENDS = (b"[DONE]", b'"message_stop"', b'"response.completed"', b'"finishReason"')


def looks_whole(body: bytes) -> bool:
    """Whether bytes of a stream end as only a whole one may."""
    return any(end in body for end in ENDS)
