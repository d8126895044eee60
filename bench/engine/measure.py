"""The engine beside llama-server: the same file, the same threads, one after the other in each round. Every prompt is
of random tokens and new, but where a measure is about repeating one."""

import contextlib
import dataclasses
import re
import threading
import time
from collections.abc import Callable, Iterator

from base.run import Json, Run
from base.servers import LOOPBACK, Server, free_port, post_json, request
from base.settings import Skipped
from engine.load import complete, random_prompt, together

THREADS = 2
BLOCK_TOKENS = 16
WASTE_TOKENS = 48
FORK_TOKENS = 24
Figures = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Size:
    """How long and how many; the goals are about the first, the second shows that all of it runs."""
    rounds: int
    prompt: int     # tokens of a long prompt
    shared: int     # of the streams' shared prompt
    streams: int
    answer: int     # tokens of a stream's answer
    forks: int


WHOLE = Size(2, 2048, 1024, 16, 64, 64)
QUICK = Size(1, 256, 128, 4, 16, 8)


def payonce(run: Run) -> Server:
    return run.payonce("engine", "--model", run.settings.model, "--threads", THREADS, "--kv-memory", "2GiB",
                       "--max-batch", "64")


def llama(run: Run, *flags: str) -> Server:
    port = free_port()
    command = [run.settings.llama_server, "-m", run.settings.model, "-t", THREADS, "-tb", THREADS, "-c", "40960",
               "-np", "16", "-fa", "on", "-kvu", "--port", port, "--host", LOOPBACK, *flags]
    return run.start(Server("llama", command, port, run.settings.both_cores, run.folder, "/health")).wait()


def one_stream(port: int, size: Size, seed: int) -> Figures:
    """Tokens a second of one stream after its first token."""
    done = complete(port, random_prompt(64, seed), 2 * size.answer)
    return {"one.tokens_s": (done.tokens - 1) / (done.total_s - done.ttft_s)}


def cold_prefill(port: int, size: Size, seed: int) -> Figures:
    done = complete(port, random_prompt(size.prompt, seed), 1)
    return {"prefill.tokens_s": size.prompt / done.total_s}


def shared_cold_prefix(port: int, size: Size, seed: int) -> Figures:
    """Eight requests with one new long prefix and 16 tokens of their own, and one such request alone."""
    alone = complete(port, random_prompt(size.prompt + 16, seed), 4)
    prefix = random_prompt(size.prompt, seed + 1)
    wall, _ = together(port, [prefix + random_prompt(16, seed + 2 + i) for i in range(8)], 4)
    return {"cold8.alone_s": alone.total_s, "cold8.together_s": wall, "cold8.factor": wall / alone.total_s}


def many_streams(port: int, size: Size, seed: int) -> Figures:
    """Streams whose prompts share their beginning: cold in all, and decoding alone when warm."""
    prefix = random_prompt(size.shared, seed)
    prompts = [prefix + random_prompt(8, seed + 1 + i) for i in range(size.streams)]
    wall, results = together(port, prompts, size.answer)
    cold = sum(each.tokens for each in results) / wall
    wall, results = together(port, prompts, size.answer)
    warm = sum(each.tokens for each in results) / wall
    begin, end = max(each.ttft_s for each in results), min(each.total_s for each in results)
    counted = sum(1 for each in results for at in each.token_times if begin < at <= end)
    return {"streams.cold_tokens_s": cold, "streams.warm_tokens_s": warm,
            "streams.decode_tokens_s": counted / (end - begin) if end > begin else 0}


def repeated_prompt(port: int, size: Size, seed: int) -> Figures:
    prompt = random_prompt(size.prompt, seed)
    complete(port, prompt, 1)
    again = complete(port, prompt, 33)
    step = (again.token_times[-1] - again.token_times[0]) / (len(again.token_times) - 1)
    return {"repeat.ttft_ms": again.ttft_s * 1e3, "repeat.steps": again.ttft_s / step, "repeat.cached": again.cached}


def used_blocks(port: int) -> int:
    found = re.search(r'payonce_kv_blocks\{state="used"\} (\d+)', request(port, "GET", "/metrics")[2].decode())
    if not found:
        raise RuntimeError("the engine's metrics tell no payonce_kv_blocks")
    return int(found[1])


@contextlib.contextmanager
def peak_blocks(port: int) -> Iterator[list[int]]:
    """A list whose one element is the most blocks that were in use meanwhile."""
    peak, over = [0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            peak[0] = max(peak[0], used_blocks(port))
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def fork_memory(port: int, size: Size, seed: int) -> Figures:
    """Many answers to one prompt: the most blocks in use, against the blocks that differ."""
    prompt = size.shared - 24  # no whole number of blocks
    with peak_blocks(port) as peak:
        post_json(port, "/v1/completions", {
            "model": "bench", "prompt": random_prompt(prompt, seed), "max_tokens": FORK_TOKENS, "n": size.forks,
            "temperature": 1, "seed": seed, "ignore_eos": True})
    own = -(-(prompt % BLOCK_TOKENS + FORK_TOKENS - 1) // BLOCK_TOKENS)
    return {"forks.used_blocks": peak[0], "forks.unique_ratio": peak[0] / (prompt // BLOCK_TOKENS + size.forks * own)}


def kv_waste(port: int, size: Size, seed: int) -> Figures:
    """Of the slots of the blocks in use by 8 answers to different long prompts, those without a token.

    The prompts are computed before, so that all answers go on together; as many tokens as at the end are counted."""
    prompts = [random_prompt(size.shared - 24 + 7 * i, seed + i) for i in range(8)]
    together(port, prompts, 1)
    with peak_blocks(port) as most:
        together(port, prompts, WASTE_TOKENS)
    held = sum(len(prompt) + WASTE_TOKENS - 1 for prompt in prompts)
    return {"waste.percent": 100 * (1 - held / (most[0] * BLOCK_TOKENS))}


Step = Callable[[int, Size, int], Figures]
SHARED: list[Step] = [one_stream, cold_prefill, shared_cold_prefix, many_streams, repeated_prompt]
OWN: list[Step] = [fork_memory, kv_waste]


def measure(run: Run) -> Json:
    size = QUICK if run.settings.quick else WHOLE
    if not run.settings.llama_server.exists():
        raise Skipped(f"no {run.settings.llama_server}; ./dev bench builds one (PAYONCE_LLAMA_SERVER names another)")
    for turn in range(size.rounds):
        for name, start, steps in (("payonce", payonce, SHARED + OWN), ("llama", llama, SHARED)):
            run.say(f"round {turn + 1} of {size.rounds}: {name}")
            server = start(run)
            complete(server.port, random_prompt(64, 1), 4)
            for number, step in enumerate(steps):
                run.add_all(name, step(server.port, size, 100_000 * turn + 1000 * number + 17))
            run.stop_all()
    run.versions["llama-server"] = "of llama.cpp as pinned in tools/build_llama.sh"
    return {"size": dataclasses.asdict(size), "model": run.settings.model.name, "values": dict(run.values)}
