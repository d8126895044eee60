"""What a section's page is made of, and how numbers look on it."""

import dataclasses
import statistics
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Goal:
    """A row of the table of goals. `anchor` names it for links from elsewhere and never changes.

    `claim`: how README puts it, where README quotes it. Without `must`, it is told and not judged.
    """
    anchor: str
    text: str
    values: Sequence[float]  # one a round; empty: not measured
    unit: str = ""
    must: float | None = None
    at_least: bool = False   # else: at most
    aim: float | None = None
    claim: str = ""

    @property
    def wanted(self) -> str:
        if self.must is None:
            return "–"
        aim = f", aim {number(self.aim, self.unit)}" if self.aim is not None else ""
        return f"{'≥' if self.at_least else '≤'} {number(self.must, self.unit)}{aim}"

    @property
    def measured(self) -> str:
        return spread(self.values, self.unit) if self.values else "not measured"

    def _keeps(self, bound: float) -> bool:
        middle = statistics.median(self.values)
        return middle >= bound if self.at_least else middle <= bound

    @property
    def verdict(self) -> str:
        if not self.values or self.must is None:
            return "–"
        if self.aim is not None and self._keeps(self.aim):
            return "aim met"
        return "met" if self._keeps(self.must) else "**missed**"


@dataclasses.dataclass(frozen=True)
class Table:
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Plot:
    name: str   # docs/images/bench-NAME.svg
    title: str
    svg: str


@dataclasses.dataclass(frozen=True)
class Part:
    goals: Sequence[Goal]
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    closing: str = ""


def number(value: float, unit: str = "") -> str:
    """Three digits, all before the point; a share of nothing is 0."""
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{shown} {unit}".strip() if unit != "×" else shown


def spread(values: Sequence[float], unit: str = "") -> str:
    """The median, with the least and the greatest if they differ."""
    middle, low, high = number(statistics.median(values), unit), number(min(values)), number(max(values))
    return middle if low == high else f"{middle} ({low} – {high})"


def percent(share: float) -> str:
    """Of hundred: small shares with their digits, since 0.00 shall mean none."""
    return f"{share:.1f}" if share in (0, 100) or share >= 10 else f"{share:.2f}"


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(above, below) if b > 0]
