"""The write gate on block traces, billed by a simulator of its own: nothing is taken from the program but its marks.

Costs are relative to no cache. The gate is billed under both reading rules: any live written prefix is read, or
marked positions alone are. Parts of a trace (from a third on, the last half) are traces of their own, started cold.
"""

import json
import pathlib
from typing import Any

from base.run import Json, Run, output_of

BLOCK = 512
TERMS = [(300, 1.25, 0.1), (1800, 1.25, 0.1), (300, 1.25, 0.05), (300, 1.0, 0.02), (3600, 2.0, 0.1)]
PART_TERMS = TERMS[:2]
PARTS = {"": (0.0, 1.0), " from 1/3 on": (1 / 3, 1.0), " last half": (1 / 2, 1.0)}
Row = dict[str, Any]
Marks = list[list[int]]


def load(path: pathlib.Path) -> list[Row]:
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    for row in rows:
        row["blocks"] = row["hash_ids"][: row["input_length"] // BLOCK]
    return rows


def part(rows: list[Row], begin: float, end: float) -> list[Row]:
    first, span = rows[0]["timestamp"], rows[-1]["timestamp"] - rows[0]["timestamp"]
    return [row for row in rows if begin <= (row["timestamp"] - first) / max(1, span) <= end]


def bill(rows: list[Row], decisions: Marks, ttl_s: int, w: float, r: float, marked_only: bool = False) -> float:
    touched: dict[int, float] = {}
    cost, tokens = 0.0, 0
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


def every_end(rows: list[Row]) -> Marks:
    return [[len(row["blocks"])] if row["blocks"] else [] for row in rows]


def continuations(rows: list[Row]) -> Marks:
    """The end, if the prompt goes on from an earlier prompt's end, and the deepest position seen before."""
    ends: set[int] = set()
    seen: set[int] = set()
    out = []
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


def oracle(rows: list[Row], ttl_s: int, w: float, r: float) -> float:
    """Each block is written if its uses, each within the TTL of the one before, are worth more than the write."""
    last: dict[int, float] = {}
    uses: dict[int, int] = {}
    saved, tokens = 0.0, 0

    def worth(n: int) -> float:
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


def gate(run: Run, rows: list[Row], ttl_s: int, w: float, r: float) -> tuple[Marks, Json]:
    trace, decisions, told = (run.folder / name for name in ("trace.jsonl", "marks.jsonl", "told.json"))
    keys = ("timestamp", "input_length", "output_length", "hash_ids")
    trace.write_text("".join(json.dumps({key: row[key] for key in keys}) + "\n" for row in rows))
    output_of([run.settings.payonce, "audit", "--simulate", trace, "--ttl", ttl_s, "--write-factor", w,
               "--read-factor", r, "--decisions", decisions, "--json", told])
    return [json.loads(line)["marks"] for line in decisions.read_text().splitlines()], json.loads(told.read_text())


def costs_of(run: Run, name: str, rows: list[Row], ttl_s: int, w: float, r: float) -> Json:
    marks, told = gate(run, rows, ttl_s, w, r)
    costs = {"every_end": bill(rows, every_end(rows), ttl_s, w, r),
             "continuations": bill(rows, continuations(rows), ttl_s, w, r),
             "gate": bill(rows, marks, ttl_s, w, r), "marked_only": bill(rows, marks, ttl_s, w, r, marked_only=True),
             "oracle": oracle(rows, ttl_s, w, r)}
    well = len(marks) == len(rows) == told["requests"] and all(
        len(chosen) <= 4 and chosen == sorted(set(chosen)) and all(1 <= n <= len(row["blocks"]) for n in chosen)
        for row, chosen in zip(rows, marks, strict=True))
    run.check(well, "a decision a request, at most 4 marks within it", name)
    same = (abs(costs["gate"] - told["relative_input_cost"]) < 1e-9
            and abs(costs["marked_only"] - told["relative_input_cost_marked_only"]) < 1e-9)
    run.check(same, "the program's own bill is the same", f"{name}: {costs}, {told}")
    return {"trace": name, "ttl_s": ttl_s, "w": w, "r": r, **costs}


def measure(run: Run) -> Json:
    rows = []
    for path in run.settings.data_files("traces", "*.jsonl"):
        whole = load(path)
        for name, piece in PARTS.items():
            if name and run.settings.quick:
                continue
            title = path.name.split(".")[0] + name
            run.say(title)
            for terms in PART_TERMS if name or run.settings.quick else TERMS:
                rows.append(costs_of(run, title, part(whole, *piece), *terms))
    return {"rows": rows}
