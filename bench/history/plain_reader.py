"""A plain reader of Claude Code logs and of rows, as anyone would write it: json.loads for every line.

plain_reader.py PATH...   prints the same counts as history_read, and its speed.
"""

import json
import pathlib
import sys
import time
from typing import Any

Calls = dict[Any, tuple[int, int, int, int, int]]  # fresh, read, written short and long, output


def claude_code(row: Any, calls: Calls) -> None:
    message = row.get("message")
    if row.get("type") != "assistant" or not message or message.get("model") == "<synthetic>":
        return
    usage = message["usage"]
    known = calls.get(message["id"])
    if known is None or usage["output_tokens"] >= known[4]:
        long = usage.get("cache_creation", {}).get("ephemeral_1h_input_tokens", 0)
        calls[message["id"]] = (usage["input_tokens"], usage.get("cache_read_input_tokens", 0),
                                usage.get("cache_creation_input_tokens", 0) - long, long, usage["output_tokens"])


def rows(row: Any, calls: Calls) -> None:
    usage = (row.get("response") or {}).get("usage", {})
    if "prompt_tokens" in usage:
        read = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        counts = (usage["prompt_tokens"] - read, read, 0, 0, usage["completion_tokens"])
    else:
        long = usage.get("cache_creation", {}).get("ephemeral_1h_input_tokens", 0)
        counts = (usage.get("input_tokens", 0), usage.get("cache_read_input_tokens", 0),
                  usage.get("cache_creation_input_tokens", 0) - long, long, usage.get("output_tokens", 0))
    calls[(row.get("timestamp"), len(calls))] = counts


def read(path: pathlib.Path, calls: Calls) -> int:
    skipped = 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                skipped += 1
                continue
            (rows if "request" in row else claude_code)(row, calls)
    return skipped


def main() -> None:
    paths = [pathlib.Path(path) for path in sys.argv[1:]]
    calls: Calls = {}
    start = time.perf_counter()
    skipped = sum(read(path, calls) for path in paths)
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in paths)
    names = ("fresh", "read", "write_short", "write_long", "output")
    counts = {name: sum(call[i] for call in calls.values()) for i, name in enumerate(names)}
    print(json.dumps({"bytes": size, "seconds": round(seconds, 4), "mb_per_s": round(size / 1e6 / seconds, 1),
                      "requests": len(calls), **counts, "skipped": skipped}))


if __name__ == "__main__":
    main()
