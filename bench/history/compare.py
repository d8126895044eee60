"""How fast logs are read, beside a plain Python reader in the same run.

The logs in the data folder are repeated with other ids until they have --mb megabytes, so that every request counts;
rows are made here. Both readers run on the same files, one core each, one after the other, --runs times in turn. Exit
code 0: ours is at least 3 times as fast and both count the same; else 1.
"""

import argparse
import json
import pathlib
import re
import statistics
import sys
from typing import Any

from base.run import Run, output_of

HERE = pathlib.Path(__file__).parent
IDS = re.compile(rb'"(msg_|sessionId":")')


def repeated(sources: list[pathlib.Path], folder: pathlib.Path, size: int) -> list[pathlib.Path]:
    """Copies of the logs, one file each; message and session ids get the copy's number."""
    made: list[pathlib.Path] = []
    copy = 0
    while sum(path.stat().st_size for path in made) < size:
        for source in sources:
            mark = b"%d-" % copy
            text = IDS.sub(rb"\g<0>" + mark, source.read_bytes())
            made.append(folder / f"{copy:03d}_{source.name}")
            made[-1].write_bytes(text)
        copy += 1
    return made


def rows(folder: pathlib.Path, size: int) -> list[pathlib.Path]:
    """Conversations of the wire, 40 turns each: bodies grow, answers carry usage."""
    path, written, number = folder / "rows.jsonl", 0, 0
    with path.open("w", encoding="utf-8") as out:
        while written < size:
            messages: list[Any] = []
            for turn in range(40):
                question = f"Turn {turn} of talk {number}: \"why?\"\n" + "Because. " * 150
                messages.append({"role": "user", "content": question})
                response = {"id": f"msg_{number}_{turn}", "type": "message", "role": "assistant",
                            "model": "claude-sonnet-4-5", "content": [{"type": "text", "text": "So it is."}],
                            "usage": {"input_tokens": 10 + turn, "cache_read_input_tokens": 300 * turn,
                                      "cache_creation_input_tokens": 300, "output_tokens": 5}}
                written += out.write(json.dumps({
                    "timestamp": 1772442000 + number * 3600 + turn * 30, "latency_ms": 900, "path": "/v1/messages",
                    "session": f"talk-{number}", "request": {"model": "claude-sonnet-4-5", "max_tokens": 100,
                                                             "messages": messages}, "response": response}) + "\n")
                messages.append({"role": "assistant", "content": "So it is."})
            number += 1
    return [path]


def compare(name: str, files: list[pathlib.Path], binary: pathlib.Path, runs: int) -> bool:
    ours: list[Any] = []
    plain: list[Any] = []
    for _ in range(runs):
        ours.append(json.loads(output_of([binary, "--repeat", 1, *files])))
        plain.append(json.loads(output_of([sys.executable, HERE / "plain_reader.py", *files])))
    same = all(ours[0][key] == plain[0][key] for key in
               ("bytes", "requests", "fresh", "read", "write_short", "write_long", "output", "skipped"))
    speed = statistics.median(one["mb_per_s"] for one in ours), statistics.median(one["mb_per_s"] for one in plain)
    ratio = speed[0] / speed[1]
    print(f"{name}: {ours[0]['bytes'] / 1e6:.0f} MB, {ours[0]['requests']} requests: payonce {speed[0]:.0f} MB/s, "
          f"plain Python {speed[1]:.0f} MB/s, ratio {ratio:.1f}; counts {'equal' if same else 'DIFFER'}")
    return same and ratio >= 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)


def study(run: Run, options: argparse.Namespace) -> int:
    logs, good = run.settings.data_files("logs", "*.jsonl"), []
    for name in ("Claude Code", "rows"):
        to, size = run.folder / name, options.mb * 1_000_000
        to.mkdir()
        files = rows(to, size) if name == "rows" else repeated(logs, to, size)
        good.append(compare(name, files, run.settings.tool("history_read"), options.runs))
    return 0 if all(good) else 1
