"""Every answer can be asked why: X-Payonce-Id, GET /payonce/v1/explain, payonce cache why."""

import json

from harness import chat_body, messages_body, run_cli

KEY = {"Authorization": "Bearer sk-explain"}


def explain(gateway, answer, **headers):
    return gateway.client.get("/payonce/v1/explain", params={"id": answer.headers["X-Payonce-Id"]},
                              headers=headers or KEY)


def test_a_hit_and_a_miss_say_why(gateway):
    miss = explain(gateway, gateway.chat(**KEY)).json()
    assert miss["outcome"] == "miss"
    assert miss["reasons"]["exact"] == "no answer to this key is stored"
    assert "nearest" not in miss
    hit = explain(gateway, gateway.chat(**KEY)).json()
    assert (hit["outcome"], hit["layer"], hit["key"]) == ("hit", "exact", miss["key"])


def test_a_miss_names_the_parts_that_differ(gateway):
    first = gateway.chat(chat_body("What is the capital of France?"), **KEY)
    second = gateway.chat(chat_body("What is the capital of Spain?", temperature=0.5), **KEY)
    nearest = explain(gateway, second).json()["nearest"]
    assert nearest["id"] == first.headers["X-Payonce-Id"]
    found = {row["path"]: row for row in nearest["differences"]}
    assert "temperature" in found
    text = next(row for path, row in found.items() if path.startswith("messages["))
    assert "France" in text["before"] and "Spain" in text["now"]


def test_another_scope_learns_nothing(gateway):
    answer = gateway.chat(**KEY)
    assert explain(gateway, answer, Authorization="Bearer sk-other").status_code == 404
    other = gateway.chat(Authorization="Bearer sk-other")
    assert "nearest" not in explain(gateway, other, Authorization="Bearer sk-other").json()


def test_bad_ids_are_told(gateway):
    for bad in ("", "r-1", "x", "r-zzzzzzzzzzzzzzzz", "r-0000000000000000"):
        assert gateway.client.get("/payonce/v1/explain", params={"id": bad}, headers=KEY).status_code == 400
    assert gateway.client.get("/payonce/v1/explain", params={"id": "r-" + "1" * 16}, headers=KEY).status_code == 404


def test_the_command_prints_it(gateway, tmp_path):
    gateway.chat(chat_body("one"), **KEY)
    answer = gateway.chat(chat_body("two"), **KEY)
    shown = run_cli("cache", "why", answer.headers["X-Payonce-Id"], "--url", gateway.root, home=gateway.folder)
    assert shown.returncode == 0, shown.stderr
    assert "no answer to this key is stored" in shown.stdout and "messages[" in shown.stdout
    unknown = run_cli("cache", "why", "r-" + "1" * 16, "--url", gateway.root, home=gateway.folder)
    assert unknown.returncode == 1 and "no such request" in unknown.stderr


def test_the_providers_own_reason_is_repeated_and_counted(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "prefix")
    answer = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
              "content": [{"type": "text", "text": "yes"}], "usage": {"input_tokens": 9, "output_tokens": 1}}
    for said in ("system_changed", "system_changed", "a new one", None):
        reason = {"type": said, "cache_missed_input_tokens": 9} if said else None
        upstream.fail(body=json.dumps(answer | {"diagnostics": {"cache_miss_reason": reason}}).encode())
    shown = [gateway.post("/v1/messages", messages_body(f"q{i}"), **KEY) for i in range(4)]
    says = [explain(gateway, each).json().get("provider_says") for each in shown]
    assert says == ["system_changed", "system_changed", "other", None]
    reasons = gateway.stats()["layers"]["prefix"]["reasons"]
    assert reasons == {"fault": 0, "system_changed": 2, "other": 1}
    command = run_cli("cache", "why", shown[0].headers["X-Payonce-Id"], "--url", gateway.root, home=gateway.folder)
    assert "provider  says: system_changed" in command.stdout
