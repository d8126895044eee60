"""One section's run: its settings, a folder, the servers that it starts, the values and checks that it collects."""

import collections
import contextlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from base.servers import Payonce, Server
from base.settings import BENCH, ROOT, Settings, Skipped

Json = Any
Kind = TypeVar("Kind", bound=Server)


class Run:
    def __init__(self, settings: Settings, folder: pathlib.Path) -> None:
        self.settings, self.folder = settings, folder
        self.values: dict[str, list[float]] = collections.defaultdict(list)  # one a round
        self.checks: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []
        self.notes: list[str] = []
        self.versions: dict[str, str] = {}
        self._servers: list[Server] = []

    def add(self, name: str, value: float) -> None:
        self.values[name].append(value)

    def add_all(self, prefix: str, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.add(f"{prefix}.{name}", value)

    def check(self, holds: bool, kind: str, detail: str) -> None:
        self.checks[kind] += 1
        if not holds:
            self.failures.append(f"{kind}: {detail}")

    def say(self, text: str) -> None:
        print(f"{time.strftime('%X')}   {text}", file=sys.stderr, flush=True)

    def start(self, server: Kind) -> Kind:
        """Stopped when the section ends, if not before."""
        self._servers.append(server)
        return server

    def payonce(self, command: str = "serve", *flags: Any, name: str = "payonce", cores: str = "",
                env: dict[str, str] | None = None) -> Payonce:
        """Ready; all cores unless some are named. It finds the default embedder and model."""
        files = {"PAYONCE_EMBEDDER": str(self.settings.embedder), "PAYONCE_MODEL": str(self.settings.model)}
        cores = cores or self.settings.both_cores
        return self.start(Payonce(self.settings.payonce, self.folder, cores, command, flags, name,
                                  files | (env or {}))).wait()

    def stop_all(self) -> None:
        for server in reversed(self._servers):
            server.stop()
        self._servers.clear()


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[Run]:
    """A folder for configurations, data and logs, removed afterwards; the servers in it are stopped before that."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="payonce-bench-"))
    folder.chmod(0o755)  # nginx's worker is another user
    run = Run(settings, folder)
    try:
        yield run
    finally:
        run.stop_all()
        shutil.rmtree(folder, ignore_errors=True)


def environment(peer: str) -> pathlib.Path:
    """A peer's own virtual environment under build/, made from bench/peers/PEER.txt once for each version of it; its
    Python. Skipped when the registry has it not."""
    wanted = BENCH / "peers" / f"{peer}.txt"
    folder = ROOT / "build" / f"venv-{peer}"
    stamp, python = folder / "installed.txt", folder / "bin" / "python"
    if stamp.exists() and stamp.read_text() == wanted.read_text():
        return python
    print(f"{time.strftime('%X')}   installing {peer} in build/venv-{peer}", file=sys.stderr, flush=True)
    commands: list[list[Any]] = [
        [sys.executable, "-m", "venv", "--clear", folder],
        [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "-r", wanted]]
    for command in commands:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode:
            raise Skipped(f"{peer} could not be installed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    stamp.write_text(wanted.read_text())
    return python


def output_of(command: Sequence[Any], timeout_s: float = 600) -> str:
    """Its standard output; its errors go into the exception."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-800:]}")
    return done.stdout
