#!/usr/bin/env python3
"""What a call that summarises a session reads of the session's prefix, as sent and behind it, on a real local engine.

    PYTHONPATH=tests/e2e PAYONCE_BINARY=build/release/payonce PAYONCE_MODEL=FILE.gguf bench/prefix/compaction.py

Sessions and calls are those of tests/e2e/test_compaction.py, the session's turns `--times` as long.
"""

import argparse
import pathlib
import tempfile
import time

import test_compaction as shapes
from harness import Gateway, model_file


def ask(gateway, call, tenant):
    started = time.monotonic()
    answer = gateway.chat(call | {"max_tokens": 1}, Authorization=f"Bearer {tenant}")
    usage = answer.raise_for_status().json()["usage"]
    return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"], time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    for turn in shapes.TURNS[:-1]:
        turn["content"] = "\n".join(f"{turn['content']} (part {i})" for i in range(options.times))
    shapes.RENDERED = "\n\n".join(f"[{turn['role'].title()}]: {turn['content']}"
                                  for turn in [*shapes.TURNS, shapes.FINAL])
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        running = [Gateway(root / "engine", "--model", model_file(), "--kv-memory", "512MiB", command="engine",
                           keep=False)]
        try:
            running[0].start(120)
            for mode in ("off", "rewrite"):
                running.append(Gateway(root / mode, "--upstream", running[0].url, "--layers", "prefix",
                                       "--prefix-compaction", mode).start())
                running[-1].client.timeout = 300
            for tools in ((), ("read", "write", "shell")):
                for shape in (shapes.opencode, shapes.codex, shapes.pi):
                    for gateway, mode in zip(running[1:], ("off", "rewrite")):
                        tenant = f"{mode}-{shape.__name__}-{len(tools)}"
                        ask(gateway, shapes.body("chat", shapes.AGENT, shapes.TURNS, tools), tenant)
                        tokens, cached, seconds = ask(gateway, shape("chat"), tenant)
                        print(f"| {shape.__name__} | {len(tools)} tools | {mode} | {tokens} | "
                              f"{cached} ({cached / tokens:.0%}) | {seconds * 1000:.0f} ms |", flush=True)
        finally:
            for gateway in running:
                gateway.client.close()
                gateway.stop()


if __name__ == "__main__":
    main()
