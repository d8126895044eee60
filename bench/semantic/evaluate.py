#!/usr/bin/env python3
"""Payonce beside other semantic caches on the public streams, as a table and a plot.

  ./dev bench --semantic --data FOLDER [--limit N] [--markdown docs/benchmarks.md] [--plot docs/semantic.svg]

Payonce is the real server with a scripted upstream (stream.py). The others get the same vectors, from /v1/embeddings
of `payonce up`: GPTCache 0.1.44 itself on the first questions and its rule on all, RedisVL's rule, vCache
re-implemented from its paper (peers.py), and every fixed cosine from 0.6 to 0.98 for the curve.
"""

import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import numpy as np

import peers
from stream import READY_LIMIT_S, ROOT, STREAMS, Payonce, Upstream, free_port, label, rows_of, run_stream

BOUNDS = [0.005, 0.01, 0.02, 0.05]
COSINES = [0.6, 0.65, 0.7, 0.74, 0.78, 0.82, 0.86, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98]
GPTCACHE_QUESTIONS = 3000


def embed(texts):
    """Vectors of the default embedder, by HTTP."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([str(ROOT / "build/release/payonce"), "up", "--listen", f"127.0.0.1:{port}",
                                    "--data", folder, "--layers", "none", "--kv-memory", "64MiB"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + READY_LIMIT_S
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).read()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        sys.exit("payonce up did not start")
                    time.sleep(0.1)
            out = []
            for begin in range(0, len(texts), 64):
                body = json.dumps({"model": "default", "input": texts[begin:begin + 64]}).encode()
                request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/embeddings", body,
                                                 {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=60) as answer:
                    out += [item["embedding"] for item in json.loads(answer.read())["data"]]
            return np.array(out, np.float32)
        finally:
            process.terminate()
            process.wait(30)


def measure(peer, answers, count):
    hits = wrong = 0
    for index in range(count):
        hit, answer = peer.ask(index)
        hits += hit
        wrong += hit and answer != answers[index]
    return {"hit": 100 * hits / count, "correct": 100 * (hits - wrong) / count, "wrong": 100 * wrong / count}


def best_cosine(vectors, answers, curve):
    """The lowest threshold at which at most 1 % are wrong, to a thousandth: what an oracle would tune for this stream."""
    low = max(t for t, point in zip(COSINES, curve) if point["wrong"] > 1)
    high = min(t for t, point in zip(COSINES, curve) if point["wrong"] <= 1)
    best = curve[COSINES.index(high)]
    while high - low > 0.002:
        middle = (low + high) / 2
        point = measure(peers.FixedCosine(vectors, answers, middle), answers, len(answers))
        if point["wrong"] <= 1:
            high, best = middle, point
        else:
            low = middle
    return {"who": "one cosine, the best for this stream", "how": f"{high:.3f}, chosen after the fact", **best}


def evaluate(name, folder, limit):
    file, title = STREAMS[name]
    rows = rows_of(folder, file, limit)
    questions, answers = [row["q"] for row in rows], [label(row["c"]) for row in rows]
    print(f"{title}: {len(rows)} questions", file=sys.stderr)
    table = []
    upstream = Upstream()
    for bound in BOUNDS:
        payonce = Payonce(upstream, "--error-bound", str(bound))
        try:
            upstream.calls = 0
            out = run_stream(payonce, upstream, rows, f"session:{name}")
        finally:
            payonce.stop()
        table.append({"who": "Payonce", "how": f"error bound {100 * bound:g} %", **out})
    distinct = list(dict.fromkeys(questions))
    place = {text: index for index, text in enumerate(distinct)}
    vectors = embed(distinct)[[place[text] for text in questions]]
    curve = [measure(peers.FixedCosine(vectors, answers, t), answers, len(rows)) for t in COSINES]
    table.append({"who": "GPTCache's rule", "how": "default: cosine 0.60", **curve[0]})
    table.append({"who": "RedisVL's rule", "how": "default: cosine 0.90", **curve[COSINES.index(0.9)]})
    table.append(best_cosine(vectors, answers, curve))
    for delta in (0.01, 0.02, 0.05):
        print(f"  vCache {delta}", file=sys.stderr)
        table.append({"who": "vCache", "how": f"delta {100 * delta:g} %",
                      **measure(peers.VCache(vectors, answers, delta), answers, len(rows))})
    print("  GPTCache", file=sys.stderr)
    count = min(GPTCACHE_QUESTIONS, len(rows))
    with tempfile.TemporaryDirectory() as directory:
        real = peers.RealGptCache(vectors[:count], answers[:count], questions[:count], directory)
        table.append({"who": "GPTCache 0.1.44", "how": f"defaults, first {count}", **measure(real, answers, count)})
    return {"title": title, "questions": len(rows), "table": table, "curve": curve}


def markdown(results):
    out = []
    for result in results:
        out += [f"**{result['title']}**, {result['questions']:,} questions, % of all requests:", "",
                "| cache | setting | hits | correct | wrong | hit p50, ms | it says |", "|---|---|---|---|---|---|---|"]
        for row in result["table"]:
            says = ""
            if "stats" in row:
                wrong = row["stats"]["wrong_answers"]
                says = f"{100 * wrong['estimate']:.2f} ({100 * wrong['low']:.2f} to {100 * wrong['high']:.2f})"
            latency = f"{row['hit_ms']:.1f}" if "hit_ms" in row else ""
            out.append(f"| {row['who']} | {row['how']} | {row['hit']:.1f} | **{row['correct']:.1f}** | "
                       f"{row['wrong']:.2f} | {latency} | {says} |")
        out.append("")
    return "\n".join(out)


def plot(results, path):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.fonttype"] = "none"
    matplotlib.rcParams["svg.hashsalt"] = "payonce"
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, len(results), figsize=(4.6 * len(results), 4.2), layout="constrained")
    for axis, result in zip(np.atleast_1d(axes), results):
        axis.plot([p["wrong"] for p in result["curve"]], [p["correct"] for p in result["curve"]], "-",
                  color="0.6", label="any fixed cosine", zorder=1)
        for who, mark, colour in (("Payonce", "o", "C0"), ("vCache", "s", "C1"), ("GPTCache's rule", "v", "C3"),
                                  ("RedisVL's rule", "^", "C2")):
            points = [row for row in result["table"] if row["who"] == who]
            axis.plot([p["wrong"] for p in points], [p["correct"] for p in points], mark + "-", color=colour,
                      label=who.removesuffix("'s rule"))
        axis.axvline(1, color="0.8", linestyle=":", zorder=0)
        axis.set_xscale("symlog", linthresh=1)
        axis.set_xlim(0, 40)
        ticks = [0, 0.5, 1, 2, 5, 10, 30]
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        axis.set_xticks([], minor=True)
        axis.set_ylim(0)
        axis.set_title(result["title"])
        axis.set_xlabel("wrong answers, % of requests")
    np.atleast_1d(axes)[0].set_ylabel("correct hits, % of requests")
    np.atleast_1d(axes)[0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def replace_part(path, text):
    begin, end = "<!-- semantic: begin -->", "<!-- semantic: end -->"
    content = path.read_text(encoding="utf-8")
    before, rest = content.split(begin)
    path.write_text(before + begin + "\n" + text + "\n" + end + rest.split(end)[1], encoding="utf-8")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=pathlib.Path, required=True, help="folder with the public question data")
    arguments.add_argument("--only", default="qqp,clinc,bank", help="comma-separated")
    arguments.add_argument("--limit", type=int, default=0, help="rows of each file; 0: all")
    arguments.add_argument("--markdown", type=pathlib.Path, help="file whose semantic part is replaced")
    arguments.add_argument("--plot", type=pathlib.Path, help="SVG to write")
    arguments.add_argument("--json", type=pathlib.Path, help="all figures; read instead of measured when it is there")
    options = arguments.parse_args()
    os.environ["no_proxy"] = "127.0.0.1"
    socket.setdefaulttimeout(60)
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text(encoding="utf-8"))
    else:
        results = [evaluate(name, options.data, options.limit) for name in options.only.split(",")]
        if options.json:
            options.json.write_text(json.dumps(results), encoding="utf-8")
    text = markdown(results)
    print(text)
    if options.plot:
        plot(results, options.plot)
    if options.markdown:
        commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, cwd=ROOT,
                                check=True).stdout.strip()
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        replace_part(options.markdown, f"Measured on {when} at commit {commit}.\n\n{text}")


if __name__ == "__main__":
    main()
