"""Other semantic caches on the same vectors: a fixed cosine (GPTCache's and RedisVL's rule), vCache, and the real GPTCache.

Each has ask(index) -> (hit, answer): looks up question `index`, and on a miss learns its answer. Vectors are rows of
`vectors`, of length 1; `answers` are what the model would say.
"""

import math
import random

import numpy as np


class Rows:
    """The questions asked so far, found by cosine."""

    def __init__(self, vectors):
        self.vectors = vectors
        self.stored = np.zeros((len(vectors), vectors.shape[1]), np.float32)
        self.ids = []

    def nearest(self, index):
        if not self.ids:
            return None, 0.0
        cosines = self.stored[:len(self.ids)] @ self.vectors[index]
        best = int(cosines.argmax())
        return self.ids[best], float(cosines[best])

    def add(self, index):
        self.stored[len(self.ids)] = self.vectors[index]
        self.ids.append(index)


class FixedCosine:
    """GPTCache 0.1.44: similarity_threshold 0.8 of a range of 4 - squared distance, i.e. a cosine of 0.60 and more;
    RedisVL: distance_threshold 0.1, i.e. a cosine of 0.90 and more."""

    def __init__(self, vectors, answers, threshold):
        self.rows, self.answers, self.threshold = Rows(vectors), answers, threshold

    def ask(self, index):
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

    def __init__(self, vectors, answers, delta, seed=0):
        from sklearn.linear_model import LogisticRegression
        self.rows, self.answers, self.delta = Rows(vectors), answers, delta
        self.seen = {}  # stored question -> [(similarity, right)]
        self.random = random.Random(seed)
        self.epsilons = np.linspace(1e-6, 1 - 1e-6, 50)
        self.quantiles = np.array([_normal_quantile(1 - e) for e in self.epsilons])
        self.curve = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000, fit_intercept=False)

    def ask(self, index):
        near, cosine = self.rows.nearest(index)
        if near is None:
            return self._store(index)
        observed, cosine = self.seen[near], round(cosine, 3)
        if len(observed) >= 6 and self.random.random() > self._explore(observed, cosine):
            return True, self.answers[near]
        right = self.answers[near] == self.answers[index]
        observed.append((cosine, 1 if right else 0))
        return (False, self.answers[index]) if right else self._store(index)

    def _store(self, index):
        self.rows.add(index)
        self.seen[index] = [(0.0, 0), (1.0, 1)]
        return False, self.answers[index]

    def _explore(self, observed, cosine):
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


def _normal_quantile(p):
    low, high = -8.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        if 0.5 * (1 + math.erf(middle / math.sqrt(2))) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


class RealGptCache:
    """GPTCache 0.1.44 as its documentation sets it up (FAISS, SQLite, SearchDistanceEvaluation), with our vectors."""

    def __init__(self, vectors, answers, questions, directory):
        from gptcache import cache as make
        from gptcache.core import Cache
        from gptcache.manager import CacheBase, VectorBase, get_data_manager
        from gptcache.similarity_evaluation.distance import SearchDistanceEvaluation
        del make
        self.vectors, self.answers, self.questions = vectors, answers, questions
        self.index_of = {q: i for i, q in enumerate(questions)}
        self.cache = Cache()
        manager = get_data_manager(CacheBase("sqlite", sql_url=f"sqlite:///{directory}/gptcache.db"),
                                   VectorBase("faiss", dimension=vectors.shape[1],
                                              index_path=f"{directory}/faiss.index"))
        self.cache.init(pre_embedding_func=lambda data, **_: data["prompt"],
                        embedding_func=lambda text, **_: vectors[self.index_of[text]],
                        data_manager=manager, similarity_evaluation=SearchDistanceEvaluation())

    def ask(self, index):
        from gptcache.adapter.adapter import adapt
        asked = []

        def model(**_):
            asked.append(True)
            return self.answers[index]

        answer = adapt(model, lambda data: data, lambda data, update, *_, **__: (update(data), data)[1],
                       prompt=self.questions[index], cache_obj=self.cache)
        return not asked, answer
