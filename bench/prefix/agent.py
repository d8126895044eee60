"""A real coding agent (cheetahclaws) on a local model, with and without the prefix layer: what share of the tokens
that stood in its previous request is read from the engine's cache.

Between two turns a file is committed, as work goes, so that the agent's system prompt (which lists the recent
commits) changes in its middle. Two sessions each: in the first one the layer learns which lines change.

The agent is installed from its registry (peers/cheetahclaws.txt) on first use. Loopback only.
"""

import argparse
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from base.run import Run, environment
from base.servers import Server
from engine.measure import llama

Row = dict[str, int]
GIT_CACHE_S = 31  # the agent looks at the working tree no more often than each 30 s
QUESTIONS = ["What does m1.py do?", "And what does m2.py do?", "Which of the two is simpler?",
             "Name their functions.", "How would you test them?", "What is missing?", "Say it in one word.", "Thank you. Anything else?"]


class Recorder(http.server.ThreadingHTTPServer):
    """Stands between agent and gateway, changes nothing but that streams tell their usage, and keeps the counts."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = target
        self.rows: list[Row] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    server: Recorder

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.forward(None)

    def do_POST(self) -> None:
        self.forward(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def forward(self, body: Any) -> None:
        data = None
        if body is not None:
            if body.get("stream"):
                body["stream_options"] = {"include_usage": True}
            data = json.dumps(body).encode()
        request = urllib.request.Request(self.server.target + self.path, data, {
            "Content-Type": "application/json", "Authorization": self.headers.get("Authorization", "")})
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                status, kind, content = answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            status, kind, content = error.code, error.headers["Content-Type"], error.read()
            print(f"  {self.path}: {status} {content[:200]!r}", file=sys.stderr)
        if body is not None and status == 200:
            self.note(body, content)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(content)

    def note(self, body: Any, content: bytes) -> None:
        usage = None
        for line in content.splitlines():
            text = line.removeprefix(b"data: ")
            if b'"usage"' in text and text.startswith(b"{"):
                usage = json.loads(text).get("usage") or usage
        if usage:
            self.server.rows.append({
                "tools": len(body.get("tools", [])), "prompt": usage["prompt_tokens"],
                "cached": (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)})


def repository(folder: pathlib.Path) -> pathlib.Path:
    repo = folder / "repo"
    shutil.rmtree(repo, ignore_errors=True)
    repo.mkdir(parents=True)
    for i in (1, 2):
        (repo / f"m{i}.py").write_text(f"def f{i}(x):\n    return x + {i}\n")
    commit(repo, "begin", first=True)
    return repo


def commit(repo: pathlib.Path, message: str, first: bool = False) -> None:
    git = ["git", "-C", str(repo), "-c", "user.email=a@example.com", "-c", "user.name=a"]
    if first:
        subprocess.run(["git", "init", "--quiet", repo], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", message], check=True)


def session(program: pathlib.Path, recorder: Recorder, folder: pathlib.Path, turns: int, name: str) -> list[Row]:
    """Drives the agent through `turns` questions; the rows of its main requests."""
    home = folder / "home"
    (home / ".cheetahclaws").mkdir(parents=True, exist_ok=True)
    (home / ".cheetahclaws" / "config.json").write_text(json.dumps({
        "model": "custom/local", "custom_base_url": recorder.url, "custom_api_key": "sk-agent", "max_tokens": 48,
        "tool_profile": "standard"}))
    repo = repository(folder)
    before = len(recorder.rows)
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": "dumb", "CUSTOM_BASE_URL": recorder.url,
                   "CUSTOM_API_KEY": "sk-agent"}
    agent = subprocess.Popen([program, "--accept-all", "-m", "custom/local"], cwd=repo, env=environment, text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    typed = agent.stdin
    assert typed  # it is a pipe
    for turn in range(turns):
        started, count = time.monotonic(), len(recorder.rows)
        typed.write(QUESTIONS[turn % len(QUESTIONS)] + "\n")
        typed.flush()
        while len(recorder.rows) == count and time.monotonic() - started < 120:
            time.sleep(0.1)
        (repo / f"{name}{turn}.py").write_text(f"x = {turn}\n")
        commit(repo, f"{name} work {turn}")
        time.sleep(max(3.0, GIT_CACHE_S - (time.monotonic() - started)))
    typed.write("/exit\n")
    typed.flush()
    try:
        agent.wait(20)
    except subprocess.TimeoutExpired:
        agent.kill()
    return [row for row in recorder.rows[before:] if row["tools"] > 1]


def share(rows: list[Row]) -> float:
    """Read of what the previous request of the session held already."""
    repeated = sum(row["prompt"] for row in rows[:-1])
    return sum(row["cached"] for row in rows[1:]) / repeated if repeated else 0


LAYERS = {"none": ["--layers", "none"], "safe": ["--layers", "prefix"],
          "safe, moves allowed": ["--layers", "prefix", "--prefix-move", "on"]}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--turns", type=int, default=5)


def study(run: Run, options: argparse.Namespace) -> None:
    program = environment("cheetahclaws").parent / "cheetahclaws"
    print("| engine | prefix layer | session 1 | session 2 | requests | prompt tokens of the last |")
    print("|---|---|---|---|---|---|")
    for engine in ("payonce engine", "llama-server"):
        for number, (label, flags) in enumerate(LAYERS.items()):
            name = f"{engine.split()[0]}-{number}"
            backend = llama(run, "--jinja") if engine == "llama-server" else run.payonce(
                "engine", "--model", run.settings.model, name=f"{name}-engine")
            gateway = run.payonce("serve", "--upstream", backend.url, *flags, name=name)
            recorder = Recorder(gateway.url.removesuffix("/v1"))
            try:
                folder = run.folder / f"{name}-agent"
                rows = [session(program, recorder, folder, options.turns, f"s{i}") for i in (1, 2)]
            finally:
                recorder.shutdown()
                run.stop_all()
            print(f"| {engine} | {label} | {share(rows[0]):.1%} | {share(rows[1]):.1%} | "
                  f"{len(rows[0])} + {len(rows[1])} | {rows[1][-1]['prompt'] if rows[1] else 0} |", flush=True)
