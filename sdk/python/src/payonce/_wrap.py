"""`payonce.wrap(client)`: the official OpenAI and Anthropic clients behind an instance."""

from __future__ import annotations

import os
from typing import Any, TypeVar

from payonce import _instance
from payonce._client import logger
from payonce._types import Misuse

T = TypeVar("T")
_DIALECTS = {
    "OpenAI": "openai",
    "AsyncOpenAI": "openai",
    "Anthropic": "anthropic",
    "AsyncAnthropic": "anthropic",
}


def wrap(client: T, *, url: str | None = None) -> T:
    """The same client, sent through Payonce: the instance at `url` or PAYONCE_URL, else one that is
    started for this process in front of the client's own base URL. With neither, the client comes
    back as it is, and works as before. The original is never changed.
    """
    dialect = _dialect_of(client)
    wrapped: Any = client
    base = str(wrapped.base_url).rstrip("/")
    root = _reachable(url or os.environ.get("PAYONCE_URL")) or _instance.start(
        ("--upstream", base) if dialect == "openai" else ("--upstream", f"{base}/v1", "--upstream-anthropic", base)
    )
    if root is None:
        logger.warning("no instance and no program `payonce`: calls go to %s uncached", base)
        return client
    if base.startswith(root):
        return client
    target = f"{root}/v1" if dialect == "openai" else root
    return wrapped.with_options(base_url=target)  # type: ignore[no-any-return]


def _dialect_of(client: object) -> str:
    """By the official classes and those derived from them. Clouds with an addressing of their own
    (Azure, Bedrock, Vertex) cannot be pointed elsewhere."""
    names = {
        kind.__name__: kind.__module__.split(".")[0]
        for kind in type(client).__mro__
        if kind.__module__.split(".")[0] in ("openai", "anthropic")
    }
    own = [name for name in names if name.endswith(("Azure", "Bedrock", "Vertex", "Foundry"))]
    own += [name for name in names if name.startswith(("Azure", "AsyncAzure"))]
    for name, dialect in _DIALECTS.items():
        if names.get(name) == dialect and not own:
            return dialect
    raise Misuse(
        f"{type(client).__module__}.{type(client).__name__} is none of openai.OpenAI, AsyncOpenAI, "
        "anthropic.Anthropic, AsyncAnthropic"
    )


def _reachable(url: str | None) -> str | None:
    """The root of an instance that answers."""
    if not url:
        return None
    root = url.rstrip("/").removesuffix("/v1")
    if _instance.is_ready(root):
        return root
    logger.warning("no instance answers at %s", root)
    return None
