#!/usr/bin/env python3
"""The engine beside llama-server: the same file, the same threads, the same run, one after the other in each round.

Prints medians and ratios; with --markdown writes the engine's part of docs/benchmarks.md. Every prompt is of random
tokens and new, but where a measure is about repeating one.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import engine_load  # noqa: E402
import servers  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- engine: begin -->", "<!-- engine: end -->"
WASTE_TOKENS = 48
FORKS, FORK_PREFIX, FORK_TOKENS, BLOCK_TOKENS = 64, 1000, 24, 16


def command_of(name, options, port):
    threads = str(options.threads)
    if name == "payonce":
        return [options.binary, "engine", "--model", options.model, "--listen", f"127.0.0.1:{port}",
                "--threads", threads, "--kv-memory", "2GiB", "--max-batch", "64"]
    return [options.llama_server, "-m", options.model, "-t", threads, "-tb", threads, "-c", "40960", "-np", "16",
            "-fa", "on", "-kvu", "--port", str(port), "--host", "127.0.0.1"]


def start(name, options, directory):
    port = servers.free_port()
    server = servers.Server(name, command_of(name, options, port), port, options.cores, directory)
    path = "/readyz" if name == "payonce" else "/health"

    def ready():
        if server.process.poll() is not None:
            raise RuntimeError(f"{name} ended:\n{server.log_tail()}")
        try:
            return servers.request(port, "GET", path)[0] == 200
        except OSError:
            return False

    servers.wait_for(ready, f"{name} is ready", 60)
    engine_load.complete(port, engine_load.random_prompt(64, 1), 4)
    return server


def one_stream(port, seed):
    """Tokens a second of one stream after its first token."""
    done = engine_load.complete(port, engine_load.random_prompt(64, seed), 128)
    return {"one.tokens_s": (done.tokens - 1) / (done.total_s - done.ttft_s)}


def cold_prefill(port, seed):
    done = engine_load.complete(port, engine_load.random_prompt(2048, seed), 1)
    return {"prefill.tokens_s": 2048 / done.total_s}


def shared_cold_prefix(port, seed):
    """Eight requests with one new prefix of 2,048 tokens and 16 tokens of their own, and one such request alone."""
    alone = engine_load.complete(port, engine_load.random_prompt(2064, seed), 4)
    prefix = engine_load.random_prompt(2048, seed + 1)
    wall, _ = engine_load.together(port, [prefix + engine_load.random_prompt(16, seed + 2 + i) for i in range(8)], 4)
    return {"cold8.alone_s": alone.total_s, "cold8.together_s": wall, "cold8.factor": wall / alone.total_s}


def sixteen_streams(port, seed):
    """Sixteen streams of 64 tokens whose prompts share 1,024 tokens: cold in all, and decoding alone when warm."""
    prefix = engine_load.random_prompt(1024, seed)
    prompts = [prefix + engine_load.random_prompt(8, seed + 1 + i) for i in range(16)]
    wall, results = engine_load.together(port, prompts, 64)
    cold = sum(each.tokens for each in results) / wall
    wall, results = engine_load.together(port, prompts, 64)
    warm = sum(each.tokens for each in results) / wall
    begin = max(each.ttft_s for each in results)
    end = min(each.total_s for each in results)
    counted = sum(1 for each in results for at in each.token_times if begin < at <= end)
    return {"sixteen.cold_tokens_s": cold, "sixteen.warm_tokens_s": warm,
            "sixteen.decode_tokens_s": counted / (end - begin) if end > begin else 0}


def repeated_prompt(port, seed):
    prompt = engine_load.random_prompt(2048, seed)
    engine_load.complete(port, prompt, 1)
    again = engine_load.complete(port, prompt, 33)
    step = (again.token_times[-1] - again.token_times[0]) / (len(again.token_times) - 1)
    return {"repeat.ttft_ms": again.ttft_s * 1e3, "repeat.steps": again.ttft_s / step, "repeat.cached": again.cached}


def used_blocks(port):
    text = servers.request(port, "GET", "/metrics")[2].decode()
    return int(re.search(r'payonce_kv_blocks\{state="used"\} (\d+)', text).group(1))


@contextlib.contextmanager
def peak_blocks(port):
    """A list whose one element is the most blocks that were in use meanwhile."""
    peak, over = [0], threading.Event()

    def watch():
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


def fork_memory(port, seed):
    """64 answers to one prompt: the most blocks in use, against the blocks that differ, and slots without a token."""
    body = {"model": "bench", "prompt": engine_load.random_prompt(FORK_PREFIX, seed), "max_tokens": FORK_TOKENS,
            "n": FORKS, "temperature": 1, "seed": seed, "ignore_eos": True}
    with peak_blocks(port) as peak:
        status, _, answer = servers.request(port, "POST", "/v1/completions", json.dumps(body), timeout=300)
    if status != 200:
        raise RuntimeError(answer.decode())
    whole = FORK_PREFIX // BLOCK_TOKENS
    own = -(-(FORK_PREFIX % BLOCK_TOKENS + FORK_TOKENS - 1) // BLOCK_TOKENS)
    return {"forks.used_blocks": peak[0], "forks.unique_ratio": peak[0] / (whole + FORKS * own)}


def kv_waste(port, seed):
    """Of the slots of the blocks in use by 8 answers to different prompts of about 1,000 tokens, those without a token.

    The prompts are computed before, so that all answers go on together; as many tokens as at the end are counted."""
    prompts = [engine_load.random_prompt(1000 + 7 * i, seed + i) for i in range(8)]
    engine_load.together(port, prompts, 1)
    with peak_blocks(port) as most:
        engine_load.together(port, prompts, WASTE_TOKENS)
    held = sum(len(prompt) + WASTE_TOKENS - 1 for prompt in prompts)
    return {"waste.percent": 100 * (1 - held / (most[0] * BLOCK_TOKENS))}


SHARED = [one_stream, cold_prefill, shared_cold_prefix, sixteen_streams, repeated_prompt]
OWN = [fork_memory, kv_waste]


def measure(options):
    """{server: {figure: [a value a round]}}"""
    out = {"payonce": {}, "llama": {}}
    for round_index in range(options.rounds):
        for name in ("payonce", "llama"):
            with tempfile.TemporaryDirectory() as directory:
                server = start(name, options, directory)
                try:
                    for number, run in enumerate(SHARED + (OWN if name == "payonce" else [])):
                        figures = run(server.port, 100_000 * round_index + 1000 * number + 17)
                        sys.stderr.write(f"round {round_index + 1} {name}: {figures}\n")
                        for figure, value in figures.items():
                            out[name].setdefault(figure, []).append(value)
                finally:
                    server.stop()
    return out


def middle(values):
    return f"{statistics.median(values):.3g} ({min(values):.3g} – {max(values):.3g})"


def ratios(samples, figure):
    return [a / b for a, b in zip(samples["payonce"][figure], samples["llama"][figure])]


def goals(samples):
    """(text, wanted, values, met)"""
    own = samples["payonce"]
    rows = [
        ("8 at once, one new 2k prefix ÷ the time of one", "≤ 1.6", own["cold8.factor"], lambda v: v <= 1.6),
        ("16 streams, shared 1k prompt, cold: tokens a second ÷ llama-server", "≥ 2",
         ratios(samples, "sixteen.cold_tokens_s"), lambda v: v >= 2),
        ("one stream: tokens a second ÷ llama-server", "≥ 0.9", ratios(samples, "one.tokens_s"), lambda v: v >= 0.9),
        ("repeated 2k prompt: time to first token, in decode steps", "≤ 3", own["repeat.steps"], lambda v: v <= 3),
        ("64 forks of one prompt: blocks ÷ unique blocks", "≤ 1.1", own["forks.unique_ratio"], lambda v: v <= 1.1),
        ("KV slots without a token, 8 prompts", "≤ 4 %", own["waste.percent"], lambda v: v <= 4),
    ]
    return [(text, wanted, values, met(statistics.median(values))) for text, wanted, values, met in rows]


def report(samples, options):
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True,
                            check=False).stdout.strip()
    lines = [f"Measured on {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())} at commit {commit} by "
             f"`./dev bench --engine --rounds {options.rounds} --markdown`: {pathlib.Path(options.model).name}, "
             f"{options.threads} threads, {options.rounds} rounds, load {os.getloadavg()[0]:.1f} at the end. "
             "llama-server of the same llama.cpp, `-np 16 -kvu -fa on`. Medians, with the least and the greatest.", "",
             "| goal | wanted | measured | verdict |", "|---|---|---|---|"]
    for text, wanted, values, met in goals(samples):
        lines.append(f"| {text} | {wanted} | {middle(values)} | {'met' if met else '**missed**'} |")
    lines += ["", "| figure | Payonce | llama-server |", "|---|---|---|"]
    for figure, values in samples["payonce"].items():
        other = samples["llama"].get(figure)
        lines.append(f"| {figure} | {middle(values)} | {middle(other) if other else '–'} |")
    return "\n".join(lines) + "\n"


def write_markdown(text):
    path = ROOT / "docs/benchmarks.md"
    page = path.read_text()
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    path.write_text(page[:begin] + "\n" + text + page[end:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cores", default="0,1")
    parser.add_argument("--model", default=os.environ.get("PAYONCE_MODEL"))
    parser.add_argument("--binary", default=str(ROOT / "build/release/payonce"))
    parser.add_argument("--llama-server", default=os.environ.get("PAYONCE_LLAMA_SERVER"))
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--markdown", action="store_true", help="write the engine's part of docs/benchmarks.md")
    options = parser.parse_args()
    if not options.model or not options.llama_server:
        parser.error("needs --model and --llama-server (./dev bench --engine sets both)")
    samples = measure(options)
    text = report(samples, options)
    print(text)
    if options.json:
        options.json.write_text(json.dumps(samples, indent=1))
    if options.markdown:
        write_markdown(text)


if __name__ == "__main__":
    main()
