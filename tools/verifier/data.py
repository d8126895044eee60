"""The training data: labelled pairs, neighbours in streams, pairs made by rule; each with the verifier's features.

A fold is a set of label clusters: a pair is tested in the fold of its asked question, by a model that saw no pair
that touches the fold. So every question of the training stream is scored by a model that does not know it.
"""

import dataclasses
import json
import pathlib
import subprocess
import zlib

import numpy as np

import embeddings
import streams
import templates

FOLDS = 5
RULES, RULES_SEED = 20000, 7
# Neighbours below this cosine are easy; an eighth of them, with the weight of all, trains as well in a third of
# the time.
EASY_COSINE, EASY_SHARE = 0.62, 0.12
# The raw stream has unlabelled duplicates; those above are left out, by the rule that made the clean one (README).
DOUBTFUL_COSINE = 0.82


@dataclasses.dataclass
class Rows:
    features: np.ndarray  # float32 [rows, features + 2]: then the conflict's number and the loaded model's logit
    same: np.ndarray
    fold: np.ndarray   # of the asked question
    other: np.ndarray  # of the cached one
    weight: np.ndarray

    def take(self, keep):
        return Rows(*(getattr(self, field.name)[keep] for field in dataclasses.fields(self)))


@dataclasses.dataclass
class Stream:
    index: np.ndarray
    cosine: np.ndarray
    labels: np.ndarray
    asked: np.ndarray  # row -> position in the stream
    rank: np.ndarray   # row -> which neighbour
    rows: Rows


class Data:
    def __init__(self, folder, cache, tools, embedder):
        """`tools`: the folder of payonce_pair_features and payonce_embed_texts; `embedder`: a GGUF file."""
        self.folder, self.cache, self.embedder = pathlib.Path(folder), pathlib.Path(cache), embedder
        self.tool = str(pathlib.Path(tools) / "payonce_pair_features")
        self.embed_tool = str(pathlib.Path(tools) / "payonce_embed_texts")
        self.cache.mkdir(parents=True, exist_ok=True)
        listing = subprocess.run([self.tool, "--names"], capture_output=True, text=True, check=True).stdout
        self.names, signs = zip(*(line.split() for line in listing.splitlines()))
        self.signs = [int(sign) for sign in signs]
        self.cluster = {row["q"]: row["c"] for name in ("qqp_stream_train", "qqp_clean_train")
                        for row in self.read(name)}

    def read(self, name):
        with open(self.folder / f"{name}.jsonl", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def store(self, name, texts):
        """The embeddings of `texts`, made once."""
        path = self.cache / f"{name}.emb"
        if not path.exists():
            embeddings.write(path, list(dict.fromkeys(texts)), self.embed_tool, self.embedder)
        return embeddings.Store(path)

    def fold_of(self, text):
        if text in self.cluster:
            return (self.cluster[text] * 2654435761 >> 7) % FOLDS
        return zlib.crc32(text.encode()) % FOLDS

    def features(self, pairs, path, model=None):
        """`pairs` of (cached, asked, cosine, others or None) through the C++ tool."""
        command = [self.tool, *(["--model", model] if model else []), path]
        lines = (json.dumps({"a": a, "b": b, "cosine": float(cosine), "others": others}) for a, b, cosine,
            others in pairs)
        out = subprocess.run(command, input=("\n".join(lines) + "\n").encode(), capture_output=True,
        check=True).stdout
        return np.frombuffer(out, np.float32).reshape(len(pairs), len(self.names) + 2)

    def stream(self, name, store, model=None, near=streams.cached_neighbours):
        questions = self.read(name)
        texts = [row["q"] for row in questions]
        labels = np.unique([str(row["c"]) for row in questions], return_inverse=True)[1]
        index, cosine = near(store.rows(texts))
        asked, rank = np.nonzero(index >= 0)
        cached = index[asked, rank]
        features = self.features([(texts[c], texts[a], cosine[a, r], streams.others_of(index, cosine, labels, a, r))
                                  for c, a, r in zip(cached, asked, rank)], store.path, model)
        folds = np.array([self.fold_of(text) for text in texts])
        rows = Rows(features, (labels[cached] == labels[asked]).astype(int), folds[asked], folds[cached],
                    np.ones(len(asked), np.float32))
        return Stream(index, cosine, labels, asked, rank, rows), texts

    def pairs(self, pairs, store, model=None):
        """(a, b, same) without a stream around them."""
        first, second = store.rows([pair[0] for pair in pairs]), store.rows([pair[1] for pair in pairs])
        features = self.features([(a, b, cosine, None) for (a, b, _), cosine in zip(pairs, (first * second).sum(1))],
                                 store.path, model)
        return Rows(features, np.array([pair[2] for pair in pairs]),
            np.array([self.fold_of(pair[1]) for pair in pairs]),
                    np.array([self.fold_of(pair[0]) for pair in pairs]), np.ones(len(pairs), np.float32))

    def training(self):
        """(clean stream, {name: Rows to train on}, kinds of the rule-made pairs)."""
        labelled = [(row["a"], row["b"], row["same"]) for name in ("qqp_pairs_train_1", "qqp_pairs_train_2")
                    for row in self.read(name)]
        denied = {frozenset(pair[:2]) for pair in labelled if not pair[2]}
        store = self.store("train", [*self.cluster, *(text for pair in labelled for text in pair[:2])])
        clean, _ = self.stream("qqp_clean_train", store)
        raw, texts = self.stream("qqp_stream_train", store)
        near = np.nonzero((raw.rows.same == 0) & (raw.rows.features[:, 0] >= DOUBTFUL_COSINE))[0]
        doubtful = np.zeros(len(raw.rows.same), bool)
        for row in near:
            asked = raw.asked[row]
            doubtful[row] = frozenset((texts[asked], texts[raw.index[asked, raw.rank[row]]])) not in denied
        made = templates.pairs(RULES, RULES_SEED)
        rules = self.pairs([pair[:3] for pair in made], self.store("rules", [t for pair in made for t in pair[:2]]))
        rules.fold = rules.other = np.array([pair[4] % FOLDS for pair in made])
        return clean, {"clean": thinned(clean.rows, clean.rank < streams.CANDIDATES),
                       "raw": thinned(raw.rows, (raw.rank < streams.CANDIDATES) & ~doubtful),
                       "pairs": self.pairs(labelled, store), "rules": rules}, np.array([pair[3] for pair in made])


def thinned(rows, keep):
    easy = (rows.same == 0) & (rows.features[:, 0] < EASY_COSINE)
    chosen = np.random.default_rng(5).random(len(easy)) < EASY_SHARE
    weighted = dataclasses.replace(rows, weight=np.where(easy, rows.weight / EASY_SHARE,
        rows.weight).astype(np.float32))
    return weighted.take(keep & (~easy | chosen))
