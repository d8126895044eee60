#!/usr/bin/env python3
"""Studies: measurements behind single pages of docs/, each run by hand since it takes long, or needs an agent or a
store that is installed for it. They start servers as the benchmarks do.

    bench/study.py NAME [ARGUMENTS]      ./dev bench --quick builds what they need; NAME --help tells more
"""

import argparse
import importlib
import sys

from base.run import running
from base.settings import add_settings, settings_of

STUDIES = {
    "added": "prefix.added", "agent": "prefix.agent", "compaction": "prefix.compaction", "context": "prefix.context",
    "assistant": "audit.assistant", "reading": "history.compare", "research": "agents.research",
    "retrieval": "semantic.retrieval"}


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in STUDIES:
        print(f"{__doc__}\nNAME: {', '.join(STUDIES)}", file=sys.stderr)
        return 2
    study = importlib.import_module(STUDIES[sys.argv[1]])
    parser = argparse.ArgumentParser(prog=f"bench/study.py {sys.argv[1]}", description=study.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_settings(parser)
    study.add_arguments(parser)
    options = parser.parse_args(sys.argv[2:])
    with running(settings_of(options)) as run:
        return int(study.study(run, options) or 0)


if __name__ == "__main__":
    sys.exit(main())
