"""A running `payonce serve`, for tests."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time
import urllib.request
from typing import Any

from ports import free_port

import payonce

READY_S = 60
END_S = 60
SOURCES = str(pathlib.Path(__file__).parents[1] / "src")


def binary() -> str:
    path = os.environ.get("PAYONCE_BINARY", "")
    assert path and os.access(path, os.X_OK), f"PAYONCE_BINARY is {path!r}, no program: name the built payonce"
    return path


def environment(home: pathlib.Path, **more: str) -> dict[str, str]:
    """The test's own, without what would configure Payonce or the SDKs, and with all files in `home`."""
    hidden = ("PAYONCE_", "OPENAI_", "ANTHROPIC_", "XDG_", "OTEL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return (
        kept
        | {"PYTHONPATH": SOURCES, "HOME": str(home), "PAYONCE_HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
        | more
    )


class Instance:
    """`payonce COMMAND FLAGS` on a free port of the loopback; its socket lies in `folder`."""

    def __init__(self, folder: pathlib.Path, *flags: str, command: str = "serve", **variables: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.socket = str(folder / "payonce" / f"{self.port}.sock")
        self._log = folder / "log.txt"
        arguments = [
            binary(),
            command,
            "--listen",
            f"127.0.0.1:{self.port}",
            "--data",
            str(folder / "data"),
            *flags,
        ]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, env=environment(folder, **variables))
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_S
        while True:
            assert self.process.poll() is None, f"it ended:\n{self._log.read_text()}"
            try:
                with urllib.request.urlopen(self.url + "/readyz", timeout=1):
                    return
            except OSError:
                assert time.monotonic() < deadline, f"not ready:\n{self._log.read_text()}"
                time.sleep(0.02)

    def client(self, **options: Any) -> payonce.Client:
        return payonce.Client(self.url, **{"socket": self.socket, "strict": True, "timeout": 30.0, **options})

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(END_S)
