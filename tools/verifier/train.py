#!/usr/bin/env python3
"""Trains the pair verifier: features by the C++ tool, trees by LightGBM, one model file and its report.

    tools/verifier/run [--test]      makes the environment, builds the tool, fetches the embedder, calls this

Everything has a fixed seed. `--test` adds figures on the public test files: for reporting, never for choosing.
"""

import argparse
import json
import pathlib
import sys

import lightgbm
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

import data as data_module
import model_file
import report_text
import streams

SEED = 1
ROUNDS = 260
PARAMETERS = {
    "objective": "binary", "learning_rate": 0.06, "num_leaves": 24, "min_data_in_leaf": 80, "feature_fraction": 0.5,
    "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0, "max_bin": 127, "force_col_wise": True,
    "deterministic": True, "seed": SEED, "num_threads": 2, "verbose": -1}
WEIGHTS = {"clean": 1.0, "raw": 1.0, "pairs": 1.0, "rules": 1.0}
# Deployments without a local embedder, or that cannot compare answers at lookup: rows repeated with values missing.
BLIND_SHARE = 0.25
BOUNDS = (0.005, 0.0075, 0.01, 0.02, 0.05)
TRAP_SHARE = 0.01
LIVE_AT = (0.8, 0.85, 0.88, 0.9, 0.92, 0.95)
COMPANY = ("margin", "same_cosine", "votes", "crowd")  # what neighbours say, as streams.company() gives it


def blinded(rows, names, rng):
    """Rows again, some without token features, some without what neighbours say."""
    tokens = [i for i, name in enumerate(names) if name.startswith("token")]
    company = [i for i, name in enumerate(names) if name in COMPANY]
    parts = [rows]
    for columns in (tokens, company):
        part = rows.take(rng.random(len(rows.same)) < BLIND_SHARE)
        part.features = part.features.copy()
        part.features[:, columns] = np.nan
        part.weight = part.weight * 0.5
        parts.append(part)
    return [np.concatenate([getattr(part, name) for part in parts]) for name in ("features", "same", "weight")]


def fit(parts, data):
    rng = np.random.default_rng(SEED)
    groups = [blinded(rows, data.names, rng) for rows in parts if len(rows.same)]
    features, same, weight = (np.concatenate([group[i] for group in groups]) for i in range(3))
    train = lightgbm.Dataset(features[:, :len(data.names)], same, weight=weight, feature_name=list(data.names))
    return lightgbm.train({**PARAMETERS, "monotone_constraints": data.signs}, train, ROUNDS)


def weighted(rows, factor):
    rows = rows.take(slice(None))
    rows.weight = rows.weight * factor
    return rows


def predict(booster, features, data):
    # Threads cost more than a handful of rows.
    threads = 1 if len(features) < 100 else PARAMETERS["num_threads"]
    return booster.predict(features[:, :len(data.names)], raw_score=True, num_threads=threads)


def cross_validate(clean, parts, data, without=()):
    """Scores of the clean stream's and the rules' rows by models that know neither their clusters nor templates."""
    stream = np.full(len(clean.rows.same), np.nan)
    rules = np.full(len(parts["rules"].same), np.nan)
    importance, boosters = np.zeros(len(data.names)), []
    for fold in range(data_module.FOLDS):
        chosen = [weighted(rows.take((rows.fold != fold) & (rows.other != fold)), WEIGHTS[name])
                  for name, rows in parts.items() if name not in without]
        booster = fit(chosen, data)
        importance += booster.feature_importance("gain")
        boosters.append(booster)
        tested = clean.rows.fold == fold
        stream[tested] = predict(booster, clean.rows.features[tested], data)
        tested = parts["rules"].fold == fold
        rules[tested] = predict(booster, parts["rules"].features[tested], data)
        print(f"fold {fold}: trained", file=sys.stderr, flush=True)
    return stream, rules, importance / importance.sum(), boosters


def score_matrix(stream, scores, data, veto=True):
    matrix = np.full(stream.index.shape, -np.inf)
    vetoed = veto & (stream.rows.features[:, len(data.names)] > 0)
    matrix[stream.asked, stream.rank] = np.where(vetoed, -np.inf, scores)
    return matrix


def curve(stream, scores, data, veto=True):
    """Correct hits in % of requests at each bound of wrong answers, the threshold tuned on the stream itself."""
    matrix = score_matrix(stream, scores, data, veto)
    low, high = np.quantile(scores, 0.02), scores.max() + 0.01
    return [round(100 * float(streams.best_within(stream.index, matrix, stream.labels, bound, low, high)[0]), 2)
            for bound in BOUNDS]


def blind_curves(clean, boosters, data):
    """curve() when features are missing: what a remote embedder, or a cache that compares no answers, gets."""
    tokens = [i for i, name in enumerate(data.names) if name.startswith("token")]
    company = [data.names.index(name) for name in COMPANY]
    out = {}
    for name, columns in (("no token vectors", tokens), ("no neighbours' answers", company),
                          ("neither", tokens + company)):
        features = clean.rows.features.copy()
        features[:, columns] = np.nan
        scores = np.zeros(len(features))
        for fold, booster in enumerate(boosters):
            scores[clean.rows.fold == fold] = predict(booster, features[clean.rows.fold == fold], data)
        out[name] = curve(clean, scores, data)
    return out


def live_figures(stream, booster_of, scale, offset, data):
    """[p, correct %, wrong %] for thresholds on p, with the hard rules, in a cache that fills as it serves."""
    columns = [data.names.index(name) for name in COMPANY]
    vetoed = stream.rows.features[:, len(data.names)] > 0
    out = []
    for p in LIVE_AT:
        correct, wrong = streams.serve_live(
            stream, columns, lambda i, rows: scale * predict(booster_of(i), rows, data) + offset, vetoed,
            np.log(p / (1 - p)))
        out.append([p, round(100 * float(correct), 2), round(100 * float(wrong), 2)])
    return out


def pairs_served(rows, scores, data):
    """Share of equal pairs served with the threshold that serves TRAP_SHARE of the traps; and at p >= 0.5, 0.8, 0.9."""
    clear = rows.features[:, len(data.names)] == 0
    traps, safe = np.where(clear, scores, -np.inf)[rows.same == 0], np.where(clear, scores, -np.inf)[rows.same == 1]
    threshold = np.sort(traps)[-1 - int(TRAP_SHARE * len(traps))]
    at = [[p, round(100 * float((safe >= np.log(p / (1 - p))).mean()), 1),
           round(100 * float((traps >= np.log(p / (1 - p))).mean()), 1)] for p in (0.5, 0.8, 0.9, 0.95, 0.97)]
    return {"safe_at_1_percent_traps": round(100 * float((safe > threshold).mean()), 1),
            "vetoed_safe": round(100 * float((~clear)[rows.same == 1].mean()), 1),
            "vetoed_traps": round(100 * float((~clear)[rows.same == 0].mean()), 1),
            "safe_and_traps_at_p": at}


def calibration_of(clean, scores):
    """Platt's scaling on held-out scores of the neighbours that a lookup sees, and how honest p is after it."""
    seen = clean.rank < streams.CANDIDATES
    near = seen & (clean.rows.features[:, 0] >= 0.6)
    platt = LogisticRegression(C=1e6).fit(scores[near][:, None], clean.rows.same[near])
    scale, offset = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    p = 1 / (1 + np.exp(-(scale * scores[seen] + offset)))
    bins = []
    for low, high in ((0, .1), (.1, .3), (.3, .5), (.5, .7), (.7, .8), (.8, .9), (.9, .95), (.95, 1.01)):
        inside = (p >= low) & (p < high)
        if inside.any():
            bins.append([low, min(high, 1), int(inside.sum()), round(float(p[inside].mean()), 3),
                         round(float(clean.rows.same[seen][inside].mean()), 3)])
    return scale, offset, {"bins": bins, "log_loss": round(float(log_loss(clean.rows.same[seen], p)), 4),
                           "auc": round(float(roc_auc_score(clean.rows.same[seen], p)), 4)}


def validation(data, clean, parts, kinds):
    report = {"rows": {name: len(rows.same) for name, rows in parts.items()}, "bounds": BOUNDS}
    cosine = clean.rows.features[:, 0].astype(float)
    report["cosine"] = {"plain": curve(clean, cosine, data, False), "vetoed": curve(clean, cosine, data)}
    scores, rules, importance, boosters = cross_validate(clean, parts, data)
    scale, offset, report["calibration"] = calibration_of(clean, scores)
    scores, rules = scale * scores + offset, scale * rules + offset
    report["verifier"] = {"plain": curve(clean, scores, data, False), "vetoed": curve(clean, scores, data)}
    report["blind"] = blind_curves(clean, boosters, data)
    live, _ = data.stream("qqp_clean_train", data.store("train", []), near=streams.earlier_neighbours)
    folds = np.zeros(len(live.index), int)
    folds[live.asked] = live.rows.fold
    report["live"] = live_figures(live, lambda i: boosters[folds[i]], scale, offset, data)
    report["rules"] = pairs_served(parts["rules"], rules, data)
    report["rules"]["served_by_kind"] = {
        kind: round(100 * float(((rules >= np.log(9)) & (parts["rules"].features[:,
        len(data.names)] == 0))[kinds == kind].mean()), 1)
        for kind in sorted(set(kinds))}
    report["importance"] = sorted(zip(data.names, (100 * importance).round(2).tolist()), key=lambda pair: -pair[1])
    free, _, _, _ = cross_validate(clean, parts, data, without=("clean", "raw", "pairs"))
    report["without_quora"] = {"plain": curve(clean, free, data, False), "vetoed": curve(clean, free, data)}
    return scale, offset, report


def test_figures(data, booster, scale, offset, model):
    names = ("qqp_clean_test", "clinc_stream_test", "bank_stream_test")
    pairs = {"nearmiss_pairs_test": "same", "fow_pairs_test": "same_answer"}
    texts = [row["q"] for name in names for row in data.read(name)]
    texts += [row[side] for name in pairs for row in data.read(name) for side in "ab"]
    store, out = data.store("test", texts), {}
    for name in names:
        stream, _ = data.stream(name, store, model)
        scores = scale * predict(booster, stream.rows.features, data) + offset
        cosine = stream.rows.features[:, 0].astype(float)
        out[name] = {"cosine": curve(stream, cosine, data, False), "cosine_vetoed": curve(stream, cosine, data),
                     "verifier": curve(stream, scores, data, False), "verifier_vetoed": curve(stream, scores, data),
                     "cpp_differs_by": float(np.abs(scores - stream.rows.features[:, -1]).max())}
        live, _ = data.stream(name, store, near=streams.earlier_neighbours)
        out[name]["live"] = live_figures(live, lambda i: booster, scale, offset, data)
    for name, key in pairs.items():
        rows = data.pairs([(row["a"], row["b"], int(row[key])) for row in data.read(name)], store, model)
        out[name] = pairs_served(rows, scale * predict(booster, rows.features, data) + offset, data)
    return out


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of the public JSONL files")
    parser.add_argument("--cache", required=True, help="folder for embeddings")
    parser.add_argument("--tools", required=True, help="folder of payonce_pair_features and payonce_embed_texts")
    parser.add_argument("--embedder", required=True, help="the embedder's GGUF file")
    parser.add_argument("--model", required=True, help="the model file to write")
    parser.add_argument("--figures", required=True, help="the JSON file of figures to write")
    parser.add_argument("--report", help="the report to write, of those figures")
    parser.add_argument("--sample", help="a small file of rows and logits, for the C++ parity test")
    parser.add_argument("--quick", action="store_true", help="no cross-validation: the scale is 1")
    parser.add_argument("--test", action="store_true", help="figures on the test files")
    return parser.parse_args()


def write_sample(path, booster, features, data, scale, offset):
    """Rows that a test predicts again in C++: features as hexadecimal floats, then LightGBM's own log-odds."""
    rng = np.random.default_rng(SEED)
    rows = np.concatenate([features[rng.choice(len(features), 60, replace=False)],
                           rng.normal(0.5, 1, (20, features.shape[1])).astype(np.float32)])
    rows[60:][rng.random((20, features.shape[1])) < 0.3] = np.nan
    scores = scale * predict(booster, rows, data) + offset
    with open(path, "w", encoding="utf-8") as file:
        for row, score in zip(rows[:, :len(data.names)], scores):
            file.write(" ".join("nan" if np.isnan(value) else f"{value:.9g}" for value in row) + f" {score:.12g}\n")


def main():
    options = arguments()
    data = data_module.Data(options.data, options.cache, options.tools, options.embedder)
    clean, parts, kinds = data.training()
    scale, offset, report = (1.0, 0.0, {}) if options.quick else validation(data, clean, parts, kinds)
    booster = fit([weighted(rows, WEIGHTS[name]) for name, rows in parts.items()], data)
    pathlib.Path(options.model).write_bytes(model_file.model_bytes(booster, data.names, scale, offset))
    if options.sample:
        write_sample(options.sample, booster, clean.rows.features, data, scale, offset)
    if options.test:
        report["test"] = test_figures(data, booster, scale, offset, options.model)
    report["model_bytes"] = pathlib.Path(options.model).stat().st_size
    pathlib.Path(options.figures).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if options.report:
        pathlib.Path(options.report).write_text(report_text.markdown(report), encoding="utf-8")


if __name__ == "__main__":
    main()
