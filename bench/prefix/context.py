#!/usr/bin/env python3
"""Retrieved documents in one order: what it saves, and what it does to the answers of a real local model.

    bench/prefix/context.py --binary build/release/payonce --model FILE.gguf --embedder FILE.gguf DATA_FOLDER

DATA_FOLDER holds fow_conversations_test.jsonl. Its conversations, cut into passages, are the documents; what people
ask in them are the questions; the nearest passages by the embedder are retrieved, best first. Every question
is asked of `payonce engine` at temperature 0 in four ways, each a tenant of its own: as retrieved, in the canonical
order (through `payonce serve --prefix-context on`), shuffled without any care, and as retrieved once more (the first
few, to see that the model says the same when asked the same).
"""

import argparse
import contextlib
import json
import math
import pathlib
import random
import re
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

SYSTEM = "Answer the question from the documents, in one or two sentences."
PASSAGE_CHARACTERS = 450
START_LIMIT_S = 120
REQUEST_LIMIT_S = 120
AGAIN_QUESTIONS = 10
WAYS = ("retrieved", "canonical", "shuffled", "again")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def post(url, body, credential):
    request = urllib.request.Request(url, json.dumps(body).encode(), {
        "Content-Type": "application/json", "Authorization": f"Bearer {credential}"})
    return urllib.request.urlopen(request, timeout=REQUEST_LIMIT_S)


@contextlib.contextmanager
def running(command, port, log):
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).status == 200:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[1]} does not start; see {log.name}")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def passages_of(rows):
    out = {}
    for row in rows:
        lines = [f"{'Customer' if turn['role'] == 'user' else 'Agent'}: {turn['content']}" for turn in row["a"]]
        passage = []
        for line in lines:
            passage.append(line)
            if sum(map(len, passage)) >= PASSAGE_CHARACTERS:
                out.setdefault("\n".join(passage), f"{row['id']}/{len(out)}")
                passage = []
    return list(out.items())


def questions_of(rows, count):
    """Of one conversation and its variant after the other, so that topics come again; then in any order."""
    found = dict.fromkeys(turn["content"] for row in rows for side in "ab" for turn in row[side]
                          if turn["role"] == "user" and "?" in turn["content"] and 40 <= len(turn["content"]) <= 300)
    return list(found)[:count]


def embed(url, texts):
    out = []
    for i in range(0, len(texts), 32):
        with post(url + "/embeddings", {"model": "e", "input": texts[i:i + 32]}, "embedder") as answer:
            out += [row["embedding"] for row in json.load(answer)["data"]]
    return out


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / (math.hypot(*a) * math.hypot(*b) or 1)


def prompt(documents, question):
    listed = "\n".join(f'<document id="{name}">\n{text}\n</document>' for text, name in documents)
    return f"<documents>\n{listed}\n</documents>\n\nQuestion: {question}"


def ask(url, credential, text):
    """(answer, prompt tokens, of them reused, seconds to the first token)."""
    body = {"model": "m", "temperature": 0, "max_tokens": 24, "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]}
    started, first, answer, usage = time.monotonic(), None, "", {}
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


def normalised(text):
    return " ".join(re.findall(r"\w+", text.lower()))


def agreement(url, pairs):
    """Shares of the pairs of answers that are equal, equal but for case and punctuation, and near by meaning."""
    vectors = embed(url, [text or " " for pair in pairs for text in pair])
    near = [cosine(vectors[2 * i], vectors[2 * i + 1]) >= 0.92 for i in range(len(pairs))]
    return [statistics.mean(shares) for shares in (
        [a == b for a, b in pairs], [normalised(a) == normalised(b) for a, b in pairs], near)]


def measure(options, engine, urls):
    rows = [json.loads(line) for line in open(options.data / "fow_conversations_test.jsonl", encoding="utf-8")]
    shuffle = random.Random(options.seed)
    shuffle.shuffle(rows)
    passages, questions = passages_of(rows), questions_of(rows, options.questions)
    shuffle.shuffle(questions)
    vectors = embed(engine, [text for text, _ in passages])
    print(f"{len(passages)} passages, {len(questions)} questions, {options.retrieve} retrieved", flush=True)
    asked, changed = {way: [] for way in WAYS}, {way: [] for way in WAYS}
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


def report(options, engine, asked, changed):
    print(f"\nmodel {options.model.name}, seed {options.seed}, {len(asked['retrieved'])} questions")
    for way in ("retrieved", "canonical"):
        total, cached = (sum(row[i] for row in asked[way]) for i in (1, 2))
        ttft = statistics.mean(row[3] for row in asked[way]), statistics.median(row[3] for row in asked[way])
        print(f"| {way} | {total} | {cached} ({cached / total:.1%}) | "
              f"{ttft[0] * 1000:.0f} / {ttft[1] * 1000:.0f} ms |")
    for way in WAYS[1:]:
        pairs = [(first[0], other[0]) for first, other, differs in
                 zip(asked["retrieved"], asked[way], changed[way] or [True] * AGAIN_QUESTIONS) if differs]
        shares = agreement(engine, pairs)
        print(f"| {way} | {len(pairs)} | " + " | ".join(f"{share:.0%}" for share in shares) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, metavar="DATA_FOLDER")
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--embedder", required=True)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--retrieve", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="of the engine; 0: one per core")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log.txt", "wb") as log:
        ports = [free_port() for _ in range(2)]
        engine_command = [options.binary, "engine", "--model", str(options.model), "--embedder", options.embedder,
                          "--listen", f"127.0.0.1:{ports[0]}", "--kv-memory", "1GiB", "--threads", str(options.threads)]
        serve = [options.binary, "serve", "--upstream", f"http://127.0.0.1:{ports[0]}/v1", "--layers", "prefix",
                 "--prefix-context", "on", "--data", folder, "--listen", f"127.0.0.1:{ports[1]}"]
        with running(engine_command, ports[0], log) as engine, running(serve, ports[1], log) as gateway:
            urls = dict.fromkeys(WAYS, engine) | {"canonical": gateway}
            asked, changed = measure(options, engine, urls)
            report(options, engine, asked, changed)


if __name__ == "__main__":
    main()
