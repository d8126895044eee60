"""What the tests need to know of an agent: how it is set up, started, and which of its tools the scripted model calls."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess

from wire import Call

ROOT = pathlib.Path(__file__).resolve().parents[2]
SESSION_LIMIT_S = 120
PROMPT = "Which functions does calc.py define, and how long is notes.txt? Answer in one sentence."
OTHER_PROMPT = "Does calc.py handle division by zero? Answer in one sentence."


@dataclasses.dataclass(frozen=True)
class Setup:
    """One session: who asks what, through which gateway."""

    root: str  # of the gateway, "http://127.0.0.1:PORT"
    home: pathlib.Path
    repo: pathlib.Path
    prompt: str = PROMPT
    key: str = "sk-first-user"
    model: str = ""  # the agent's own choice when empty
    fewer_tools: bool = False
    resume: bool = False  # goes on with the last session


@dataclasses.dataclass(frozen=True)
class Ended:
    """What a session left."""

    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit status {self.status}\n--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-4000:]}"


class Agent:
    """A real agent, run headless. Subclasses say how."""

    name = ""
    program = ""  # in its environment's folder of programs
    model = ""
    other_model = ""
    rules_file = "AGENTS.md"  # of the project, read into the system text
    steps: tuple[Call, ...] = ()  # reads calc.py, searches, runs `wc -c notes.txt`
    has_tools = True
    compacts_with = ""  # words of the request that asks for a summary of the session

    @property
    def folder(self) -> pathlib.Path:
        return ROOT / "build" / f"agents-{self.name}"

    @property
    def binary(self) -> pathlib.Path:
        return self.folder / "node_modules" / ".bin" / self.program

    def files(self, setup: Setup) -> dict[str, str]:
        """Its configuration: text by path under the home directory."""
        return {}

    def environment(self, setup: Setup) -> dict[str, str]:
        return {}

    def arguments(self, setup: Setup) -> list[str]:
        raise NotImplementedError

    def start(self, setup: Setup) -> subprocess.Popen[str]:
        for path, text in self.files(setup).items():
            file = setup.home / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        # Nothing of the machine's own settings: keys, proxies, other homes.
        kept = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb", "HOME": str(setup.home), "CI": "1",
                "NO_PROXY": "127.0.0.1,localhost", "TZ": "UTC", "GIT_CONFIG_NOSYSTEM": "1"}
        return subprocess.Popen([str(self.binary), *self.arguments(setup)], cwd=setup.repo, text=True,
                                env=kept | self.environment(setup), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, start_new_session=True)

    def run(self, setup: Setup) -> Ended:
        """One session to its end."""
        process = self.start(setup)
        try:
            out, err = process.communicate(timeout=SESSION_LIMIT_S)
        except subprocess.TimeoutExpired:
            kill(process)
            out, err = process.communicate()
            raise AssertionError(f"{self.name} did not end in {SESSION_LIMIT_S} s:\n{Ended(-9, out, err)}") from None
        return Ended(process.returncode, out, err)


def kill(process: subprocess.Popen[str]) -> None:
    """At once, with all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class ClaudeCode(Agent):
    name = "claude-code"
    program = "claude"
    model = "claude-sonnet-4-5"
    other_model = "claude-opus-4-5"
    rules_file = "CLAUDE.md"
    compacts_with = "Your task is to create a detailed summary of the conversation so far"
    steps = (Call("Read", {"file_path": "{repo}/calc.py"}),
             Call("Grep", {"pattern": "def divide", "path": "{repo}", "output_mode": "content"}),
             Call("Bash", {"command": "wc -c notes.txt", "description": "Size of the notes"}))

    def environment(self, setup: Setup) -> dict[str, str]:
        return {"ANTHROPIC_BASE_URL": setup.root, "ANTHROPIC_API_KEY": setup.key,
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}

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
    steps = (Call("exec_command", {"cmd": "cat calc.py"}),
             Call("exec_command", {"cmd": "grep -n 'def divide' calc.py"}),
             Call("exec_command", {"cmd": "wc -c notes.txt"}))

    def files(self, setup: Setup) -> dict[str, str]:
        return {".codex/config.toml": f"""
model = "{setup.model or self.model}"
model_provider = "payonce"

[model_providers.payonce]
name = "Payonce"
base_url = "{setup.root}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
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
    steps = (Call("read", {"filePath": "{repo}/calc.py"}),
             Call("bash", {"command": "grep -n 'def divide' calc.py", "description": "Where it is"}),
             Call("bash", {"command": "wc -c notes.txt", "description": "Size of the notes"}))

    def files(self, setup: Setup) -> dict[str, str]:
        return {".config/opencode/opencode.json": json.dumps({
            "$schema": "https://opencode.ai/config.json", "autoupdate": False, "share": "disabled",
            "provider": {"anthropic": {"options": {"baseURL": f"{setup.root}/v1", "apiKey": setup.key}}},
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
    compacts_with = "generate the <state_snapshot>"
    steps = (Call("read_file", {"file_path": "calc.py"}), Call("grep_search", {"pattern": "def divide"}),
             Call("run_shell_command", {"command": "wc -c notes.txt", "description": "Size of the notes"}))

    def files(self, setup: Setup) -> dict[str, str]:
        settings: dict[str, object] = {
            "security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False},
            "general": {"enableAutoUpdate": False, "disableAutoUpdate": True}, "telemetry": {"enabled": False}}
        if setup.fewer_tools:
            settings["tools"] = {"exclude": ["google_web_search"]}
        return {".gemini/settings.json": json.dumps(settings)}

    def environment(self, setup: Setup) -> dict[str, str]:
        return {"GOOGLE_GEMINI_BASE_URL": setup.root, "GEMINI_API_KEY": setup.key}

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
    steps = (Call("read_file", {"file_path": "{repo}/calc.py", "absolute_path": "{repo}/calc.py"}),
             Call("grep_search", {"pattern": "def divide"}),
             Call("run_shell_command", {"command": "wc -c notes.txt", "description": "Size of the notes",
                                        "is_background": False}))

    def files(self, setup: Setup) -> dict[str, str]:
        return {".qwen/settings.json": json.dumps({
            "security": {"auth": {"selectedType": "openai"}}, "privacy": {"usageStatisticsEnabled": False},
            "general": {"enableAutoUpdate": False, "disableAutoUpdate": True}, "telemetry": {"enabled": False}})}

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

    def environment(self, setup: Setup) -> dict[str, str]:
        # Its files stand in the order of a set: without the seed two processes write them in two orders.
        return {"OPENAI_API_BASE": f"{setup.root}/v1", "OPENAI_API_KEY": setup.key, "PYTHONHASHSEED": "0"}

    def arguments(self, setup: Setup) -> list[str]:
        return ["--model", f"openai/{setup.model or self.model}", "--read", "CONVENTIONS.md", "--yes-always",
                "--no-check-update", "--no-analytics", "--no-show-model-warnings", "--no-pretty", "--no-gitignore",
                *(["--restore-chat-history"] if setup.resume else []), "--file", "calc.py", "--message", setup.prompt]


class Pi(Agent):
    name = "pi"
    program = "pi"
    model = "claude-sonnet-4-5"
    other_model = "claude-opus-4-5"
    compacts_with = "You are a context summarization assistant"
    steps = (Call("read", {"path": "calc.py"}), Call("bash", {"command": "grep -n 'def divide' calc.py"}),
             Call("bash", {"command": "wc -c notes.txt"}))

    def files(self, setup: Setup) -> dict[str, str]:
        models = [{"id": name, "name": name, "contextWindow": 200_000, "maxTokens": 8_000}
                  for name in (self.model, self.other_model)]
        return {".pi/agent/models.json": json.dumps({"providers": {"payonce": {
            "baseUrl": setup.root, "api": "anthropic-messages", "apiKey": "PI_TEST_KEY", "models": models}}})}

    def environment(self, setup: Setup) -> dict[str, str]:
        return {"PI_TEST_KEY": setup.key, "PI_OFFLINE": "1", "PI_SKIP_VERSION_CHECK": "1"}

    def arguments(self, setup: Setup) -> list[str]:
        out = ["--provider", "payonce", "--model", setup.model or self.model]
        if setup.fewer_tools:
            out += ["--tools", "read,bash,edit"]
        return [*out, *(["--continue"] if setup.resume else []), "-p", setup.prompt]


AGENTS = {agent.name: agent for agent in (ClaudeCode(), Codex(), OpenCode(), GeminiCli(), QwenCode(), Aider(), Pi())}
