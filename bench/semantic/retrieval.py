"""Human sessions through the retrieval cache in front of a real Chroma server: hits by rule, and how right they are.

Wants the Python of build/venv-stores, where numpy and chromadb are.

Queries are the resolved turns of `sessions_test.jsonl` in order, each session in a scope of its own and all in one,
and the questions of the clean QQP stream, where many ask the same in other words. Documents are other questions,
embedded by the same instance (`payonce up`). Every list that the cache gives is compared with a full search, computed
here from the same vectors. The second table needs no cache: what a list of the nearest earlier query would have been
worth.
"""

import argparse
import http.client
import json
import pathlib
import sys
from typing import Any

import chromadb
import numpy

from base.run import Run
from base.servers import LOOPBACK, Server, free_port

LIMIT = 10
BANDS = [(0.95, 1.01), (0.9, 0.95), (0.8, 0.9), (0.7, 0.8), (0.6, 0.7)]


class Instance:
    """Chroma, and `payonce up` in front of it."""

    def __init__(self, run: Run, name: str) -> None:
        folder, port = run.folder / name, free_port()
        folder.mkdir()
        program = pathlib.Path(sys.executable).parent / "chroma"
        command = [program, "run", "--host", LOOPBACK, "--port", port, "--path", folder]
        self._chroma = run.start(Server("chroma", command, port, run.settings.both_cores, folder,
                                        "/api/v2/heartbeat")).wait(120)
        config = folder / "payonce.toml"
        config.write_text(f'[retrieval]\nseed = true\nttl = "1h"\nmax_memory = "1GiB"\n'
                          f'[retrieval.docs]\nkind = "chroma"\nurl = "http://{LOOPBACK}:{port}"\n')
        self.server = run.payonce("up", "--config", config, "--kv-memory", "64MiB", name=f"{name}-payonce")
        self.http = http.client.HTTPConnection(LOOPBACK, self.server.port, timeout=60)
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        self.client = chromadb.HttpClient(host=f"http://{LOOPBACK}:{self.server.port}/retrieval/docs",
                                          settings=settings)

    def close(self) -> None:
        self.server.stop()
        self._chroma.stop()

    def post(self, path: str, body: Any, headers: dict[str, Any] | None = None) -> tuple[Any, Any]:
        self.http.request("POST", path, json.dumps(body), {"Content-Type": "application/json"} | (headers or {}))
        answer = self.http.getresponse()
        data = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"{path}: {data}")
        return data, answer.headers

    def embed(self, texts: list[str]) -> Any:
        rows: list[list[float]] = []
        for at in range(0, len(texts), 128):
            data, _ = self.post("/v1/embeddings", {"model": "m", "input": texts[at:at + 128]})
            rows += [row["embedding"] for row in data["data"]]
        return numpy.array(rows, dtype=numpy.float32)

    def fill(self, vectors: Any) -> str:
        made = self.client.create_collection("docs", embedding_function=None,
                                             configuration={"hnsw": {"space": "cosine", "ef_search": 400}})
        for at in range(0, len(vectors), 1000):
            chunk = vectors[at:at + 1000]
            made.add(ids=[str(at + i) for i in range(len(chunk))], embeddings=chunk)
        return (f"/retrieval/docs/api/v2/tenants/default_tenant/databases/default_database/collections/{made.id}"
                "/query")


def questions(file: pathlib.Path, count: int) -> list[str]:
    out: dict[str, None] = {}
    for line in open(file, encoding="utf-8"):
        out[json.loads(line)["q"]] = None
        if len(out) == count:
            break
    return list(out)


def asked_of(instance: Instance, path: str, sessions: list[list[str]], vectors: Any, full: list[set[int]],
             one_scope: bool) -> list[tuple[str, float]]:
    """[(rule, recall against the full search)] of every turn."""
    out: list[tuple[str, float]] = []
    at = 0
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


def reuse_table(sessions: list[list[str]], vectors: Any, full: list[set[int]], corpus: Any) -> list[str]:
    """By cosine to the nearest earlier query of the session: share of turns, overlap of its list, recall of seeding."""
    rows: dict[Any, list[tuple[float, float]]] = {band: [] for band in BANDS}
    at = 0
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
            pool = list(set[int]().union(*(full[at + int(j)] for j in order if cosines[j] >= 0.7)))
            ranked = sorted(pool, key=lambda row: -float(corpus[row] @ vectors[now]))[:LIMIT]
            rows[band].append((reused, len(set(ranked) & full[now]) / LIMIT if pool else float("nan")))
        at += len(session)
    lines = ["| cosine to the nearest earlier query | later turns | its list holds of the right one | searched among "
             "3 lists |", "|---|---|---|---|"]
    for low, high in BANDS:
        values = rows[(low, high)]
        its_list = f"{numpy.mean([v[0] for v in values]):.2f}" if values else "–"
        of_three = f"{numpy.nanmean([v[1] for v in values]):.2f}" if values and low >= 0.7 else "–"
        share = 100 * len(values) / later
        lines.append(f"| {low:.2f} to {min(high, 1):.2f} | {share:.1f} % | {its_list} | {of_three} |")
    return lines


def result_lines(name: str, results: list[tuple[str, float]], recall: Any) -> list[str]:
    lines = []
    share = {rule: [r for got, r in results if got == rule] for rule in ("equal", "paraphrase", "seeded", "store")}
    cells = [f"{100 * len(share[rule]) / len(results):.2f} % ({numpy.mean(share[rule]):.3f})" if share[rule] else "0"
             for rule in ("equal", "paraphrase", "seeded")]
    lines.append(f"| {name} | {len(results)} | {' | '.join(cells)} | {numpy.mean(share['store']):.3f} | "
                 f"{recall['mean']:.2f} / {recall['low']:.2f} ({recall['searches']}) |")
    return lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--stream", type=int, default=4000, help="questions of the QQP stream")


def study(run: Run, options: argparse.Namespace) -> None:
    files = {path.name: path for path in run.settings.data_files("semantic", "*.jsonl")}
    sessions = [[turn["resolved"] for turn in json.loads(line)["turns"]]
                for line in files["sessions_test.jsonl"].read_text(encoding="utf-8").splitlines()]
    stream = [questions(files["qqp_clean_test.jsonl"], options.stream)]
    lines = ["| queries | number | equal (recall) | paraphrase (recall) | seeded (recall) | store's recall | "
             "seeding, measured: mean / low (searches) |", "|---|---|---|---|---|---|---|"]
    known: dict[int, tuple[Any, list[set[int]]]] = {}  # by the list of sessions: vectors, full lists
    corpus: Any = None
    for number, (name, asked, one_scope) in enumerate((
            ("sessions, each a scope", sessions, False), ("sessions, one scope", sessions, True),
            ("QQP, clean", stream, True))):
        instance = Instance(run, f"instance-{number}")
        if corpus is None:
            corpus = instance.embed(questions(files["qqp_clean_train.jsonl"], options.documents))
        if id(asked) not in known:
            vectors = instance.embed([turn for session in asked for turn in session])
            known[id(asked)] = vectors, [set(map(int, numpy.argpartition(-(corpus @ v), LIMIT)[:LIMIT]))
                                         for v in vectors]
        results = asked_of(instance, instance.fill(corpus), asked, *known[id(asked)], one_scope)
        lines += result_lines(name, results, instance.server.stats()["layers"]["retrieval"]["recall"])
        print(lines[-1], flush=True)
        instance.close()
    print("\n".join([*lines, "", *reuse_table(sessions, *known[id(sessions)], corpus)]))
