#!/usr/bin/env python3
"""The public question data through the real server: hits, correct hits, wrong answers, latency; beside other caches.

  python3 bench/semantic/stream.py --data ../shared/data/semantic [--only qqp,clinc,bank,nearmiss,fow] [--bound 0.01]
                                   [--peers] [--limit N] [--markdown FILE] [--plot FILE.svg]

A scripted upstream answers each question with its label, so a wrong answer is seen at once. Streams go through one
scope in the order of their file; pairs are asked each in a scope of its own, a, then b: served when b is a hit.
"""

import argparse
import http.client
import http.server
import json
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
STREAMS = {"qqp": ("qqp_clean_test.jsonl", "QQP, clean"), "clinc": ("clinc_stream_test.jsonl", "CLINC150"),
           "bank": ("bank_stream_test.jsonl", "Banking77"), "train": ("qqp_clean_train.jsonl", "QQP, clean train")}
PAIRS = {"nearmiss": ("nearmiss_pairs_test.jsonl", "near-miss pairs"), "fow": ("fow_pairs_test.jsonl", "fow pairs")}
READY_LIMIT_S = 60


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Upstream:
    """Answers every chat completion with what `labels` says of its last message; counts the calls."""

    def __init__(self):
        self.labels, self.calls = {}, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # head and body in one segment: no waiting for an acknowledgement

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.calls += 1
                text = outer.labels[body["messages"][-1]["content"]]
                answer = {"id": f"c{outer.calls}", "object": "chat.completion", "created": 1, "model": body["model"],
                          "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                                       "finish_reason": "stop"}],
                          "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}}
                raw = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)
                self.wfile.flush()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"


class Payonce:
    """The real binary in front of the upstream."""

    def __init__(self, upstream, *flags):
        self.port, self.folder = free_port(), tempfile.TemporaryDirectory()
        self.log = open(pathlib.Path(self.folder.name) / "log.txt", "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [str(ROOT / "build/release/payonce"), "serve", "--upstream", upstream.url, "--listen",
             f"127.0.0.1:{self.port}", "--data", self.folder.name + "/data", "--layers", "exact,semantic", *flags],
            stdout=self.log, stderr=self.log)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        deadline = time.monotonic() + READY_LIMIT_S
        while True:
            try:
                if self.get("/readyz")[0] == 200:
                    return
            except OSError:
                self.connection.close()
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit("payonce did not start:\n" + (pathlib.Path(self.folder.name) / "log.txt").read_text())
            time.sleep(0.05)

    def get(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def ask(self, question, scope):
        """(layer that answered or "", text, seconds)"""
        body = json.dumps({"model": "m", "temperature": 0, "messages": [{"role": "user", "content": question}]})
        started = time.perf_counter()
        self.connection.request("POST", "/v1/chat/completions", body.encode(),
                                {"Content-Type": "application/json", "X-Payonce-Scope": scope})
        answer = self.connection.getresponse()
        raw = answer.read()
        seconds = time.perf_counter() - started
        if answer.status != 200:
            sys.exit(f"status {answer.status}: {raw[:300]}")
        status = answer.headers["Cache-Status"]
        layer = status.split("detail=")[1].split(";")[0] if "; hit" in status else ""
        return layer, json.loads(raw)["choices"][0]["message"]["content"], seconds

    def semantic_stats(self):
        return json.loads(self.get("/payonce/v1/stats")[1])["layers"]["semantic"]

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.folder.cleanup()


def rows_of(folder, name, limit):
    with open(folder / name, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return rows[:limit] if limit else rows


def label(cluster):
    return f"answer of {cluster}"


def run_stream(payonce, upstream, rows, scope):
    """Shares of all requests in per cent, and latencies in ms."""
    upstream.labels = {row["q"]: label(row["c"]) for row in rows}
    hits = wrong = exact = 0
    times = {"hit": [], "miss": []}
    started = time.monotonic()
    for number, row in enumerate(rows):
        layer, text, seconds = payonce.ask(row["q"], scope)
        hits += layer == "semantic"
        exact += layer == "exact"
        wrong += layer == "semantic" and text != label(row["c"])
        times["hit" if layer == "semantic" else "miss"].append(seconds * 1e3)
        if number % 1000 == 999:
            print(f"\r  {scope}: {number + 1} of {len(rows)}, {time.monotonic() - started:.0f} s", end="",
                  file=sys.stderr)
    print(file=sys.stderr)
    share = 100 / len(rows)
    return {"requests": len(rows), "hit": hits * share, "correct": (hits - wrong) * share, "wrong": wrong * share,
            "exact": exact * share, "asked": upstream.calls,
            "hit_ms": statistics.median(times["hit"]) if times["hit"] else 0.0,
            "miss_ms": statistics.median(times["miss"]) if times["miss"] else 0.0,
            "stats": payonce.semantic_stats()}


def run_pairs(payonce, upstream, rows, name):
    served = {True: [0, 0], False: [0, 0]}
    by_kind = {}
    for number, row in enumerate(rows):
        same = bool(row.get("same", row.get("same_answer")))
        upstream.labels = {row["a"]: "first", row["b"]: "first" if same else "second"}
        scope = f"session:{name}-{number}"
        payonce.ask(row["a"], scope)
        layer, _, _ = payonce.ask(row["b"], scope)
        served[same][0] += layer != ""
        served[same][1] += 1
        kind = by_kind.setdefault((row.get("kind", row.get("category", "")), same), [0, 0])
        kind[0] += layer != ""
        kind[1] += 1
    return {"safe": 100 * served[True][0] / max(1, served[True][1]),
            "traps": 100 * served[False][0] / max(1, served[False][1]), "kinds": by_kind}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=pathlib.Path, required=True, help="folder with the public question data")
    arguments.add_argument("--only", default="qqp,clinc,bank,nearmiss,fow", help="comma-separated")
    arguments.add_argument("--bound", default="0.01", help="error bound")
    arguments.add_argument("--limit", type=int, default=0, help="rows of each file; 0: all")
    arguments.add_argument("--kinds", action="store_true", help="pairs by kind")
    arguments.add_argument("--flag", action="append", default=[], help="a further flag of payonce serve")
    options = arguments.parse_args()
    upstream = Upstream()
    for name in options.only.split(","):
        payonce = Payonce(upstream, "--error-bound", options.bound, *options.flag)
        try:
            if name in STREAMS:
                file, title = STREAMS[name]
                upstream.calls = 0
                out = run_stream(payonce, upstream, rows_of(options.data, file, options.limit), "session:" + name)
                wrong = out["stats"]["wrong_answers"]
                print(f"{title}: {out['requests']} requests, hit {out['hit']:.2f} %, correct {out['correct']:.2f} %, "
                      f"wrong {out['wrong']:.2f} %, exact {out['exact']:.2f} %; hit p50 {out['hit_ms']:.2f} ms, "
                      f"miss p50 {out['miss_ms']:.2f} ms; it says {100 * wrong['estimate']:.2f} % "
                      f"({100 * wrong['low']:.2f} to {100 * wrong['high']:.2f})", flush=True)
            else:
                file, title = PAIRS[name]
                out = run_pairs(payonce, upstream, rows_of(options.data, file, options.limit), name)
                print(f"{title}: safe rewordings served {out['safe']:.1f} %, traps {out['traps']:.1f} %", flush=True)
                if options.kinds:
                    for (kind, same), (count, total) in sorted(out["kinds"].items()):
                        print(f"  {kind:24} {'safe' if same else 'trap'} {count:4} of {total}")
        finally:
            payonce.stop()


if __name__ == "__main__":
    main()
