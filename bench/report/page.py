"""docs/benchmarks.md, its plots and README's figures, from published results alone."""

import pathlib
import textwrap
from collections.abc import Sequence

from base.run import Json
from base.settings import ROOT
from report.parts import Goal, Part, Table
from sections import SECTIONS, Section

IMAGES = "docs/images"
WIDTH = 130
PAGE = "docs/benchmarks.md"
README = "README.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


INTRODUCTION = """\
`./dev bench --publish` measures all of this in one go, Payonce and its peers side by side, and writes this page, its
plots and README's figures from [benchmarks.json](benchmarks.json). Sections may be of different runs: each tells its
date and commit. Only ratios of one run mean anything on another machine. Figures are medians, with the least and the
greatest of the rounds in brackets."""


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(header) + " |", "|" + "---|" * len(header),
            *("| " + " | ".join(row) + " |" for row in rows)]


def goal_row(goal: Goal, quick: bool) -> list[str]:
    return [f'<a id="{goal.anchor}"></a>{goal.text}', goal.wanted, goal.measured, "quick" if quick else goal.verdict]


def measured_when(kept: Json) -> str:
    quick = " with `--quick`, which shows that it runs and **measures nothing**" if kept["quick"] else ""
    return f"{kept['when']} at commit {kept['commit']}{quick}"


def section_lines(section: Section, kept: Json, part: Part) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in kept["versions"].items())
    lines = ["", f"## {section.title}", "", textwrap.fill(section.how, WIDTH), "",
             textwrap.fill(
                 f"`./dev bench --only {section.name}`; measured {measured_when(kept)}, in {kept['seconds']} s"
                 f"{', with ' + versions if versions else ''}; load {kept['load_before']:.2f} before it began.",
                 WIDTH)]
    for plot in part.plots:
        lines += ["", f"![{plot.title}](images/bench-{plot.name}.svg)"]
    for table in part.tables:
        lines += ["", *titled(table)]
    lines += ["", part.closing] if part.closing else []
    return lines + ([""] if any(told(kept)) else []) + told(kept)


def titled(table: Table) -> list[str]:
    return ([f"**{table.title}**", ""] if table.title else []) + table_lines(table.header, table.rows)


def told(kept: Json) -> list[str]:
    """What was checked while measuring, and what could not be measured."""
    kinds = "; ".join(f"{kind} ({count} times)" for kind, count in kept["checks"].items())
    checks = [textwrap.fill(f"- checked: {kinds}", WIDTH, subsequent_indent="  ")]
    return (checks if kept["checks"] else []) + [f"- **failed**: {each}" for each in kept["failures"]] + [
        f"- {each}" for each in kept["notes"]]


def page(parts: dict[str, Part], kept: dict[str, Json]) -> str:
    machines = sorted({each["machine"] for each in kept.values()})
    lines = ["# Benchmarks", "",
             textwrap.fill(INTRODUCTION, WIDTH), "", f"Machine: {'; '.join(machines)}.", "", "## Goals"]
    rows: list[list[str]] = []
    for section in SECTIONS:
        if section.name in parts:
            rows.append([f"**{section.title}**", "", "", ""])
            rows += [goal_row(goal, kept[section.name]["quick"]) for goal in parts[section.name].goals]
        else:
            rows.append([f"**{section.title}**", "", "not measured yet", ""])
    lines += ["", *table_lines(["goal", "wanted", "measured", "verdict"], rows)]
    for section in SECTIONS:
        if section.name in parts:
            lines += section_lines(section, kept[section.name], parts[section.name])
    return "\n".join(lines) + "\n"


def readme_lines(parts: dict[str, Part], kept: dict[str, Json]) -> list[str]:
    """A row for each claim; a quick run claims nothing."""
    rows = []
    for section in SECTIONS:
        for goal in parts[section.name].goals if section.name in parts else ():
            if goal.claim and goal.values and not kept[section.name]["quick"]:
                measured = goal.measured.split(" (")[0] + (" ×" if goal.unit == "×" else "")
                rows.append([goal.claim, f"[{measured}]({PAGE}#{goal.anchor})"])
    return table_lines(["measured on two cores", ""], rows) if rows else ["Not measured yet."]


def documents(kept: dict[str, Json], root: pathlib.Path = ROOT) -> dict[str, str]:
    """Every file that follows from the published results: its path in the repository, its text."""
    parts = {section.name: section.page(kept[section.name]["found"]) for section in SECTIONS if section.name in kept}
    out = {PAGE: page(parts, kept)}
    for part in parts.values():
        out |= {f"{IMAGES}/bench-{plot.name}.svg": plot.svg for plot in part.plots}
    before, rest = (root / README).read_text(encoding="utf-8").split(BEGIN)
    out[README] = before + "\n".join([BEGIN, *readme_lines(parts, kept), END]) + rest.split(END)[1]
    return out
