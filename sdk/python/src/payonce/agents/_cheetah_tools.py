"""cheetahclaws' tools: `tool_registry.execute_tool`, looked up where a tool only reads."""

from __future__ import annotations

import collections
import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from payonce._secrets import is_secret
from payonce._types import Dependency, Hit, Json
from payonce.agents import _readset
from payonce.agents._cheetah_llm import TRACE, account_of, settings_of
from payonce.agents._session import Session, Trace

Params = Mapping[str, Any]
# Which parameters of the configuration a reading tool looks at.
CONFIG = (
    "allowed_root", "tool_read_max_bytes", "tool_read_scan_max_bytes", "tool_read_max_output_chars",
    "pdf_extract_max_chars", "pdf_extract_max_pages", "pdf_extract_max_file_bytes",
)  # fmt: skip
FILES = {"Read": "file_path", "ReadPDF": "file_path", "ReadSpreadsheet": "file_path"}


class Tools:
    """Makes the replacement of `execute_tool`."""

    def __init__(self, session: Session, version: str, registry: Any) -> None:
        from cheetahclaws import compaction, providers
        from cheetahclaws.multi_agent import subagent
        from cheetahclaws.tools import security

        self._session = session
        self._version = version
        self._registry = registry
        self._original: Callable[..., str] = registry.execute_tool
        self._compaction, self._providers = compaction, providers
        self._subagent, self._security = subagent, security
        self._lock = threading.Lock()
        self._asked: collections.Counter[str] = collections.Counter()

    def execute(self, name: str, params: Any, config: Any, max_output: int = 32000) -> str:
        config = config or {}
        trace: Trace | None = config.get(TRACE)
        if name == "Agent":
            return self._agent(params, config, max_output, trace)
        deps = self._read_set(name, params, config)
        if trace:
            trace.read(deps)
        if deps is None:
            return self._original(name, params, config, max_output)
        found = self._session.lookup("tool_result", self._parts(name, params, config, max_output), deps)
        if isinstance(found, Hit) and isinstance(found.value, str):
            return found.value
        ticket = None if found.hit else found.ticket
        if ticket is None:
            return self._original(name, params, config, max_output)
        try:
            # What the agent itself remembers may be older than the state that was just looked up.
            self._registry.clear_tool_cache()
            result = self._original(name, params, config, max_output)
            if _is_worth_storing(name, result):
                self._session.commit(ticket, result)
                ticket = None
            return result
        finally:
            self._session.abort(ticket)

    def _read_set(self, name: str, params: Any, config: Params) -> list[Dependency] | None:
        """What the call reads; None when it is not to be cached."""
        if not isinstance(params, Mapping) or config.get("_worktree_cwd"):
            return None
        tool = self._registry.get_tool(name)
        active = config.get("_active_tool_names")
        if tool is None or not tool.read_only or (active is not None and name not in active):
            return None
        workspace = os.getcwd()
        path = params.get(FILES.get(name, "path")) or workspace
        if not isinstance(path, str) or self._security._check_path_allowed(path, config):
            return None
        if name in FILES:
            return _readset.of_file(path, workspace)
        if name == "Glob":
            above = ".." in str(params.get("pattern", ""))
            return None if above else _readset.of_names(path, workspace)
        return _readset.of_search(path, workspace) if name == "Grep" else None

    def _parts(self, name: str, params: Params, config: Params, max_output: int) -> dict[str, Json]:
        workspace = os.getcwd()
        arguments = dict(params)
        for field in ("file_path", "path"):
            if isinstance(arguments.get(field), str):
                arguments[field] = os.path.relpath(arguments[field], workspace)
        if name in ("Glob", "Grep"):  # these spell paths in their results as they were given
            arguments["spelled"] = params.get("path")
        active = config.get("_active_tool_names")
        return {
            "agent": "cheetahclaws",
            "tool": name,
            "version": self._version,
            "schema": self._registry.get_tool(name).schema,
            "args": arguments,
            "workspace": workspace,
            "user": os.getuid(),
            "settings": {field: config[field] for field in CONFIG if field in config},
            "limits": [
                self._registry._effective_output_cap(dict(config), max_output),
                self._compaction.get_context_limit(config.get("model", "")),
                active is None or "SummarizeLargeFile" in active,
            ],
        }

    def _agent(self, params: Any, config: Params, max_output: int, outer: Trace | None) -> str:
        """A whole sub-agent: its report, with all that it read, if it only read."""
        trace = Trace(watching=True)
        inner = {**config, TRACE: trace}
        alone = isinstance(params, Mapping) and isinstance(params.get("prompt"), str)
        if not alone or not params.get("wait", True) or params.get("isolation"):
            if outer:
                outer.read(None)
            return self._original("Agent", params, inner, max_output)
        found = self._session.lookup("subagent", self._agent_parts(params, config))
        if isinstance(found, Hit):
            report = _report_of(found.value)
            if report:
                if outer:
                    outer.read(report[1])
                return report[0]
        ticket = None if found.hit else found.ticket
        if ticket and not params.get("name"):
            params = {**params, "name": self._name_of(params)}
        try:
            result = self._original("Agent", params, inner, max_output)
            deps = list(trace.states)
            good = trace.complete and trace.repeatable and _is_worth_storing("Agent", result)
            if outer:
                outer.read(deps if good else None)
            if good and ticket and _readset.unchanged(trace.states):
                value = {"report": result, "read": [dep.to_json() for dep in deps]}
                self._session.commit(ticket, value, deps)
                ticket = None
            return result
        finally:
            self._session.abort(ticket)

    def _agent_parts(self, params: Params, config: Params) -> dict[str, Json]:
        kind = params.get("subagent_type") or ""
        definition = self._subagent.get_agent_definition(kind) if kind else None
        model = params.get("model") or (definition and definition.model) or config.get("model", "")
        profile, disabled = config.get("tool_profile"), config.get("disabled_tools")
        return {
            "agent": "cheetahclaws",
            "version": self._version,
            "task": params["prompt"],
            "type": [kind, definition and definition.system_prompt],
            "args": {name: given for name, given in params.items() if name != "prompt"},
            "system": config.get("_system_prompt", ""),
            "model": model,
            "tools": self._registry.get_tool_schemas(profile, disabled),
            "settings": settings_of(config),
            "account": account_of(self._providers, model, config),
            "workspace": os.getcwd(),
        }

    def _name_of(self, params: Params) -> str:
        """Not random, as the agent's own would be: the name stands in the session's history."""
        task = json.dumps([params["prompt"], params.get("subagent_type")])
        with self._lock:
            self._asked[task] += 1
            count = self._asked[task]
        return hashlib.sha256(f"{task} {count}".encode()).hexdigest()[:8]


def _report_of(value: Json) -> tuple[str, list[Dependency]] | None:
    try:
        return str(value["report"]), [Dependency(**dependency) for dependency in value["read"]]
    except (KeyError, TypeError):
        return None


def _is_worth_storing(tool: str, result: object) -> bool:
    """No failure, and nothing found in git's own files, which are not watched, or in secrets."""
    if not isinstance(result, str) or result.lstrip()[:16].lower().startswith(("error", "denied")):
        return False
    if tool not in ("Glob", "Grep"):
        return True
    names = [line.split(":", 1)[0] for line in result.splitlines() if os.sep in line]
    secrets = tool == "Grep" and any(is_secret(name) for name in names)
    return not secrets and not any("/.git/" in name for name in names)
