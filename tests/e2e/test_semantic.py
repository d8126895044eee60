"""The semantic layer of the real binary, with the real embedder: other words get the same answer, other scopes never."""

import json
import os
import pathlib

import httpx
import openai
import pytest

from harness import CacheStatus, chat_body, eventually, messages_body, responses_body, run_cli
from upstream import Hold, Upstream

CAPITAL = "What is the capital of France?"
REWORDED = "what's the capital of France"
OTHERS = ["What is the capital of Germany?", "What is the capital of France's largest colony?",
          "How many people live in Paris?"]


def embedder_file():
    path = os.environ.get("PAYONCE_EMBEDDER", "")
    assert path and os.path.exists(path), f"PAYONCE_EMBEDDER is '{path}', no file: run ./dev test"
    return path


def layer_of(answer):
    """exact, semantic, or "" for what came from upstream."""
    assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"
    status = CacheStatus(answer)
    if not status.hit:
        assert "x-payonce-hit" not in answer.headers
        return ""
    layer = str(status.parameters["detail"])
    assert ("similarity" in status.parameters) == ("x-payonce-hit" in answer.headers) == (layer == "semantic")
    return layer


@pytest.fixture
def start(make_gateway, upstream):
    def started(*flags, **options):
        return make_gateway("--upstream", upstream.url, "--layers", "exact,semantic", *flags,
                            env={"PAYONCE_EMBEDDER": embedder_file()} | options.pop("env", {}), **options)
    return started


@pytest.fixture
def gateway(start):
    return start("--semantic-ask-again", "0")


@pytest.mark.parametrize("path, body", [("/v1/chat/completions", chat_body), ("/v1/messages", messages_body),
                                        ("/v1/responses", responses_body)])
def test_other_words_get_the_same_answer_in_every_dialect(gateway, upstream, path, body):
    first = gateway.post(path, body(CAPITAL))
    again = gateway.post(path, body(REWORDED))
    assert (layer_of(first), layer_of(again)) == ("", "semantic")
    assert first.content == again.content
    assert 0.8 < float(CacheStatus(again).parameters["similarity"]) <= 1
    assert int(again.headers["age"]) >= 0 and "x-payonce-saved" in again.headers
    assert layer_of(gateway.post(path, body(CAPITAL))) == "exact"
    for other in OTHERS:
        assert layer_of(gateway.post(path, body(other))) == "", other
    assert upstream.count == 1 + len(OTHERS)


def test_a_stream_is_served_by_meaning_and_the_very_next_request_hits(gateway):
    whole = gateway.chat(chat_body(CAPITAL, stream=True))
    again = gateway.chat(chat_body(REWORDED, stream=True))
    assert (layer_of(whole), layer_of(again)) == ("", "semantic")
    assert whole.content == again.content
    assert layer_of(gateway.chat(chat_body(REWORDED))) == "semantic"


def test_orders_of_one_user_are_never_anothers(gateway, upstream):
    """The one mistake that must not happen."""
    words = ["Show me my orders", "show me my orders please", "Show my orders", "Can you show me my orders?"]
    users = [{"Authorization": "Bearer sk-a"}, {"Authorization": "Bearer sk-b"}, {"X_Payonce_Scope": "user:1"},
             {"X_Payonce_Scope": "user:2"}, {"Authorization": "Bearer sk-a", "X_Payonce_Scope": "session:7"}]
    seen = [{json.loads(gateway.chat(chat_body(text), **user).content)["id"] for text in words} for user in users]
    for index, ids in enumerate(seen):
        for other in seen[index + 1:]:
            assert not ids & other


def test_only_the_last_turn_is_compared(gateway):
    def conversation(*turns, **fields):
        roles = ["user", "assistant"]
        return chat_body(messages=[{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]) | fields

    first = conversation("I live in Oslo", "Nice.", CAPITAL)
    assert layer_of(gateway.chat(first)) == ""
    assert layer_of(gateway.chat(conversation("I live in Oslo", "Nice.", REWORDED))) == "semantic"
    for other in (conversation("I live in Rome", "Nice.", REWORDED), conversation(REWORDED),
                  conversation("I live in Oslo", "Nice.", REWORDED, temperature=0.5),
                  conversation("I live in Oslo", "Nice.", REWORDED, model="n"),
                  conversation("I live in Oslo", "Nice.", REWORDED, tools=[]),
                  conversation("I live in Oslo", "Nice!", REWORDED)):
        assert layer_of(gateway.chat(other)) == ""
    assert layer_of(gateway.chat(conversation("I live in Oslo", "Nice.", REWORDED), X_Payonce_Version="kb=2")) == ""


def test_a_tool_loop_is_left_alone(gateway):
    call = {"role": "assistant", "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}

    def turn(result):
        return chat_body(messages=[{"role": "user", "content": CAPITAL}, call,
                                   {"role": "tool", "tool_call_id": "c1", "content": result}])

    assert layer_of(gateway.chat(turn("The capital of France is Paris."))) == ""
    assert layer_of(gateway.chat(turn("the capital of france is Paris"))) == ""


def test_callers_choose_layers_and_age(gateway):
    assert layer_of(gateway.chat(chat_body(CAPITAL))) == ""
    assert layer_of(gateway.chat(chat_body(REWORDED), X_Payonce_Layers="exact", Cache_Control="no-store")) == ""
    assert layer_of(gateway.chat(chat_body(REWORDED), Cache_Control="no-cache, no-store")) == ""
    assert layer_of(gateway.chat(chat_body(REWORDED), Cache_Control="only-if-cached")) == "semantic"
    assert layer_of(gateway.chat(chat_body(REWORDED), Cache_Control="max-age=0, no-store")) == ""


def test_feedback_demotes_at_once_and_only_ones_own(gateway):
    user = {"Authorization": "Bearer sk-a"}
    gateway.chat(chat_body(CAPITAL), **user)
    hit = gateway.chat(chat_body(REWORDED), **user).headers["x-payonce-hit"]
    feedback = {"hit": hit, "wrong": True}
    assert gateway.post("/payonce/v1/feedback", feedback, Authorization="Bearer sk-b").status_code == 404
    assert gateway.post("/payonce/v1/feedback", feedback, **user).status_code == 200
    assert gateway.post("/payonce/v1/feedback", feedback, **user).status_code == 404
    assert layer_of(gateway.chat(chat_body(REWORDED), **user)) == ""
    assert gateway.post("/payonce/v1/feedback", {"id": 1}, **user).status_code == 400
    assert gateway.stats()["layers"]["semantic"]["wrong_answers"]["by_feedback"] == 1


def test_purged_answers_are_gone_and_questions_survive_a_restart(start):
    gateway = start("--semantic-ask-again", "0")
    gateway.chat(chat_body(CAPITAL))
    eventually(lambda: CAPITAL.encode() in (pathlib.Path(gateway.data) / "questions.log").read_bytes())
    assert gateway.stop() == 0
    gateway.start(scanned=True)
    assert layer_of(gateway.chat(chat_body(REWORDED))) == "semantic"
    assert gateway.post("/payonce/v1/cache/purge", {"model": "m"}).json()["removed"] == 1
    eventually(lambda: CAPITAL.encode() not in (pathlib.Path(gateway.data) / "questions.log").read_bytes())
    assert layer_of(gateway.chat(chat_body(REWORDED))) == ""


def test_hits_are_asked_again_within_the_budget_and_counted(start, upstream):
    gateway = start("--semantic-ask-again", "1")
    gateway.chat(chat_body(CAPITAL))
    assert layer_of(gateway.chat(chat_body(REWORDED))) == "semantic"
    eventually(lambda: upstream.count == 2)
    wrong = eventually(lambda: (w := gateway.stats()["layers"]["semantic"]["wrong_answers"])["asked_again"] and w)
    assert (wrong["asked_again"], wrong["asked_again_wrong"], wrong["bound"]) == (1, 1, 0.01)
    assert 0 <= wrong["low"] <= wrong["estimate"] <= wrong["high"] <= 1
    assert layer_of(gateway.chat(chat_body(REWORDED))) == "exact"  # its own answer is known now
    assert gateway.metric("payonce_semantic_asked_again_total") == 1


def test_a_call_that_nobody_waits_for_ends_with_the_process(start, upstream):
    """Under AddressSanitizer whatever it leaves behind is a leak."""
    gateway = start("--semantic-ask-again", "1")
    gateway.chat(chat_body(CAPITAL))
    hold = Hold()
    upstream.fail(hold=hold)
    assert layer_of(gateway.chat(chat_body(REWORDED))) == "semantic"
    hold.wait_reached()
    assert gateway.stop() == 0, gateway.log()


def test_a_model_may_judge_whether_answers_are_equal(start, upstream):
    with Upstream() as judge:
        verdict = json.dumps({"choices": [{"message": {"content": "SAME"}}]}).encode()
        judge.fail(body=verdict, content_type="application/json", times=9)
        gateway = start("--semantic-ask-again", "1", "--semantic-compare", "judge", "--semantic-judge", judge.url,
                        "--semantic-judge-model", "referee")
        gateway.chat(chat_body(CAPITAL))
        assert layer_of(gateway.chat(chat_body(REWORDED))) == "semantic"
        wrong = eventually(lambda: (w := gateway.stats()["layers"]["semantic"]["wrong_answers"])["asked_again"] and w)
        assert (wrong["asked_again_wrong"], judge.count) == (0, 1)
        asked = judge.requests[0].json
        assert asked["model"] == "referee" and REWORDED in asked["messages"][1]["content"]


def test_a_fixed_threshold_for_those_who_want_one(start):
    gateway = start("--semantic-policy", "threshold", "--semantic-threshold", "0.6", "--semantic-ask-again", "0")
    gateway.chat(chat_body(CAPITAL))
    assert layer_of(gateway.chat(chat_body(OTHERS[0]))) == "semantic"  # near enough for it, and wrong


def test_without_an_embedder_everything_else_works(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url)
    assert [layer_of(gateway.chat(chat_body(CAPITAL))) for _ in range(2)] == ["", "exact"]
    assert layer_of(gateway.chat(chat_body(REWORDED))) == ""
    assert "no embedder: all-MiniLM-L6-v2.gguf was not found" in gateway.log()
    broken = pathlib.Path(gateway.folder) / "broken.gguf"
    broken.write_bytes(b"GGUF but not really")
    other = make_gateway("--upstream", upstream.url, name="other", env={"PAYONCE_EMBEDDER": str(broken)})
    assert layer_of(other.chat(chat_body(CAPITAL))) == ""
    assert "no embedder: " in other.log()


def test_the_official_client_sees_nothing_special(gateway):
    with openai.OpenAI(base_url=gateway.url, api_key="sk-x", max_retries=0,
                       http_client=httpx.Client(trust_env=False)) as client:
        def ask(text):
            return client.chat.completions.create(model="m", temperature=0,
                                                  messages=[{"role": "user", "content": text}])
        assert ask(CAPITAL).to_dict() == ask(REWORDED).to_dict()


def test_stats_and_metrics_tell_of_the_layer(gateway):
    for text in (CAPITAL, REWORDED, *OTHERS):
        gateway.chat(chat_body(text))
    layer = gateway.stats()["layers"]["semantic"]
    assert (layer["hits"], layer["misses"], layer["entries"]) == (1, 4, 4)
    assert sum(layer["reasons"].values()) == layer["misses"] and layer["bytes"] > 0
    assert gateway.metric("payonce_requests_total", layer="semantic", outcome="hit") == 1
    assert gateway.metric("payonce_saved_tokens_total", layer="semantic") > 0
    assert gateway.metric("payonce_entries", layer="semantic") == 4
    assert gateway.metric("payonce_semantic_wrong_share", value="bound") == 0.01
    assert gateway.metric("payonce_semantic_wrong_share", value="high") == pytest.approx(1 / 5)  # nothing asked again
    stats = gateway.stats()
    assert stats["saved"]["output_tokens"] == layer["saved"]["output_tokens"] > 0
    ledger = gateway.client.get("/payonce/v1/savings").json()
    assert ledger["semantic_wrong_answers"] == layer["wrong_answers"]
    assert [row["requests"] for row in ledger["rows"] if row["layer"] == "semantic"] == [1]
    told = run_cli("cache", "stats", "--url", gateway.root, home=gateway.folder)
    assert "semantic: 1 hits, 4 misses" in told.stdout and "bound 1.00 %" in told.stdout
