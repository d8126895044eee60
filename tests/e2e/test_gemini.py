"""Gemini's generateContent: cached by its two forms that name no credential; everything else of it passes through."""

import json

import pytest

import answers
from harness import CacheStatus, is_hit

ROOT = "/v1beta/models/gemini-2.5-pro"
WHOLE = ROOT + ":generateContent"
STREAM = ROOT + ":streamGenerateContent?alt=sse"
KEY = {"x_goog_api_key": "g-1"}


def body(text="Hello"):
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


@pytest.mark.parametrize("target", (WHOLE, STREAM))
def test_a_repeat_is_a_hit_in_its_own_framing(gateway, upstream, target):
    first, second = (gateway.post(target, body(), **KEY) for _ in range(2))
    assert (is_hit(first), is_hit(second), upstream.count) == (False, True, 1)
    assert first.content == second.content
    assert first.headers["content-type"] == second.headers["content-type"]
    assert upstream.requests[0].target == target
    assert second.headers["x-payonce-saved"].startswith("input=1000,output=2,usd=0.00")


def test_model_key_framing_and_text_count(gateway, upstream):
    gateway.post(WHOLE, body(), **KEY)
    others = [gateway.post(STREAM, body(), **KEY), gateway.post(WHOLE, body(), x_goog_api_key="g-2"),
              gateway.post(WHOLE.replace("pro", "flash"), body(), **KEY), gateway.post(WHOLE, body("Bye"), **KEY),
              gateway.post(WHOLE, body() | {"generationConfig": {"temperature": 0}}, **KEY)]
    assert not any(is_hit(other) for other in others)
    assert upstream.count == 6


def test_ids_of_calls_only_link(gateway, upstream):
    def turn(call):
        return {"contents": [
            {"role": "model", "parts": [{"functionCall": {"id": call, "name": "read", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"id": call, "name": "read", "response": {}}}]}]}

    gateway.post(WHOLE, turn("read_1795463822080_0"), **KEY)
    assert is_hit(gateway.post(WHOLE, turn("read_1795463999999_0"), **KEY))


@pytest.mark.parametrize("target", (WHOLE + "?key=g-1", ROOT + ":streamGenerateContent", ROOT + ":countTokens"))
def test_other_forms_pass_through(gateway, upstream, target):
    for _ in range(2):
        assert CacheStatus(gateway.post(target, body(), **KEY)).fwd == "bypass"
    assert [request.target for request in upstream.requests] == [target] * 2
    assert gateway.entries() == 0


def test_a_withheld_or_cut_answer_is_not_kept(gateway, upstream):
    upstream.fail(body=json.dumps(answers.gemini_document(0, "", finishReason="SAFETY")).encode())
    assert gateway.post(WHOLE, body(), **KEY).status_code == 200
    upstream.fail(drop_last=1)
    assert gateway.post(STREAM, body(), **KEY).status_code == 200
    assert gateway.entries() == 0


def test_errors_have_its_shape(gateway):
    refused = gateway.post(WHOLE, b"[]", **KEY)
    assert refused.status_code == 400
    assert refused.json()["error"]["status"] == "INVALID_ARGUMENT"
