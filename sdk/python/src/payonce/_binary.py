"""The program `payonce`: where it is, and the console script that runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

MISSING = (
    "payonce: no program is here. This wheel carries none; install one that does (Linux x86-64), "
    "put `payonce` into PATH, or name it in PAYONCE_BINARY"
)


def find() -> str | None:
    """PAYONCE_BINARY, else the program in this package, else `payonce` in PATH."""
    named = os.environ.get("PAYONCE_BINARY")
    if named:
        return named if os.access(named, os.X_OK) else None
    folders = [str(Path(__file__).parent / "program" / "bin"), *os.get_exec_path()]
    return next((path for path in (os.path.join(f, "payonce") for f in folders) if _is(path)), None)


def _is(path: str) -> bool:
    """A program, not the console script of this package, which would call itself for ever."""
    try:
        with open(path, "rb") as opened:
            return os.access(path, os.X_OK) and opened.read(2) != b"#!"
    except OSError:
        return False


def main() -> NoReturn:
    """Becomes the program."""
    path = find()
    if path is None:
        sys.exit(MISSING)
    os.execv(path, ["payonce", *sys.argv[1:]])
