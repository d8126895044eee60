#!/usr/bin/env python3
"""The tool-selection cache (kind tools) and the plan cache (kind plan) on a public function-calling set.

  build/venv/bin/python bench/agents/function_calling.py --json build/function_calling.json
  build/venv/bin/python bench/agents/function_calling.py --limit 40 --only repeats,pairs      does it run at all

The Berkeley Function Calling Leaderboard (bfcl.py) says which call is right for each task. The real binary is asked
over its Unix socket; what a model would answer is the set's right call, committed after a miss. A hit is wrong when
its call, function and arguments, is not among those that the set accepts for the task that was asked.

repeats        the same task and tools again
spellings      other case, blanks, marks, politeness: with "intent" and without
changed tools  a selection must not outlive the tools that it was made among
pairs          every two tasks of the same tools, one stored alone, the other asked
traps          a task stored alone, asked with another number or place, or not to do it; by our own rules
streams        all tasks one after the other, by meaning, in one scope
rewordings     after a stream, by our own short tables (rewordings.py): they are easier than what people write
feedback       a fifth of the selections is wrong; what was told to be wrong is not served again

PAYONCE_BINARY and PAYONCE_EMBEDDER name the program and the embedder's file. Exit status 1: something that must hold
did not. No tokenizer is used: tokens are characters / 4.
"""

import argparse
import collections
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import feedback
import steps
from asking import Server, Tally, running
from bfcl import ROOT, VERSION, Json, Task, tasks

LAYERS = ("exact,semantic", "exact")
STEPS: dict[str, Callable[[Server, list[Task]], list[Tally]]] = {
    "repeats": steps.repeats, "spellings": steps.spellings, "changed tools": steps.changed_tools,
    "pairs": steps.pairs, "traps": steps.traps, "streams": steps.streams}
BY_MEANING = ("streams",)  # nothing to see without the semantic layer
MARKS = "<!-- function calling: begin -->", "<!-- function calling: end -->"
CHARACTERS_A_TOKEN = 4


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=0, help="tasks of each category; 0: all")
    parser.add_argument("--only", default="", help="comma-separated steps; all if empty")
    parser.add_argument("--flag", action="append", default=[], metavar="FLAG=VALUE",
                        help="a further flag of payonce serve, such as --flag=--semantic-compare=normalised")
    parser.add_argument("--json", type=pathlib.Path, help="writes all figures, and each wrong hit, there")
    parser.add_argument("--markdown", type=pathlib.Path, help="file whose function-calling part is replaced")
    options = parser.parse_args()
    release = ROOT / "build" / "release" / "payonce"
    embedder = pathlib.Path.home() / ".cache" / "payonce" / "models" / "all-MiniLM-L6-v2.gguf"
    for name, path in (("PAYONCE_BINARY", release), ("PAYONCE_EMBEDDER", embedder)):
        if not pathlib.Path(os.environ.setdefault(name, str(path))).exists():
            parser.error(f"{name} is '{os.environ[name]}', no file: run ./dev test once, or set it")
    unknown = set(filter(None, options.only.split(","))) - {*STEPS, "feedback"}
    if unknown:
        parser.error(f"--only: no step '{unknown.pop()}'; there are {', '.join([*STEPS, 'feedback'])}")
    return options


def measure(layers: str, all_tasks: list[Task], only: list[str], flags: list[str]) -> Json:
    out: Json = {"layers": layers, "tallies": [], "rounds": []}
    with running(layers, *flags) as server:
        for name, step in STEPS.items():
            if (name in only or not only) and (name not in BY_MEANING or "semantic" in layers):
                print(f"{time.strftime('%X')} {layers}: {name}", file=sys.stderr)
                tallies = step(server, all_tasks)
                out["tallies"] += [dataclasses.asdict(tally) | {"met": tally.met} for tally in tallies]
        if "feedback" in only or not only:
            print(f"{layers}: feedback", file=sys.stderr)
            rounds = feedback.measure(server, all_tasks, "semantic" in layers)
            out["rounds"] = [dataclasses.asdict(told) | {"met": told.met} for told in rounds]
        out["latency_us"] = {what: {"lookups": len(times), "p50": 1e6 * statistics.median(times),
                                    "p99": 1e6 * sorted(times)[len(times) * 99 // 100]}
                             for what, times in sorted(server.times.items())}
    return out


def tokens(all_tasks: list[Task]) -> Json:
    """What the model call costs that a hit saves, by characters."""
    read = [len(json.dumps(task.tools) + task.system + task.text) / CHARACTERS_A_TOKEN for task in all_tasks]
    written = [len(json.dumps(task.plan)) / CHARACTERS_A_TOKEN for task in all_tasks]
    return {"calls": len(all_tasks), "read_mean": statistics.mean(read), "read_p50": statistics.median(read),
            "written_mean": statistics.mean(written)}


# ---- the report ------------------------------------------------------------------------------------------------

def share(part: int, whole: int) -> str:
    """In per cent; small shares with their digits, since 0.00 shall mean none."""
    value = 100 * part / whole if whole else 0.0
    return f"{value:.1f}" if value in (0, 100) or value >= 10 else f"{value:.2f}"


VERDICTS = {True: "met", False: "**missed**", None: ""}
WANTED = {"all": "100 % hits", "none": "0 hits", "none wrong": "0 wrong", "bound": "wrong ≤ 1 %", "": ""}


def headline(result: Json) -> str:
    return (f"Measured on {result['when']} at commit {result['commit']}: {result['set']}, {result['tasks']:,} tasks, "
            f"`{' '.join(['payonce serve', *result['flags']])}`, load {result['load']:.1f} at the start.")


def markdown(result: Json) -> str:
    first, second = result["runs"]
    out = []
    sections: dict[str, list[Json]] = collections.defaultdict(list)
    for tally in first["tallies"]:
        sections[tally["section"]].append(tally)
    for section, tallies in sections.items():
        out += [f"**{section}**", "",
                "| lookup | lookups | hits, % | by intent, by meaning | wrong call, % of lookups | another function | "
                "wanted | |", "|---|---|---|---|---|---|---|---|"]
        for tally in tallies:
            out.append(f"| {tally['what']} | {tally['lookups']:,} | {share(tally['hits'], tally['lookups'])} | "
                       f"{tally['by_intent']}, {tally['by_meaning']} | "
                       f"{share(tally['wrong'], tally['lookups'])} | {tally['wrong_function']} | "
                       f"{WANTED[tally['wanted']]} | {VERDICTS[tally['met']]} |")
        out.append("")
    out += rounds_table(first) + latency_table(first) + latency_table(second)
    out += [differences(first, second), ""]
    cost = result["tokens"]
    out.append(f"A model call that a hit saves reads {cost['read_mean']:,.0f} tokens (median "
               f"{cost['read_p50']:,.0f}) and writes {cost['written_mean']:.0f}, on average of {cost['calls']:,} "
               "tasks (characters / 4).")
    return "\n".join(out)


def differences(first: Json, second: Json) -> str:
    """What the exact layer alone does otherwise, where nothing was found by meaning."""
    known = {(row["section"], row["what"]): row for row in first["tallies"]}
    again = [row for row in second["tallies"] if not known[row["section"], row["what"]]["by_meaning"]]
    other = [row for row in again
             if any(row[name] != known[row["section"], row["what"]][name] for name in ("lookups", "hits", "wrong"))]
    told = [f"{row['section']}, {row['what']}: {share(row['hits'], row['lookups'])} % hits" for row in other]
    return (f"Of the rows without hits by meaning, {len(again)} were measured with `--layers {second['layers']}`, "
            f"too: {'other are ' + '; '.join(told) if told else 'they are the same'}.")


def rounds_table(measured: Json) -> list[str]:
    if not measured["rounds"]:
        return []
    series: dict[str, list[Json]] = collections.defaultdict(list)
    for told in measured["rounds"]:
        series[told["series"]].append(told)
    longest = max(map(len, series.values()))
    out = ["**feedback**: wrong ones served, % of the round's lookups", "",
           "| | " + " | ".join(f"round {n + 1}" for n in range(longest)) + " | served again after feedback |",
           "|---" * (longest + 2) + "|"]
    for name, rounds in series.items():
        cells = [share(told["wrong"], told["lookups"]) for told in rounds] + [""] * (longest - len(rounds))
        out.append(f"| {name} | {' | '.join(cells)} | {sum(told['again'] for told in rounds)} |")
    return [*out, ""]


def latency_table(measured: Json) -> list[str]:
    out = [f"**latency**, layers {measured['layers']}, over the Unix socket:", "",
           "| answer | lookups | p50, µs | p99, µs |", "|---|---|---|---|"]
    out += [f"| {what} | {times['lookups']:,} | {times['p50']:.0f} | {times['p99']:.0f} |"
            for what, times in measured["latency_us"].items()]
    return [*out, ""]


def replace_part(path: pathlib.Path, text: str) -> None:
    content = path.read_text(encoding="utf-8")
    before, rest = content.split(MARKS[0])
    path.write_text(before + MARKS[0] + "\n" + text + "\n" + MARKS[1] + rest.split(MARKS[1])[1], encoding="utf-8")


def missed(result: Json) -> list[str]:
    return [f"{measured['layers']}: {row.get('section', 'feedback')}: {row.get('what', row.get('series'))}"
            for measured in result["runs"] for row in measured["tallies"] + measured["rounds"] if row["met"] is False]


def main() -> None:
    options = arguments()
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, cwd=ROOT,
                            check=True).stdout.strip()
    all_tasks = tasks(options.limit)
    only = [name for name in options.only.split(",") if name]
    result: Json = {"set": f"bfcl-eval {VERSION}", "tasks": len(all_tasks), "tokens": tokens(all_tasks),
                    "load": os.getloadavg()[0], "flags": options.flag,
                    "runs": [measure(layers, all_tasks, only, options.flag) for layers in LAYERS]}
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    result |= {"commit": commit, "when": when}
    text = f"{headline(result)}\n\n{markdown(result)}"
    print(text)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    if options.markdown:
        replace_part(options.markdown, text)
    if failed := missed(result):
        sys.exit("function_calling: this must hold and did not:\n  " + "\n  ".join(failed))


if __name__ == "__main__":
    main()
