"""LiteLLM: `install()` makes Payonce the cache of `litellm.completion` and its kind."""

from __future__ import annotations

import asyncio
from typing import Any

import litellm
from litellm.caching.base_cache import BaseCache
from litellm.caching.caching import Cache
from litellm.types.caching import LiteLLMCacheType

from payonce._client import Client
from payonce.integrations._remembered import Remembered


class PayonceCache(BaseCache):
    """Keyed by LiteLLM's own key, which covers model, messages and parameters."""

    def __init__(self, client: Client | None = None) -> None:
        super().__init__()
        self._entries = Remembered("llm", client, {"litellm": "1"})

    def get_cache(self, key: str, **kwargs: Any) -> Any:
        hit = self._entries.get({"key": key})
        return hit.value if hit else None

    def set_cache(self, key: str, value: Any, **kwargs: Any) -> None:
        self._entries.put({"key": key}, value, kwargs.get("ttl"))

    async def async_get_cache(self, key: str, **kwargs: Any) -> Any:
        return await asyncio.to_thread(self.get_cache, key)

    async def async_set_cache(self, key: str, value: Any, **kwargs: Any) -> None:
        await asyncio.to_thread(self.set_cache, key, value, **kwargs)

    async def async_set_cache_pipeline(self, cache_list: Any, **kwargs: Any) -> None:
        for key, value in cache_list:
            await self.async_set_cache(key, value, **kwargs)

    async def disconnect(self) -> None:
        pass


def install(client: Client | None = None, **options: Any) -> Cache:
    """Sets `litellm.cache`; options such as `ttl` or `namespace` are those of `litellm.Cache`."""
    cache = Cache(type=LiteLLMCacheType.LOCAL, **options)
    cache.cache = PayonceCache(client)
    litellm.cache = cache
    return cache
