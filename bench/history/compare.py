"""How fast logs are read, beside a plain Python reader in the same run.

  python3 bench/history/compare.py [--data ../shared/data/logs] [--binary build/release/bench/history_read] [--mb 200]

The logs of --data are repeated with other ids until they have --mb megabytes, so that every request counts; rows are
made here. Both readers run on the same files, one core each, one after the other, --runs times in turn. Exit code 0:
ours is at least 3 times as fast and both count the same; else 1.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
IDS = re.compile(rb'"(msg_|sessionId":")')


def repeated(data, folder, size):
    """Copies of the logs, one file each; message and session ids get the copy's number."""
    sources, made, copy = sorted(data.glob("*.jsonl")), [], 0
    while sum(path.stat().st_size for path in made) < size:
        for source in sources:
            mark = b"%d-" % copy
            text = IDS.sub(lambda found: found.group(0) + mark, source.read_bytes())
            made.append(folder / f"{copy:03d}_{source.name}")
            made[-1].write_bytes(text)
        copy += 1
    return made


def rows(folder, size):
    """Conversations of the wire, 40 turns each: bodies grow, answers carry usage."""
    path, written, number = folder / "rows.jsonl", 0, 0
    with path.open("w", encoding="utf-8") as out:
        while written < size:
            messages = []
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


def run(*command):
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def compare(name, files, binary, runs):
    ours, plain = [], []
    for _ in range(runs):
        ours.append(run(binary, "--repeat", "1", *map(str, files)))
        plain.append(run(sys.executable, str(HERE / "plain_reader.py"), *map(str, files)))
    same = all(ours[0][key] == plain[0][key] for key in
               ("bytes", "requests", "fresh", "read", "write_short", "write_long", "output", "skipped"))
    speed = statistics.median(one["mb_per_s"] for one in ours), statistics.median(one["mb_per_s"] for one in plain)
    ratio = speed[0] / speed[1]
    print(f"{name}: {ours[0]['bytes'] / 1e6:.0f} MB, {ours[0]['requests']} requests: payonce {speed[0]:.0f} MB/s, "
          f"plain Python {speed[1]:.0f} MB/s, ratio {ratio:.1f}; counts {'equal' if same else 'DIFFER'}")
    return same and ratio >= 3


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared/data/logs")
    options.add_argument("--binary", default=str(ROOT / "build/release/bench/history_read"))
    options.add_argument("--mb", type=int, default=200)
    options.add_argument("--runs", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        good = []
        for name, make in (("Claude Code", lambda to, size: repeated(chosen.data, to, size)), ("rows", rows)):
            to = pathlib.Path(folder) / name
            to.mkdir()
            good.append(compare(name, make(to, chosen.mb * 1_000_000), chosen.binary, chosen.runs))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
