"""A scripted model for ForgeCode: OpenAI's chat API and Anthropic's Messages on a loopback port. Python's library alone.

The main agent hands each question to SAGE; SAGE reads, searches, and reports. Every answer holds the number of the
call that made it, so that a replayed one can be told from a fresh one.
"""

from __future__ import annotations

import http.server
import json
import threading
from typing import Any

Body = dict[str, Any]
HANG_LIMIT_S = 60


def call(name: str, arguments: Body) -> Body:
    return {"name": name, "arguments": json.dumps(arguments)}


class Model:
    """`with Model(sage=[…]) as model:` serves at model.url. `sage`: the tool calls of SAGE's run, one a turn."""

    def __init__(self, sage: list[Body]) -> None:
        self.sage = sage
        self.question = ""  # what SAGE is asked; the person's own words when empty
        self.fails_after_reports = False
        self.hanging = threading.Event()
        self._hangs_at = ""
        self._number = 0
        self.requests: list[tuple[str, Body]] = []
        self._lock = threading.Lock()
        self._released = threading.Event()
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send("application/json", json.dumps({"object": "list", "data": [
                    {"id": "scripted", "object": "model", "created": 1, "owned_by": "scripted"}]}).encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, payload = model.answer(self.path, body)
                self._send("text/event-stream" if status == 200 else "application/json", payload, status)

            def _send(self, content_type: str, payload: bytes, status: int = 200) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                try:
                    self.wfile.write(payload)
                except OSError:
                    pass  # the agent was ended

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Model:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    # ---- what a test asks ------------------------------------------------------------------------

    def take(self) -> list[str]:
        """Who asked since the last call: "title", "main 0" (the first turn of the main agent), "sage 2", …"""
        with self._lock:
            labels = [label for label, _ in self.requests]
            self.requests.clear()
        return sorted(labels)

    def hang_at(self, label: str) -> None:
        """From here on the call with that label is not answered, and `hanging` says that it has come. "": no call."""
        self._hangs_at = label
        self.hanging.clear()

    # ---- the script ------------------------------------------------------------------------------

    @staticmethod
    def label(body: Body) -> str:
        if not body.get("tools"):
            return "title"
        # Anthropic's models are told of "Task", all others of "task".
        names = {(tool.get("name") or tool["function"]["name"]).lower() for tool in body["tools"]}
        turn = sum(is_result(message) for message in body["messages"])
        return f"{'main' if 'task' in names else 'sage'} {turn}"

    def answer(self, path: str, body: Body) -> tuple[int, bytes]:
        stream = messages if path.endswith("/messages") else chat
        label = self.label(body)
        with self._lock:
            self.requests.append((label, body))
            self._number += 1
            number = self._number
        if label == self._hangs_at:
            self.hanging.set()
            self._released.wait(HANG_LIMIT_S)
        if label == "title":
            return 200, stream(number, content=json.dumps({"title": f"Title {number}"}))
        who, turn = label.split(" ")
        if who == "sage":
            step = int(turn)
            if step < len(self.sage):
                return 200, stream(number, called=self.sage[step])
            return 200, stream(number, content=f"SAGE's report {number}: calc.py has add and divide.")
        if turn == "0":
            question = self.question or last_question(body)
            return 200, stream(number, called=call("task", {"tasks": [question], "agent_id": "sage"}))
        if self.fails_after_reports:
            error = {"message": "scripted failure", "type": "invalid_request_error"}
            return 400, json.dumps({"error": error}).encode()
        return 200, stream(number, content=f"Main's answer {number}, from what SAGE said.")


def is_result(message: Body) -> bool:
    content = message["content"]
    parts = content if isinstance(content, list) else []
    return message["role"] == "tool" or any(part["type"] == "tool_result" for part in parts)


def last_question(body: Body) -> str:
    """The person's own words, without what the agent wraps them in."""
    content = [message["content"] for message in body["messages"]
               if message["role"] == "user" and not is_result(message)][-1]
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return text.split(">", 1)[-1].split("<", 1)[0].strip() or text


def chat(number: int, content: str = "", called: Body | None = None) -> bytes:
    common = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1_700_000_000,
              "model": "scripted"}

    def event(delta: Body, finish: str | None = None) -> Body:
        return {**common, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    if called:
        tool = {"index": 0, "id": f"call_{number}", "type": "function", "function": called}
        events = [event({"role": "assistant", "content": None, "tool_calls": [tool]}), event({}, "tool_calls")]
    else:
        half = len(content) // 2
        events = [event({"role": "assistant", "content": content[:half]}), event({"content": content[half:]}),
                  event({}, "stop")]
    usage = {"prompt_tokens": 1000 + number, "completion_tokens": 20, "total_tokens": 1020 + number}
    events.append({**common, "choices": [], "usage": usage})
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events) + b"data: [DONE]\n\n"


def messages(number: int, content: str = "", called: Body | None = None) -> bytes:
    """With thinking ahead of a tool call, whose signature must come back in the next request as it was."""
    blocks: list[tuple[Body, Body]] = []
    if called:
        thought = {"type": "thinking", "thinking": "", "signature": ""}
        blocks.append((thought, {"type": "thinking_delta", "thinking": f"I think of {number}."}))
        blocks.append(({"type": "tool_use", "id": f"toolu_{number}", "name": called["name"], "input": {}},
                       {"type": "input_json_delta", "partial_json": called["arguments"]}))
    else:
        blocks.append(({"type": "text", "text": ""}, {"type": "text_delta", "text": content}))
    usage = {"input_tokens": 1000 + number, "output_tokens": 1}
    events: list[Body] = [{"type": "message_start", "message": {
        "id": f"msg_{number}", "type": "message", "role": "assistant", "model": "scripted", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage}}]
    for index, (block, delta) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        if block["type"] == "thinking":
            signature = {"type": "signature_delta", "signature": f"c2lnbmVk{number}"}
            events.append({"type": "content_block_delta", "index": index, "delta": signature})
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": "tool_use" if called else "end_turn",
                                                      "stop_sequence": None}, "usage": {"output_tokens": 20}})
    events.append({"type": "message_stop"})
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)
