"""OpenAI Agents SDK: `PayonceProvider()` for its models, `cached_tool` for tools that only read.

async with payonce.run():  # publishes when the run ended well
    await Runner.run(agent, "…", run_config=RunConfig(model_provider=PayonceProvider()))
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from agents import FunctionTool, Model, ModelProvider, ModelResponse, MultiProvider
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

from payonce._async import AsyncClient
from payonce._client import Client
from payonce._default import default_client
from payonce._keys import workspace
from payonce._types import Dependency, Hit, Json, Result

_RESPONSE: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)
_EVENTS: TypeAdapter[list[Any]] = TypeAdapter(list[ResponseStreamEvent])
_ARGUMENTS = ("system_instructions", "input", "model_settings", "tools", "output_schema",
              "handoffs", "tracing")  # fmt: skip


class PayonceProvider(ModelProvider):
    """Another provider's models, each behind the cache."""

    def __init__(self, inner: ModelProvider | None = None, client: Client | None = None) -> None:
        self._inner = inner or MultiProvider()
        self._client = client

    def get_model(self, model_name: str | None) -> Model:
        return PayonceModel(self._inner.get_model(model_name), model_name or "", self._client)

    async def aclose(self) -> None:
        await self._inner.aclose()


class PayonceModel(Model):
    """One model. Calls that go on from a state that the provider keeps are not cached."""

    def __init__(self, inner: Model, name: str, client: Client | None = None) -> None:
        self._inner = inner
        self._name = name
        self._cache = AsyncClient(client=client or default_client())

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        found = await self._lookup("whole", args, kwargs)
        if isinstance(found, Hit):
            try:
                return _RESPONSE.validate_python(found.value)
            except ValidationError:
                return await self._inner.get_response(*args, **kwargs)
        try:
            response = await self._inner.get_response(*args, **kwargs)
        except BaseException:
            self._abort(found)
            raise
        if found:
            # Only what was set, since items go back to the model in the same form.
            value = _RESPONSE.dump_python(response, mode="json", exclude_unset=True)
            await self._cache.commit(found.ticket, value)
        return response

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        found = await self._lookup("stream", args, kwargs)
        if isinstance(found, Hit):
            for event in _EVENTS.validate_python(found.value):
                yield event
            return
        events: list[Any] = []
        try:
            async for event in self._inner.stream_response(*args, **kwargs):
                events.append(event)
                yield event
            if found and events and events[-1].type == "response.completed":
                value = _EVENTS.dump_python(events, mode="json", exclude_unset=True)
                await self._cache.commit(found.ticket, value)
                found = None
        finally:
            self._abort(found)

    async def close(self) -> None:
        await self._inner.close()

    def _abort(self, found: Result | None) -> None:
        if found and not isinstance(found, Hit):
            self._cache.client.abort(found.ticket)

    async def _lookup(self, form: str, args: Any, kwargs: dict[str, Any]) -> Result | None:
        given = dict(zip(_ARGUMENTS, args, strict=False)) | kwargs
        if given.get("previous_response_id") or given.get("conversation_id"):
            return None
        schema = given["output_schema"]
        tools = [_described(tool) for tool in given["tools"]]
        if None in tools:
            return None
        parts = {
            "model": [type(self._inner).__qualname__, self._name],
            "system": given["system_instructions"],
            "input": given["input"],
            "settings": given["model_settings"].to_json_dict(),
            "tools": tools,
            "output": schema.json_schema() if schema and not schema.is_plain_text() else None,
            "handoffs": [
                [handoff.tool_name, handoff.tool_description, handoff.input_json_schema]
                for handoff in given["handoffs"]
            ],
            "prompt": given.get("prompt"),
            "form": form,
        }
        return await self._cache.lookup("llm", parts)


def _described(tool: Any) -> Json:
    """A tool as the model sees it; None for tools that the provider runs, whose results vary."""
    if not isinstance(tool, FunctionTool):
        return None
    return {
        "name": tool.name,
        "description": tool.description,
        "schema": tool.params_json_schema,
        "strict": tool.strict_json_schema,
    }


def cached_tool(
    tool: FunctionTool,
    *,
    deps: Callable[[dict[str, Any]], Iterable[Dependency]] = lambda _: (),
    version: str = "",
    client: Client | None = None,
) -> FunctionTool:
    """The same tool behind the cache; `deps`, called with the arguments, says what it reads."""
    invoke = tool.on_invoke_tool
    cache = AsyncClient(client=client or default_client())

    async def on_invoke_tool(context: Any, arguments: str) -> Any:
        try:
            given = json.loads(arguments or "{}")
            read = list(deps(given))
        except ValueError:
            return await invoke(context, arguments)  # which says what is wrong with them
        parts = {"tool": _described(tool), "version": version, "args": given}
        if read:
            parts["workspace"] = workspace()
        found = await cache.lookup("tool_result", parts, deps=read)
        if isinstance(found, Hit):
            return found.value
        result: Any = None
        try:
            result = await invoke(context, arguments)
        finally:
            # A failed tool does not raise: it tells the model, in words that begin like this.
            failed = not isinstance(result, str) or result.startswith("An error occurred")
            if failed:
                cache.client.abort(found.ticket)
            else:
                await asyncio.shield(cache.commit(found.ticket, result))
        return result

    return dataclasses.replace(tool, on_invoke_tool=on_invoke_tool)
