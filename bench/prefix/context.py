"""Retrieved documents in one order: what it saves, and what it does to the answers of a real local model.

The conversations of fow_conversations_test.jsonl, cut into passages, are the documents; what people
ask in them are the questions; the nearest passages by the embedder are retrieved, best first. Every question
is asked of `payonce engine` at temperature 0 in four ways, each a tenant of its own: as retrieved, in the canonical
order (through `payonce serve --prefix-context on`), shuffled without any care, and as retrieved once more (the first
few, to see that the model says the same when asked the same).
"""

import argparse
import json
import math
import random
import re
import statistics
import time
import urllib.request
from typing import Any

from base.run import Run

SYSTEM = "Answer the question from the documents, in one or two sentences."
PASSAGE_CHARACTERS = 450
REQUEST_LIMIT_S = 120
AGAIN_QUESTIONS = 10
WAYS = ("retrieved", "canonical", "shuffled", "again")
Answers = dict[str, list[tuple[str, int, int, float]]]  # answer, prompt tokens, of them reused, s to the first token


def post(url: str, body: Any, credential: str) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {
        "Content-Type": "application/json", "Authorization": f"Bearer {credential}"})
    return urllib.request.urlopen(request, timeout=REQUEST_LIMIT_S)


def passages_of(rows: list[Any]) -> list[tuple[str, str]]:
    out: dict[str, str] = {}
    for row in rows:
        lines = [f"{'Customer' if turn['role'] == 'user' else 'Agent'}: {turn['content']}" for turn in row["a"]]
        passage: list[str] = []
        for line in lines:
            passage.append(line)
            if sum(map(len, passage)) >= PASSAGE_CHARACTERS:
                out.setdefault("\n".join(passage), f"{row['id']}/{len(out)}")
                passage = []
    return list(out.items())


def questions_of(rows: list[Any], count: int) -> list[str]:
    """Of one conversation and its variant after the other, so that topics come again; then in any order."""
    found = dict.fromkeys(turn["content"] for row in rows for side in "ab" for turn in row[side]
                          if turn["role"] == "user" and "?" in turn["content"] and 40 <= len(turn["content"]) <= 300)
    return list(found)[:count]


def embed(url: str, texts: list[str]) -> list[list[float]]:
    out: list[list[float]] = []
    for i in range(0, len(texts), 32):
        with post(url + "/embeddings", {"model": "e", "input": texts[i:i + 32]}, "embedder") as answer:
            out += [row["embedding"] for row in json.load(answer)["data"]]
    return out


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b)) / (math.hypot(*a) * math.hypot(*b) or 1)


def prompt(documents: list[tuple[str, str]], question: str) -> str:
    listed = "\n".join(f'<document id="{name}">\n{text}\n</document>' for text, name in documents)
    return f"<documents>\n{listed}\n</documents>\n\nQuestion: {question}"


def ask(url: str, credential: str, text: str) -> tuple[str, int, int, float]:
    """(answer, prompt tokens, of them reused, seconds to the first token)."""
    body = {"model": "m", "temperature": 0, "max_tokens": 24, "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]}
    started, first, answer = time.monotonic(), None, ""
    usage: dict[str, Any] = {}
    with post(url + "/chat/completions", body, credential) as stream:
        for line in stream:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            usage = event.get("usage") or usage
            for choice in event["choices"]:
                if choice["delta"].get("content"):
                    first = first or time.monotonic() - started
                    answer += choice["delta"]["content"]
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return answer, usage["prompt_tokens"], cached, first or time.monotonic() - started


def normalised(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def agreement(url: str, pairs: list[tuple[str, str]]) -> list[float]:
    """Shares of the pairs of answers that are equal, equal but for case and punctuation, and near by meaning."""
    vectors = embed(url, [text or " " for pair in pairs for text in pair])
    near = [cosine(vectors[2 * i], vectors[2 * i + 1]) >= 0.92 for i in range(len(pairs))]
    return [statistics.mean(shares) for shares in (
        [float(a == b) for a, b in pairs], [float(normalised(a) == normalised(b)) for a, b in pairs],
        [float(each) for each in near])]


def measure(options: argparse.Namespace, rows: list[Any], engine: str,
            urls: dict[str, str]) -> tuple[Answers, dict[str, list[bool]]]:
    shuffle = random.Random(options.seed)
    shuffle.shuffle(rows)
    passages, questions = passages_of(rows), questions_of(rows, options.questions)
    shuffle.shuffle(questions)
    vectors = embed(engine, [text for text, _ in passages])
    print(f"{len(passages)} passages, {len(questions)} questions, {options.retrieve} retrieved", flush=True)
    asked: Answers = {way: [] for way in WAYS}
    changed: dict[str, list[bool]] = {way: [] for way in WAYS}
    for question, vector in zip(questions, embed(engine, questions)):
        order = sorted(range(len(passages)), key=lambda i: -cosine(vector, vectors[i]))[:options.retrieve]
        mixed = shuffle.sample(order, len(order))
        print(".", end="", flush=True)
        for way in WAYS[:3] if len(asked["again"]) == AGAIN_QUESTIONS else WAYS:
            documents = [passages[i] for i in (mixed if way == "shuffled" else order)]
            asked[way].append(ask(urls[way], way, prompt(documents, question)))
        changed["shuffled"].append(mixed != order)
        # The ranking is a line more, and only where the order changed.
        changed["canonical"].append(asked["canonical"][-1][1] != asked["retrieved"][-1][1])
    return asked, changed


def report(run: Run, options: argparse.Namespace, engine: str, asked: Answers,
           changed: dict[str, list[bool]]) -> None:
    print(f"\nmodel {run.settings.model.name}, seed {options.seed}, {len(asked['retrieved'])} questions")
    for way in ("retrieved", "canonical"):
        total, cached = sum(row[1] for row in asked[way]), sum(row[2] for row in asked[way])
        ttft = statistics.mean(row[3] for row in asked[way]), statistics.median(row[3] for row in asked[way])
        print(f"| {way} | {total} | {cached} ({cached / total:.1%}) | "
              f"{ttft[0] * 1000:.0f} / {ttft[1] * 1000:.0f} ms |")
    for way in WAYS[1:]:
        pairs = [(first[0], other[0]) for first, other, differs in
                 zip(asked["retrieved"], asked[way], changed[way] or [True] * AGAIN_QUESTIONS) if differs]
        shares = agreement(engine, pairs) if pairs else []
        print(f"| {way} | {len(pairs)} | " + " | ".join(f"{share:.0%}" for share in shares) + " |")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--retrieve", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="of the engine; 0: one per core")
    parser.add_argument("--seed", type=int, default=1)


def study(run: Run, options: argparse.Namespace) -> None:
    engine = run.payonce("engine", "--model", run.settings.model, "--embedder", run.settings.embedder, "--kv-memory",
                         "1GiB", "--threads", options.threads, name="engine")
    gateway = run.payonce("serve", "--upstream", engine.url, "--layers", "prefix", "--prefix-context", "on",
                          name="gateway")
    urls = dict.fromkeys(WAYS, engine.url) | {"canonical": gateway.url}
    [file] = run.settings.data_files("semantic", "fow_conversations_test.jsonl")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    asked, changed = measure(options, rows, engine.url, urls)
    report(run, options, engine.url, asked, changed)
