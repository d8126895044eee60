"""A place where the commands of a page are run as a newcomer would, one after the other in one shell."""

import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import httpx

from blocks import Block, is_printed, segments_of
from harness import binary, chat_body, environment, eventually, model_file
from ports import free_port
from upstream import Upstream

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOGS = ROOT / "src" / "history" / "testdata"
TIMEOUT_S = 120
# Instead of these a scripted upstream answers, on loopback.
PROVIDERS = ("https://api.openai.com", "https://api.anthropic.com", "https://generativelanguage.googleapis.com",
             "https://dashscope.aliyuncs.com/compatible-mode", "http://127.0.0.1:8000")


class Place:
    """Folder, home, ports and programs of one page, and a scripted upstream."""

    def __init__(self, folder: pathlib.Path, upstream: Upstream, recorded: dict[str, bytes]) -> None:
        self.upstream = upstream
        self.home, self.work, self.running = folder / "home", folder / "work", folder / "running"
        self.address = f"127.0.0.1:{free_port()}"
        self._words = {"127.0.0.1:4141": self.address, "localhost:4141": self.address,
                       "127.0.0.1:8080": f"127.0.0.1:{free_port()}", "/home/ann": str(self.home),
                       "/tmp/demo": str(folder / "demo"),
                       "/etc/payonce/key": str(folder / "work" / "payonce.key"), "--questions 5000": "--questions 50"}
        self._words |= {host: upstream.root for host in PROVIDERS}
        for made in (self.home, self.work, self.running):
            made.mkdir(parents=True)
        self._lay_files(recorded)

    def _lay_files(self, recorded: dict[str, bytes]) -> None:
        """The files that the pages name."""
        turns = [{"role": "system", "content": "It is 2026-03-03T14:01:09Z. Be short."},
                 {"role": "user", "content": "What is a cache?"}]
        rows = (LOGS / "rows.jsonl").read_bytes()
        trace = {"timestamp": 0, "input_length": 1024, "output_length": 10, "hash_ids": [1, 2]}
        files = {"payonce.toml": f'[upstreams.main]\nbase_url = "{self.upstream.url}"\n'.encode(),
                 "request.json": json.dumps({"model": "gpt-4o", "messages": turns}).encode(), "calls.jsonl": rows, "vllm.jsonl": rows,
                 "logs/2026-11-01.jsonl": rows, "tests/recorded/calls.jsonl": rows,
                 "day.jsonl.gz": gzip.compress(rows), "trace.jsonl": json.dumps(trace).encode(),
                 "spendlogs.csv.gz": gzip.compress((LOGS / "lite_llm.csv").read_bytes()),
                 "prompts/system.j2": b"You are helpful. Now: {{ timestamp }}", "system.txt": b"You are helpful.",
                 "my_server.py": b"import sys\nsys.stdin.read()\n", **recorded}
        for name, content in files.items():
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_bytes(content)
        programs = ROOT / "tests" / "docs" / "bin"
        (self.work / "build" / "release").mkdir(parents=True)
        links = {"model.gguf": model_file(), "dev": programs / "dev", "build/release/payonce": programs / "payonce",
                 "my_program.py": programs / "your-program"}
        for name, target in links.items():
            (self.work / name).symlink_to(target)
        (self.work / "payonce.key").write_text("A" * 43 + "=\n")
        (self.work / "payonce.key").chmod(0o600)
        shutil.copytree(LOGS / "claude_code", self.home / ".claude" / "projects" / "one")
        (self.home / "project").mkdir()
        (self.home / "calc.py").write_text("def add(a, b):\n    return a + b\n")

    def environment(self) -> dict[str, str]:
        # The Python of the tests first, then the stand-ins' folder before it.
        path = [str(ROOT / "tests" / "docs" / "bin"), str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]
        embedder = os.environ.get("PAYONCE_EMBEDDER", "")
        return environment(self.home) | {
            "PATH": ":".join(path), "DOCS_ROOT": str(ROOT), "DOCS_BINARY": binary(),
            "DOCS_RUNNING": str(self.running), "PAYONCE_LISTEN": self.address, "PAYONCE_URL": f"http://{self.address}",
            "PAYONCE_MODEL": model_file(), "PAYONCE_EMBEDDER": embedder,
            "PAYONCE_ENGINE_KV_MEMORY": "64MiB", "KEY": "sk-mine", "OPENAI_API_KEY": "sk-mine"}

    def translated(self, text: str, words: dict[str, str] | None = None) -> str:
        """The text with what stands in for hosts, ports and folders; nobody waits for a server in the background."""
        for word, instead in (self._words | (words or {})).items():
            text = text.replace(word, instead)
        return re.sub(r"(payonce (?:serve|up|engine)\b[^\n#]*?) &(?=\s|$)", r"\1", text)

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """To its end. `timeout` ends a command's children as well."""
        return subprocess.run(("timeout", str(TIMEOUT_S), *command), cwd=self.work, env=self.environment(),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def run_blocks(self, blocks: list[Block], words: dict[str, str] | None = None) -> None:
        """Runs them in one shell that ends at the first failure, and compares what is said to be printed."""
        script, expected = "set -e\n", []
        for block in blocks:
            for commands, printed in segments_of(self.translated(block.text, words)):
                script += f"{{\n{commands}\n}} >'{self.running}/{len(expected)}.out' 2>&1\n"
                expected.append((block, commands, printed))
        try:
            ended = self.run("bash", "-c", script)
        finally:
            self.stop()
        for number, (block, commands, printed) in enumerate(expected):
            file = self.running / f"{number}.out"
            output = file.read_text(errors="replace") if file.exists() else ""
            last = not (self.running / f"{number + 1}.out").exists()
            assert ended.returncode == 0 or not last, \
                f"{block.place}: exit status {ended.returncode} of\n{commands}\n{output}{ended.stderr}"
            for line in printed:
                assert is_printed(line, output), f"{block.place}: expected '{line}' of\n{commands}\nprinted: {output}"

    def serve_entries(self) -> dict[str, str]:
        """An instance where the commands look for one, with an entry of each kind: names in the docs -> its own."""
        self.run("payonce", "serve", "--upstream", self.upstream.url).check_returncode()
        with httpx.Client(base_url=f"http://{self.address}", headers={"x-api-key": "sk-mine"}) as client:
            answer = client.post("/v1/chat/completions", json=chat_body()).raise_for_status()
            found = client.post("/payonce/v1/lookup", json={"kind": "plan", "parts": {"task": "t"}}).json()
            made = client.post("/payonce/v1/commit",
                               json={"ticket": found["ticket"], "outcome": "success", "value": 1}).json()
            rows = eventually(lambda: client.get("/payonce/v1/cache").json()["entries"])
        key = next(row["key"] for row in rows if row["key"].startswith("resp:"))
        return {"resp:v1:u-3f9a...:9c41...": key, "r-0123456789abcdef": answer.headers["x-payonce-id"],
                "e-0123456789abcdef0123456789abcdef": made["entry"]}

    def stop(self) -> None:
        for file in self.running.iterdir():
            if file.name.isdigit():
                try:
                    os.kill(int(file.read_text()), signal.SIGTERM)
                except ProcessLookupError:
                    pass
