"""An internal assistant on a local model: recorded without Payonce, audited, then sent through Payonce for real. Does
what the audit promised come out?

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
import shutil
import sys
import time
import urllib.request
from typing import Any

from base.run import Run, output_of

MODEL = "support-assistant"
ALLOWED_POINTS = 3.0
MISSION = {"latency": -38, "input cost": -52, "total cost": -44}
NAMES = ["Amal", "Bea", "Chen", "Dora", "Emre", "Fay", "Gil", "Hana", "Ivo", "Jun", "Kim", "Lea"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=240)
    parser.add_argument("--logged-in", type=float, default=0.4, help="share of the sessions with a personal prompt")
    parser.add_argument("--suggested", type=float, default=0.3, help="share of questions taken from the list")
    parser.add_argument("--price", default="0.40,1.60,0.04", help="input,output,read")
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--out", type=pathlib.Path, help="keeps log, report and figures there")
    parser.add_argument("--seed", type=int, default=7)


def knowledge_base(questions: dict[str, list[str]]) -> str:
    """An article for each intent: a title, and questions that it answers (of another part of the data)."""
    lines = []
    for intent in sorted(questions):
        title = intent.replace("_", " ").lower()
        lines.append(f"## {title}\nAsk the customer for the date and the amount. See the page '{title}' and tell "
                     f"what it says. Answer questions such as: {questions[intent][0]}")
    return "\n".join(lines)


def make_requests(run: Run, options: argparse.Namespace) -> list[Any]:
    by_intent = collections.defaultdict(list)
    [file] = run.settings.data_files("semantic", "bank_stream_test.jsonl")
    for line in file.read_text(encoding="utf-8").splitlines():
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
    sessions: list[Any] = []
    total = 0
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


def gateway(run: Run, options: argparse.Namespace, upstream: str) -> str:
    read, price = run.folder / "serve.toml", [float(number) for number in options.price.split(",")]
    read.write_text(f'layers = ["exact", "semantic", "prefix"]\n[prefix]\nmove = ["*"]\n'
                    f'[upstreams.engine]\nurl = "{upstream}"\nprovider = "payonce"\n[prices."{MODEL}"]\n'
                    f"input = {price[0]}\noutput = {price[1]}\ncache_read = {price[2]}\n")
    return run.payonce("serve", "--config", read, name="gateway").url


def engine(run: Run, name: str) -> str:
    return run.payonce("engine", "--model", run.settings.model, name=name).url


def ask(url: str, body: bytes) -> tuple[bytes, float, str]:
    request = urllib.request.Request(url + "/chat/completions", body, {
        "Content-Type": "application/json", "Authorization": "Bearer support-app"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=300) as answer:
        content = answer.read()
        return content, 1000 * (time.perf_counter() - began), answer.headers.get("Cache-Status", "")


def warm_up(url: str) -> None:
    for number in range(3):  # threads, pages of the weights
        ask(url, json.dumps({"model": MODEL, "max_tokens": 4, "temperature": 0,
                             "messages": [{"role": "user", "content": f"Warm-up {number}"}]}).encode())


def record(run: Run, options: argparse.Namespace, sessions: list[Any], path: pathlib.Path) -> None:
    """Before: straight to the engine, one call after another; what is said becomes the next turn's history."""
    url = engine(run, "before")
    warm_up(url)
    done = 0
    with open(path, "w", encoding="utf-8") as log:
        for session in sessions:
            history: list[Any] = []
            for system, question in session["turns"]:
                history.append({"role": "user", "content": question})
                body = {"model": MODEL, "temperature": 0, "max_tokens": options.max_tokens,
                        "messages": [{"role": "system", "content": system}, *history]}
                began = time.time()
                content, ms, _ = ask(url, json.dumps(body).encode())
                answer = json.loads(content)
                history.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"]})
                log.write(json.dumps({"timestamp": began, "latency_ms": ms, "path": "/v1/chat/completions",
                                      "session": session["name"], "request": body, "response": answer}) + "\n")
                done += 1
                print(f"\r  recorded {done}", end="", file=sys.stderr)
    print(file=sys.stderr)
    run.stop_all()


def audit(run: Run, options: argparse.Namespace, log: pathlib.Path, folder: pathlib.Path) -> Any:
    price = options.price.split(",")
    command = [run.settings.payonce, "audit", log, "--provider", "payonce", "--price",
               f"{MODEL}={price[0]},{price[1]},{price[2]}", "--prefix-move", "*", "--show-text",
               "--json", folder / "audit.json", "--out", folder / "report.html"]
    print(output_of(command))
    return json.loads((folder / "audit.json").read_text())


def tokens_bought(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {kind: float(number) for kind, number in re.findall(r'payonce_tokens_total\{class="(\w+)"\} (\S+)', text)}


def live(run: Run, options: argparse.Namespace,
         rows: list[Any]) -> tuple[list[float], dict[str, float], collections.Counter[str]]:
    front = gateway(run, options, engine(run, "live"))
    warm_up(front)
    before = tokens_bought(front)
    latencies: list[float] = []
    details: collections.Counter[str] = collections.Counter()
    for number, row in enumerate(rows):
        _, ms, status = ask(front, json.dumps(row["request"]).encode())
        latencies.append(ms)
        layer = re.search(r"detail=(\w+)", status) if "hit" in status else None
        details[layer[1] if layer else "upstream"] += 1
        print(f"\r  through Payonce {number + 1}", end="", file=sys.stderr)
    print(file=sys.stderr)
    time.sleep(1)  # the last answer is settled after it went out
    after = tokens_bought(front)
    run.stop_all()
    return latencies, {kind: after.get(kind, 0) - before.get(kind, 0) for kind in after}, details


def study(run: Run, options: argparse.Namespace) -> int:
    folder = run.folder / "out"
    folder.mkdir()
    log = folder / "assistant.jsonl"
    record(run, options, make_requests(run, options), log)
    report = audit(run, options, log, folder)
    rows = [json.loads(line) for line in open(log, encoding="utf-8")]
    latencies, tokens, details = live(run, options, rows)

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
    if options.out:
        shutil.copytree(folder, options.out, dirs_exist_ok=True)
        print(f"kept in {options.out}")
    return 0 if worst <= ALLOWED_POINTS else 1
