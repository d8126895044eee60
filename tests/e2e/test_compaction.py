"""Calls that summarise a session, in the shapes of real agents: the summary's cache, and the call behind the session's
own prefix."""

import json
import uuid

import pytest

from harness import CacheStatus, Gateway, model_file

KEY = {"Authorization": "Bearer sk-compact", "x-api-key": "sk-compact"}
DIALECTS = ("messages", "chat", "responses")
PATHS = {"messages": "/v1/messages", "chat": "/v1/chat/completions", "responses": "/v1/responses"}
FINAL = {"role": "assistant", "content": "It passes now: I changed one line of the parser."}


def lines(about, count=8):
    return "\n".join(f"{about} needs step number {i} of the plan to be done." for i in range(count))


AGENT = "You are a careful coding agent.\n" + lines("Your work", 12)
TURNS = [{"role": "user", "content": "Please mend the parser.\n" + lines("The parser")},
         {"role": "assistant", "content": "I have found the fault.\n" + lines("The fault")},
         {"role": "user", "content": "Then write a test as well.\n" + lines("The test")},
         {"role": "assistant", "content": "The test fails as it should.\n" + lines("The failing test")},
         {"role": "user", "content": "Good. Now make it pass and tell me what you did."}]
RENDERED = "\n\n".join(f"[{turn['role'].title()}]: {turn['content']}" for turn in [*TURNS, FINAL])


def tool(dialect, name):
    inner = {"name": name, "description": lines(name, 4)}
    if dialect == "messages":
        return inner | {"input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}
    inner["parameters"] = {"type": "object", "properties": {"path": {"type": "string"}}}
    return {"type": "function", "function": inner} if dialect == "chat" else {"type": "function", **inner}


def body(dialect, system, turns, tools=(), **more):
    limit = "max_output_tokens" if dialect == "responses" else "max_tokens"
    out = {"model": "claude-sonnet-4-6" if dialect == "messages" else "m", limit: 40, "temperature": 0} | more
    if tools:
        out["tools"] = [tool(dialect, name) for name in tools]
    if dialect == "chat":
        return out | {"messages": [{"role": "system", "content": system}, *turns]}
    name, list_name = ("system", "messages") if dialect == "messages" else ("instructions", "input")
    return out | {name: system, list_name: turns}


def session(dialect):
    return body(dialect, AGENT, TURNS, ("read", "write", "shell"))


def opencode(dialect, note="", **more):
    """A system prompt of its own, no tools, the history as messages, the instruction last."""
    ask = {"role": "user", "content": "Provide a detailed summary of our conversation above, to go on from."}
    return body(dialect, "You are an assistant that summarizes conversations." + note, [*TURNS, FINAL, ask], **more)


def codex(dialect):
    """The agent's own system text without its tools."""
    ask = {"role": "user", "content": "Make a context checkpoint compaction: write a handoff summary of the work."}
    return body(dialect, AGENT, [*TURNS, FINAL, ask])


def pi(dialect):
    """The history as one text."""
    ask = (f"<conversation>\n{RENDERED}\n</conversation>\n\n"
           "Summarize the conversation above: Goal, Progress, Next Steps.")
    return body(dialect, "You are a context summarization assistant.", [{"role": "user", "content": ask}])


def turns_of(dialect, sent):
    return sent["input" if dialect == "responses" else "messages"]


def strings(value):
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for item in items for text in strings(item)]


@pytest.fixture
def rewriting(make_gateway, upstream):
    return make_gateway("--upstream", upstream.url, "--layers", "exact,prefix", "--prefix-compaction", "rewrite")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("shape", (opencode, codex, pi))
def test_a_call_goes_behind_the_sessions_prefix(rewriting, upstream, dialect, shape):
    assert rewriting.post(PATHS[dialect], session(dialect), **KEY).status_code == 200
    call = shape(dialect)
    assert rewriting.post(PATHS[dialect], call, **KEY).status_code == 200
    live, sent = (request.json for request in upstream.requests)
    assert sent["tools"] == live["tools"]
    if dialect != "chat":
        name = "system" if dialect == "messages" else "instructions"
        assert strings(sent[name]) == strings(live[name])
    history = len(turns_of(dialect, live))
    assert [strings(turn) for turn in turns_of(dialect, sent)[:history]] == [
        strings(turn) for turn in turns_of(dialect, live)]
    last = turns_of(dialect, sent)[-1]
    assert last["role"] == "user" and sent["model"] == call["model"]
    said = "\n".join(strings(sent))
    for text in strings(call):
        for line in text.split("\n"):
            assert line.split("]: ")[-1] in said, line
    if dialect == "messages":  # another choice of tools would cut Anthropic's prefix
        assert "tool_choice" not in sent and "will be rejected" in said
    else:
        assert sent["tool_choice"] == "none"
    assert rewriting.stats()["layers"]["prefix"]["acts"]["compaction_rewritten"] == 1
    assert rewriting.stats()["layers"]["prefix"]["sessions"] == 1


@pytest.mark.parametrize("shape", (opencode, pi))
def test_the_session_of_another_scope_is_not_used(rewriting, upstream, shape):
    rewriting.post("/v1/messages", session("messages"), **KEY)
    rewriting.post("/v1/messages", shape("messages"), X_Payonce_Scope="user:other", **KEY)
    assert "tools" not in upstream.requests[-1].json
    assert rewriting.stats()["layers"]["prefix"]["acts"]["compaction_rewritten"] == 0


def test_by_default_and_when_caching_only_the_call_stays(make_gateway, upstream):
    for name, flags in (("default", ()), ("cache", ("--prefix-compaction", "cache"))):
        gateway = make_gateway("--upstream", upstream.url, "--layers", "exact,prefix", *flags, name=name)
        gateway.post("/v1/chat/completions", session("chat"), **KEY)
        gateway.post("/v1/chat/completions", json.dumps(opencode("chat")).encode(), **KEY)
        assert upstream.requests[-1].json["messages"] == opencode("chat")["messages"]
        assert "tools" not in upstream.requests[-1].json


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_same_conversation_finds_its_summary_at_another_time(make_gateway, upstream, dialect):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact,prefix", "--prefix-compaction", "cache")

    def ask(minute, **headers):
        note = f"\nNow: 2026-11-26T08:{minute}:19Z, request {uuid.uuid4()}."
        more = {"metadata": {"run": str(uuid.uuid4())}}
        return CacheStatus(gateway.post(PATHS[dialect], opencode(dialect, note, **more), **(KEY | headers)))

    assert not ask(31).hit
    assert ask(32).hit
    assert not ask(33, X_Payonce_Scope="user:other").hit
    assert not ask(34, X_Payonce_Version="kb=2").hit


def test_another_conversation_instruction_or_parameter_is_another_summary(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact,prefix", "--prefix-compaction", "cache")
    first = opencode("chat")
    variants = [json.loads(json.dumps(first)) for _ in range(5)]
    variants[0]["messages"][3]["content"] += " 08:31"  # a time in the history is part of it
    variants[1]["messages"][-1]["content"] += " Be brief."
    variants[2]["max_tokens"] = 41
    variants[3]["model"] = "n"
    variants[4]["messages"][0]["content"] += " Answer in French."
    assert not CacheStatus(gateway.chat(first, **KEY)).hit
    for variant in variants:
        assert not CacheStatus(gateway.chat(variant, **KEY)).hit
    assert CacheStatus(gateway.chat(first, **KEY)).hit


def test_outside_compaction_a_time_counts(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact,prefix", "--prefix-compaction", "cache")
    for minute in (31, 32):
        call = body("chat", f"{AGENT}\nNow: 08:{minute}.", TURNS)
        assert not CacheStatus(gateway.chat(call, **KEY)).hit


@pytest.mark.parametrize("shape", (opencode, pi))
def test_the_engine_reads_the_sessions_prefix(make_gateway, tmp_path, shape):
    engine = Gateway(tmp_path / "engine", "--model", model_file(), "--kv-memory", "256MiB", command="engine",
                     keep=False)
    engine.client.timeout = 120
    try:
        engine.start(120)
        read = {}
        for mode in ("off", "rewrite"):
            gateway = make_gateway("--upstream", engine.url, "--layers", "prefix", "--prefix-compaction", mode,
                                   name=mode)
            gateway.client.timeout = 120
            tenant = {"Authorization": f"Bearer {mode}"}
            gateway.chat(body("chat", AGENT, TURNS), **tenant).raise_for_status()
            usage = gateway.chat(shape("chat"), **tenant).raise_for_status().json()["usage"]
            read[mode] = usage["prompt_tokens_details"]["cached_tokens"] / usage["prompt_tokens"]
        assert read["off"] < 0.1 and read["rewrite"] > 0.6
    finally:
        engine.client.close()
        engine.stop()
