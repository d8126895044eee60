"""Streams of questions as a cache sees them: nearest earlier entries, insert on miss, and what a verifier would serve."""

import numpy as np

NEIGHBOURS = 10  # earlier questions kept for each; the first CANDIDATES that were inserted are looked at
CANDIDATES = 5
# Cosine of a hit in the policy that fills the cache for training: it has about as many hits as the verifier.
STAND_IN = 0.93


def earlier_neighbours(vectors, inserted=None, block=1024):
    """(indices, cosines) [questions, NEIGHBOURS] of the nearest earlier questions, of those that `inserted` marks; -1
    where there are fewer."""
    count = len(vectors)
    index = np.full((count, NEIGHBOURS), -1, np.int64)
    cosine = np.full((count, NEIGHBOURS), -1, np.float32)
    for begin in range(0, count, block):
        end = min(begin + block, count)
        scores = vectors[begin:end] @ vectors[:end].T
        scores[np.arange(end)[None, :] >= np.arange(begin, end)[:, None]] = -2
        if inserted is not None:
            scores[:, ~inserted[:end]] = -2
        take = min(NEIGHBOURS, end)
        best = np.argpartition(-scores, take - 1, axis=1)[:, :take]
        values = np.take_along_axis(scores, best, 1)
        order = np.argsort(-values, axis=1, kind="stable")
        best, values = np.take_along_axis(best, order, 1), np.take_along_axis(values, order, 1)
        index[begin:end, :take] = np.where(values > -1.5, best, -1)
        cosine[begin:end, :take] = np.where(values > -1.5, values, -1)
    return index, cosine


def cached_neighbours(vectors):
    """The same among questions that a cache would hold: those without an earlier held one at STAND_IN or nearer."""
    index, cosine = earlier_neighbours(vectors)
    inserted = np.zeros(len(vectors), bool)
    for i in range(len(vectors)):
        held = (index[i] >= 0) & (cosine[i] >= STAND_IN) & inserted[np.maximum(index[i], 0)]
        inserted[i] = not held.any()
    return earlier_neighbours(vectors, inserted)


def others_of(index, cosine, labels, asked, rank):
    """The entries beside one among the CANDIDATES nearest: [[cosine, 1 if it has that one's answer]…]."""
    answer = labels[index[asked, rank]]
    return [[round(float(cosine[asked, k]), 6), int(labels[index[asked, k]] == answer)]
            for k in range(CANDIDATES) if k != rank and index[asked, k] >= 0]


def serve(index, scores, labels, threshold):
    """(correct, wrong) hits per request when the best candidate at or above `threshold` is served."""
    inserted = np.zeros(len(index), bool)
    correct = wrong = 0
    for i in range(len(index)):
        best, best_score, seen = -1, -np.inf, 0
        for k in range(NEIGHBOURS):
            j = index[i, k]
            if j < 0 or not inserted[j]:
                continue
            if scores[i, k] > best_score:
                best, best_score = j, scores[i, k]
            seen += 1
            if seen == CANDIDATES:
                break
        if best >= 0 and best_score >= threshold:
            correct += labels[best] == labels[i]
            wrong += labels[best] != labels[i]
        else:
            inserted[i] = True
    return correct / len(index), wrong / len(index)


def best_within(index, scores, labels, bound, low, high, steps=16):
    """The most correct hits at wrong/request <= bound, by bisection of the threshold: (correct, wrong, threshold)."""
    found = (0.0, 0.0, high)
    for _ in range(steps):
        middle = (low + high) / 2
        correct, wrong = serve(index, scores, labels, middle)
        if wrong <= bound:
            found, high = (correct, wrong, middle), middle
        else:
            low = middle
    return found


def company(cosines, answers):
    """margin, same_cosine, votes, crowd of each of the CANDIDATES of one lookup: features.cc's neighbourhood()."""
    out = np.zeros((len(cosines), 4), np.float32)
    for k, cosine in enumerate(cosines):
        rest = np.arange(len(cosines)) != k
        same = answers == answers[k]
        out[k] = (cosine - cosines[~same].max(initial=-1), cosines[rest & same].max(initial=0), same.sum(),
                  (cosines >= 0.8).sum())
    return out


def serve_live(stream, columns, predict, vetoed, threshold):
    """serve() with neighbours that change as the cache fills: features that depend on them are made at each
    lookup. `columns`: where company()'s stand; `predict(position, rows)` gives log-odds. (correct, wrong)
    hits per request."""
    row_of = np.full(stream.index.shape, -1, np.int64)
    row_of[stream.asked, stream.rank] = np.arange(len(stream.asked))
    inserted = np.zeros(len(stream.index), bool)
    correct = wrong = 0
    for i in range(len(stream.index)):
        near = [k for k in range(NEIGHBOURS) if stream.index[i, k] >= 0 and inserted[stream.index[i, k]]][:CANDIDATES]
        inserted[i] = True
        if not near:
            continue
        rows = row_of[i, near]
        features = stream.rows.features[rows].copy()
        features[:, columns] = company(stream.cosine[i, near], stream.labels[stream.index[i, near]])
        scores = np.where(vetoed[rows], -np.inf, predict(i, features))
        best = int(scores.argmax())
        if scores[best] >= threshold:
            inserted[i] = False
            same = stream.labels[stream.index[i, near[best]]] == stream.labels[i]
            correct, wrong = correct + same, wrong + (not same)
    return correct / len(stream.index), wrong / len(stream.index)
