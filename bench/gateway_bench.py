#!/usr/bin/env python3
"""Measures Payonce beside nginx, a bare epoll loop and, if asked, LiteLLM, in one run on one machine.

Everything is on loopback: the server under test on one core, load generator and mock upstream on another. Needs
Python's library, wrk, nginx, and the tools that -DPAYONCE_BENCH=ON builds. `./dev bench` does all that.
"""

import argparse
import os
import pathlib
import shlex
import sys

import litellm
import measure
import report
import servers

ROOT = servers.HERE.parent


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="times that every run is repeated (default 5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of a timed run (default 2)")
    parser.add_argument("--streams", type=int, default=500, help="streams of a run for the first event (default 500)")
    parser.add_argument("--only", nargs="+", metavar="STEP",
                        help="hits misses first_events relay start_up burst idle_connections")
    parser.add_argument("--quick", action="store_true", help="one round of one second: does it run at all")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release",
                        help="where payonce and the tools were built (default build/release)")
    parser.add_argument("--without-payonce", action="store_true", help="the rivals alone")
    parser.add_argument("--litellm", action="store_true", help="install LiteLLM's proxy from PyPI and measure it too")
    parser.add_argument("--litellm-version", default="1.106.2")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all values")
    parser.add_argument("--markdown", action="store_true", help="rewrite docs/benchmarks.md")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.streams = 1, 1, 100
    options.build = options.build.resolve()
    options.binaries = options.build / "bench"
    options.payonce = None if options.without_payonce else options.build / "payonce"
    return options


def main():
    options = parse(sys.argv[1:])
    if not {options.server_core, options.load_core} <= os.sched_getaffinity(0):
        sys.exit(f"cores {options.server_core} and {options.load_core} are wanted, this process may use "
                 f"{sorted(os.sched_getaffinity(0))}; see --server-core and --load-core")
    needed = [options.binaries / name for name in ("mock_upstream", "bare_loop", "sse_client")]
    needed += [options.payonce] if options.payonce else []
    for program in needed:
        if not program.exists():
            sys.exit(f"{program} is missing; run ./dev bench, or build with -DPAYONCE_BENCH=ON")
    options.litellm_program = None
    if options.litellm:
        options.litellm_program = litellm.install(ROOT / "build" / "venv-litellm", options.litellm_version)
    around = report.environment(options, ROOT)
    measure.raise_descriptor_limit(measure.IDLE_CONNECTIONS + 500)  # before the servers start: they inherit it
    with servers.workplace() as (directory, started):
        measure.pin_to(options.load_core)
        samples = measure.Bench(options, directory, started).run()
    report.print_report(samples, around)
    if options.json:
        report.write_json(options.json, samples, around)
    if options.markdown:
        command = shlex.join(["./dev", "bench", *sys.argv[1:]])
        report.write_markdown(ROOT / "docs" / "benchmarks.md", samples, around, command)
    return 1 if samples.failures else 0


if __name__ == "__main__":
    sys.exit(main())
