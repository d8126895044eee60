#!/usr/bin/env python3
"""A real coding agent (cheetahclaws) on a local model, with and without the prefix layer: what share of the tokens
that stood in its previous request is read from the engine's cache.

Between two turns a file is committed, as work goes, so that the agent's system prompt (which lists the recent
commits) changes in its middle. Two sessions each: in the first one the layer learns which lines change.

  bench/prefix/agent.py --binary build/release/payonce --model FILE.gguf [--llama-server FILE] [--turns 5]

Installs the agent from PyPI into build/venv-agents on first use. Loopback only.
"""

import argparse
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from servers import free_port  # noqa: E402

AGENT = "cheetahclaws==3.5.89"
GIT_CACHE_S = 31  # the agent looks at the working tree no more often than each 30 s
QUESTIONS = ["What does m1.py do?", "And what does m2.py do?", "Which of the two is simpler?",
             "Name their functions.", "How would you test them?", "What is missing?", "Say it in one word.", "Thank you. Anything else?"]


def agent_program():
    venv = ROOT / "build" / "venv-agents"
    program = venv / "bin" / "cheetahclaws"
    if not program.exists():
        print(f"installing {AGENT} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "pip", "install", "--quiet", AGENT], check=True)
    return program


def wait_ready(url, process, timeout_s=120):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} did not become ready")


class Recorder(http.server.ThreadingHTTPServer):
    """Stands between agent and gateway, changes nothing but that streams tell their usage, and keeps the counts."""

    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = target
        self.rows = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.forward(None)

    def do_POST(self):
        self.forward(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def forward(self, body):
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
            print(f"  {self.path}: {status} {content[:200]}", file=sys.stderr)
        if body is not None and status == 200:
            self.note(body, content)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(content)

    def note(self, body, content):
        usage = None
        for line in content.splitlines():
            text = line.removeprefix(b"data: ")
            if b'"usage"' in text and text.startswith(b"{"):
                usage = json.loads(text).get("usage") or usage
        if usage:
            self.server.rows.append({
                "tools": len(body.get("tools", [])), "prompt": usage["prompt_tokens"],
                "cached": (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)})


class Server:
    def __init__(self, command, ready):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(list(map(str, command)), stdout=self.log, stderr=self.log)
        wait_ready(ready, self.process)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def engine(arguments, peer, folder):
    port = free_port()
    if peer:
        return port, Server([arguments.llama_server, "-m", arguments.model, "--port", port, "-c", "16384", "-np", "2",
                             "--jinja"], f"http://127.0.0.1:{port}/health")
    return port, Server([arguments.binary, "engine", "--model", arguments.model, "--listen", f"127.0.0.1:{port}",
                         "--data", folder / "engine"], f"http://127.0.0.1:{port}/readyz")


def repository(folder):
    repo = folder / "repo"
    shutil.rmtree(repo, ignore_errors=True)
    repo.mkdir(parents=True)
    for i in (1, 2):
        (repo / f"m{i}.py").write_text(f"def f{i}(x):\n    return x + {i}\n")
    commit(repo, "begin", first=True)
    return repo


def commit(repo, message, first=False):
    git = ["git", "-C", repo, "-c", "user.email=a@example.com", "-c", "user.name=a"]
    if first:
        subprocess.run(["git", "init", "--quiet", repo], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", message], check=True)


def session(program, recorder, folder, turns, name):
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
    for turn in range(turns):
        started, count = time.monotonic(), len(recorder.rows)
        agent.stdin.write(QUESTIONS[turn % len(QUESTIONS)] + "\n")
        agent.stdin.flush()
        while len(recorder.rows) == count and time.monotonic() - started < 120:
            time.sleep(0.1)
        (repo / f"{name}{turn}.py").write_text(f"x = {turn}\n")
        commit(repo, f"{name} work {turn}")
        time.sleep(max(3.0, GIT_CACHE_S - (time.monotonic() - started)))
    agent.stdin.write("/exit\n")
    agent.stdin.flush()
    try:
        agent.wait(20)
    except subprocess.TimeoutExpired:
        agent.kill()
    return [row for row in recorder.rows[before:] if row["tools"] > 1]


def share(rows):
    """Read of what the previous request of the session held already."""
    repeated = sum(row["prompt"] for row in rows[:-1])
    return sum(row["cached"] for row in rows[1:]) / repeated if repeated else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/payonce")
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--llama-server", type=pathlib.Path)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    program = agent_program()
    print("| engine | prefix layer | session 1 | session 2 | requests | prompt tokens of the last |")
    print("|---|---|---|---|---|---|")
    results = []
    for peer in [False, *([True] if arguments.llama_server else [])]:
        for label, flags in [("none", ["--layers", "none"]),
                             ("safe", ["--layers", "prefix"]),
                             ("safe, moves allowed", ["--layers", "prefix", "--prefix-move", "on"])]:
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                engine_port, backend = engine(arguments, peer, folder)
                port = free_port()
                gateway = Server([arguments.binary, "serve", "--listen", f"127.0.0.1:{port}", "--upstream",
                                  f"http://127.0.0.1:{engine_port}/v1", "--data", folder / "data", *flags],
                                 f"http://127.0.0.1:{port}/readyz")
                recorder = Recorder(f"http://127.0.0.1:{port}")
                try:
                    rows = [session(program, recorder, folder, arguments.turns, f"s{i}") for i in (1, 2)]
                finally:
                    recorder.shutdown()
                    gateway.stop()
                    backend.stop()
                results.append({"engine": "llama-server" if peer else "payonce engine", "layer": label, "rows": rows})
                print(f"| {results[-1]['engine']} | {label} | {share(rows[0]):.1%} | {share(rows[1]):.1%} | "
                      f"{len(rows[0])} + {len(rows[1])} | {rows[1][-1]['prompt'] if rows[1] else 0} |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
