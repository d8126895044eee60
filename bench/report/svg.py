"""Plots as SVG text: bars of one figure for several rivals, and points on two axes. Nothing but text in a file, the
same at each run. Colours are of middle brightness, so that they read on a light page and on a dark one."""

import dataclasses
import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

INK = "#7a828c"
OURS = "#2f81d7"
COLOURS = (OURS, "#d9772b", "#2f9e56", "#c2548f", "#8b6fd1", "#a08a2a")
FONT = "font-family='system-ui, sans-serif' font-size='12'"
BAR, GAP, LABELS, WIDTH = 16, 6, 150, 860


def document(width: float, height: float, body: list[str], title: str) -> str:
    head = (f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:g}' height='{height:g}' "
            f"viewBox='0 0 {width:g} {height:g}' role='img' {FONT} fill='{INK}'>")
    return "\n".join([head, f"<title>{escape(title)}</title>", *body, "</svg>"]) + "\n"


def text(x: float, y: float, content: str, anchor: str = "start", more: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'{more}>{escape(content)}</text>"


def line(x1: float, y1: float, x2: float, y2: float, more: str = "stroke-opacity='0.35'") -> str:
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{INK}' {more}/>"


@dataclasses.dataclass(frozen=True)
class Bars:
    """A panel: one bar a rival. `shown` is written behind the bar."""
    title: str
    rows: Sequence[tuple[str, float, str]]  # rival, value, shown
    logarithmic: bool = False


def bars(panels: Sequence[Bars], title: str) -> str:
    """Panels side by side, each with a scale of its own; Payonce's bars have its colour."""
    panels = [panel for panel in panels if panel.rows]
    width = WIDTH / max(1, len(panels))
    height = 34 + max((len(panel.rows) for panel in panels), default=0) * (BAR + GAP)
    body: list[str] = []
    for place, panel in enumerate(panels):
        left = place * width
        body.append(text(left + 4, 16, panel.title, more=" font-weight='600'"))
        room = width - LABELS - 96
        most, least = max(v for _, v, _ in panel.rows), min(v for _, v, _ in panel.rows if v > 0)
        for row, (name, value, shown) in enumerate(panel.rows):
            y = 28 + row * (BAR + GAP)
            if panel.logarithmic:
                low = math.log10(least) - 0.3
                share = (math.log10(value) - low) / (math.log10(most) - low) if value > 0 else 0
            else:
                share = value / most if most else 0
            fill = OURS if name.startswith("Payonce") else INK
            body += [text(left + LABELS - 6, y + 12, name, "end"),
                     f"<rect x='{left + LABELS:.1f}' y='{y}' width='{max(1.0, share * room):.1f}' height='{BAR}' "
                     f"rx='2' fill='{fill}' fill-opacity='{1 if fill == OURS else 0.55}'/>",
                     text(left + LABELS + share * room + 6, y + 12, shown)]
    return document(WIDTH, height, body, title)


@dataclasses.dataclass(frozen=True)
class Series:
    name: str
    points: Sequence[tuple[float, float]]
    plain: bool = False  # a line without marks, behind the others


@dataclasses.dataclass(frozen=True)
class Chart:
    title: str
    series: Sequence[Series]


def stretched(value: float) -> float:
    """From 0 on: linear up to 1, then logarithmic."""
    return value if value <= 1 else 1 + math.log10(value) * 1.4


def charts(panels: Sequence[Chart], x_title: str, y_title: str, x_ticks: Sequence[float], title: str) -> str:
    """Charts side by side with equal axes; `x` is stretched where it is small, `y` goes from 0 to 100."""
    width, height, left, top, bottom = WIDTH / len(panels), 340, 34, 44, 62
    names = list(dict.fromkeys(series.name for panel in panels for series in panel.series))
    colours = {name: COLOURS[i % len(COLOURS)]
               for i, name in enumerate(n for n in names if not is_plain(panels, n))}
    room_x, room_y, most = width - left - 12, height - top - bottom, stretched(x_ticks[-1])
    body: list[str] = []
    for place, panel in enumerate(panels):
        x0 = place * width + left

        def at(point: tuple[float, float], x0: float = x0) -> tuple[float, float]:
            return (x0 + min(stretched(point[0]) / most, 1) * room_x, top + (1 - point[1] / 100) * room_y)

        body.append(text(x0, 14, panel.title, more=" font-weight='600'"))
        for tick in (0, 25, 50, 75, 100):
            _, y = at((0, tick))
            body += [line(x0, y, x0 + room_x, y, "stroke-opacity='0.2'"), text(x0 - 5, y + 4, str(tick), "end")]
        for each in x_ticks:
            x, y = at((each, 0))
            body += [line(x, top, x, y, "stroke-opacity='0.2'"), text(x, y + 15, f"{each:g}", "middle")]
        for series in panel.series:
            colour = INK if series.plain else colours[series.name]
            where = [at(point) for point in series.points if point[0] <= x_ticks[-1]]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in where)
            dash = " stroke-dasharray='4 3'" if series.plain else " stroke-width='2'"
            body.append(f"<polyline points='{path}' fill='none' stroke='{colour}'{dash}/>")
            if not series.plain:
                body += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='{colour}'/>" for x, y in where]
        body += [text(x0, 34, y_title), text(x0 + room_x / 2, height - 28, x_title, "middle")]
    x = float(left)
    for name in names:
        colour = colours.get(name, INK)
        body += [f"<rect x='{x:.1f}' y='{height - 16}' width='10' height='10' fill='{colour}'/>",
                 text(x + 15, height - 7, name)]
        x += 34 + 7 * len(name)
    return document(WIDTH, height, body, title)


def is_plain(panels: Sequence[Chart], name: str) -> bool:
    return any(series.plain for panel in panels for series in panel.series if series.name == name)
