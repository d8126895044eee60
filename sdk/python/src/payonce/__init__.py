"""Payonce's Python SDK: look up before computing, commit what turned out well.

Two lines put an OpenAI or Anthropic client behind the cache: `import payonce` and
`client = payonce.wrap(OpenAI())`. Agents use `payonce.tool`, `payonce.cached`, `payonce.run`, or
`payonce.Client` itself.
"""

from payonce._async import AsyncClient
from payonce._client import Client
from payonce._default import default_client, set_default_client
from payonce._run import run
from payonce._tool import cached, tool
from payonce._types import (
    KINDS,
    Committed,
    Dependency,
    Hit,
    Kind,
    Miss,
    Misuse,
    PayonceError,
    Refused,
    Result,
    Stale,
    Ticket,
    Unavailable,
    directory,
    file,
    git,
    value,
)
from payonce._wrap import wrap

__version__ = "0.1.0"

__all__ = [
    "KINDS",
    "AsyncClient",
    "Client",
    "Committed",
    "Dependency",
    "Hit",
    "Kind",
    "Miss",
    "Misuse",
    "PayonceError",
    "Refused",
    "Result",
    "Stale",
    "Ticket",
    "Unavailable",
    "cached",
    "default_client",
    "directory",
    "file",
    "git",
    "run",
    "set_default_client",
    "tool",
    "value",
    "wrap",
]
