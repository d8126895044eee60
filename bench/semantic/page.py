"""The semantic cache's part of the page."""

from base.run import Json
from report import svg
from report.parts import Goal, Part, Plot, Table, number

AT = "error bound 1 %"
TICKS = (0, 0.5, 1, 2, 5, 10, 30)
DRAWN = {"Payonce": "Payonce", "vCache": "vCache", "GPTCache's rule": "GPTCache's rule",
         "RedisVL's rule": "RedisVL's rule"}


def row_of(stream: Json, who: str, how: str = "") -> Json:
    return next((row for row in stream["table"] if row["who"].startswith(who) and how in row["how"]), None)


def goals(streams: Json, pairs: Json) -> list[Goal]:
    out = []
    for name, stream in streams.items():
        ours, title = row_of(stream, "Payonce", AT), stream["title"]
        best, vcache = row_of(stream, "one cosine"), row_of(stream, "vCache", "1 %")
        least = {"qqp": 14.5}.get(name)
        out += [Goal(f"semantic-wrong-{name}", f"{title}: wrong answers at a bound of 1 %, of all requests",
                     [ours["wrong"]], "%", 1,
                     claim=f"questions in other words ({title}), error bound 1 %: wrong answers"),
                Goal(f"semantic-correct-{name}", f"{title}: correct hits at that bound, of all requests",
                     [ours["correct"]], "%", least, True,
                     claim=f"questions in other words ({title}), error bound 1 %: correct hits")]
        if best:
            out.append(Goal(f"semantic-cosine-{name}", f"{title}: correct hits ÷ those of the best single cosine",
                            [ours["correct"] / best["correct"]] if best["correct"] else [], "×", 1, True))
        if vcache and name != "qqp":
            out.append(Goal(f"semantic-vcache-{name}", f"{title}: correct hits ÷ vCache's at 1 %",
                            [ours["correct"] / vcache["correct"]] if vcache["correct"] else [], "×", 2, True))
    near, conversations = pairs["nearmiss"], pairs["fow"]
    times = [row_of(stream, "Payonce", AT)["hit_ms"] for stream in streams.values()]
    return out + [
        Goal("semantic-traps", "near-miss pairs: traps served", [near["traps"]], "%", 1),
        Goal("semantic-safe", "near-miss pairs: safe rewordings served", [near["safe"]], "%", 80, True),
        Goal("semantic-fow", "pairs of conversations: traps served", [conversations["traps"]], "%", 1),
        Goal("semantic-time", "a hit, p50 at the client, the streams", [each for each in times if each], "ms", 6,
             False, 2)]


def table(streams: Json) -> Table:
    """A row for each cache and setting, in the order of the first stream; correct and wrong for each stream."""
    header = ["cache", "setting"]
    for stream in streams.values():
        header += [f"{stream['title']}: correct, %", "wrong, %"]
    names = list(dict.fromkeys((row["who"], "" if row["who"].startswith("one cosine") else row["how"])
                               for stream in streams.values() for row in stream["table"]))
    rows = []
    for who, how in names:
        found = [row_of(stream, who, how) for stream in streams.values()]
        chosen = how or " / ".join(row["how"].split(",")[0] for row in found if row) + ", after the fact"
        rows.append([who, chosen])
        for row in found:
            rows[-1] += [f"**{row['correct']:.1f}**", f"{row['wrong']:.2f}"] if row else ["–", "–"]
    return Table("", header, rows)


def says(streams: Json) -> Table:
    """What the server itself says of its wrong answers, which it learns from the hits that it asks again; at the default
    bound."""
    rows = []
    for stream in streams.values():
        for row in stream["table"]:
            if "says" in row and AT in row["how"]:
                told = row["says"]
                rows.append([stream["title"], f"{row['wrong']:.2f}",
                             f"{told['estimate']:.2f} ({told['low']:.2f} to {told['high']:.2f})",
                             number(row["hit_ms"]) if row["hit_ms"] else "–"])
    return Table("What it says of itself, error bound 1 %",
                 ["stream", "wrong, %", "it says (95 % interval)", "hit p50, ms"], rows)


def plot(streams: Json) -> Plot:
    panels = []
    for stream in streams.values():
        series = [svg.Series("any fixed cosine", [(p["wrong"], p["correct"]) for p in stream["curve"]], plain=True)]
        series += [svg.Series(name, [(row["wrong"], row["correct"]) for row in stream["table"] if row["who"] == who])
                   for who, name in DRAWN.items()]
        panels.append(svg.Chart(stream["title"], series))
    return Plot("semantic", "Correct hits against wrong answers",
                svg.charts(panels, "wrong answers, % of requests", "correct hits, % of requests", TICKS,
                           "Correct hits against wrong answers on three public streams"))


def page(found: Json) -> Part:
    streams = found["streams"]
    counts = ", ".join(f"{stream['title']} {stream['questions']:,}" for stream in streams.values())
    return Part(goals(streams, found["pairs"]), [table(streams), says(streams)], [plot(streams)],
                f"Questions: {counts}. Pairs: near-miss {found['pairs']['nearmiss']['pairs']:,}, conversations "
                f"{found['pairs']['fow']['pairs']:,}.")
