"""GPTCache as its documentation sets it up (FAISS, SQLite, SearchDistanceEvaluation), with our vectors.

    gptcache_peer.py FOLDER QUESTIONS      vectors.f32 and questions.json in FOLDER, the first QUESTIONS of them;
                                           prints JSON (measure.py calls it)
"""

import contextlib
import importlib.metadata
import json
import pathlib
import sys
from typing import Any

import numpy as np
from gptcache.adapter.adapter import adapt
from gptcache.core import Cache
from gptcache.manager import CacheBase, VectorBase, get_data_manager
from gptcache.similarity_evaluation.distance import SearchDistanceEvaluation


def cache_of(vector_of: dict[str, Any], width: int, folder: pathlib.Path) -> Any:
    cache = Cache()
    for old in (*folder.glob("gptcache.*"), *folder.glob("faiss.*")):
        old.unlink()  # of the stream before
    manager = get_data_manager(CacheBase("sqlite", sql_url=f"sqlite:///{folder}/gptcache.db"),
                               VectorBase("faiss", dimension=width, index_path=f"{folder}/faiss.index"))
    cache.init(pre_embedding_func=lambda data, **_: data["prompt"], embedding_func=lambda text, **_: vector_of[text],
               data_manager=manager, similarity_evaluation=SearchDistanceEvaluation())
    return cache


def ask(cache: Any, question: str, answer: str) -> tuple[bool, str]:
    """(was it a hit, what was answered)"""
    asked = []

    def model(**_: Any) -> str:
        asked.append(True)
        return answer

    def keep(data: Any, update: Any, *_: Any, **__: Any) -> Any:
        update(data)
        return data

    said = adapt(model, lambda data: data, keep, prompt=question, cache_obj=cache)
    return not asked, said


def main() -> None:
    folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    told = json.loads((folder / "questions.json").read_text())
    questions, answers = told["questions"][:count], told["answers"][:count]
    stored = np.fromfile(folder / "vectors.f32", np.float32).reshape(max(told["rows"]) + 1, -1)
    vector_of = {question: stored[row] for question, row in zip(questions, told["rows"])}
    cache = cache_of(vector_of, stored.shape[1], folder)
    hits = wrong = 0
    with contextlib.redirect_stdout(sys.stderr):
        for question, right in zip(questions, answers):
            hit, answer = ask(cache, question, right)
            hits += hit
            wrong += hit and answer != right
    share = 100 / len(questions)
    print(json.dumps({"table": [{
        "who": f"GPTCache {importlib.metadata.version('gptcache')}", "how": f"defaults, first {len(questions):,}",
        "hit": hits * share, "correct": (hits - wrong) * share, "wrong": wrong * share}]}))


if __name__ == "__main__":
    main()
