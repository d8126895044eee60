#!/usr/bin/env python3
"""The write gate on block traces, billed by a simulator of its own (nothing is taken from the program but its marks).

    bench/prefix/gate.py --binary build/release/payonce DATA_FOLDER [--parts] [--markdown]

DATA_FOLDER holds *.jsonl block traces (rows as `payonce audit --help` says). Costs are relative to no cache. The
gate is billed under both reading rules: any live written prefix is read, or marked positions alone are. --parts adds
pieces of each trace (from a third on, the last half) as traces of their own, started cold.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

BLOCK = 512
TERMS = [(300, 1.25, 0.1), (1800, 1.25, 0.1), (300, 1.25, 0.05), (300, 1.0, 0.02), (3600, 2.0, 0.1)]
PARTS = {"": (0, 1), " from 1/3 on": (1 / 3, 1), " last half": (1 / 2, 1)}


def load(path):
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    for row in rows:
        row["blocks"] = row["hash_ids"][: row["input_length"] // BLOCK]
    return rows


def part(rows, begin, end):
    first, span = rows[0]["timestamp"], rows[-1]["timestamp"] - rows[0]["timestamp"]
    return [row for row in rows if begin <= (row["timestamp"] - first) / max(1, span) <= end]


def bill(rows, decisions, ttl_s, w, r, marked_only=False):
    touched, cost, tokens = {}, 0.0, 0
    for row, marks in zip(rows, decisions, strict=True):
        blocks, now = row["blocks"], row["timestamp"]
        read = 0
        for n in reversed(marks) if marked_only else range(len(blocks), 0, -1):
            if now - touched.get(blocks[n - 1], -1e18) <= ttl_s * 1000:
                read = n
                break
        written = max(0, (marks[-1] if marks else 0) - read)
        for n in [*marks, read]:
            if n:
                touched[blocks[n - 1]] = now
        cost += row["input_length"] + BLOCK * (read * (r - 1) + written * (w - 1))
        tokens += row["input_length"]
    return cost / tokens


def every_end(rows):
    return [[len(row["blocks"])] if row["blocks"] else [] for row in rows]


def continuations(rows):
    """The end, if the prompt goes on from an earlier prompt's end, and the deepest position seen before."""
    ends, seen, out = set(), set(), []
    for row in rows:
        blocks, shared, goes_on = row["blocks"], 0, False
        while shared < len(blocks) and blocks[shared] in seen:
            shared += 1
            goes_on = goes_on or (shared > 1 and blocks[shared - 1] in ends)
        marks = {shared} if shared else set()
        if goes_on:
            marks.add(len(blocks))
        out.append(sorted(marks))
        seen.update(blocks)
        if blocks:
            ends.add(blocks[-1])
    return out


def oracle(rows, ttl_s, w, r):
    """Each block is written if its uses, each within the TTL of the one before, are worth more than the write."""
    last, uses, saved, tokens = {}, {}, 0.0, 0

    def worth(n):
        return max(0.0, n * (1 - r) - (w - 1)) * BLOCK if n else 0.0

    for row in rows:
        tokens += row["input_length"]
        for block in row["blocks"]:
            if block in last and row["timestamp"] - last[block] <= ttl_s * 1000:
                uses[block] = uses.get(block, 0) + 1
            else:
                saved += worth(uses.pop(block, 0))
            last[block] = row["timestamp"]
    return 1 - (saved + sum(worth(n) for n in uses.values())) / tokens


def gate(binary, rows, ttl_s, w, r):
    with tempfile.TemporaryDirectory() as folder:
        trace, decisions = pathlib.Path(folder, "trace.jsonl"), pathlib.Path(folder, "marks.jsonl")
        keys = ("timestamp", "input_length", "output_length", "hash_ids")
        trace.write_text("".join(json.dumps({key: row[key] for key in keys}) + "\n" for row in rows))
        told = pathlib.Path(folder, "told.json")
        subprocess.run([binary, "audit", "--simulate", trace, "--ttl", str(ttl_s), "--write-factor", str(w),
                        "--read-factor", str(r), "--decisions", decisions, "--json", told],
                       check=True, stdout=subprocess.DEVNULL)
        marks = [json.loads(line)["marks"] for line in decisions.read_text().splitlines()]
        return marks, json.loads(told.read_text())


def check(rows, marks, told, any_cost, marked_cost):
    assert len(marks) == len(rows) == told["requests"], "a decision a request"
    for row, chosen in zip(rows, marks, strict=True):
        assert len(chosen) <= 4 and chosen == sorted(set(chosen)), chosen
        assert all(1 <= n <= len(row["blocks"]) for n in chosen), chosen
    assert abs(any_cost - told["relative_input_cost"]) < 1e-9, "the program billed otherwise"
    assert abs(marked_cost - told["relative_input_cost_marked_only"]) < 1e-9, "the program billed otherwise"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("data", type=pathlib.Path)
    options = parser.parse_args()
    head = ["trace", "TTL s", "w", "r", "every end", "continuations", "gate", "gate, marked only", "oracle"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head) if options.markdown else "\t".join(head))
    for path in sorted(options.data.glob("*.jsonl")):
        whole = load(path)
        for name, piece in PARTS.items():
            if name and not options.parts:
                continue
            rows = part(whole, *piece)
            for ttl_s, w, r in TERMS if not name else TERMS[:2]:
                marks, told = gate(options.binary, rows, ttl_s, w, r)
                costs = [bill(rows, every_end(rows), ttl_s, w, r), bill(rows, continuations(rows), ttl_s, w, r),
                         bill(rows, marks, ttl_s, w, r), bill(rows, marks, ttl_s, w, r, marked_only=True),
                         oracle(rows, ttl_s, w, r)]
                check(rows, marks, told, costs[2], costs[3])
                cells = [path.name.split(".")[0] + name, str(ttl_s), str(w), str(r), *(f"{c:.4f}" for c in costs)]
                print("| " + " | ".join(cells) + " |" if options.markdown else "\t".join(cells), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
