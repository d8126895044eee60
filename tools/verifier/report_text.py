"""The training report as Markdown, from train.py's figures."""

HEAD = """\
# What the verifier's model was trained on, and what it reaches

Written by `tools/verifier/run`; do not edit. Figures are in % unless said otherwise. *Correct* and *wrong* are hits
with the right and with another label, per request.

## Data

| data | rows | licence |
|---|---|---|
| labelled question pairs (qqp_pairs_train) | {pairs} | Quora's 2017 release: research and non-commercial terms |
| neighbours in the clean stream (qqp_clean_train) | {clean} | the same |
| neighbours in the raw stream (qqp_stream_train), without doubtful ones | {raw} | the same |
| pairs made by rule (`tools/verifier/templates.py`) | {rules} | this project's |

**The model holds no text, but it was trained on text under Quora's research terms.** Without it, from rule-made
pairs alone, the figures do not allow shipping: see "without Quora" below. Who must avoid it trains another file on
pairs of their own and loads that, or uses a cosine threshold with the hard rules, which need no training.

The embedder is all-MiniLM-L6-v2 (Apache-2.0) as this program runs it. Streams are filled insert-on-miss; folds are
sets of label clusters (of templates, for rule-made pairs): what is scored was never seen, nor were its neighbours'
clusters. Label noise bounds the stream's figures: of the confident "wrong" ones most are duplicates that were
labelled otherwise.

"""


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def table(head, rows):
    return row(*head) + "|" + "---|" * len(head) + "\n" + "".join(row(*cells) for cells in rows) + "\n"


def bounds_table(report, rows):
    return table(["correct hits at wrong <=", *(f"{100 * bound:g}" for bound in report["bounds"])],
                 [[name, *values] for name, values in rows])


def validation(report):
    text = "## Held-out stream (12,457 training questions, 5 folds), the threshold tuned on the stream\n\n"
    text += bounds_table(report, [
        ("cosine", report["cosine"]["plain"]), ("cosine and hard rules", report["cosine"]["vetoed"]),
        ("verifier", report["verifier"]["plain"]), ("verifier and hard rules", report["verifier"]["vetoed"]),
        *((f"the same, {name}", values) for name, values in report["blind"].items()),
        ("without Quora", report["without_quora"]["plain"]),
        ("without Quora, and hard rules", report["without_quora"]["vetoed"])])
    text += ("*No token vectors*: a remote embedder. *No neighbours' answers*: a cache that does not know which "
             "entries have equal answers.\n\n")
    text += "With the hard rules, in a cache that fills as it serves, at thresholds on p:\n\n"
    return text + table(["p >=", "correct", "wrong"], report["live"])


def rules(report):
    found = report["rules"]
    text = "## Rule-made pairs, templates held out, with the hard rules\n\n"
    text += (f"Rewordings served when 1 % of the traps are: {found['safe_at_1_percent_traps']}. The hard rules alone "
             f"refuse {found['vetoed_traps']} of the traps and {found['vetoed_safe']} of the rewordings.\n\n")
    text += table(["p >=", "rewordings served", "traps served"], found["safe_and_traps_at_p"])
    kinds = ", ".join(f"{kind} {share}" for kind, share in found["served_by_kind"].items())
    return text + f"Served at p >= 0.9 by kind: {kinds}.\n\n"


def calibration(report):
    found = report["calibration"]
    text = f"## Calibration on the held-out stream: log loss {found['log_loss']}, AUC {found['auc']} (not %)\n\n"
    return text + table(["p from", "to", "pairs", "mean p", "share with one answer"], found["bins"])


def importance(report):
    names = ", ".join(f"{name} {share}" for name, share in report["importance"] if share >= 0.2)
    return f"## Features by share of the gain\n\n{names}.\n\n"


def test(report):
    text = ("## Public test files: for reporting, nothing was chosen by them\n\n"
            "Some thirty rows of nearmiss_pairs_test were seen before `templates.py` was written; none of its sentences "
            "was taken. In the first table of a stream its threshold is tuned on that stream.\n\n")
    for name, found in report["test"].items():
        text += f"**{name}**\n\n"
        if "live" not in found:
            text += (f"Rewordings served when 1 % of the traps are: {found['safe_at_1_percent_traps']}; hard rules "
                     f"refuse {found['vetoed_traps']} of the traps, {found['vetoed_safe']} of the rewordings.\n\n")
            text += table(["p >=", "rewordings served", "traps served"], found["safe_and_traps_at_p"])
            continue
        text += bounds_table(report, [("cosine", found["cosine"]), ("cosine and hard rules", found["cosine_vetoed"]),
                                      ("verifier", found["verifier"]),
                                      ("verifier and hard rules", found["verifier_vetoed"])])
        text += table(["p >=, filling cache", "correct", "wrong"], found["live"])
    return text


def markdown(report):
    rows = {name: f"{count:,}" for name, count in report["rows"].items()}
    text = HEAD.format(**rows) + validation(report) + rules(report) + calibration(report) + importance(report)
    if "test" in report:
        text += test(report)
    return text + f"Model file: {report['model_bytes']:,} bytes.\n"
