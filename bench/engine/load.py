"""Streams of token-id prompts against an OpenAI-compatible completions endpoint, timed on the client's side."""

import dataclasses
import http.client
import json
import random
import threading
import time
from typing import Any

from base.servers import LOOPBACK

TIMEOUT_S = 300
FIRST_TOKEN, LAST_TOKEN = 1000, 40000  # plain words of every vocabulary in use


def random_prompt(count: int, seed: int) -> list[int]:
    chosen = random.Random(seed)
    return [chosen.randint(FIRST_TOKEN, LAST_TOKEN) for _ in range(count)]


@dataclasses.dataclass
class Timed:
    ttft_s: float       # from sending to the first text
    total_s: float
    tokens: int
    cached: int
    token_times: list[float]   # seconds from sending, one a chunk


def complete(port: int, prompt: list[int], max_tokens: int) -> Timed:
    body = {"model": "bench", "prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "ignore_eos": True,
            "stream": True, "stream_options": {"include_usage": True}}
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=TIMEOUT_S)
    started = time.monotonic()
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {answer.read().decode()}")
    times: list[float] = []
    usage: dict[str, Any] = {}
    for line in answer:
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        usage = event.get("usage") or usage
        # A token may have no text yet (part of a character); any chunk with a choice tells that one has come.
        if event.get("choices") and not event["choices"][0].get("finish_reason"):
            times.append(time.monotonic() - started)
    connection.close()
    total = time.monotonic() - started
    return Timed(times[0] if times else total, total, usage["completion_tokens"],
                 usage.get("prompt_tokens_details", {}).get("cached_tokens", 0), times)


def together(port: int, prompts: list[list[int]], max_tokens: int) -> tuple[float, list[Timed]]:
    """All prompts at once: (seconds from the first send to the last end, one Timed a prompt)."""
    results: dict[int, Timed] = {}
    barrier = threading.Barrier(len(prompts) + 1)

    def one(index: int) -> None:
        barrier.wait()
        results[index] = complete(port, prompts[index], max_tokens)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(prompts))]
    for thread in threads:
        thread.start()
    barrier.wait()
    started = time.monotonic()
    for thread in threads:
        thread.join()
    wall = time.monotonic() - started
    if len(results) < len(prompts):
        raise RuntimeError("a request failed, see above")
    return wall, [results[i] for i in range(len(prompts))]
