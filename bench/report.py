"""From samples to goals: the table on stdout, JSON, and docs/benchmarks.md."""

import dataclasses
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import typing

TITLES = {
    "payonce": "Payonce", "nginx": "nginx", "bare_sha": "bare loop, SHA-256", "bare_xxh": "bare loop, XXH3-128",
    "direct": "no gateway", "litellm": "LiteLLM",
}


@dataclasses.dataclass(frozen=True)
class Goal:
    text: str
    unit: str
    must: float
    at_least: bool  # else: at most
    values: typing.Callable  # Samples.values -> one value per round, empty when not measured
    aim: float | None = None


def ratio(name, base):
    return lambda values: [a / b for a, b in zip(values.get(name, []), values.get(base, [])) if b > 0]


def added_ratio(prefix):
    """How much the gateway adds over the direct way, as a multiple of what nginx adds, in the same round."""
    def compute(values):
        rounds = zip(*(values.get(f"{prefix}.{name}.p50_us", []) for name in ("payonce", "nginx", "direct")))
        return [(gateway - direct) / (nginx - direct) for gateway, nginx, direct in rounds if nginx > direct]
    return compute


def plain(name):
    return lambda values: values.get(name, [])


GOALS = [
    Goal("hits a second, 408 B, 16 connections ÷ nginx `return 200`", "×", 0.8, True,
         ratio("hit16.small.payonce.rps", "hit16.small.nginx.rps"), 1.3),
    Goal("hits a second, 41.7 KB, 16 connections ÷ nginx `return 200`", "×", 0.8, True,
         ratio("hit16.agent.payonce.rps", "hit16.agent.nginx.rps"), 1.3),
    Goal("hit p50, 408 B, 1 connection ÷ bare loop (SHA-256)", "×", 1.3, False,
         ratio("hit1.small.payonce.p50_us", "hit1.small.bare_sha.p50_us")),
    Goal("hit p50, 408 B, 1 connection ÷ bare loop (XXH3-128)", "×", 1.3, False,
         ratio("hit1.small.payonce.p50_us", "hit1.small.bare_xxh.p50_us")),
    Goal("hit p50, 41.7 KB, 1 connection ÷ bare loop (SHA-256)", "×", 1.3, False,
         ratio("hit1.agent.payonce.p50_us", "hit1.agent.bare_sha.p50_us")),
    Goal("hit p50, 41.7 KB, 1 connection ÷ bare loop (XXH3-128)", "×", 1.3, False,
         ratio("hit1.agent.payonce.p50_us", "hit1.agent.bare_xxh.p50_us")),
    Goal("added p50 of a miss, 408 B ÷ nginx `proxy_pass`", "×", 1.5, False, added_ratio("miss.small")),
    Goal("added p50 of a miss, 41.7 KB ÷ nginx `proxy_pass`", "×", 1.5, False, added_ratio("miss.agent")),
    Goal("added time to the first event of a missed stream, 408 B ÷ nginx", "×", 1.5, False,
         added_ratio("sse.small")),
    Goal("added time to the first event of a missed stream, 41.7 KB ÷ nginx", "×", 1.5, False,
         added_ratio("sse.agent")),
    Goal("events relayed per second of CPU, 16 streams", "", 100_000, True,
         plain("relay.payonce.events_per_cpu_second")),
    Goal("resident memory, idle", "MiB", 20, False, plain("rss_idle_mib")),
    Goal("exec to the first 200 of /readyz", "ms", 50, False, plain("start_ms")),
    Goal("20 equal requests at once: upstream calls", "", 1, False, plain("burst_upstream_calls")),
    Goal("10,000 idle connections: growth of resident memory", "MB", 50, False, plain("idle_connections_mb")),
    Goal("hits a second, 408 B, 16 connections ÷ LiteLLM", "×", 400, True,
         ratio("hit16.small.payonce.rps", "hit16.small.litellm.rps"), 800),
]


def number(value, unit=""):
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{shown} {unit}".strip() if unit != "×" else shown


def spread(values, unit=""):
    middle = number(statistics.median(values), unit)
    return middle if len(values) == 1 else f"{middle} ({number(min(values))} – {number(max(values))})"


def verdicts(samples):
    """(goal, wanted, measured, verdict) of every goal."""
    rows = []
    for goal in GOALS:
        values = goal.values(samples.values)
        wanted = f"{'≥' if goal.at_least else '≤'} {number(goal.must, goal.unit)}"
        if goal.aim:
            wanted += f", aim {number(goal.aim, goal.unit)}"
        if not values:
            rows.append((goal.text, wanted, "not measured", "–"))
            continue
        middle = statistics.median(values)
        met = middle >= goal.must if goal.at_least else middle <= goal.must
        aimed = goal.aim is not None and (middle >= goal.aim if goal.at_least else middle <= goal.aim)
        verdict = "aim met" if aimed else "met" if met else "**missed**"
        rows.append((goal.text, wanted, spread(values, goal.unit), verdict))
    return rows


def detail_tables(values):
    """(title, header, rows) of the figures behind the ratios."""
    def cell(name, unit=""):
        return spread(values[name], unit) if values.get(name) else "–"

    def present(prefix):
        """Who was measured under this prefix, in the order of TITLES."""
        return [name for name in TITLES if any(key.startswith(f"{prefix}.{name}.") for key in values)]

    tables = []
    hit_columns = ((16, "rps"), (16, "p50_us"), (16, "cpu_us"), (1, "rps"), (1, "p50_us"), (1, "p99_us"))
    for kind, size in (("small", "408 B"), ("agent", "41.7 KB")):
        rows = [[TITLES[name]] + [cell(f"hit{count}.{kind}.{name}.{what}") for count, what in hit_columns]
                for name in present(f"hit16.{kind}")]
        tables.append((f"Hits, {size}", ["", "16 conn.: rps", "p50 µs", "CPU µs a hit", "1 conn.: rps", "p50 µs",
                                         "p99 µs"], rows))
        rows = [[TITLES[name]] + [cell(f"miss.{kind}.{name}.{what}") for what in ("p50_us", "p99_us", "cpu_us")]
                for name in present(f"miss.{kind}")]
        tables.append((f"Misses, {size}, 1 connection", ["", "p50 µs", "p99 µs", "CPU µs a request"], rows))
        rows = [[TITLES[name]] + [cell(f"sse.{kind}.{name}.{what}") for what in ("p50_us", "p99_us")]
                for name in present(f"sse.{kind}")]
        tables.append((f"Missed streams, {size}, 1 connection", ["", "first event p50 µs", "p99 µs"], rows))
    rows = [[TITLES[name], cell(f"relay.{name}.events_per_cpu_second"), cell(f"relay.{name}.events_per_second")]
            for name in present("relay")]
    tables.append(("Relayed events, 16 streams of 2,000", ["", "a second of CPU", "a second of the clock"], rows))
    rows = []
    for title, prefix in (("hit, 408 B", "hit16.small"), ("hit, 41.7 KB", "hit16.agent"),
                          ("miss, 408 B", "miss.small"), ("miss, 41.7 KB", "miss.agent")):
        shares = ratio(f"{prefix}.payonce.cpu_us", f"{prefix}.nginx.cpu_us")(values)
        rows += [[title, spread(shares, "×")]] if shares else []
    tables.append(("CPU time of Payonce ÷ nginx, the figure that a busy machine disturbs least", ["", "ratio"], rows))
    rows = [[title, cell(name, unit)] for title, name, unit in (
        ("resident memory idle", "rss_idle_mib", "MiB"), ("resident memory after the run", "rss_after_mib", "MiB"),
        ("start to ready", "start_ms", "ms"), ("growth with 10,000 idle connections", "idle_connections_mb", "MB"))
            if values.get(name)]
    tables.append(("Payonce itself", ["", "measured"], rows))
    return [table for table in tables if table[2]]


# ---- where it ran --------------------------------------------------------------------------------

def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "not there"
    return ((done.stdout + done.stderr).strip().splitlines() or ["unknown"])[0].strip()


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def environment(options, root):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    changed = first_line(["git", "-C", root, "status", "--porcelain", "--untracked-files=no"]) != "unknown"
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": first_line(["git", "-C", root, "rev-parse", "--short=12", "HEAD"]) + (" + changes" if changed else ""),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
        "compiler": first_line(["c++", "--version"]),
        "nginx": first_line(["nginx", "-v"]) if not os.path.exists("/usr/sbin/nginx") else
                 first_line(["/usr/sbin/nginx", "-v"]),
        "wrk": first_line(["wrk", "-v"]),
        "payonce": first_line([options.payonce, "--version"]) if options.payonce else "not measured",
        "litellm": options.litellm_version if options.litellm else "not measured",
        "rounds": options.rounds,
        "seconds": options.seconds,
    }


# ---- writing -------------------------------------------------------------------------------------

def markdown_table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def text_table(header, rows):
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [header, *rows]]


def checks_lines(samples):
    lines = [f"{kind}: {count} times looked at" for kind, count in samples.checks.items()]
    lines += [f"FAILED – {failure}" for failure in samples.failures]
    return lines + samples.notes


def print_report(samples, around):
    print()
    for line in text_table(["goal", "wanted", "measured (min – max)", "verdict"], verdicts(samples)):
        print(line)
    for title, header, rows in detail_tables(samples.values):
        print(f"\n{title}")
        for line in text_table(header, rows):
            print("  " + line)
    print("\nChecks")
    for line in checks_lines(samples):
        print("  " + line)
    print("\n" + ", ".join(f"{key} {value}" for key, value in around.items()))


def write_json(path, samples, around):
    goals = [dict(zip(("goal", "wanted", "measured", "verdict"), row)) for row in verdicts(samples)]
    document = {"environment": around, "goals": goals, "values": samples.values, "checks": samples.checks,
                "failures": samples.failures, "notes": samples.notes}
    pathlib.Path(path).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_markdown(path, samples, around, command):
    lines = [
        "# Benchmarks", "",
        f"Measured on {around['date']} at commit {around['commit']} by `{command}`, which rewrites this part.",
        f"Machine: {around['cpu']}, {around['cores']} cores, {around['memory_gib']} GiB, Linux {around['kernel']},",
        f"load {around['load_before']} before the start. {around['compiler']}; {around['nginx']};",
        f"wrk {around['wrk'].removeprefix('wrk ').split(' ')[0]}; LiteLLM: {around['litellm']}.", "",
        "All servers run on one core, the load and the mock upstream on another, over loopback. Figures are medians of",
        f"{around['rounds']} rounds of {around['seconds']} s a run, with the least and the greatest in brackets.",
        "Ratios are taken within a round, in which the rivals ran one after the other. Whether a run was what it claims to be was",
        "checked by the mock's counter, see the end.", "", "## Goals", ""]
    lines += markdown_table(["goal", "wanted", "measured", "verdict"], verdicts(samples))
    lines += ["", "\"Added\" is the p50 through the gateway less the p50 without one. The bare loop is an epoll",
              "server that hashes the body and sends what a map holds: the least that a cache keyed by content",
              "must do.", "", "## Figures"]
    for title, header, rows in detail_tables(samples.values):
        lines += ["", f"### {title}", "", *markdown_table(header, rows)]
    lines += ["", "## Checks", "", *(f"- {line}" for line in checks_lines(samples))]
    page = pathlib.Path(path)
    # The engine's part is another run's (engine_bench.py).
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    _, heading, rest = old.partition("\n# The engine\n")
    page.write_text("\n".join(lines) + "\n" + heading + rest, encoding="utf-8")
