"""The table at the end of a run, and what is judged over the whole of it."""

import math

from watch import Watch
from world import World

ERROR_BOUND = 0.01  # the largest that a run configures
GROUPS = (
    ("requests", "requests "),
    ("answers by layer", "hit "),
    ("forwarded", "fwd "),
    ("answered with an error", "answered "),
    ("faults planned", "faults "),
    ("events", "events "),
    ("log lines", "log "),
)


def summary(world: World, watch: Watch, length_s: float) -> str:
    flat = watch.judge(length_s)
    judge_meaning(world)
    total = sum(count for what, count in world.totals.items() if what.startswith("requests "))
    lines = [
        f"---- {length_s:.0f} s, {total} requests, {total / max(length_s, 1):.0f} a second, {world.life} lives, "
        f"{len(world.book.calls)} calls upstream"
    ]
    told = set()
    for title, prefix in GROUPS:
        found = {what.removeprefix(prefix): count for what, count in world.totals.items() if what.startswith(prefix)}
        told |= {prefix + name for name in found}
        lines.append(f"{title:24}" + ", ".join(f"{name} {count}" for name, count in sorted(found.items())))
    rest = {what: count for what, count in world.totals.items() if what not in told}
    lines.append(f"{'also':24}" + ", ".join(f"{name} {count}" for name, count in sorted(rest.items())))
    lines.append(f"{'worst latency':24}{world.worst_s[0]:.2f} s, action {world.worst_s[1]}")
    return "\n".join([*lines, *flat])


def judge_meaning(world: World) -> None:
    """Wrong answers of the semantic layer stay within the error bound, but for chance (three standard deviations)."""
    for asked, wrong in (
        (("requests question",), "semantic hits that were wrong"),
        (("requests agent plan", "requests agent wait"), "agent hits that were wrong"),
    ):
        expected = ERROR_BOUND * sum(world.totals[what] for what in asked)
        if world.totals[wrong] > expected + 3 * math.sqrt(expected) + 1:
            world.fail(
                "report",
                f"{world.totals[wrong]} {wrong}, of {expected / ERROR_BOUND:.0f} requests; "
                f"the bound allows {expected:.1f}",
            )
