"""Decorators: a function whose result is looked up before it is computed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from payonce._async import AsyncClient
from payonce._client import Client, logger
from payonce._default import default_client
from payonce._keys import arguments_of, implementation_of, same_as_json, workspace
from payonce._types import Dependency, Hit, Json, Kind, Misuse, Ticket

F = TypeVar("F", bound=Callable[..., Any])
Deps = Iterable[Dependency] | Callable[..., Iterable[Dependency]]


@dataclass(frozen=True)
class _Options:
    """What a decorator was given."""

    kind: Kind
    name: str | None
    parts: Callable[..., Mapping[str, Json]] | None
    deps: Deps
    version: str | None
    keep: Callable[[Any], bool]
    encode: Callable[[Any], Json] | None
    decode: Callable[[Json], Any] | None
    client: Client | None
    lookup: Mapping[str, Any]
    ttl: float | None


class _Call:
    """One function's way through the cache, the same with and without asyncio."""

    def __init__(self, function: Callable[..., Any], options: _Options) -> None:
        self.options = options
        self.function = function
        self.signature = inspect.signature(function)
        self.name = options.name or f"{function.__module__}.{function.__qualname__}"
        self.version = options.version or implementation_of(function)

    @property
    def client(self) -> Client:
        return self.options.client or default_client()

    def request(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """What to look up; None when the call has no key, which is logged."""
        options = self.options
        try:
            root = workspace()
            given = options.deps
            deps = tuple(given(*args, **kwargs) if callable(given) else given)
            if options.parts:
                parts = dict(options.parts(*args, **kwargs))
            else:
                parts = {"args": arguments_of(self.signature, args, kwargs, root)}
            parts |= {"tool": self.name, "implementation": self.version}
            if deps:
                parts["workspace"] = root
        except Exception as error:  # of parts= and deps=, too: what they miss is no reason to fail
            if self.client.strict:
                raise
            logger.warning("%s is not cached: %r", self.name, error)
            return None
        return {"kind": options.kind, "parts": parts, "deps": deps, **options.lookup}

    def decoded(self, hit: Hit) -> tuple[bool, Any]:
        """Whether the stored value is one for this program, and the value."""
        if not self.options.decode:
            return True, hit.value
        try:
            return True, self.options.decode(hit.value)
        except Exception as error:
            logger.warning("%s: decode failed, computed instead: %r", self.name, error)
            return False, None

    def encoded(self, value: Any) -> tuple[bool, Json]:
        """Whether the value may be stored, and as what."""
        if not self.options.keep(value):
            return False, None
        if self.options.encode:
            return True, self.options.encode(value)
        if same_as_json(value):
            return True, value
        logger.warning("%s is not cached: its result is no plain JSON; name encode=…", self.name)
        return False, None

    def finish(self, client: Client, ticket: Ticket | None, value: Any) -> None:
        if ticket is None:
            return
        store, content = self.encoded(value)
        if store:
            client.commit(ticket, content, ttl=self.options.ttl)
        else:
            client.abort(ticket)


def _sync(call: _Call) -> Callable[..., Any]:
    @functools.wraps(call.function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        request = call.request(args, kwargs)
        if request is None:
            return call.function(*args, **kwargs)
        client = call.client
        found = client.lookup(**request)
        if isinstance(found, Hit):
            usable, value = call.decoded(found)
            return value if usable else call.function(*args, **kwargs)
        try:
            value = call.function(*args, **kwargs)
        except BaseException:
            client.abort(found.ticket)
            raise
        call.finish(client, found.ticket, value)
        return value

    return wrapper


def _async(call: _Call) -> Callable[..., Any]:
    shared: dict[int, AsyncClient] = {}

    @functools.wraps(call.function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        request = call.request(args, kwargs)
        if request is None:
            return await call.function(*args, **kwargs)
        client = call.client
        threads = shared.setdefault(id(client), AsyncClient(client=client))
        found = await threads.lookup(**request)
        if isinstance(found, Hit):
            usable, value = call.decoded(found)
            return value if usable else await call.function(*args, **kwargs)
        try:
            value = await call.function(*args, **kwargs)
        except BaseException:
            client.abort(found.ticket)
            raise
        await threads.run(call.finish, client, found.ticket, value)
        return value

    return wrapper


def cached(
    kind: Kind,
    *,
    parts: Callable[..., Mapping[str, Json]] | None = None,
    deps: Deps = (),
    version: str | None = None,
    name: str | None = None,
    keep: Callable[[Any], bool] = lambda _: True,
    encode: Callable[[Any], Json] | None = None,
    decode: Callable[[Json], Any] | None = None,
    ttl: float | None = None,
    client: Client | None = None,
    **lookup: Any,
) -> Callable[[F], F]:
    """Decorates a function whose result depends on its arguments and on `deps` alone.

    `parts`, called with the arguments, says what the key is made of; else all arguments are.
    `deps` is a list, or called with the arguments. `version` stands for the implementation, else
    the function's code does. `keep` says whether a result is worth storing. A result that is no
    plain JSON needs `encode` and `decode`. More, such as `semantic=False`, goes to `lookup`.
    """

    def decorate(function: F) -> F:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise Misuse(f"{function.__name__} yields; only what is returned can be cached")
        options = _Options(kind, name, parts, deps, version, keep, encode, decode, client, lookup, ttl)
        call = _Call(function, options)
        wrapper = _async(call) if inspect.iscoroutinefunction(function) else _sync(call)
        return wrapper  # type: ignore[return-value]

    return decorate


@overload
def tool(function: F) -> F: ...
@overload
def tool(**options: Any) -> Callable[[F], F]: ...
def tool(function: Any = None, **options: Any) -> Any:
    """`@payonce.tool` or `@payonce.tool(deps=…, version=…)`: `cached("tool_result", …)`.

    For tools that only read. The function's name and version, its arguments and, with `deps`, the
    workspace are the key.
    """
    decorate = cached("tool_result", **options)
    return decorate if function is None else decorate(function)
