#!/usr/bin/env python3
"""An internal assistant on a local model: recorded without Payonce, audited, then sent through Payonce for real. Does
what the audit promised come out?

  bench/audit/assistant.py --binary PROGRAM --model FILE.gguf --data FOLDER [--requests 240] [--out FOLDER]

The assistant of a bank's support team. A system prompt with the knowledge base; sessions of one to three questions
out of Banking77's public stream (paraphrases by real people, by intent; popular intents come more often), some
clicked from a list of suggested questions, word for word. In a part of the sessions the caller is logged in, and the
application writes the time and the caller's name in front of the system prompt, as many do: those prompts never equal
each other, and no answer of one may be given to another.

Three steps, one after another, each with a fresh `payonce engine` and one request at a time:
1. before: straight to the engine. Requests, answers and real timings become the log.
2. audit: `payonce audit` over that log. It knows nothing else.
3. live: the same requests through `payonce serve` with the layers that the audit assumed.
Costs: --price, USD per million tokens (input, output, read from the engine's prefix cache).

Exit code 0: each of the three headline figures came out within 3 points of what the audit said.
"""

import argparse
import collections
import datetime
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from servers import free_port  # noqa: E402

MODEL = "support-assistant"
ALLOWED_POINTS = 3.0
MISSION = {"latency": -38, "input cost": -52, "total cost": -44}
NAMES = ["Amal", "Bea", "Chen", "Dora", "Emre", "Fay", "Gil", "Hana", "Ivo", "Jun", "Kim", "Lea"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="folder with bank_stream_test.jsonl")
    parser.add_argument("--requests", type=int, default=240)
    parser.add_argument("--logged-in", type=float, default=0.4, help="share of the sessions with a personal prompt")
    parser.add_argument("--suggested", type=float, default=0.3, help="share of questions taken from the list")
    parser.add_argument("--price", default="0.40,1.60,0.04", help="input,output,read")
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--out", help="keeps log, report and figures there")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def knowledge_base(questions):
    """An article for each intent: a title, and questions that it answers (of another part of the data)."""
    lines = []
    for intent in sorted(questions):
        title = intent.replace("_", " ").lower()
        lines.append(f"## {title}\nAsk the customer for the date and the amount. See the page '{title}' and tell "
                     f"what it says. Answer questions such as: {questions[intent][0]}")
    return "\n".join(lines)


def make_requests(options):
    by_intent = collections.defaultdict(list)
    for line in open(pathlib.Path(options.data) / "bank_stream_test.jsonl", encoding="utf-8"):
        row = json.loads(line)
        by_intent[row["c"]].append(row["q"])
    dice = random.Random(options.seed)
    base = knowledge_base(by_intent)
    system = ("You are the support assistant of a bank. Answer in one or two short sentences, from the knowledge "
              "base alone.\n\n# Knowledge base\n" + base)
    intents = sorted(by_intent)
    dice.shuffle(intents)
    weights = [1 / (rank + 1) for rank in range(len(intents))]
    clock = datetime.datetime(2026, 11, 2, 9, 0, 0)
    sessions, total = [], 0
    while total < options.requests:
        personal = dice.random() < options.logged_in
        turns = min(dice.choices([1, 2, 3], [0.7, 0.2, 0.1])[0], options.requests - total)
        sessions.append({"name": f"s{len(sessions):04d}", "turns": []})
        for _ in range(turns):
            intent = dice.choices(intents, weights)[0]
            asked = by_intent[intent]
            question = asked[1] if dice.random() < options.suggested else dice.choice(asked[2:])
            clock += datetime.timedelta(seconds=dice.randint(5, 90))
            front = f"Current time: {clock:%Y-%m-%d %H:%M:%S}\nCustomer: {dice.choice(NAMES)}\n" if personal else ""
            sessions[-1]["turns"].append((front + system, question))
        total += turns
    return sessions


class Server:
    def __init__(self, command, ready):
        self.process = subprocess.Popen(["timeout", "3600", *command], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while True:
            try:
                if urllib.request.urlopen(ready, timeout=2).status == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[1]} did not become ready")
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def engine(options):
    port = free_port()
    server = Server([options.binary, "engine", "--model", options.model, "--listen", f"127.0.0.1:{port}"],
                    f"http://127.0.0.1:{port}/readyz")
    server.url = f"http://127.0.0.1:{port}/v1"
    return server


def gateway(options, upstream, folder):
    port = free_port()
    read, price = folder / "serve.toml", [float(number) for number in options.price.split(",")]
    read.write_text(f'layers = ["exact", "semantic", "prefix"]\n[prefix]\nmove = ["*"]\n'
                    f'[upstreams.engine]\nurl = "{upstream}"\nprovider = "payonce"\n[prices."{MODEL}"]\n'
                    f"input = {price[0]}\noutput = {price[1]}\ncache_read = {price[2]}\n")
    server = Server([options.binary, "serve", "--config", str(read), "--listen", f"127.0.0.1:{port}", "--data",
                     str(folder / "data")], f"http://127.0.0.1:{port}/readyz")
    server.url = f"http://127.0.0.1:{port}/v1"
    return server


def ask(url, body):
    request = urllib.request.Request(url + "/chat/completions", body, {
        "Content-Type": "application/json", "Authorization": "Bearer support-app"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=300) as answer:
        content = answer.read()
        return content, 1000 * (time.perf_counter() - began), answer.headers.get("Cache-Status", "")


def warm_up(url):
    for number in range(3):  # threads, pages of the weights
        ask(url, json.dumps({"model": MODEL, "max_tokens": 4, "temperature": 0,
                             "messages": [{"role": "user", "content": f"Warm-up {number}"}]}).encode())


def record(options, sessions, path):
    """Before: straight to the engine, one call after another; what is said becomes the next turn's history."""
    server = engine(options)
    warm_up(server.url)
    done = 0
    with open(path, "w", encoding="utf-8") as log:
        for session in sessions:
            history = []
            for system, question in session["turns"]:
                history.append({"role": "user", "content": question})
                body = {"model": MODEL, "temperature": 0, "max_tokens": options.max_tokens,
                        "messages": [{"role": "system", "content": system}, *history]}
                began = time.time()
                content, ms, _ = ask(server.url, json.dumps(body).encode())
                answer = json.loads(content)
                history.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"]})
                log.write(json.dumps({"timestamp": began, "latency_ms": ms, "path": "/v1/chat/completions",
                                      "session": session["name"], "request": body, "response": answer}) + "\n")
                done += 1
                print(f"\r  recorded {done}", end="", file=sys.stderr)
    print(file=sys.stderr)
    server.stop()


def audit(options, log, folder):
    price = options.price.split(",")
    command = [options.binary, "audit", str(log), "--provider", "payonce", "--price",
               f"{MODEL}={price[0]},{price[1]},{price[2]}", "--prefix-move", "*", "--show-text",
               "--json", str(folder / "audit.json"), "--out", str(folder / "report.html")]
    print(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return json.loads((folder / "audit.json").read_text())


def tokens_bought(url):
    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {kind: float(number) for kind, number in re.findall(r'payonce_tokens_total\{class="(\w+)"\} (\S+)', text)}


def live(options, rows, folder):
    server = engine(options)
    front = gateway(options, server.url, folder)
    warm_up(front.url)
    before = tokens_bought(front.url)
    latencies, details = [], collections.Counter()
    for number, row in enumerate(rows):
        _, ms, status = ask(front.url, json.dumps(row["request"]).encode())
        latencies.append(ms)
        details[re.search(r"detail=(\w+)", status)[1] if "hit" in status else "upstream"] += 1
        print(f"\r  through Payonce {number + 1}", end="", file=sys.stderr)
    print(file=sys.stderr)
    time.sleep(1)  # the last answer is settled after it went out
    after = tokens_bought(front.url)
    front.stop()
    server.stop()
    return latencies, {kind: after.get(kind, 0) - before.get(kind, 0) for kind in after}, details


def main():
    options = arguments()
    folder = pathlib.Path(options.out or tempfile.mkdtemp(prefix="payonce-assistant-"))
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "assistant.jsonl"
    record(options, make_requests(options), log)
    report = audit(options, log, folder)
    rows = [json.loads(line) for line in open(log, encoding="utf-8")]
    latencies, tokens, details = live(options, rows, folder)

    prices = [float(number) / 1e6 for number in options.price.split(",")]
    live_input = tokens["fresh"] * prices[0] + tokens["read"] * prices[2]
    live_total = live_input + tokens["output"] * prices[1]
    mean = sum(row["latency_ms"] for row in rows) / len(rows)
    cost, input_cost, latency = report["cost_usd"], report["input_cost_usd"], report["latency_ms"]
    figures = {
        "latency": (latency["with_payonce_mean"] / latency["actual_mean"], sum(latencies) / len(latencies) / mean),
        "input cost": (input_cost["with_payonce"] / input_cost["actual"], live_input / input_cost["actual"]),
        "total cost": (cost["with_payonce"] / cost["actual"], live_total / cost["actual"])}
    print(f"{len(rows)} requests; took {dict(details)}; the audit said "
          f"{ {layer['name']: layer['hits'] for layer in report['layers']} }")
    print(f"{'':<12} {'mission':>8} {'audit':>8} {'live':>8}  apart")
    worst = 0.0
    for name, (promised, came) in figures.items():
        apart = 100 * abs(promised - came)
        worst = max(worst, apart)
        print(f"{name:<12} {MISSION[name]:>7} % {100 * promised - 100:>7.1f} % {100 * came - 100:>6.1f} %"
              f"  {apart:.1f}")
    (folder / "figures.json").write_text(json.dumps({name: {"audit": a - 1, "live": b - 1} for name, (a, b)
                                                     in figures.items()}, indent=1))
    print(f"kept in {folder}" if options.out else "")
    sys.exit(0 if worst <= ALLOWED_POINTS else 1)


if __name__ == "__main__":
    main()
