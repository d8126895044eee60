"""What a read-only tool call reads, as dependencies; None where that cannot be told."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence

from payonce._secrets import is_secret
from payonce._types import Dependency, directory, file, git

MAX_FILES = 256  # of a searched tree; above, git's state stands for them
MAX_FOLDERS = 2_000


def inside(path: str, workspace: str) -> bool:
    """Whether the path, links followed, is the workspace or below it."""
    real, root = os.path.realpath(path), os.path.realpath(workspace)
    return real == root or real.startswith(root.rstrip(os.sep) + os.sep)


def of_file(path: str, workspace: str) -> list[Dependency] | None:
    if not inside(path, workspace) or is_secret(path) or is_secret(os.path.realpath(path)):
        return None
    return [file(path)] if os.path.isfile(path) and os.access(path, os.R_OK) else None


def of_names(path: str, workspace: str) -> list[Dependency] | None:
    """A listing: the names below a folder."""
    return [directory(path)] if os.path.isdir(path) and inside(path, workspace) else None


def of_search(path: str, workspace: str) -> list[Dependency] | None:
    """A search: each file below, or for large trees HEAD and what was changed since.

    ripgrep passes over hidden and ignored files, plain grep reads all of them; the latter's
    ignored files are not in git's state, so that a large tree needs ripgrep.
    """
    if os.path.isfile(path):
        return of_file(path, workspace)
    if not os.path.isdir(path) or not inside(path, workspace):
        return None
    ripgrep = shutil.which("rg") is not None
    files = _files_below(path, hidden=not ripgrep)
    if files is not None:
        if any(is_secret(name) for name in files):
            return None
        return [directory(path), *(file(name) for name in files)]
    root = _git_root(path)
    return [directory(path), git(root)] if ripgrep and root else None


def _files_below(path: str, hidden: bool) -> list[str] | None:
    """All files, ignore rules among them; None when there are too many."""
    files: list[str] = []
    for folders, (folder, names, plain) in enumerate(os.walk(path)):
        if ".git" in names:
            names.remove(".git")
        if not hidden:
            names[:] = [name for name in names if not name.startswith(".")]
            plain = [name for name in plain if not name.startswith(".") or name.endswith("ignore")]
        files.extend(os.path.join(folder, name) for name in plain)
        if len(files) > MAX_FILES or folders > MAX_FOLDERS:
            return None
    return files


def _git_root(path: str) -> str | None:
    while True:
        if os.path.exists(os.path.join(path, ".git")):
            return path
        above = os.path.dirname(path)
        if above == path:
            return None
        path = above


def states_of(deps: Sequence[Dependency]) -> dict[Dependency, str]:
    """What the dependencies look like now, to see later whether they changed in between."""
    return {dependency: _state(dependency) for dependency in deps}


def unchanged(states: dict[Dependency, str]) -> bool:
    return all(_state(dependency) == state for dependency, state in states.items())


def _state(dependency: Dependency) -> str:
    path = dependency.path or ""
    digest = hashlib.sha256()
    try:
        for part in _content(dependency.type, path):
            digest.update(part)
    except (OSError, subprocess.SubprocessError) as error:
        return type(error).__name__
    return digest.hexdigest()


def _content(kind: str, path: str) -> Iterator[bytes]:
    if kind == "file":
        with open(path, "rb") as opened:
            while part := opened.read(1 << 20):
                yield part
    elif kind == "dir":
        for folder, names, plain in os.walk(path):
            names[:] = sorted(name for name in names if name != ".git")
            yield "\0".join([folder, *names, *sorted(plain)]).encode(errors="surrogateescape")
    elif kind == "git":
        for command in (["rev-parse", "HEAD"], ["status", "--porcelain"], ["diff", "HEAD"]):
            yield subprocess.run(["git", "-C", path, *command], capture_output=True, timeout=10, check=False).stdout
