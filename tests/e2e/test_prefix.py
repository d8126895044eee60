"""The prefix layer: what the upstream gets when a client's requests would break its prompt cache."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import eventually
from upstream import Hold

RULES = [f"Rule {i}: keep the code as it is indented." for i in range(120)]
SYSTEM = "\n".join(["You are a careful engineer.", *RULES])
CODE = "def f(x):\n    if x:\n        return 1\n\n\treturn  2  \n"
KEY = {"Authorization": "Bearer sk-prefix", "x-api-key": "sk-prefix"}


def tool(name, late=False):
    schema = {"type": "object", "properties": {"path": {"type": "string"}, "line": {"type": "number"}},
              "required": ["path"]}
    return {"name": name, "description": f"{name} a file", "input_schema": schema | ({"late": True} if late else {})}


def messages_body(turns, tools=("read", "write", "grep"), system=SYSTEM, **more):
    """An Anthropic conversation of `turns` questions; all before the last are answered with a tool's call."""
    history = []
    for i in range(turns):
        history.append({"role": "user", "content": f"question {i}: {CODE}"})
        if i < turns - 1:
            history.append({"role": "assistant", "content": [
                {"type": "text", "text": f"answer {i}"},
                {"type": "tool_use", "id": f"t{i}", "name": "read", "input": {"path": "a.py", "line": i}}]})
            history.append({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": f"t{i}", "content": CODE}]})
    return {"model": "claude-sonnet-4-6", "max_tokens": 50, "system": system, "tools": [tool(name) for name in tools],
            "messages": history} | more


def reversed_keys(value):
    if isinstance(value, dict):
        return {name: reversed_keys(value[name]) for name in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


def without_markers(value):
    if isinstance(value, dict):
        return {name: without_markers(item) for name, item in value.items() if name != "cache_control"}
    return [without_markers(item) for item in value] if isinstance(value, list) else value


def plain(value):
    """Bytes of the value in the order in which it came, one text part as its string, without markers."""
    if isinstance(value, list) and len(value) == 1 and set(value[0]) - {"cache_control"} == {"type", "text"}:
        value = value[0]["text"]
    return json.dumps(without_markers(value), ensure_ascii=False)


def prefix_of(body):
    """What a provider sees first: tools, system text and messages as sent, spelling and all, but for markers."""
    return [plain(item) for item in body.get("tools", [])] + [plain(body.get("system", ""))] + [
        message["role"] + plain(message["content"]) for message in body["messages"]]


@pytest.fixture
def safe(make_gateway, upstream):
    return make_gateway("--upstream", upstream.url, "--layers", "prefix")


def test_a_prefix_is_the_same_from_request_to_request(safe, upstream):
    for turns, (names, respelled) in enumerate([(("read", "write", "grep"), False), (("grep", "write", "read"), True),
                                                (("write", "read", "grep"), False)], start=1):
        body = messages_body(turns, names)
        if respelled:
            body = reversed_keys(body)
        answer = safe.post("/v1/messages", json.dumps(body, indent=2 if respelled else None).encode(), **KEY)
        assert answer.status_code == 200
    first, second, third = (prefix_of(request.json) for request in upstream.requests)
    assert second[:len(first)] == first
    assert third[:len(second)] == second


def test_what_the_model_reads_stays(safe, upstream):
    sent = []
    for turns in (1, 2, 3):
        sent.append(messages_body(turns, ("grep", "read") if turns == 2 else ("read", "grep")))
        safe.post("/v1/messages", sent[-1], **KEY)
    for client, request in zip(sent, upstream.requests):
        got = without_markers(request.json)
        assert sorted(map(plain, got["tools"])) == sorted(map(plain, client["tools"]))
        assert [plain(m["content"]) for m in got["messages"]] == [plain(m["content"]) for m in client["messages"]]
        assert plain(got["system"]) == plain(client["system"])
        assert CODE in json.dumps(got["messages"][0], ensure_ascii=False).encode().decode("unicode_escape")


def test_late_tools_go_to_the_end(safe, upstream):
    safe.post("/v1/messages", messages_body(1, ("read", "write")), **KEY)
    safe.post("/v1/messages", messages_body(2, ("mcp_late", "read", "write")), **KEY)
    assert [item["name"] for item in upstream.requests[1].json["tools"]] == ["read", "write", "mcp_late"]


@pytest.mark.parametrize("layers", ["exact", "none"])
def test_without_the_layer_the_body_goes_byte_for_byte(safe, upstream, layers):
    safe.post("/v1/messages", messages_body(1), **KEY)
    raw = json.dumps(reversed_keys(messages_body(2, ("grep", "read", "write"))), indent=3).encode()
    safe.post("/v1/messages", raw, X_Payonce_Layers=layers, **KEY)
    assert upstream.requests[-1].body == raw


def test_a_new_upstream_is_only_observed(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url)
    gateway.post("/v1/messages", messages_body(1), **KEY)
    raw = json.dumps(messages_body(2, ("grep", "read", "write"))).encode()
    gateway.post("/v1/messages", raw, **KEY)
    assert upstream.requests[-1].body == raw
    layer = gateway.stats()["layers"]["prefix"]
    assert layer["changed"] == 0 and layer["acts"]["tools_ordered"] == 1


def test_volatile_text_moves_where_it_may(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "prefix", "--prefix-move", "on")
    volatile = []
    for turns in (1, 2, 3):
        line = f"Now: 2026-11-26T08:3{turns}:19Z, request {uuid.uuid4()}.\n"
        volatile.append(line)
        gateway.post("/v1/messages", messages_body(turns, system=line + SYSTEM), **KEY)
    first, second, third = (request.json for request in upstream.requests)
    assert plain(first["system"]) == plain(second["system"]) == plain(third["system"])
    for body, line in zip((first, second, third), volatile):
        last = body["messages"][-1]["content"]
        assert last[-1]["text"].strip() == line.strip()
        assert "cache_control" not in last[-1]
    assert prefix_of(third)[:len(prefix_of(second)) - 1] == prefix_of(second)[:-1]


def test_another_callers_spelling_is_never_given(safe, upstream):
    body = messages_body(1)
    safe.post("/v1/messages", json.dumps(body).encode(), **KEY)
    other = json.dumps(reversed_keys(body)).encode()
    safe.post("/v1/messages", other, Authorization="Bearer sk-other", x_api_key="sk-other")
    assert prefix_of(upstream.requests[1].json) == prefix_of(json.loads(other)) != prefix_of(body)


def marks_of(value, path=""):
    """Where the markers of a body stand, and what they say."""
    found = {}
    if isinstance(value, dict):
        if "cache_control" in value:
            found[path] = value["cache_control"]
        for name, item in value.items():
            found |= marks_of(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            found |= marks_of(item, f"{path}[{i}]")
    return found


def test_a_session_is_marked_where_its_next_request_reads(safe, upstream):
    for turns in range(1, 7):
        safe.post("/v1/messages", messages_body(turns), **KEY)
    written = set()
    for request in upstream.requests[1:]:
        marks = marks_of(request.json)
        assert 1 <= len(marks) <= 4
        last = len(request.json["messages"]) - 1
        assert f"messages[{last}].content[0]" in marks, "the end is written: a session goes on"
        if last > 3:
            assert written & set(marks), "what an earlier request wrote is marked again, to be read"
        written |= set(marks)


def test_nothing_is_marked_below_the_minimum(safe, upstream):
    for turns in (1, 2, 3):
        safe.post("/v1/messages", messages_body(turns, system="Be brief."), **KEY)
    assert all(not marks_of(request.json) for request in upstream.requests)


def test_no_mark_stands_behind_what_changes_each_time(safe, upstream):
    for turns in (1, 2, 3, 4):
        system = [{"type": "text", "text": SYSTEM}, {
            "type": "text", "text": f"Now: 2026-11-26T08:3{turns}:19Z, request {uuid.uuid4()}.",
            "cache_control": {"type": "ephemeral"}}]
        safe.post("/v1/messages", messages_body(turns, system=system), **KEY)
    for request in upstream.requests:
        assert set(marks_of(request.json)) == {"system[0]"}


def test_the_clients_own_marks_stay(safe, upstream):
    for turns in (1, 2, 3):
        body = messages_body(turns, system=[{"type": "text", "text": SYSTEM,
                                             "cache_control": {"type": "ephemeral", "ttl": "1h"}}])
        body["messages"][-1]["content"] = [{"type": "text", "text": body["messages"][-1]["content"],
                                            "cache_control": {"type": "ephemeral"}}]
        safe.post("/v1/messages", body, **KEY)
        sent = marks_of(upstream.requests[-1].json)
        assert sent["system[0]"] == {"type": "ephemeral", "ttl": "1h"}
        assert sent[f"messages[{len(body['messages']) - 1}].content[0]"] == {"type": "ephemeral"}
        assert len(sent) <= 4
        order = [mark.get("ttl", "5m") for mark in sent.values()]
        assert order == sorted(order), "a long TTL never stands behind a short one"


def test_an_upstream_without_marks_gets_none(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "prefix")
    for turns in (1, 2, 3):
        body = messages_body(turns) | {"model": "local-model"}
        body["messages"].insert(0, {"role": "system", "content": body.pop("system")})
        body["tools"] = [{"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}]
        gateway.chat({"model": "local-model", "tools": body["tools"], "messages": [
            {"role": m["role"], "content": json.dumps(m["content"])} for m in body["messages"]]}, **KEY)
    assert all("cache_control" not in request.body.decode() for request in upstream.requests)


def test_a_fan_out_waits_for_its_first_write(make_gateway, upstream):
    """Five requests with one prefix and five questions: four go when the first one's answer has begun."""
    safe = make_gateway("--upstream", upstream.url, "--layers", "prefix", "--prefix-hold", "60s")
    hold = Hold()
    upstream.fail(hold=hold)
    bodies = [messages_body(1, stream=True) for _ in range(5)]
    for i, body in enumerate(bodies):
        body["messages"][0]["content"] = f"question {i}"
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(safe.post, "/v1/messages", bodies[0], **KEY)
        hold.wait_reached()
        others = [pool.submit(safe.post, "/v1/messages", body, **KEY) for body in bodies[1:]]
        eventually(lambda: safe.stats()["layers"]["prefix"]["held"] == 4)
        assert upstream.count == 1
        hold.release()
        assert all(answer.result().status_code == 200 for answer in [first, *others])
    assert upstream.count == 5


def test_a_fan_out_does_not_wait_for_ever(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "prefix", "--prefix-hold", "200ms")
    hold = Hold()
    upstream.fail(hold=hold)
    other = messages_body(1)
    other["messages"][0]["content"] = "another question"
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(gateway.post, "/v1/messages", messages_body(1), **KEY)
        hold.wait_reached()
        assert gateway.post("/v1/messages", other, **KEY).status_code == 200
        hold.release()
        assert first.result().status_code == 200


def test_a_failed_first_write_lets_the_others_go(safe, upstream):
    hold = Hold()
    upstream.fail(hold=hold, status=400)
    other = messages_body(1)
    other["messages"][0]["content"] = "another question"
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(safe.post, "/v1/messages", messages_body(1), **KEY)
        hold.wait_reached()
        second = pool.submit(safe.post, "/v1/messages", other, **KEY)
        eventually(lambda: safe.stats()["layers"]["prefix"]["held"] == 1)
        hold.release()
        assert first.result().status_code == 400
        assert second.result().status_code == 200


def test_sessions_of_one_site_share_their_cache_key(safe, upstream):
    for session in ("s-1", "s-2", None):
        body = {"model": "gpt-5.6", "prompt_cache_key": session, "messages": [
            {"role": "system", "content": SYSTEM}, {"role": "user", "content": f"hello from {session}"}]}
        if session is None:
            del body["prompt_cache_key"]
        safe.chat(body, **KEY)
    assert [request.json["prompt_cache_key"] for request in upstream.requests] == ["s-1"] * 3


def test_the_prefix_that_is_expected_stands_in_cache_status(safe):
    answers = [safe.post("/v1/messages", messages_body(turns), **KEY) for turns in (1, 2, 3)]
    expected = [int(answer.headers["Cache-Status"].split("prefix-expected=")[1]) for answer in answers]
    assert expected[0] == 0 and 1000 < expected[1] < expected[2]


def test_a_marker_that_we_do_not_know_leaves_the_request_alone(safe, upstream):
    safe.post("/v1/messages", messages_body(1), **KEY)
    body = messages_body(2, ("write", "read", "grep"))
    body["tools"][0]["cache_control"] = {"type": "ephemeral", "ttl": "7d", "scope": "new"}
    raw = json.dumps(body, indent=1).encode()
    safe.post("/v1/messages", raw, **KEY)
    assert upstream.requests[-1].body == raw


def test_the_automatic_mark_does_not_follow_moved_text(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "prefix", "--prefix-move", "claude-*")
    for turns in (1, 2, 3):
        line = f"Now: 2026-11-26T08:3{turns}:19Z\n"
        gateway.post("/v1/messages", messages_body(turns, system=line + SYSTEM, cache_control={"type": "ephemeral"}),
                     **KEY)
    for request in upstream.requests:
        marks = marks_of(request.json)
        assert "" not in marks, "on top of the body it would mark the moved text"
        assert all(not path.endswith(".content[1]") for path in marks)


@pytest.mark.parametrize("provider, kept", [("vllm", False), ("payonce", False), ("anthropic", True)])
def test_a_billing_line_goes_to_anthropic_alone(make_gateway, upstream, provider, kept):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "prefix", "--upstream-provider", provider)
    line = "x-anthropic-billing-header: cc_version=2.1.197.3fa; cc_entrypoint=cli; cch=00000;"
    gateway.post("/v1/messages", messages_body(1, system=[{"type": "text", "text": line},
                                                          {"type": "text", "text": SYSTEM}]), **KEY)
    assert (line in upstream.requests[0].body.decode()) == kept


def chat_session(model, turns):
    """A chat whose client marks its system text and its last message, as LiteLLM spells it."""
    mark = {"cache_control": {"type": "ephemeral"}}
    history = [{"role": "system", "content": [{"type": "text", "text": SYSTEM, **mark}]}]
    for i in range(turns):
        history += [{"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": f"answer {i}"}]
    history[-1:] = []
    history[-1]["content"] = [{"type": "text", "text": history[-1]["content"], **mark}]
    return {"model": model, "messages": history}


def test_marks_are_spelled_as_the_provider_spells_them(safe, upstream):
    for turns in (1, 2):
        safe.chat(chat_session("gpt-5.6", turns), **KEY)
    for request in upstream.requests:
        parts = [part for message in request.json["messages"] if isinstance(message["content"], list)
                 for part in message["content"]]
        assert all("cache_control" not in part for part in parts)
        assert parts[0]["prompt_cache_breakpoint"] == {"mode": "explicit"}


def test_a_provider_that_refuses_marks_gets_none(safe, upstream):
    safe.chat(chat_session("gpt-4.1", 1), **KEY)
    assert b"cache_control" not in upstream.requests[0].body
    assert plain(upstream.requests[0].json["messages"][0]["content"]) == plain(SYSTEM)


def as_admin(gateway, path):
    token = next(gateway.folder.glob("**/payonce-*.token")).read_text().strip()
    return gateway.client.get(path, headers={"Authorization": f"Bearer {token}"}).json()


def test_an_operator_sees_the_call_sites(safe):
    for turns in (1, 2, 3):
        safe.post("/v1/messages", messages_body(turns, system=f"Now: 2026-11-26T08:3{turns}:19Z\n" + SYSTEM), **KEY)
    assert safe.client.get("/payonce/v1/prefix", headers=KEY).status_code == 401
    site, = as_admin(safe, "/payonce/v1/prefix")["sites"]
    assert (site["requests"], site["tools"]) == (3, 3)
    text, = site["system"]
    assert text["stable_segments"] > 100 and text["changes_each_time"] == 1


@pytest.mark.parametrize("flags", [[], ["--layers", "prefix"]], ids=["observe", "safe"])
def test_stacked_breakers_are_all_seen_in_live_traffic(make_gateway, upstream, flags):
    """A time and a UUID in the system prompt, swapped tools, history spelled anew."""
    gateway = make_gateway("--upstream", upstream.url, *flags)
    for turns in range(1, 7):
        head = f"Now: 2026-11-26T08:3{turns}:19Z\nRequest: {uuid.uuid4()}\n"
        names = ("read", "write", "grep") if turns % 2 else ("grep", "write", "read")
        body = messages_body(turns, names, head + SYSTEM)
        if turns % 2 == 0:
            body["messages"] = reversed_keys(body["messages"])
        gateway.post("/v1/messages", body, **KEY)
    eventually(lambda: as_admin(gateway, "/payonce/v1/breakers")["requests"] == 6)
    found = {row["kind"]: row for row in as_admin(gateway, "/payonce/v1/breakers")["findings"]}
    assert {"clock", "random_id", "tool_order"} <= set(found)
    assert {"history_respelled", "json_key_order"} & set(found)
    assert found["clock"]["path"] == "system" and found["clock"]["cost_usd"] > 0
    assert gateway.client.get("/payonce/v1/breakers", headers=KEY).status_code == 401


def test_many_callers_at_once_each_say_what_they_said(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "prefix", "--prefix-move", "on",
                           "--prefix-hold", "0")
    sent = {}

    def ask(number):
        names = ("read", "write", "grep") if number % 2 else ("grep", "read", "write", "late")
        body = messages_body(number % 5 + 1, names, f"Now: 2026-11-26T08:{number % 60:02}:19Z\n" + SYSTEM)
        body["messages"][-1]["content"] = f"caller {number} asks"
        sent[number] = body
        return gateway.post("/v1/messages", reversed_keys(body) if number % 3 else body,
                            Authorization=f"Bearer sk-{number % 4}")

    with ThreadPoolExecutor(16) as pool:
        assert all(answer.status_code == 200 for answer in pool.map(ask, range(160)))
    assert upstream.count == 160
    for request in upstream.requests:
        got = request.json
        text = json.dumps(got["messages"][-1])
        client = sent[int(text.split("caller ")[1].split(" asks")[0])]
        def values(tools):
            return sorted(json.dumps(without_markers(item), sort_keys=True) for item in tools)
        assert values(got["tools"]) == values(client["tools"])
        assert len(got["messages"]) == len(client["messages"])
        line = client["system"].split("\n")[0]
        assert line in text and line not in plain(got["system"])
    assert gateway.stats()["layers"]["prefix"]["reasons"]["fault"] == 0


def test_keep_alive_needs_a_budget_and_holds_nothing_before_it_has_learned(make_gateway, upstream):
    plain = make_gateway("--upstream", upstream.url, "--layers", "prefix", name="plain")
    paid = make_gateway("--upstream", upstream.url, "--layers", "prefix", "--prefix-keep-alive-budget", "1.5",
                        name="paid")
    for gateway, budget_usd in ((plain, 0), (paid, 1.5)):
        gateway.post("/v1/messages", messages_body(1), **KEY)
        layer = gateway.stats()["layers"]["prefix"]["keep_alive"]
        assert layer.pop("budget_usd") == budget_usd
        assert layer == {"pings": 0, "failed": 0, "late": 0, "held": 0, "bytes": 0, "usd": 0}
    assert upstream.count == 2
