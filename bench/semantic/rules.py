"""Other semantic caches' rules on the same vectors: a fixed cosine (GPTCache's and RedisVL's), and vCache.

    rules.py FOLDER DELTA...      vectors.f32 and questions.json in FOLDER; prints JSON (measure.py calls it)

Each has ask(index) -> (hit, answer): looks up question `index`, and on a miss learns its answer. Vectors: length 1.
"""

import json
import math
import pathlib
import random
import sys
from typing import Any, Protocol

import numpy as np

COSINES = [0.6, 0.65, 0.7, 0.74, 0.78, 0.82, 0.86, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98]


class Cache(Protocol):
    def ask(self, index: int) -> tuple[bool, str]: ...


class Rows:
    """The questions asked so far, found by cosine. `cosines`: of every question with every other."""

    def __init__(self, cosines: Any) -> None:
        self.cosines = cosines
        self.ids = np.zeros(len(cosines), np.int64)
        self.count = 0

    def nearest(self, index: int) -> tuple[int | None, float]:
        if not self.count:
            return None, 0.0
        found = self.cosines[index][self.ids[:self.count]]
        best = int(found.argmax())
        return int(self.ids[best]), float(found[best])

    def add(self, index: int) -> None:
        self.ids[self.count] = index
        self.count += 1


class FixedCosine:
    """GPTCache 0.1.44: similarity_threshold 0.8 of a range of 4 - squared distance, i.e. a cosine of 0.60 and more;
    RedisVL: distance_threshold 0.1, i.e. a cosine of 0.90 and more."""

    def __init__(self, cosines: Any, answers: list[str], threshold: float) -> None:
        self.rows, self.answers, self.threshold = Rows(cosines), answers, threshold

    def ask(self, index: int) -> tuple[bool, str]:
        near, cosine = self.rows.nearest(index)
        if near is not None and cosine >= self.threshold:
            return True, self.answers[near]
        self.rows.add(index)
        return False, self.answers[index]


class VCache:
    """The policy of arXiv 2502.03771, section 4, written from the paper: each stored question has a logistic curve of
    its own over (similarity, was its answer right), seeded with (0, wrong) and (1, right), and is given with a
    probability that keeps its error below delta. A question is stored when the nearest one's answer was another.
    """

    def __init__(self, cosines: Any, answers: list[str], delta: float, seed: int = 0) -> None:
        from sklearn.linear_model import LogisticRegression
        self.rows, self.answers, self.delta = Rows(cosines), answers, delta
        self.seen: dict[int, list[tuple[float, int]]] = {}  # stored question -> (similarity, right)
        self.random = random.Random(seed)
        self.epsilons = np.linspace(1e-6, 1 - 1e-6, 50)
        self.quantiles = np.array([normal_quantile(1 - e) for e in self.epsilons])
        self.curve = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000, fit_intercept=False)

    def ask(self, index: int) -> tuple[bool, str]:
        near, cosine = self.rows.nearest(index)
        if near is None:
            return self._store(index)
        observed, cosine = self.seen[near], round(cosine, 3)
        if len(observed) >= 6 and self.random.random() > self._explore(observed, cosine):
            return True, self.answers[near]
        right = self.answers[near] == self.answers[index]
        observed.append((cosine, 1 if right else 0))
        return (False, self.answers[index]) if right else self._store(index)

    def _store(self, index: int) -> tuple[bool, str]:
        self.rows.add(index)
        self.seen[index] = [(0.0, 0), (1.0, 1)]
        return False, self.answers[index]

    def _explore(self, observed: list[tuple[float, int]], cosine: float) -> float:
        s = np.array([x for x, _ in observed])
        y = np.array([r for _, r in observed])
        design = np.column_stack([np.ones_like(s), s])
        self.curve.fit(design, y)
        intercept, gamma = self.curve.coef_[0]
        gamma = max(gamma, 1e-6)
        t = min(max(-intercept / gamma, 0.0), 1.0)
        if s[y == 1].min() > s[y == 0].max():
            # Perfectly separated: the delta method has nothing to go by. The authors' table falls from 0.035 at 6
            # observations to about 0.01 at 14 and stays there.
            variance = max(0.01, 0.0354 * (6 / len(s)) ** 1.6)
        else:
            p = self.curve.predict_proba(design)[:, 1]
            covariance = np.linalg.inv(design.T @ ((p * (1 - p))[:, None] * design))
            slope = np.array([-1 / gamma, intercept / gamma**2])
            variance = max(float(slope @ covariance @ slope), 0.0)
        shifted = np.clip(t + self.quantiles * math.sqrt(variance), 0, 1)
        right = (1 - self.epsilons) / (1 + np.exp(-np.clip(gamma * (cosine - shifted), -60, 60)))
        return float(np.min(1 - self.delta / (1 - right)))


def normal_quantile(p: float) -> float:
    low, high = -8.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        if 0.5 * (1 + math.erf(middle / math.sqrt(2))) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def shares(cache: Cache, answers: list[str]) -> dict[str, float]:
    """In per cent of all questions."""
    hits = wrong = 0
    for index, right in enumerate(answers):
        hit, answer = cache.ask(index)
        hits += hit
        wrong += hit and answer != right
    share = 100 / len(answers)
    return {"hit": hits * share, "correct": (hits - wrong) * share, "wrong": wrong * share}


def best_cosine(cosines: Any, answers: list[str], curve: list[dict[str, float]]) -> dict[str, Any]:
    """The lowest threshold at which at most 1 % are wrong, to a thousandth: what an oracle would tune for this stream."""
    low = max((t for t, point in zip(COSINES, curve) if point["wrong"] > 1), default=0.5)
    high = min((t for t, point in zip(COSINES, curve) if point["wrong"] <= 1), default=1.0)
    best = curve[COSINES.index(high)] if high in COSINES else {"hit": 0.0, "correct": 0.0, "wrong": 0.0}
    while high - low > 0.002:
        middle = (low + high) / 2
        point = shares(FixedCosine(cosines, answers, middle), answers)
        if point["wrong"] <= 1:
            high, best = middle, point
        else:
            low = middle
    return {"who": "one cosine, the best for this stream", "how": f"{high:.3f}, chosen after the fact", **best}


def main() -> None:
    folder, deltas = pathlib.Path(sys.argv[1]), [float(delta) for delta in sys.argv[2:]]
    asked = json.loads((folder / "questions.json").read_text())
    stored = np.fromfile(folder / "vectors.f32", np.float32).reshape(max(asked["rows"]) + 1, -1)
    vectors, answers = stored[asked["rows"]], asked["answers"]
    cosines = vectors @ vectors.T
    curve = [shares(FixedCosine(cosines, answers, threshold), answers) for threshold in COSINES]
    table: list[dict[str, Any]] = [
        {"who": "GPTCache's rule", "how": "default: cosine 0.60", **curve[0]},
        {"who": "RedisVL's rule", "how": "default: cosine 0.90", **curve[COSINES.index(0.9)]},
        best_cosine(cosines, answers, curve)]
    table += [{"who": "vCache", "how": f"delta {100 * delta:g} %", **shares(VCache(cosines, answers, delta), answers)}
              for delta in deltas]
    print(json.dumps({"curve": curve, "table": table}))


if __name__ == "__main__":
    main()
