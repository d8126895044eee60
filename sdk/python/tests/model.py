"""A scripted model: a loopback server that speaks chat completions and Messages, streamed or whole.

What it says is decided by `plan(turns)`: a text, or tools to call, as [(name, input), …]. Each text and tool-call id
holds the number of the call, so that an answer from the cache can be told from a fresh one.
"""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

Say = str | list[tuple[str, dict[str, Any]]]
Plan = Callable[[list[dict[str, Any]]], Say]


class Turn(dict[str, Any]):
    """One message, whichever dialect it came in: role "user", "assistant" or "tool", and its text."""


class Model:
    def __init__(self, plan: Plan, latency_s: float = 0) -> None:
        self.plan = plan
        self.latency_s = latency_s
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.fail_after: int | None = None  # calls from this number on get a 400
        self.cut = False  # streams end in order, but without their last events
        self.hold: threading.Event | None = None  # calls wait for it
        self.reached = threading.Event()
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"model": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self._server.server_port}"
        self.url = self.root + "/v1"

    @property
    def calls(self) -> int:
        return len(self.bodies)

    def __enter__(self) -> Model:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def record(self, body: dict[str, Any], key: str) -> int:
        with self._lock:
            self.bodies.append(body)
            self.keys.append(key)
            return len(self.bodies)


def turns_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of either dialect, in one form: {"role", "text"}, tool results as role "tool"."""
    turns: list[dict[str, Any]] = []
    for message in body.get("messages", []):
        content = message.get("content")
        if isinstance(content, str) or content is None:
            turns.append(Turn(role=message["role"], text=content or ""))
            continue
        for part in content:
            if part.get("type") == "tool_result":
                inner = part.get("content", "")
                text = inner if isinstance(inner, str) else "".join(p.get("text", "") for p in inner)
                turns.append(Turn(role="tool", text=text))
            elif part.get("type") == "text":
                turns.append(Turn(role=message["role"], text=part["text"]))
    return turns


def results_since_question(turns: list[dict[str, Any]]) -> list[str]:
    """The tool results after the last user turn."""
    last = max((at for at, turn in enumerate(turns) if turn["role"] == "user"), default=-1)
    return [turn["text"] for turn in turns[last + 1 :] if turn["role"] == "tool"]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model

    def do_POST(self) -> None:
        model = self.model
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Authorization") or self.headers.get("x-api-key") or ""
        number = model.record(body, key)
        model.reached.set()
        if model.hold:
            model.hold.wait(30)
        time.sleep(model.latency_s)
        if model.fail_after is not None and number > model.fail_after:
            self._send(
                400,
                "application/json",
                b'{"error":{"type":"invalid_request_error","message":"scripted"}}',
            )
            return
        said = model.plan(turns_of(body))
        said = f"{said} [call {number}]" if isinstance(said, str) else said
        dialect = _messages if self.path.endswith("/messages") else _chat
        whole, events = dialect(said, number, body.get("model", "m"), len(json.dumps(body)) // 4)
        if not body.get("stream"):
            self._send(200, "application/json", json.dumps(whole).encode())
            return
        kept = list(events)
        if model.cut:
            kept = [event for event in kept if "finish" not in event and "stop" not in event.split("\n")[0]]
            kept = [event for event in kept if "message_delta" not in event and "[DONE]" not in event]
        self._send(200, "text/event-stream", "".join(kept).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _chat(said: Say, number: int, model: str, tokens: int) -> tuple[dict[str, Any], Iterator[str]]:
    common = {"id": f"chatcmpl-{number}", "created": 1_700_000_000 + number, "model": model}
    usage = {
        "prompt_tokens": tokens,
        "completion_tokens": 10 + number,
        "total_tokens": tokens + 10 + number,
    }
    message: dict[str, Any] = {
        "role": "assistant",
        "content": said if isinstance(said, str) else None,
    }
    if not isinstance(said, str):
        message["tool_calls"] = [
            {
                "id": f"call_{number}_{at}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for at, (name, arguments) in enumerate(said)
        ]
    finish = "stop" if isinstance(said, str) else "tool_calls"
    whole = {
        **common,
        "object": "chat.completion",
        "usage": usage,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }

    def events() -> Iterator[str]:
        def event(delta: dict[str, Any], end: str | None = None) -> str:
            # Without an end the field is missing, so that a cut stream has none.
            choice = {"index": 0, "delta": delta} | ({"finish_reason": end} if end else {})
            return f"data: {json.dumps({**common, 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"

        if isinstance(said, str):
            for word in said.split(" "):
                yield event({"content": word + " "})
        else:
            for at, call in enumerate(message["tool_calls"]):
                yield event({"tool_calls": [{**call, "index": at}]})
        yield event({}, finish)
        yield f"data: {json.dumps({**common, 'object': 'chat.completion.chunk', 'choices': [], 'usage': usage})}\n\n"
        yield "data: [DONE]\n\n"

    return whole, events()


def _messages(said: Say, number: int, model: str, tokens: int) -> tuple[dict[str, Any], Iterator[str]]:
    usage = {
        "input_tokens": tokens,
        "output_tokens": 10 + number,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    }
    if isinstance(said, str):
        blocks: list[dict[str, Any]] = [{"type": "text", "text": said}]
    else:
        blocks = [
            {"type": "tool_use", "id": f"toolu_{number}_{at}", "name": name, "input": arguments}
            for at, (name, arguments) in enumerate(said)
        ]
    stop = "end_turn" if isinstance(said, str) else "tool_use"
    whole = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }

    def events() -> Iterator[str]:
        def event(kind: str, **fields: Any) -> str:
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"

        yield event("message_start", message={**whole, "content": [], "stop_reason": None})
        for at, block in enumerate(blocks):
            if block["type"] == "text":
                yield event("content_block_start", index=at, content_block={"type": "text", "text": ""})
                for word in block["text"].split(" "):
                    yield event(
                        "content_block_delta",
                        index=at,
                        delta={"type": "text_delta", "text": word + " "},
                    )
            else:
                yield event("content_block_start", index=at, content_block={**block, "input": {}})
                delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
                yield event("content_block_delta", index=at, delta=delta)
            yield event("content_block_stop", index=at)
        yield event(
            "message_delta",
            delta={"stop_reason": stop, "stop_sequence": None},
            usage={"output_tokens": usage["output_tokens"]},
        )
        yield event("message_stop")

    return whole, events()
