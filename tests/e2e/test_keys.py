"""What makes two requests equal, and what does not: the table that other caches get wrong, in all three dialects."""

import json

import pytest

from harness import is_hit

TEXT = 'Grüße 🌍 "quoted" \\ a/b'
BODIES = {
    "chat": ("/v1/chat/completions", {"model": "m", "temperature": 0, "max_tokens": 10, "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXT}]}),
    "responses": ("/v1/responses", {"model": "m", "temperature": 0, "max_output_tokens": 10,
                                    "instructions": "Be brief.", "input": [{"role": "user", "content": TEXT}]}),
    "messages": ("/v1/messages", {"model": "m", "temperature": 0, "max_tokens": 10, "system": "Be brief.",
                                  "messages": [{"role": "user", "content": TEXT}]}),
}
CREDENTIAL = {"Authorization": "Bearer sk-keys"}
DIALECTS = pytest.mark.parametrize("dialect", BODIES)


def reversed_keys(value):
    if isinstance(value, dict):
        return {name: reversed_keys(value[name]) for name in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


def compact(body):
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def spell_escapes(text):
    """Every letter of every name and string as \\uXXXX, and '/' with its optional backslash."""
    out, inside, escaped = [], False, False
    for char in text:
        if inside and not escaped and char.isascii() and char.isalpha():
            out.append(f"\\u{ord(char):04X}")
        elif inside and not escaped and char == "/":
            out.append("\\/")
        else:
            out.append(char)
        if escaped:
            escaped = False
        elif inside and char == "\\":
            escaped = True
        elif char == '"':
            inside = not inside
    return "".join(out)


SPELLINGS = {
    "key_order": lambda body: compact(reversed_keys(body)),
    "white_space": lambda body: " \r\n\t" + json.dumps(body, ensure_ascii=False, indent=7) + "\n\n",
    "ascii_escapes": lambda body: json.dumps(body, ensure_ascii=True),
    "all_escapes": lambda body: spell_escapes(compact(body)),
    "zero_with_fraction": lambda body: compact(body).replace('"temperature":0', '"temperature":0.00'),
    "zero_with_exponent": lambda body: compact(body).replace('"temperature":0', '"temperature":-0e5'),
    "ten_with_exponent": lambda body: compact(body).replace("tokens\":10", "tokens\":1.0E+1"),
}


def path_and_body(dialect):
    path, body = BODIES[dialect]
    return path, json.loads(json.dumps(body))


def hit_after_base(gateway, dialect, body, path=None, headers=None):
    """Asks the base request, then `body`: whether the second was a hit."""
    base_path, base = path_and_body(dialect)
    assert not is_hit(gateway.post(base_path, compact(base).encode(), **CREDENTIAL))
    content = body.encode() if isinstance(body, str) else compact(body).encode()
    return is_hit(gateway.post(path or base_path, content, **(CREDENTIAL | (headers or {}))))


@DIALECTS
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_another_spelling_of_the_same_request_is_a_hit(gateway, upstream, dialect, spelling):
    _, base = path_and_body(dialect)
    spelled = SPELLINGS[spelling](base)
    assert spelled != compact(base)
    assert hit_after_base(gateway, dialect, spelled)
    assert upstream.count == 1


@DIALECTS
def test_a_string_and_its_one_text_part_are_a_hit(gateway, upstream, dialect):
    _, body = path_and_body(dialect)
    kind = "input_text" if dialect == "responses" else "text"
    turn = body["input" if dialect == "responses" else "messages"][-1]
    turn["content"] = [{"type": kind, "text": turn["content"]}]
    if dialect == "messages":
        body["system"] = [{"type": "text", "text": body["system"]}]
    assert hit_after_base(gateway, dialect, body)
    assert upstream.count == 1


def test_a_responses_input_may_be_a_string(gateway, upstream):
    _, body = path_and_body("responses")
    body["input"] = TEXT
    assert hit_after_base(gateway, "responses", body)
    assert upstream.count == 1


@DIALECTS
def test_two_text_parts_are_not_their_joined_string(gateway, dialect):
    _, body = path_and_body(dialect)
    kind = "input_text" if dialect == "responses" else "text"
    turn = body["input" if dialect == "responses" else "messages"][-1]
    turn["content"] = [{"type": kind, "text": TEXT[:5]}, {"type": kind, "text": TEXT[5:]}]
    assert not hit_after_base(gateway, dialect, body)


TRANSPORT_HEADERS = {"User-Agent": "other/1", "X-Request-Id": "r-2", "X-Stainless-Retry-Count": "1",
                     "Traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "Accept-Language": "de"}


@DIALECTS
@pytest.mark.parametrize("name", TRANSPORT_HEADERS)
def test_transport_fields_do_not_matter(gateway, upstream, dialect, name):
    _, body = path_and_body(dialect)
    assert hit_after_base(gateway, dialect, body, headers={name: TRANSPORT_HEADERS[name]})
    assert upstream.count == 1


@DIALECTS
@pytest.mark.parametrize("fields", [{"prompt_cache_key": "k"}, {"prompt_cache_retention": "24h"}],
                         ids=lambda fields: next(iter(fields)))
def test_hints_for_the_providers_own_cache_do_not_matter(gateway, upstream, dialect, fields):
    _, body = path_and_body(dialect)
    assert hit_after_base(gateway, dialect, body | fields)
    assert upstream.count == 1


# Every field that can change the answer, known to us or not.
DIFFERENT = {
    "model": {"model": "m2"}, "temperature": {"temperature": 0.1}, "user": {"user": "u-1"}, "seed": {"seed": 7},
    "unknown": {"invented_next_year": True}, "min_p": {"min_p": 0.05}, "metadata": {"metadata": {"a": "b"}},
    "guided_json": {"guided_json": {"type": "object"}},
    "chat_template_kwargs": {"chat_template_kwargs": {"enable_thinking": False}},
    "large_number": {"seed": 9007199254740993}, "stop": {"stop": ["\n"]}, "service_tier": {"service_tier": "flex"},
}


@DIALECTS
@pytest.mark.parametrize("name", DIFFERENT)
def test_any_field_that_may_matter_is_another_request(gateway, upstream, dialect, name):
    _, body = path_and_body(dialect)
    assert not hit_after_base(gateway, dialect, body | DIFFERENT[name])
    assert upstream.count == 2


@DIALECTS
def test_numbers_beyond_a_double_are_told_apart(gateway, dialect):
    path, body = path_and_body(dialect)
    for seed in (9007199254740992, 9007199254740993, "9007199254740992"):
        assert not is_hit(gateway.post(path, compact(body | {"seed": seed}).encode(), **CREDENTIAL))


def tools_of(dialect, *names):
    if dialect == "chat":
        return [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in names]
    if dialect == "responses":
        return [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in names]
    return [{"name": name, "input_schema": {"type": "object"}} for name in names]


@DIALECTS
def test_tools_and_their_order_matter(gateway, upstream, dialect):
    path, body = path_and_body(dialect)
    for tools in (tools_of(dialect, "a", "b"), tools_of(dialect, "b", "a"), tools_of(dialect, "a")):
        assert not hit_of(gateway, path, body | {"tools": tools})
    assert not hit_of(gateway, path, body | {"tools": tools_of(dialect, "a"), "tool_choice": {"type": "any"}})
    assert hit_of(gateway, path, body | {"tools": tools_of(dialect, "b", "a")})
    assert upstream.count == 4


def hit_of(gateway, path, body):
    return is_hit(gateway.post(path, compact(body).encode(), **CREDENTIAL))


@DIALECTS
def test_the_system_prompt_and_every_earlier_turn_matter(gateway, upstream, dialect):
    path, body = path_and_body(dialect)
    assert not hit_of(gateway, path, body)
    changed = json.loads(compact(body).replace("Be brief.", "Be brief!"))
    assert not hit_of(gateway, path, changed)
    turns = body["input" if dialect == "responses" else "messages"]
    turns.insert(len(turns) - 1, {"role": "user", "content": "Earlier"})
    turns.insert(len(turns) - 1, {"role": "assistant", "content": "Yes"})
    assert not hit_of(gateway, path, body)
    assert upstream.count == 3


@DIALECTS
@pytest.mark.parametrize("old, new", [('"', '" '), ("G", "g"), ("ü", "u\u0308"), ("a/b", "a\\/b")],
                         ids=["space", "case", "unicode_form", "backslash"])
def test_text_inside_strings_is_never_normalised(gateway, dialect, old, new):
    _, body = path_and_body(dialect)
    body["input" if dialect == "responses" else "messages"][-1]["content"] = TEXT.replace(old, new)
    assert not hit_after_base(gateway, dialect, body)


DIFFERENT_HEADERS = {"anthropic-beta": "new-thing-2026", "X-Payonce-Version": "tools=v3, kb=2026-11",
                     "Authorization": "Bearer sk-other", "OpenAI-Organization": "org-2", "OpenAI-Project": "p-2"}


@DIALECTS
@pytest.mark.parametrize("name", DIFFERENT_HEADERS)
def test_headers_that_may_matter_make_another_request(gateway, upstream, dialect, name):
    _, body = path_and_body(dialect)
    assert not hit_after_base(gateway, dialect, body, headers={name: DIFFERENT_HEADERS[name]})
    assert upstream.count == 2


@DIALECTS
def test_the_query_matters(gateway, upstream, dialect):
    path, body = path_and_body(dialect)
    assert not hit_after_base(gateway, dialect, body, path=path + "?beta=true")
    assert upstream.requests[1].target == path + "?beta=true"


def test_version_tags_have_no_order(gateway, upstream):
    for versions, hit in (("tools=v3, kb=1", False), ("kb=1,tools=v3", True), ("kb=1,tools=v4", False)):
        assert is_hit(gateway.chat(X_Payonce_Version=versions)) == hit
    assert upstream.count == 2


def test_dialects_never_share_an_entry(gateway, upstream):
    body = {"model": "m", "temperature": 0, "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    for path in ("/v1/chat/completions", "/v1/messages"):
        assert not is_hit(gateway.post(path, body))
    assert upstream.count == 2


def conversation(first_id, second_id, answered_first):
    calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in
             (first_id, second_id)]
    results = [{"role": "tool", "tool_call_id": one, "content": text} for one, text in answered_first]
    return {"model": "m", "temperature": 0, "messages": [
        {"role": "user", "content": "Go"}, {"role": "assistant", "content": None, "tool_calls": calls}, *results]}


def test_tool_call_ids_count_by_what_they_link(gateway, upstream):
    def ask(one, two, answers):
        return hit_of(gateway, "/v1/chat/completions", conversation(one, two, answers))

    assert not ask("call_a", "call_b", [("call_a", "x"), ("call_b", "y")])
    assert ask("call_c", "call_d", [("call_c", "x"), ("call_d", "y")])  # the same conversation, replayed
    assert not ask("call_a", "call_b", [("call_b", "x"), ("call_a", "y")])  # the results changed places
    assert upstream.count == 2


def test_a_known_agents_session_ids_do_not_matter(gateway, upstream):
    def ask(user_id, agent):
        body = BODIES["messages"][1] | {"metadata": {"user_id": user_id}}
        return is_hit(gateway.post("/v1/messages", body, User_Agent=agent, **CREDENTIAL))

    assert not ask("session-1", "claude-cli/2.1.197 (external, cli)")
    assert ask("session-2", "claude-cli/2.1.197 (external, cli)")
    assert not ask("session-1", "curl/8")
    assert not ask("session-2", "curl/8")
    assert upstream.count == 3
