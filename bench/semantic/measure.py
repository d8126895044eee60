"""The semantic cache beside others: GPTCache itself, its and RedisVL's rule, vCache, and every fixed cosine."""

import array
import json
import pathlib
from typing import Any

from base.run import Json, Run, environment, output_of
from base.servers import post_json
from base.settings import BENCH, Skipped
from semantic.streams import Row, Upstream, ask_pairs, ask_stream, label, rows_of, start

STREAMS = {"qqp": ("qqp_clean_test.jsonl", "QQP, clean"), "clinc": ("clinc_stream_test.jsonl", "CLINC150"),
           "bank": ("bank_stream_test.jsonl", "Banking77")}
PAIRS = {"nearmiss": "nearmiss_pairs_test.jsonl", "fow": "fow_pairs_test.jsonl"}
PAIRS_BOUND = 0.01
GPTCACHE_QUESTIONS = 3000
PEER_TIMEOUT_S = 3600


def embed(run: Run, name: str, texts: list[str]) -> bytes:
    """Vectors of the default embedder, by HTTP: floats, one text after another."""
    server = run.payonce("up", "--layers", "none", "--kv-memory", "64MiB", name=f"embedder-{name}")
    out = array.array("f")
    for begin in range(0, len(texts), 64):
        answer = post_json(server.port, "/v1/embeddings", {"model": "default", "input": texts[begin:begin + 64]})
        for item in answer["data"]:
            out.extend(item["embedding"])
    server.stop()
    return out.tobytes()


def peer_rows(run: Run, peer: str, program: str, *arguments: Any) -> Json:
    """What a peer's program makes of the vectors and answers that lie in the run's folder; empty if it has none."""
    try:
        python = environment(peer)
    except Skipped as why:
        note = str(why)
        if note not in run.notes:
            run.notes.append(note)
        return {"table": []}
    return json.loads(output_of([python, BENCH / "semantic" / program, run.folder, *arguments], PEER_TIMEOUT_S))


def beside(run: Run, name: str, rows: list[Row]) -> Json:
    questions = [row["q"] for row in rows]
    distinct = list(dict.fromkeys(questions))
    place = {text: index for index, text in enumerate(distinct)}
    (run.folder / "vectors.f32").write_bytes(embed(run, name, distinct))
    (run.folder / "questions.json").write_text(json.dumps({
        "questions": questions, "rows": [place[text] for text in questions],
        "answers": [label(row["c"]) for row in rows]}))
    run.say("  rules of GPTCache and RedisVL, vCache")
    deltas = (0.01,) if run.settings.quick else (0.01, 0.02, 0.05)
    rules = peer_rows(run, "vcache", "rules.py", *deltas)
    run.say("  GPTCache")
    real = peer_rows(run, "gptcache", "gptcache_peer.py", GPTCACHE_QUESTIONS)
    return {"curve": rules.get("curve", []), "table": rules["table"] + real["table"]}


def measure_stream(run: Run, upstream: Upstream, name: str, file: pathlib.Path, limit: int) -> Json:
    rows, table = rows_of(file, limit), []
    for bound in (0.01,) if run.settings.quick else (0.005, 0.01, 0.02, 0.05):
        run.say(f"{name}: {len(rows)} questions, error bound {100 * bound:g} %")
        server = start(run, upstream, bound, f"{name}-{bound}")
        table.append({"who": "Payonce", "how": f"error bound {100 * bound:g} %",
                      **ask_stream(server, upstream, rows, f"session:{name}")})
        server.stop()
    peers = beside(run, name, rows)
    return {"title": STREAMS[name][1], "questions": len(rows), "table": table + peers["table"],
            "curve": peers["curve"]}


def measure(run: Run) -> Json:
    limit = 250 if run.settings.quick else 0
    upstream, files = Upstream(), {path.name: path for path in run.settings.data_files("semantic", "*.jsonl")}
    try:
        out: Json = {"streams": {}, "pairs": {}}
        for name, (file, _) in STREAMS.items():
            out["streams"][name] = measure_stream(run, upstream, name, files[file], limit)
        server = start(run, upstream, PAIRS_BOUND, "pairs")
        for name, file in PAIRS.items():
            run.say(f"{name} pairs")
            out["pairs"][name] = ask_pairs(server, upstream, rows_of(files[file], limit), name)
        return out
    finally:
        upstream.close()
