#!/usr/bin/env python3
"""Human sessions through the retrieval cache in front of a real Chroma server: hits by rule, and how right they are.

  build/venv-stores/bin/python bench/semantic/retrieval.py --data ../shared/data/semantic [--documents 10000]
                                                           [--markdown FILE]

Queries are the resolved turns of `sessions_test.jsonl` in order, each session in a scope of its own and all in one,
and the questions of the clean QQP stream, where many ask the same in other words. Documents are other questions,
embedded by the same instance (`payonce up`). Every list that the cache gives is compared with a full search, computed
here from the same vectors. The second table needs no cache: what a list of the nearest earlier query would have been
worth.
"""

import argparse
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

import chromadb
import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench" / "semantic"))

from stream import free_port  # noqa: E402

LIMIT = 10
BANDS = [(0.95, 1.01), (0.9, 0.95), (0.8, 0.9), (0.7, 0.8), (0.6, 0.7)]


def wait_for(url, process, limit_s=120):
    deadline = time.monotonic() + limit_s
    while True:
        assert process.poll() is None, f"{url}: exit status {process.returncode}"
        try:
            return urllib.request.urlopen(url, timeout=5)
        except OSError:
            assert time.monotonic() < deadline, f"{url}: nothing there after {limit_s} s"
            time.sleep(0.05)


class Instance:
    """Chroma, and `payonce up` in front of it."""

    def __init__(self, folder, seed):
        self.folder, chroma, self.port = pathlib.Path(folder), free_port(), free_port()
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "payonce.toml"
        config.write_text(f'[retrieval]\nseed = {"true" if seed else "false"}\nttl = "1h"\nmax_memory = "1GiB"\n'
                          f'[retrieval.docs]\nkind = "chroma"\nurl = "http://127.0.0.1:{chroma}"\n')
        log = open(self.folder / "log.txt", "wb")
        program = pathlib.Path(sys.executable).parent / "chroma"
        self.processes = [subprocess.Popen([program, "run", "--host", "127.0.0.1", "--port", str(chroma), "--path",
                                            self.folder / "chroma"], stdout=log, stderr=log)]
        binary = os.environ.get("PAYONCE_BINARY", ROOT / "build/release/payonce")
        self.processes.append(subprocess.Popen([binary, "up", "--config", config, "--listen",
                                                f"127.0.0.1:{self.port}", "--data", self.folder / "data",
                                                "--kv-memory", "64MiB"], stdout=log, stderr=log))
        wait_for(f"http://127.0.0.1:{chroma}/api/v2/heartbeat", self.processes[0])
        wait_for(f"http://127.0.0.1:{self.port}/readyz", self.processes[1])
        self.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        self.client = chromadb.HttpClient(host=f"http://127.0.0.1:{self.port}/retrieval/docs", settings=settings)

    def close(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(60)

    def post(self, path, body, headers=None):
        self.http.request("POST", path, json.dumps(body), {"Content-Type": "application/json"} | (headers or {}))
        answer = self.http.getresponse()
        data = json.loads(answer.read())
        assert answer.status == 200, data
        return data, answer.headers

    def embed(self, texts):
        rows = []
        for at in range(0, len(texts), 128):
            data, _ = self.post("/v1/embeddings", {"model": "m", "input": texts[at:at + 128]})
            rows += [row["embedding"] for row in data["data"]]
        return numpy.array(rows, dtype=numpy.float32)

    def fill(self, vectors):
        made = self.client.create_collection("docs", embedding_function=None,
                                             configuration={"hnsw": {"space": "cosine", "ef_search": 400}})
        for at in range(0, len(vectors), 1000):
            chunk = vectors[at:at + 1000]
            made.add(ids=[str(at + i) for i in range(len(chunk))], embeddings=chunk)
        return (f"/retrieval/docs/api/v2/tenants/default_tenant/databases/default_database/collections/{made.id}"
                "/query")


def questions(file, count):
    out = {}
    for line in open(file, encoding="utf-8"):
        out[json.loads(line)["q"]] = None
        if len(out) == count:
            break
    return list(out)


def run(instance, path, sessions, vectors, full, one_scope):
    """[(rule, recall against the full search)] of every turn."""
    out, at = [], 0
    for number, session in enumerate(sessions):
        scope = "session:all" if one_scope else f"session:{number}"
        for turn in session:
            body = {"query_embeddings": [vectors[at].tolist()], "n_results": LIMIT,
                    "include": ["embeddings", "distances"]}
            headers = {"X-Payonce-Scope": scope, "X-Payonce-Query": turn.encode("utf-8")}
            data, fields = instance.post(path, body, headers)
            found = {int(one) for one in data["ids"][0]}
            out.append((fields.get("x-payonce-retrieval", "store"), len(found & full[at]) / LIMIT))
            at += 1
    return out


def reuse_table(sessions, vectors, full, corpus):
    """By cosine to the nearest earlier query of the session: share of turns, overlap of its list, recall of seeding."""
    rows, at = {band: [] for band in BANDS}, 0
    later = 0
    for session in sessions:
        for i in range(1, len(session)):
            now = at + i
            later += 1
            cosines = vectors[at:now] @ vectors[now]
            order = numpy.argsort(-cosines)[:3]
            best = float(cosines[order[0]])
            band = next((one for one in BANDS if one[0] <= best < one[1]), None)
            if band is None:
                continue
            reused = len(full[at + int(order[0])] & full[now]) / LIMIT
            pool = list(set().union(*(full[at + int(j)] for j in order if cosines[j] >= 0.7)))
            ranked = sorted(pool, key=lambda row: -float(corpus[row] @ vectors[now]))[:LIMIT]
            rows[band].append((reused, len(set(ranked) & full[now]) / LIMIT if pool else float("nan")))
        at += len(session)
    lines = ["| cosine to the nearest earlier query | later turns | its list holds of the right one | searched among "
             "3 lists |", "|---|---|---|---|"]
    for low, high in BANDS:
        values = rows[(low, high)]
        reused = f"{numpy.mean([v[0] for v in values]):.2f}" if values else "–"
        seeded = f"{numpy.nanmean([v[1] for v in values]):.2f}" if values and low >= 0.7 else "–"
        lines.append(f"| {low:.2f} to {min(high, 1):.2f} | {100 * len(values) / later:.1f} % | {reused} | {seeded} |")
    return lines


def result_lines(name, results, recall):
    lines = []
    share = {rule: [r for got, r in results if got == rule] for rule in ("equal", "paraphrase", "seeded", "store")}
    cells = [f"{100 * len(share[rule]) / len(results):.2f} % ({numpy.mean(share[rule]):.3f})" if share[rule] else "0"
             for rule in ("equal", "paraphrase", "seeded")]
    lines.append(f"| {name} | {len(results)} | {' | '.join(cells)} | {numpy.mean(share['store']):.3f} | "
                 f"{recall['mean']:.2f} / {recall['low']:.2f} ({recall['searches']}) |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--stream", type=int, default=4000, help="questions of the QQP stream")
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    sessions = [[turn["resolved"] for turn in json.loads(line)["turns"]]
                for line in open(options.data / "sessions_test.jsonl", encoding="utf-8")]
    stream = [questions(options.data / "qqp_clean_test.jsonl", options.stream)]
    lines = ["| queries | number | equal (recall) | paraphrase (recall) | seeded (recall) | store's recall | "
             "seeding, measured: mean / low (searches) |", "|---|---|---|---|---|---|---|"]
    known = {}  # by the list of sessions: (vectors, full lists)
    with tempfile.TemporaryDirectory() as folder:
        corpus = None
        for name, asked, one_scope in (("sessions, each a scope", sessions, False),
                                       ("sessions, one scope", sessions, True), ("QQP, clean", stream, True)):
            instance = Instance(pathlib.Path(folder) / str(len(lines)), True)
            try:
                if corpus is None:
                    corpus = instance.embed(questions(options.data / "qqp_clean_train.jsonl", options.documents))
                if id(asked) not in known:
                    vectors = instance.embed([turn for session in asked for turn in session])
                    known[id(asked)] = vectors, [set(map(int, numpy.argpartition(-(corpus @ v), LIMIT)[:LIMIT]))
                                                 for v in vectors]
                results = run(instance, instance.fill(corpus), asked, *known[id(asked)], one_scope)
                stats = json.load(urllib.request.urlopen(f"http://127.0.0.1:{instance.port}/payonce/v1/stats"))
                lines += result_lines(name, results, stats["layers"]["retrieval"]["recall"])
                print(lines[-1], flush=True)
            finally:
                instance.close()
    lines += ["", *reuse_table(sessions, *known[id(sessions)], corpus)]
    print("\n".join(lines))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
