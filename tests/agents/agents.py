"""The agents that are tested, and how each is told about the gateway. docs/agents/ says the same to users."""

import json
import pathlib

from agent import Agent, Setup
from wire import Call


class ClaudeCode(Agent):
    name = "claude-code"
    program = "claude"
    model = "claude-sonnet-4-5"
    other_model = "claude-opus-4-5"
    rules_file = "CLAUDE.md"
    compacts_with = "Your task is to create a detailed summary of the conversation so far"
    compact_prompt = "/compact"
    titles_by_its_model = True
    steps = (Call("Read", {"file_path": "{repo}/calc.py"}),
             Call("Grep", {"pattern": "def divide", "path": "{repo}", "output_mode": "content"}),
             Call("Bash", {"command": "wc -c notes.txt", "description": "Size of the notes"}))

    def environment(self, setup: Setup) -> dict[str, str]:
        return {"ANTHROPIC_BASE_URL": setup.root, "ANTHROPIC_API_KEY": setup.key, "DISABLE_TELEMETRY": "1",
                "DISABLE_ERROR_REPORTING": "1", "DISABLE_AUTOUPDATER": "1",
                "ANTHROPIC_CUSTOM_HEADERS": "\n".join(f"{name}: {value}" for name, value in setup.headers)}

    def arguments(self, setup: Setup) -> list[str]:
        out = ["-p", setup.prompt, "--model", setup.model or self.model, "--allowedTools", "Read,Grep,Bash(wc:*)"]
        if setup.fewer_tools:
            out += ["--disallowedTools", "WebSearch"]
        return [*out, "--continue"] if setup.resume else out


class Codex(Agent):
    name = "codex"
    program = "codex"
    model = "gpt-5.1-codex"
    other_model = "gpt-5.1"
    compacts_with = "You are performing a CONTEXT CHECKPOINT COMPACTION"
    full_at = "turn 3"
    steps = (Call("exec_command", {"cmd": "cat calc.py"}),
             Call("exec_command", {"cmd": "grep -n 'def divide' calc.py"}),
             Call("exec_command", {"cmd": "wc -c notes.txt"}))

    def files(self, setup: Setup) -> dict[str, str]:
        limit = "model_auto_compact_token_limit = 100000\n" if setup.compacting else ""
        headers = ", ".join(f'"{name}" = "{value}"' for name, value in setup.headers)
        return {".codex/config.toml": f"""
model = "{setup.model or self.model}"
model_provider = "payonce"
{limit}
[model_providers.payonce]
name = "Payonce"
base_url = "{setup.root}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
http_headers = {{ {headers} }}
"""}

    def environment(self, setup: Setup) -> dict[str, str]:
        return {"OPENAI_API_KEY": setup.key}

    def arguments(self, setup: Setup) -> list[str]:
        out = ["exec", *(["resume", "--last"] if setup.resume else []), "--skip-git-repo-check",
               "--dangerously-bypass-approvals-and-sandbox"]
        if setup.fewer_tools:
            out += ["-c", 'web_search="disabled"']
        return [*out, setup.prompt]


class OpenCode(Agent):
    name = "opencode"
    program = "opencode"
    model = "claude-sonnet-4-5"
    other_model = "claude-opus-4-5"
    compacts_with = "anchored summary from the conversation history"
    full_at = "turn 3"
    steps = (Call("read", {"filePath": "{repo}/calc.py"}),
             Call("bash", {"command": "grep -n 'def divide' calc.py", "description": "Where it is"}),
             Call("bash", {"command": "wc -c notes.txt", "description": "Size of the notes"}))

    def files(self, setup: Setup) -> dict[str, str]:
        return {".config/opencode/opencode.json": json.dumps({
            "$schema": "https://opencode.ai/config.json", "autoupdate": False, "share": "disabled",
            "provider": {"anthropic": {"options": {"baseURL": f"{setup.root}/v1", "apiKey": setup.key,
                                                    "headers": dict(setup.headers)}}},
            "model": f"anthropic/{setup.model or self.model}",
            **({"tools": {"webfetch": False}} if setup.fewer_tools else {})})}

    def environment(self, setup: Setup) -> dict[str, str]:
        return {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1",
                "OPENCODE_DISABLE_LSP_DOWNLOAD": "1", "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1"}

    def arguments(self, setup: Setup) -> list[str]:
        return ["run", *(["--continue"] if setup.resume else []), setup.prompt]


class GeminiCli(Agent):
    name = "gemini-cli"
    program = "gemini"
    model = "gemini-2.5-pro"
    other_model = "gemini-2.5-flash"
    rules_file = "GEMINI.md"
    compacts_with = "distilling chat history into a structured XML <state_snapshot>"
    steps = (Call("read_file", {"file_path": "calc.py"}), Call("grep_search", {"pattern": "def divide"}),
             Call("run_shell_command", {"command": "wc -c notes.txt", "description": "Size of the notes"}))

    def files(self, setup: Setup) -> dict[str, str]:
        settings: dict[str, object] = {
            "security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False},
            "general": {"enableAutoUpdate": False, "disableAutoUpdate": True}, "telemetry": {"enabled": False}}
        if setup.fewer_tools:
            settings["tools"] = {"exclude": ["google_web_search"]}
        if setup.compacting:
            settings["model"] = {"compressionThreshold": 0.0001}
        return {".gemini/settings.json": json.dumps(settings)}

    def environment(self, setup: Setup) -> dict[str, str]:
        return {"GOOGLE_GEMINI_BASE_URL": setup.root, "GEMINI_API_KEY": setup.key,
                "GEMINI_CLI_CUSTOM_HEADERS": ", ".join(f"{name}: {value}" for name, value in setup.headers)}

    def arguments(self, setup: Setup) -> list[str]:
        return ["-y", "--skip-trust", "-m", setup.model or self.model, *(["-r", "latest"] if setup.resume else []),
                "-p", setup.prompt]


class QwenCode(Agent):
    name = "qwen-code"
    program = "qwen"
    model = "qwen3-coder-plus"
    other_model = "qwen3-coder-flash"
    rules_file = "QWEN.md"
    compacts_with = "generate the <state_snapshot>"
    priced = False
    compact_prompt = ""  # its first session is; what it reads of a compacted one differs from run to run
    steps = (Call("read_file", {"file_path": "{repo}/calc.py", "absolute_path": "{repo}/calc.py"}),
             Call("grep_search", {"pattern": "def divide"}),
             Call("run_shell_command", {"command": "wc -c notes.txt", "description": "Size of the notes",
                                        "is_background": False}))

    def files(self, setup: Setup) -> dict[str, str]:
        model: dict[str, object] = {"generationConfig": {"customHeaders": dict(setup.headers)}}
        if setup.compacting:
            model["chatCompression"] = {"contextPercentageThreshold": 0.01}
        return {".qwen/settings.json": json.dumps({
            "security": {"auth": {"selectedType": "openai"}}, "privacy": {"usageStatisticsEnabled": False},
            "general": {"enableAutoUpdate": False, "disableAutoUpdate": True}, "telemetry": {"enabled": False},
            "model": model})}

    def environment(self, setup: Setup) -> dict[str, str]:
        return {"OPENAI_BASE_URL": f"{setup.root}/v1", "OPENAI_API_KEY": setup.key,
                "OPENAI_MODEL": setup.model or self.model}

    def arguments(self, setup: Setup) -> list[str]:
        out = ["-y", "--auth-type", "openai", *(["--continue"] if setup.resume else [])]
        if setup.fewer_tools:
            out += ["--exclude-tools", "web_fetch"]
        return [*out, "-p", setup.prompt]


class Aider(Agent):
    name = "aider"
    program = "aider"
    model = "gpt-4o"
    other_model = "gpt-4.1"
    rules_file = "CONVENTIONS.md"
    compacts_with = "*Briefly* summarize this partial conversation"
    has_tools = False

    @property
    def binary(self) -> pathlib.Path:
        return self.folder / "venv" / "bin" / self.program

    def files(self, setup: Setup) -> dict[str, str]:
        extra: dict[str, object] = {"max_tokens": setup.answer_tokens}
        if setup.headers:
            extra["extra_headers"] = dict(setup.headers)
        settings = [{"name": "aider/extra_params", "extra_params": extra}]
        return {".aider.model.settings.yml": json.dumps(settings)}  # JSON is YAML

    def environment(self, setup: Setup) -> dict[str, str]:
        # Its files stand in the order of a set: without the seed two processes write them in two orders.
        return {"OPENAI_API_BASE": f"{setup.root}/v1", "OPENAI_API_KEY": setup.key, "PYTHONHASHSEED": "0"}

    def arguments(self, setup: Setup) -> list[str]:
        return ["--model", f"openai/{setup.model or self.model}", "--read", "CONVENTIONS.md", "--yes-always",
                "--no-check-update", "--no-analytics", "--no-show-model-warnings", "--no-pretty", "--no-gitignore",
                *(["--restore-chat-history"] if setup.resume else []),
                *(["--max-chat-history-tokens", "20"] if setup.compacting else []),
                "--file", "calc.py", "--message", setup.prompt]


class Pi(Agent):
    name = "pi"
    program = "pi"
    model = "claude-sonnet-4-5"
    other_model = "claude-opus-4-5"
    compacts_with = "You are a context summarization assistant"
    steps = (Call("read", {"path": "calc.py"}), Call("bash", {"command": "grep -n 'def divide' calc.py"}),
             Call("bash", {"command": "wc -c notes.txt"}))

    def files(self, setup: Setup) -> dict[str, str]:
        models = [{"id": name, "name": name, "contextWindow": 200_000, "maxTokens": setup.answer_tokens}
                  for name in (self.model, self.other_model)]
        return {".pi/agent/models.json": json.dumps({"providers": {"payonce": {
            "baseUrl": setup.root, "api": "anthropic-messages", "apiKey": "PI_TEST_KEY", "models": models,
            "headers": dict(setup.headers)}}}),
                ".pi/agent/settings.json": json.dumps({"compaction": {
                    "enabled": True, "reserveTokens": 199_000 if setup.compacting else 16_384,
                    "keepRecentTokens": 1 if setup.compacting else 20_000}})}

    def environment(self, setup: Setup) -> dict[str, str]:
        return {"PI_TEST_KEY": setup.key, "PI_OFFLINE": "1", "PI_SKIP_VERSION_CHECK": "1"}

    def arguments(self, setup: Setup) -> list[str]:
        out = ["--provider", "payonce", "--model", setup.model or self.model]
        if setup.fewer_tools:
            out += ["--tools", "read,bash,edit"]
        return [*out, *(["--continue"] if setup.resume else []), "-p", setup.prompt]


AGENTS = {agent.name: agent for agent in (ClaudeCode(), Codex(), OpenCode(), GeminiCli(), QwenCode(), Aider(), Pi())}
