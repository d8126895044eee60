"""The write gate's part of the page."""

from base.run import Json
from report import svg
from report.parts import Goal, Part, Plot, Table

TITLES = {"agentic_synth": "agents", "mooncake_conversation": "chat", "mooncake_synthetic": "long documents"}
COSTS = {"every_end": "every end", "continuations": "continuations", "gate": "gate", "marked_only": "marked only",
         "oracle": "oracle"}


def title(trace: str) -> str:
    for name, shown in TITLES.items():
        trace = trace.replace(name, shown)
    return trace


def page(found: Json) -> Part:
    rows = found["rows"]

    def cost(trace: str, ttl_s: int, which: str = "gate") -> list[float]:
        return [row[which] for row in rows if (row["trace"], row["ttl_s"], row["w"], row["r"]) == (
            trace, ttl_s, 1.25, 0.1)]

    goals = [Goal("gate-chat", "input cost of chat, TTL 5 min, w 1.25, r 0.1", cost("mooncake_conversation", 300),
                  "×", 0.905),
             Goal("gate-worst", "the worst trace at w 1.25, r 0.1",
                  [max(row["gate"] for row in rows if (row["w"], row["r"]) == (1.25, 0.1))], "×", 1),
             Goal("gate-agents", "input cost of coding agents, TTL 5 min, w 1.25, r 0.1",
                  cost("agentic_synth", 300), "×",
                  claim="input cost of coding agents, prompt cache written where the gate says, beside no cache"),
             Goal("gate-agents-ends", "the same where each prompt's end is marked",
                  cost("agentic_synth", 300, "every_end"), "×")]
    bars = [svg.Bars(shown, [(("Payonce's gate" if which == "gate" else name), value, f"{value:.3f}")
                             for which, name in COSTS.items() if which != "marked_only"
                             for value in cost(trace, 300, which)])
            for trace, shown in TITLES.items()]
    table = Table("", ["trace", "TTL s", "w", "r", *COSTS.values()], [
        [title(row["trace"]), str(row["ttl_s"]), f"{row['w']:g}", f"{row['r']:g}",
         *(f"{row[which]:.3f}" for which in COSTS)] for row in rows if row["trace"] in TITLES])
    pieces = [row["gate"] / row["every_end"] for row in rows if row["trace"] not in TITLES]
    closing = (f"Pieces of the traces (from a third on, the last half) as traces of their own, started cold: "
               f"{min(pieces):.3f} to {max(pieces):.3f} times the cost of marking every end." if pieces else "")
    return Part(goals, [table], [Plot("gate", "Input cost relative to no cache, TTL 5 min, w 1.25, r 0.1",
                                      svg.bars(bars, "Input cost relative to no cache"))], closing)
