"""LangChain: `set_llm_cache(PayonceCache())` caches the answers of all its models."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.load import dumps, loads
from langchain_core.outputs import Generation

from payonce._client import Client, logger
from payonce.integrations._remembered import Remembered


class PayonceCache(BaseCache):
    """Keyed by the prompt and by the model with its parameters, as LangChain spells both."""

    def __init__(self, client: Client | None = None) -> None:
        self._entries = Remembered("llm", client, {"langchain": "1"})

    def lookup(self, prompt: str, llm_string: str) -> Sequence[Generation] | None:
        hit = self._entries.get({"prompt": prompt, "llm": llm_string})
        if hit is None:
            return None
        try:
            return [loads(text, allowed_objects="core") for text in hit.value]
        except Exception as error:  # of another version of LangChain
            logger.warning("a stored answer cannot be read: %r", error)
            return None

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        answers = [dumps(generation) for generation in return_val]
        self._entries.put({"prompt": prompt, "llm": llm_string}, answers)

    def clear(self, **kwargs: Any) -> None:
        self._entries.client.invalidate(version="langchain=1")

    async def alookup(self, prompt: str, llm_string: str) -> Sequence[Generation] | None:
        return await asyncio.to_thread(self.lookup, prompt, llm_string)

    async def aupdate(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        await asyncio.to_thread(self.update, prompt, llm_string, return_val)

    async def aclear(self, **kwargs: Any) -> None:
        await asyncio.to_thread(self.clear)
