"""The official Node clients: each script in node/ asserts inside, and tells what it saw as one line of JSON."""

import json
import os
import pathlib
import subprocess

from answers import text_of

NODE_FOLDER = pathlib.Path(__file__).parent / "node"


def run_node(script, gateway):
    assert (NODE_FOLDER / "node_modules").is_dir(), "the Node packages are missing: run ./dev test"
    ended = subprocess.run(["node", script], cwd=NODE_FOLDER, env=os.environ | {"GATEWAY_ROOT": gateway.root},
                           capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_the_openai_client_for_node_works_unchanged(gateway, upstream):
    seen = run_node("openai.mjs", gateway)
    assert seen == {"text": text_of(1), "call": "call_up2", "response": "resp_up3", "failure": "BadRequestError"}
    assert upstream.count == 4


def test_the_anthropic_client_for_node_works_unchanged(gateway, upstream):
    seen = run_node("anthropic.mjs", gateway)
    assert seen == {"text": text_of(1), "tool": "toolu_up2", "tokens": 1003, "failure": "BadRequestError"}
    assert upstream.count == 3
