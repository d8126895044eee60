#!/usr/bin/env python3
"""Measures Payonce beside its peers, in one go on one machine. `./dev bench` builds what it needs and calls this.

Results lie in build/bench/results.json: what was measured now, and of all other sections what was published last.
--publish makes them docs/benchmarks.json, from which docs/benchmarks.md, its plots and README's figures are written.
"""

import argparse
import os
import sys
import time
import traceback

from base import results
from base.run import Json, running
from base.settings import ROOT, Settings, Skipped, add_settings, settings_of
from report import page
from sections import SECTIONS, Section, named


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ", ".join(section.name for section in SECTIONS)
    parser.add_argument("--only", default="", metavar="NAMES", help=f"some of: {names} (comma between them)")
    parser.add_argument("--quick", action="store_true", help="does all of it run? Under 4 minutes; measures nothing")
    parser.add_argument("--publish", action="store_true", help="write docs/benchmarks.*, the plots, README's figures")
    parser.add_argument("--render", action="store_true", help="write these, measure nothing")
    parser.add_argument("--check", action="store_true", help="do they follow from docs/benchmarks.json?")
    add_settings(parser)
    options = parser.parse_args()
    options.only = [name for name in options.only.split(",") if name]
    unknown = set(options.only) - {section.name for section in SECTIONS}
    if unknown:
        parser.error(f"--only: no section '{unknown.pop()}'; there are {names}")
    return options


def measured(section: Section, settings: Settings) -> Json:
    """The section's entry; None if it was skipped. A fault in one section does not stop the others."""
    before, started = os.getloadavg()[0], time.monotonic()
    print(f"{time.strftime('%X')} {section.title}", file=sys.stderr, flush=True)
    try:
        with running(settings) as run:
            found = section.measure(run)
            return results.entry(run, found, before, time.monotonic() - started)
    except Skipped as why:
        print(f"{time.strftime('%X')} {section.title}: skipped: {why}", file=sys.stderr, flush=True)
    return None


def measure_all(options: argparse.Namespace, sections: dict[str, Json]) -> list[str]:
    """Adds what is measured to `sections`; what went wrong."""
    settings, wrong = settings_of(options, options.quick), []
    chosen = [named(name) for name in options.only] or list(SECTIONS)
    minutes = f"{sum(section.minutes for section in chosen):g} minutes" if not options.quick else "a few minutes"
    print(f"{time.strftime('%X')} {len(chosen)} sections, about {minutes}", file=sys.stderr)
    for section in chosen:
        try:
            entry = measured(section, settings)
        except Exception:  # the others are worth having
            traceback.print_exc()
            wrong.append(f"{section.name}: see the error above")
            continue
        if entry:
            sections[section.name] = entry
            results.save(results.NEWEST, sections)
            wrong += [f"{section.name}: {failure}" for failure in entry["failures"]]
            print_goals(section, entry)
    return wrong


def print_goals(section: Section, entry: Json) -> None:
    for goal in section.page(entry["found"]).goals:
        print(f"  {goal.text:<78} {goal.wanted:<16} {goal.measured:<30} {goal.verdict}", flush=True)
    for note in entry["notes"]:
        print(f"  note: {note}", flush=True)


def main() -> int:
    options = parse()
    sections = results.load(results.PUBLISHED)
    if options.check:
        stale = [path for path, text in page.documents(sections).items()
                 if not (ROOT / path).exists() or (ROOT / path).read_text(encoding="utf-8") != text]
        print(f"bench: {len(stale)} files differ from docs/benchmarks.json {stale or ''}", file=sys.stderr)
        return 1 if stale else 0
    wrong = [] if options.render else measure_all(options, sections)
    if options.publish or options.render:
        results.save(results.PUBLISHED, sections)
        for path, text in page.documents(sections).items():
            (ROOT / path).write_text(text, encoding="utf-8")
            print(f"wrote {path}", file=sys.stderr)
    for each in wrong:
        print(f"bench: FAILED: {each}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
