"""The gateway's part of the page."""

import statistics

from base.run import Json
from report import svg
from report.parts import Goal, Part, Plot, Table, number, ratios, spread

TITLES = {"payonce": "Payonce", "nginx": "nginx", "bare_sha": "bare loop, SHA-256", "bare_xxh": "bare loop, XXH3-128",
          "direct": "no gateway", "payonce_all": "Payonce, all layers", "litellm": "LiteLLM"}
SIZES = {"small": "408 B", "agent": "41.7 KB"}
Values = dict[str, list[float]]


def added(values: Values, prefix: str) -> list[float]:
    """How much the gateway adds over the direct way, as a multiple of what nginx adds, in the same round."""
    rounds = zip(*(values.get(f"{prefix}.{name}.p50_us", []) for name in ("payonce", "nginx", "direct")))
    return [(gateway - direct) / (nginx - direct) for gateway, nginx, direct in rounds if nginx > direct]


def goals(values: Values) -> list[Goal]:
    def quotient(name: str, above: str, below: str) -> list[float]:
        return ratios(values.get(name.format(above), []), values.get(name.format(below), []))

    def plain(name: str) -> list[float]:
        return values.get(name, [])

    out = [Goal(f"hits-{kind}", f"hits a second, {size}, 16 connections ÷ nginx `return 200`",
                quotient(f"hit16.{kind}.{{}}.rps", "payonce", "nginx"), "×", 0.8, True, 1.3,
                f"exact hits a second on one core, {size} requests, beside nginx's fixed answer")
           for kind, size in SIZES.items()]
    out += [Goal(f"hit-p50-{kind}-{bare}", f"hit p50, {size}, 1 connection ÷ {TITLES['bare_' + bare]}",
                 quotient(f"hit1.{kind}.{{}}.p50_us", "payonce", "bare_" + bare), "×", 1.3)
            for kind, size in SIZES.items() for bare in ("sha", "xxh")]
    out += [Goal(f"miss-{kind}", f"added p50 of a miss, {size} ÷ nginx `proxy_pass`", added(values, f"miss.{kind}"),
                 "×", 1.5, claim=f"what it adds to a miss of {size}, beside nginx's `proxy_pass`")
            for kind, size in SIZES.items()]
    out += [Goal(f"first-event-{kind}", f"added time to the first event of a missed stream, {size} ÷ nginx",
                 added(values, f"sse.{kind}"), "×", 1.5) for kind, size in SIZES.items()]
    idle = number(statistics.median(plain("idle_connections") or [10_000]))
    return out + [
        Goal("relay", "events relayed a second of CPU, 16 streams", plain("relay.payonce.events_per_cpu_second"),
             "", 100_000, True),
        Goal("idle-memory", "resident memory, idle", plain("rss_idle_mib"), "MiB", 20),
        Goal("start", "exec to the first 200 of /readyz", plain("start_ms"), "ms", 50, claim="start until ready"),
        Goal("single-flight", "20 equal requests at once: upstream calls", plain("burst_upstream_calls"), "", 1),
        Goal("idle-connections", f"{idle} idle connections: growth of resident memory", plain("idle_connections_mb"),
             "MB", 50),
        Goal("litellm", "hits a second, 408 B, 16 connections ÷ LiteLLM",
             quotient("hit16.small.{}.rps", "payonce", "litellm"), "×", 400, True, 800,
             "exact hits a second, beside LiteLLM's proxy with its cache in memory")]


def tables(values: Values) -> list[Table]:
    def cell(name: str, unit: str = "") -> str:
        return spread(values[name], unit) if values.get(name) else "–"

    def rows(columns: list[str]) -> list[list[str]]:
        """A row for each rival that was measured; columns are names with {} for the rival."""
        return [[title, *cells] for name, title in TITLES.items()
                if set(cells := [cell(column.format(name)) for column in columns]) != {"–"}]

    def sized(columns: list[str]) -> list[list[str]]:
        """The rows of each size; {0} in a column is the size."""
        return [[f"{size}: {title}", *cells] for kind, size in SIZES.items()
                for title, *cells in rows([column.format(kind, "{}") for column in columns])]

    return [
        Table("Hits", ["", "16 conn.: a second", "p50 µs", "CPU µs a hit", "1 conn.: p50 µs", "p99 µs"],
              sized(["hit16.{0}.{1}.rps", "hit16.{0}.{1}.p50_us", "hit16.{0}.{1}.cpu_us", "hit1.{0}.{1}.p50_us",
                     "hit1.{0}.{1}.p99_us"])),
        Table("Misses, 1 connection", ["", "p50 µs", "p99 µs", "CPU µs a request", "stream: first event p50 µs",
                                       "p99 µs"],
              sized(["miss.{0}.{1}.p50_us", "miss.{0}.{1}.p99_us", "miss.{0}.{1}.cpu_us", "sse.{0}.{1}.p50_us",
                     "sse.{0}.{1}.p99_us"])),
        Table("Relayed events, 16 streams of 2,000", ["", "a second of CPU", "a second of the clock"],
              rows(["relay.{}.events_per_cpu_second", "relay.{}.events_per_second"]))]


def panel(values: Values, title: str, pattern: str, unit: str, logarithmic: bool = False) -> svg.Bars:
    measured = [(title_, statistics.median(values[pattern.format(name)])) for name, title_ in TITLES.items()
                if values.get(pattern.format(name))]
    return svg.Bars(title, [(name, value, number(value, unit)) for name, value in measured], logarithmic)


def page(found: Json) -> Part:
    values = found["values"]
    plot = svg.bars([panel(values, "hits a second, 408 B (logarithmic)", "hit16.small.{}.rps", "", True),
                     panel(values, "miss, 41.7 KB, p50", "miss.agent.{}.p50_us", "µs")],
                    "Hits a second and the time of a miss, beside nginx, bare loops and LiteLLM")
    memory, layers = values.get("rss_after_mib"), values.get("rss_all_layers_mib")
    closing = "Payonce has the exact layer alone (`--layers exact`) but where it says otherwise."
    if memory and layers:
        closing += f" Resident memory after the whole run: {spread(memory, 'MiB')}; with all layers, after their " \
                   f"misses: {spread(layers, 'MiB')}."
    return Part(goals(values), tables(values), [Plot("gateway", "The gateway beside its peers", plot)], closing)
