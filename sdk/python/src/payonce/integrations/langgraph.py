"""LangGraph: `graph.compile(cache=PayonceCache())` caches the nodes that have a CachePolicy."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.cache.base import BaseCache, FullKey, Namespace

from payonce._client import Client
from payonce._types import Kind
from payonce.integrations._remembered import Remembered


class PayonceCache(BaseCache[Any]):
    """Keyed by LangGraph's namespace and by the key that the node's policy makes."""

    def __init__(self, client: Client | None = None, *, kind: Kind = "tool_result", serde: Any = None) -> None:
        super().__init__(serde=serde)
        self._entries = Remembered(kind, client, {"langgraph": "1"})

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        found = {}
        for key in keys:
            hit = self._entries.get(_parts_of(key), langgraph_namespace=_tag_of(key[0]))
            if hit is not None:
                kind, content = hit.value
                found[key] = self.serde.loads_typed((kind, base64.b64decode(content)))
        return found

    def set(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        for key, (value, ttl) in pairs.items():
            kind, content = self.serde.dumps_typed(value)
            stored = [kind, base64.b64encode(content).decode()]
            self._entries.put(_parts_of(key), stored, ttl, langgraph_namespace=_tag_of(key[0]))

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        if namespaces is None:
            self._entries.client.invalidate(version="langgraph=1")
            return
        for namespace in namespaces:
            tag = f"langgraph_namespace={_tag_of(namespace)}"
            self._entries.client.invalidate(version=tag)

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        return await asyncio.to_thread(self.get, keys)

    async def aset(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        await asyncio.to_thread(self.set, pairs)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        await asyncio.to_thread(self.clear, namespaces)


def _parts_of(key: FullKey) -> dict[str, Any]:
    return {"namespace": list(key[0]), "key": key[1]}


def _tag_of(namespace: Namespace) -> str:
    return hashlib.sha256("\0".join(namespace).encode()).hexdigest()[:16]
