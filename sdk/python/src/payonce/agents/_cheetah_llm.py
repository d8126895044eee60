"""cheetahclaws' LLM calls: `providers.stream`, looked up before it is called."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from payonce._types import Hit, Json, Kind
from payonce.agents._session import Session, Trace

TRACE = "payonce_trace"  # in the agent's config; sub-agents get one of their own
COMPACTION_SYSTEM = "You are a concise summarizer."
# What else in the agent's configuration can change an answer.
CONFIG = (
    "max_tokens", "thinking", "thinking_budget", "reasoning_effort", "temperature", "top_p",
    "context_window", "context_limit", "no_tools", "disable_tool_choice", "anthropic_endpoint",
    "custom_base_url", "ollama_base_url",
)  # fmt: skip
ENDPOINTS = ("CUSTOM_BASE_URL", "OLLAMA_BASE_URL")
FINISHED = {"stop", "tool_calls", "function_call", "length", "end_turn", "tool_use", "max_tokens",
            "stop_sequence"}  # fmt: skip

Stream = Callable[..., Iterator[Any]]


def account_of(providers: Any, model: str, config: Mapping[str, Any]) -> str:
    """Tells users of one instance apart: by who they are here, and by the key that they pay with,
    which is not stored."""
    key = providers.get_api_key(providers.detect_provider(model), dict(config))
    return hashlib.sha256(f"payonce account {os.getuid()} {key}".encode()).hexdigest()[:16]


def settings_of(config: Mapping[str, Any]) -> dict[str, Json]:
    settings = {name: config[name] for name in CONFIG if config.get(name) is not None}
    return settings | {name: os.environ[name] for name in ENDPOINTS if os.environ.get(name)}


def usage_of(turn: Any) -> dict[str, int]:
    return {
        "input_tokens": turn.in_tokens,
        "output_tokens": turn.out_tokens,
        "cache_read_input_tokens": turn.cache_read_tokens,
        "cache_creation_input_tokens": turn.cache_write_tokens,
    }


class Calls:
    """Makes the replacements of `stream`; one for the loop, one for everything beside it."""

    def __init__(self, session: Session, providers: Any) -> None:
        self._session = session
        self._providers = providers
        self._original: Stream = providers.stream
        self._last = threading.local()
        self._watched: set[str | None] = set()
        self._lock = threading.Lock()

    def loop(self, model: str, system: str, messages: Any, tool_schemas: Any, config: Any) -> Iterator[Any]:
        """The agent's own turns; notes whether the last one was an answer."""
        trace: Trace | None = config.get(TRACE)
        if trace:
            trace.complete = False
        for event in self.beside(model, system, messages, tool_schemas, config):
            if trace and isinstance(event, self._providers.AssistantTurn):
                trace.complete = not event.tool_calls
            yield event

    def beside(self, model: str, system: str, messages: Any, tool_schemas: Any, config: Any) -> Iterator[Any]:
        """Any call: compaction, titles, and from `loop`."""
        compacts = system == COMPACTION_SYSTEM and not tool_schemas
        kind: Kind = "compaction" if compacts else "llm"
        parts = {
            "agent": "cheetahclaws",
            "model": model,
            "system": system,
            "messages": messages,
            "tools": tool_schemas,
            "settings": settings_of(config),
            "account": account_of(self._providers, model, config),
        }
        found = self._session.lookup(kind, parts)
        if isinstance(found, Hit):
            recorded = self._recorded(found.value)
            if recorded:
                yield from recorded
                return
        ticket = None if found.hit else found.ticket
        inner = self._original(model, system, messages, tool_schemas, config)
        if ticket is None:
            yield from inner
            return
        self._watch_ends(model)
        events: list[list[str]] = []
        turn: Any = None
        self._last.finish = None
        try:
            for event in inner:
                if isinstance(event, self._providers.TextChunk):
                    events.append(["text", event.text])
                elif isinstance(event, self._providers.ThinkingChunk):
                    events.append(["thinking", event.text])
                else:
                    turn = event
                yield event
            if turn is not None and self._is_whole(turn):
                value = {"events": events, "turn": dict(vars(turn))}
                self._session.commit(ticket, value, usage=usage_of(turn))
                ticket = None
        finally:
            self._session.abort(ticket)

    def _is_whole(self, turn: Any) -> bool:
        """Whether the provider said that the answer is finished: a stream may end in its midst."""
        if not turn.text and not turn.tool_calls:
            return False
        finish = self._last.finish
        return finish in FINISHED if finish is not None else turn.out_tokens > 0

    def _recorded(self, value: Json) -> list[Any] | None:
        """The events as they were; None for a value of another shape."""
        kinds = {"text": self._providers.TextChunk, "thinking": self._providers.ThinkingChunk}
        try:
            events = [kinds[name](text) for name, text in value["events"]]
            return [*events, self._providers.AssistantTurn(**value["turn"])]
        except (KeyError, TypeError, ValueError):
            return None

    def _watch_ends(self, model: str) -> None:
        """cheetahclaws drops the reason why a provider stopped; here it is noted on its way. Only
        when a call is about to be made, which loads the provider's package anyway."""
        kind = self._providers.PROVIDERS.get(self._providers.detect_provider(model), {}).get("type")
        with self._lock:
            if kind in self._watched:
                return
            self._watched.add(kind)
            if kind == "openai":
                _watch_openai(self._last)
            elif kind == "anthropic":
                _watch_anthropic(self._last)


def _watch_openai(last: threading.local) -> None:
    from openai.resources.chat.completions import Completions

    create = Completions.create

    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = create(self, *args, **kwargs)
        return _noting(made, last) if kwargs.get("stream") else made

    Completions.create = noted  # type: ignore[method-assign]


def _watch_anthropic(last: threading.local) -> None:
    from anthropic.lib.streaming import MessageStream

    final = MessageStream.get_final_message

    def get_final_message(self: Any) -> Any:
        message = final(self)
        last.finish = message.stop_reason or "cut"
        return message

    MessageStream.get_final_message = get_final_message  # type: ignore[method-assign]


def _noting(chunks: Any, last: threading.local) -> Iterator[Any]:
    last.finish = "cut"
    for chunk in chunks:
        for choice in chunk.choices or ():
            last.finish = choice.finish_reason or last.finish
        yield chunk
