"""Public questions through the real server. A scripted upstream answers each with its label, so a wrong answer is seen
at once. Streams go through one scope in the order of their file; pairs are asked each in a scope of its own, a, then
b: served when b is a hit."""

import http.client
import http.server
import json
import pathlib
import statistics
import threading
import time
from typing import Any

from base.run import Json, Run
from base.servers import LOOPBACK, Payonce

Row = dict[str, Any]


class Upstream:
    """Answers every chat completion with what `labels` says of its last message; counts the calls."""

    def __init__(self) -> None:
        self.labels: dict[str, str] = {}
        self.calls = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # head and body in one segment: no waiting for an acknowledgement

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.calls += 1
                raw = json.dumps(outer.answer(body)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)
                self.wfile.flush()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, body: Json) -> Json:
        text = self.labels[body["messages"][-1]["content"]]
        return {"id": f"c{self.calls}", "object": "chat.completion", "created": 1, "model": body["model"],
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                             "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}}

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Asker:
    """One connection to the server."""

    def __init__(self, server: Payonce) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=60)

    def ask(self, question: str, scope: str) -> tuple[str, str, float]:
        """(layer that answered or "", text, seconds)"""
        body = json.dumps({"model": "m", "temperature": 0, "messages": [{"role": "user", "content": question}]})
        started = time.perf_counter()
        self._connection.request("POST", "/v1/chat/completions", body.encode(),
                                 {"Content-Type": "application/json", "X-Payonce-Scope": scope})
        answer = self._connection.getresponse()
        raw = answer.read()
        seconds = time.perf_counter() - started
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {raw[:300]!r}")
        status = answer.headers["Cache-Status"]
        layer = status.split("detail=")[1].split(";")[0] if "; hit" in status else ""
        return layer, json.loads(raw)["choices"][0]["message"]["content"], seconds


def rows_of(path: pathlib.Path, limit: int) -> list[Row]:
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return rows[:limit] if limit else rows


def label(cluster: Any) -> str:
    return f"answer of {cluster}"


def start(run: Run, upstream: Upstream, bound: float, name: str) -> Payonce:
    return run.payonce("serve", "--upstream", upstream.url, "--layers", "exact,semantic", "--error-bound", bound,
                       name=name)


def ask_stream(server: Payonce, upstream: Upstream, rows: list[Row], scope: str) -> Json:
    """Shares of all requests in per cent, and the time of a hit."""
    upstream.labels = {row["q"]: label(row["c"]) for row in rows}
    asker, hits, wrong, times = Asker(server), 0, 0, []
    for row in rows:
        layer, text, seconds = asker.ask(row["q"], scope)
        if layer == "semantic":
            hits += 1
            wrong += text != label(row["c"])
            times.append(seconds * 1e3)
    share = 100 / len(rows)
    says = server.stats()["layers"]["semantic"]["wrong_answers"]
    return {"hit": hits * share, "correct": (hits - wrong) * share, "wrong": wrong * share,
            "hit_ms": statistics.median(times) if times else None,
            "says": {name: 100 * says[name] for name in ("estimate", "low", "high")}}


def ask_pairs(server: Payonce, upstream: Upstream, rows: list[Row], name: str) -> Json:
    """Of the pairs that say the same, and of those that do not, how many were served, in per cent."""
    served = {True: [0, 0], False: [0, 0]}
    upstream.labels, asker = {}, Asker(server)
    for number, row in enumerate(rows):
        same = bool(row.get("same", row.get("same_answer")))
        # Those of earlier pairs stay: some hits are asked again, later.
        upstream.labels |= {row["a"]: "first", row["b"]: "first" if same else "second"}
        scope = f"session:{name}-{number}"
        asker.ask(row["a"], scope)
        served[same][0] += asker.ask(row["b"], scope)[0] != ""
        served[same][1] += 1
    safe, traps = (100 * hits / max(1, asked) for hits, asked in (served[True], served[False]))
    return {"safe": safe, "traps": traps, "pairs": len(rows)}
