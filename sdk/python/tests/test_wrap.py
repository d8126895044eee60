"""`wrap`: the official clients, real, on a scripted model and the real binary."""

from __future__ import annotations

import asyncio
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from instance import Instance, binary, environment
from model import Model
from ports import free_port

import payonce
from payonce import _binary, _instance

REAL = binary()  # before the fixture below hides it
QUESTION: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def model() -> Iterator[Model]:
    with Model(lambda turns: "Hi") as running:
        yield running


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Neither an instance nor a program, unless a test names them."""
    monkeypatch.delenv("PAYONCE_URL", raising=False)
    monkeypatch.setenv("PAYONCE_BINARY", "/nowhere/payonce")
    monkeypatch.setenv("PAYONCE_HOME", str(tmp_path))


def ask_openai(client: openai.OpenAI) -> str | None:
    return client.chat.completions.create(model="m", messages=QUESTION, temperature=0).choices[0].message.content


def ask_anthropic(client: anthropic.Anthropic) -> str:
    block = client.messages.create(model="m", messages=QUESTION, max_tokens=9).content[0]
    assert block.type == "text"
    return block.text


def ask(client: Any) -> str | None:
    return ask_openai(client) if isinstance(client, openai.OpenAI) else ask_anthropic(client)


def clients(model: Model) -> list[Any]:
    return [
        openai.OpenAI(base_url=model.url, api_key="sk-1"),
        anthropic.Anthropic(base_url=model.root, api_key="sk-1"),
    ]


@pytest.mark.parametrize("which", [0, 1], ids=["openai", "anthropic"])
def test_the_instance_at_payonce_url(
    model: Model, which: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYONCE_BINARY", REAL)
    instance = Instance(tmp_path / "i", "--upstream", model.url, "--layers", "exact")
    try:
        monkeypatch.setenv("PAYONCE_URL", instance.url + "/v1")
        original = clients(model)[which]
        wrapped = payonce.wrap(original)
        assert type(wrapped) is type(original)
        assert ask(wrapped) == ask(wrapped) == "Hi [call 1]"
        assert model.calls == 1
        assert ask(original) == "Hi [call 2]"  # the original is as it was
        assert payonce.wrap(wrapped) is wrapped
    finally:
        instance.stop()


@pytest.mark.parametrize("which", [0, 1], ids=["openai", "anthropic"])
def test_the_program_is_started(model: Model, which: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYONCE_BINARY", REAL)
    monkeypatch.setenv("PAYONCE_URL", f"http://127.0.0.1:{free_port()}")  # nobody is there
    wrapped = payonce.wrap(clients(model)[which])
    assert ask(wrapped) == ask(wrapped) == "Hi [call 1]"
    assert model.keys[0] in ("Bearer sk-1", "sk-1")
    assert str(payonce.wrap(clients(model)[which]).base_url) == str(wrapped.base_url)  # one for both
    assert ask(payonce.wrap(clients(model)[which].with_options(api_key="sk-2"))) == "Hi [call 2]"


def test_asyncio(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYONCE_BINARY", REAL)

    async def twice() -> None:
        async with payonce.wrap(openai.AsyncOpenAI(base_url=model.url, api_key="sk-3")) as client:
            for _ in range(2):
                stream = await client.chat.completions.create(model="m", messages=QUESTION, stream=True)
                text = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
                assert text.strip() == "Hi [call 1]"
        async with payonce.wrap(anthropic.AsyncAnthropic(base_url=model.root, api_key="sk-3")) as claude:
            for _ in range(2):
                message = await claude.messages.create(model="m", messages=QUESTION, max_tokens=9)
                assert message.content[0].type == "text" and message.content[0].text == "Hi [call 2]"

    asyncio.run(twice())
    assert model.calls == 2


def test_with_neither_the_client_is_unchanged(model: Model) -> None:
    for client in clients(model):
        started = time.perf_counter()
        assert payonce.wrap(client) is client
        assert time.perf_counter() - started < 2
        ask(client)
    assert model.calls == 2


def test_others_are_refused_by_name() -> None:
    azure = openai.AzureOpenAI(api_key="x", api_version="1", azure_endpoint="https://a.example")
    for client, name in ((azure, "AzureOpenAI"), (object(), "object")):
        with pytest.raises(payonce.Misuse, match=rf"\.{name} is none of openai\.OpenAI"):
            payonce.wrap(client)


SCRIPT = """
import os, signal, sys, openai, payonce
client = payonce.wrap(openai.OpenAI(base_url=sys.argv[1], api_key="sk"))
print(client.base_url, flush=True)
if sys.argv[2] == "kill": os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "raise": raise ValueError
"""


@pytest.mark.parametrize("end", ["return", "raise", "kill"])
def test_the_started_instance_ends_with_the_process(model: Model, end: str, tmp_path: pathlib.Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, model.url, end],
        env=environment(tmp_path, PAYONCE_BINARY=REAL),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode == -signal.SIGKILL) == (end == "kill"), done.stderr
    root = done.stdout.strip().removesuffix("/v1/")
    assert root.startswith("http://127.0.0.1:") and not root.startswith(model.root), done.stderr
    deadline = time.monotonic() + 60
    while _instance.is_ready(root):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_which_program_is_found(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _binary.find() is None  # named, but not there: no other is taken instead
    monkeypatch.delenv("PAYONCE_BINARY")
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, content in ((first, "#!/bin/sh\n"), (second, "\x7fELF")):
        folder.mkdir()
        (folder / "payonce").write_text(content)
        (folder / "payonce").chmod(0o755)
    monkeypatch.setenv("PATH", f"{first}:{second}")
    assert _binary.find() == str(second / "payonce")  # the first is a console script like our own


def test_the_console_script_runs_the_program(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "payonce", "--version"]
    told = subprocess.run(command, env=environment(tmp_path, PAYONCE_BINARY=REAL),
                          capture_output=True, text=True, timeout=30, check=True)  # fmt: skip
    own = subprocess.run([REAL, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == own.stdout != ""
    missing = subprocess.run(command, env=environment(tmp_path, PAYONCE_BINARY="/nowhere"),
                             capture_output=True, text=True, timeout=30, check=False)  # fmt: skip
    assert missing.returncode == 1 and "PAYONCE_BINARY" in missing.stderr
