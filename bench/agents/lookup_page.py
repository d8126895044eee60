"""Lookups' part of the page."""

from base.run import Json
from report.parts import Goal, Part, Table, number


def page(found: Json) -> Part:
    times = found["times"]
    goals = [Goal("lookup", f"lookup over the Unix socket, {found['entries']:,} entries: hit p50",
                  [times["hit"]["p50_us"]], "µs", 100, claim="an agent's lookup over the Unix socket, p50"),
             Goal("lookup-files", "hit that depends on 100 files: p50", [times["hit, 100 files looked at"]["p50_us"]],
                  "µs", 1000)]
    if "Redis GET" in times:
        goals.append(Goal("lookup-redis", "hit p50 ÷ Redis GET p50, both with the client's share",
                          [times["hit"]["p50_us"] / times["Redis GET"]["p50_us"]], "×"))
    rows = [[name, number(row["p50_us"]), number(row["p99_us"]) if "p99_us" in row else ""]
            for name, row in times.items()]
    return Part(goals, [Table("", ["lookup", "p50 µs", "p99 µs"], rows)])
