"""What a call that summarises a session reads of the session's prefix, as sent and behind it, on a real local engine.

Sessions and calls are those of tests/e2e/test_compaction.py, the session's turns `--times` as long; so it wants the
Python of build/venv and PYTHONPATH=tests/e2e.
"""

import argparse
import json
import time
from typing import Any

import test_compaction
from base.run import Run
from base.servers import Server, request

shapes: Any = test_compaction


def ask(gateway: Server, call: Any, tenant: str) -> tuple[int, int, float]:
    """(prompt tokens, of them reused, seconds)"""
    started = time.monotonic()
    status, _, content = request(gateway.port, "POST", "/v1/chat/completions", json.dumps(call | {"max_tokens": 1}),
                                 300, tenant)
    if status != 200:
        raise RuntimeError(f"{status} {content[:300]!r}")
    usage = json.loads(content)["usage"]
    return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"], time.monotonic() - started


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--times", type=int, default=3)


def study(run: Run, options: argparse.Namespace) -> None:
    for turn in shapes.TURNS[:-1]:
        turn["content"] = "\n".join(f"{turn['content']} (part {i})" for i in range(options.times))
    shapes.RENDERED = "\n\n".join(f"[{turn['role'].title()}]: {turn['content']}"
                                  for turn in [*shapes.TURNS, shapes.FINAL])
    engine = run.payonce("engine", "--model", run.settings.model, "--kv-memory", "512MiB", name="engine")
    gateways = {mode: run.payonce("serve", "--upstream", engine.url, "--layers", "prefix", "--prefix-compaction",
                                  mode, name=mode) for mode in ("off", "rewrite")}
    for tools in ((), ("read", "write", "shell")):
        for shape in (shapes.opencode, shapes.codex, shapes.pi):
            for mode, gateway in gateways.items():
                tenant = f"{mode}-{shape.__name__}-{len(tools)}"
                ask(gateway, shapes.body("chat", shapes.AGENT, shapes.TURNS, tools), tenant)
                tokens, cached, seconds = ask(gateway, shape("chat"), tenant)
                print(f"| {shape.__name__} | {len(tools)} tools | {mode} | {tokens} | "
                      f"{cached} ({cached / tokens:.0%}) | {seconds * 1000:.0f} ms |", flush=True)
