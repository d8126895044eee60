"""The parts of a function call's key: its arguments, and which implementation it is."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import os
import pathlib
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

from payonce._types import Json, Misuse


def workspace() -> str:
    """The folder that the agent works in: PAYONCE_WORKSPACE, else the current one."""
    return os.path.abspath(os.environ.get("PAYONCE_WORKSPACE") or os.getcwd())


def canonical(value: Any, root: str) -> Json:
    """JSON for an argument. Paths in the workspace are told from there, however spelled."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, pathlib.PurePath):
        path = os.path.abspath(value)
        inside = path == root or path.startswith(root + os.sep)
        return {"path": os.path.relpath(path, root) if inside else path}
    if isinstance(value, list | tuple):
        return [canonical(item, root) for item in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: canonical(item, root) for name, item in value.items()}
    raise Misuse(f"an argument of type {type(value).__name__} is no part of a key: name parts=…")


def arguments_of(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any], root: str
) -> dict[str, Json]:
    """The arguments by name, defaults included, so that each way to call gives one key."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return {name: canonical(value, root) for name, value in bound.arguments.items()}


@functools.cache
def implementation_of(function: Callable[..., Any]) -> str:
    """A digest that changes with the function's code, signature and text of help.

    What it calls or reads from outside is not in it: give a version where that matters.
    """
    digest = hashlib.sha256()
    _feed(digest.update, getattr(function, "__code__", None))
    digest.update(str(inspect.signature(function)).encode())
    digest.update((function.__doc__ or "").encode())
    return digest.hexdigest()[:16]


def _feed(update: Callable[[bytes], None], code: CodeType | None) -> None:
    if code is None:
        return
    update(code.co_code)
    update(repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _feed(update, constant)
        else:
            update(repr(constant).encode())


def same_as_json(value: Any) -> bool:
    """Whether the value comes back from JSON as it is: a tuple, or a number as key, does not."""
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError, RecursionError):
        return False
