"""LlamaIndex: `PayonceLLM(inner=OpenAI(…))` for any of its LLMs, `cached_tool` for its tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import BaseModel, Field
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.tools import BaseTool, FunctionTool

from payonce._client import Client
from payonce._default import default_client
from payonce._tool import Deps, cached
from payonce._types import Dependency, Hit, Json

M = TypeVar("M", bound=BaseModel)


class PayonceLLM(FunctionCallingLLM):
    """Chats, completions and calls with tools are looked up; streams pass through uncached."""

    inner: LLM = Field(description="The LLM that is asked on a miss.")
    _client: Client | None = None

    def __init__(self, inner: LLM, client: Client | None = None, **more: Any) -> None:
        super().__init__(inner=inner, **more)
        self._client = client

    @classmethod
    def class_name(cls) -> str:
        return "PayonceLLM"

    @property
    def metadata(self) -> LLMMetadata:
        return self.inner.metadata

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        parts = {"messages": [message.model_dump(mode="json") for message in messages]}
        return self._asked("chat", ChatResponse, parts, kwargs, self.inner.chat, messages)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        parts = {"prompt": prompt, "formatted": formatted}
        return self._asked("complete", CompletionResponse, parts, kwargs, self.inner.complete, prompt, formatted)

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return await asyncio.to_thread(self.chat, messages, **kwargs)

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return await asyncio.to_thread(self.complete, prompt, formatted, **kwargs)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        return self.inner.stream_chat(messages, **kwargs)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return self.inner.stream_complete(prompt, formatted, **kwargs)

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        return await self.inner.astream_chat(messages, **kwargs)

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return await self.inner.astream_complete(prompt, formatted, **kwargs)

    def _prepare_chat_with_tools(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        inner: Any = self.inner  # a model without tools has none of these
        prepared: dict[str, Any] = inner._prepare_chat_with_tools(*args, **kwargs)
        return prepared

    def get_tool_calls_from_response(self, *args: Any, **kwargs: Any) -> Any:
        inner: Any = self.inner
        return inner.get_tool_calls_from_response(*args, **kwargs)

    def _asked(
        self,
        call: str,
        answer: type[M],
        parts: dict[str, Json],
        options: dict[str, Any],
        ask: Callable[..., M],
        *args: Any,
    ) -> M:
        client = self._client or default_client()
        model = _told(self.inner.to_dict())  # without keys, which LlamaIndex leaves out
        parts = {"call": call, "model": model, **parts, "options": _told(options)}
        found = client.lookup("llm", parts)
        if isinstance(found, Hit):
            return answer.model_validate(found.value)
        try:
            response = ask(*args, **options)
        except BaseException:
            client.abort(found.ticket)
            raise
        # `raw` is the provider's own object, which no agent reads.
        client.commit(found.ticket, response.model_dump(mode="json", exclude={"raw"}))
        return response


def _told(option: Any) -> Json:
    """An option as JSON; a tool as the model sees it."""
    if isinstance(option, list):
        return [_told(item) for item in option]
    if isinstance(option, BaseTool):
        about = option.metadata
        return [about.name, about.description, about.get_parameters_dict()]
    if isinstance(option, dict):
        return {name: _told(item) for name, item in option.items()}
    if callable(option):  # such as the way that messages become a prompt
        return f"{getattr(option, '__module__', '')}.{getattr(option, '__qualname__', '')}"
    return option.model_dump(mode="json") if isinstance(option, BaseModel) else option


def cached_tool(
    tool: FunctionTool,
    *,
    deps: Callable[..., Iterable[Dependency]] | Iterable[Dependency] = (),
    version: str | None = None,
    client: Client | None = None,
) -> FunctionTool:
    """The same tool behind the cache; `deps`, called with the arguments, says what it reads."""
    options: dict[str, Any] = {"version": version, "client": client, "name": tool.metadata.name}
    given: Deps = deps
    function = cached("tool_result", deps=given, **options)(tool.real_fn)
    return FunctionTool.from_defaults(fn=function, tool_metadata=tool.metadata)
