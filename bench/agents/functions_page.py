"""Tool selections' and plans' part of the page."""

from collections.abc import Callable

from base.run import Json
from report.parts import Goal, Part, Table, number, percent

WANTED = {"all": "100 % hits", "none": "0 hits", "none wrong": "0 wrong", "bound": "wrong ≤ 1 %", "": ""}
COUNTS = ("lookups", "hits", "by_intent", "by_meaning", "wrong")
Rows = list[Json]

# Title: which tallies it sums. What is told one by one stands in the results.
CHANGED: dict[str, Callable[[str], bool]] = {
    "changed tools, strict": lambda what: what.startswith("strict:"),
    "changed tools, used: the chosen tool is another or gone": lambda what: what.startswith("used:")
    and "chosen tool" in what,
    "changed tools, used: other tools are": lambda what: what.startswith("used:") and "chosen tool" not in what
    and "comes after" not in what,
    "changed tools, used: a better tool comes after the choice": lambda what: what.startswith("used:")
    and "comes after" in what,
}


def united(title: str, tallies: Rows) -> Json:
    """One row of several that want the same."""
    wanted = {tally["wanted"] for tally in tallies}
    return {"title": title, "wanted": wanted.pop() if len(wanted) == 1 else "",
            **{name: sum(tally[name] for tally in tallies) for name in COUNTS}}


def rows_of(tallies: Rows) -> Rows:
    out: Rows = []
    for tally in tallies:
        section, what = tally["section"], tally["what"]
        if "first time" in what or not tally["lookups"] or (section == "pairs" and "intent" in what):
            continue  # they must be 0 hits, and are checked
        summed = section in ("spellings", "traps", "rewordings") and not what.endswith((": all", ": all of these"))
        if not summed and section != "changed tools":
            out.append({"title": f"{section}, {what}"} | tally)
        elif section == "changed tools" and not any(row["title"].startswith("changed") for row in out):
            changed = [each for each in tallies if each["section"] == section]
            parts = {title: [each for each in changed if rule(each["what"])] for title, rule in CHANGED.items()}
            out += [united(title, some) for title, some in parts.items() if some]
    return out


def share(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0


def worst(rows: Rows, start: str, what: str = "wrong") -> list[float]:
    found = [share(row[what], row["lookups"]) for row in rows if row["title"].startswith(start)]
    return [max(found)] if found else []


def goals(rows: Rows, rounds: Rows) -> list[Goal]:
    again = [100 - share(row["hits"], row["lookups"]) for row in rows
             if row["title"].startswith("repeats") and row["wanted"] == "all"]
    told = [each for each in rounds if "no feedback" not in each["series"]]
    reworded = [share(row["hits"], row["lookups"]) for row in rows if row["title"] == "rewordings, own tools: all"]
    return [
        Goal("functions-repeats", "repeats that were no hit", [max(again)] if again else [], "%", 0),
        Goal("functions-changed", "selections served after a tool had changed (strict)",
             worst(rows, "changed tools, strict", "hits"), "%", 0),
        Goal("functions-pairs", "pairs of tasks on the same tools: another's call served",
             worst([row for row in rows if "another call" in row["title"]], "pairs"), "%", 1),
        Goal("functions-traps", "near misses served", worst(rows, "traps"), "%", 1,
             claim="agents' tasks that only look like a stored one (another number, place, a negation): served"),
        Goal("functions-streams", "wrong calls in a stream by meaning, the worst of them", worst(rows, "streams"),
             "%", 1),
        Goal("functions-rewordings-wrong", "rewordings served wrongly, the worst stream", worst(rows, "rewordings"),
             "%", 1),
        Goal("functions-rewordings", "rewordings served (rules of ours)", reworded, "%"),
        Goal("functions-feedback", "wrong ones served again after feedback",
             [sum(each["again"] for each in told)], "", 0)]


def rounds_table(rounds: Rows) -> Table:
    series = list(dict.fromkeys(told["series"] for told in rounds))
    longest = max(told["number"] for told in rounds)
    rows = []
    for name in series:
        cells = [percent(share(told["wrong"], told["lookups"])) for told in rounds if told["series"] == name]
        rows.append([name, *cells, *[""] * (longest - len(cells))])
    return Table("Feedback: wrong ones served, % of the round's lookups",
                 ["", *(f"round {n + 1}" for n in range(longest))], rows)


def page(found: Json) -> Part:
    rows = rows_of(found["tallies"])
    shown = [row for row in rows if not row["title"].startswith("rewordings") or "own tools" in row["title"]]
    table = Table("", ["lookup", "lookups", "hits, %", "by intent, by meaning", "wrong, %", "wanted"], [
        [row["title"], f"{row['lookups']:,}", percent(share(row["hits"], row["lookups"])),
         f"{row['by_intent']}, {row['by_meaning']}", percent(share(row["wrong"], row["lookups"])),
         WANTED[row["wanted"]]] for row in shown])
    cost = found["tokens"]
    times = [f"{what} {number(row['p50'])} µs" for what, row in found["latency_us"].items()]
    closing = (f"A model call that a hit saves reads {cost['read_mean']:,.0f} tokens (p50 {cost['read_p50']:,.0f}) "
               f"and writes {cost['written_mean']:.0f}: means of {found['tasks']:,} tasks, characters / 4. "
               f"Over the socket, p50: {', '.join(times)}.")
    return Part(goals(rows, found["rounds"]), [table, rounds_table(found["rounds"])], closing=closing)
