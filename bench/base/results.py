"""What was measured, by section, as it lies in build/bench/results.json and, published, in docs/benchmarks.json."""

import datetime
import json
import os
import pathlib
import platform
import subprocess

from base.run import Json, Run
from base.settings import ROOT

PUBLISHED = ROOT / "docs" / "benchmarks.json"
NEWEST = ROOT / "build" / "bench" / "results.json"


def load(path: pathlib.Path) -> dict[str, Json]:
    return dict(json.loads(path.read_text(encoding="utf-8"))["sections"]) if path.exists() else {}


def save(path: pathlib.Path, sections: dict[str, Json]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"sections": sections}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def entry(run: Run, found: Json, load_before: float, seconds: float) -> Json:
    """A section as it is kept: figures, and all that one must know to read them."""
    return {"when": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "commit": commit(),
            "quick": run.settings.quick, "machine": machine(), "load_before": load_before, "seconds": round(seconds),
            "versions": run.versions, "found": rounded(found), "checks": dict(run.checks), "failures": run.failures,
            "notes": run.notes}


def rounded(value: Json) -> Json:
    """Five digits: more would be noise, and a change of the file hard to read."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, (list, tuple)) else value


def commit() -> str:
    known = first_line(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"])
    changed = first_line(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"])
    return known + (" with changes" if changed else "")


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    names = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    return (f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
            f"Linux {platform.release()}, {first_line(['c++', '--version'])}")


def first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "not there"
    return ((done.stdout + done.stderr).strip().splitlines() or [""])[0].strip()
