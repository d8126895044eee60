"""`payonce up` with the real small model: from start to the first answer and its first hit, by official clients."""

import time

import anthropic
import openai
import pytest

from harness import CacheStatus, Gateway, eventually, is_hit, model_file, run_cli

READY_LIMIT_S = 120
ASK = {"model": "local", "temperature": 0, "max_tokens": 16,
       "messages": [{"role": "user", "content": "Name the capital of France."}]}


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    """One running model for all tests here, as loading it is the slow part; each asks something of its own."""
    running = Gateway(tmp_path_factory.mktemp("up"), "--model", model_file(), "--kv-memory", "512MiB", command="up")
    started = time.monotonic()
    running.start(timeout_s=READY_LIMIT_S)
    running.ready_after_s = time.monotonic() - started
    running.client.timeout = 120
    yield running
    assert running.stop() == 0, running.log()
    running.client.close()


@pytest.fixture
def client(up):
    with openai.OpenAI(base_url=up.url, api_key="unused", max_retries=0, timeout=120) as made:
        yield made


def test_the_first_chat_answers_and_the_second_is_a_hit(client):
    raws = [client.chat.completions.with_raw_response.create(**ASK) for _ in range(2)]
    first, second = (raw.parse() for raw in raws)
    assert [is_hit(raw.http_response) for raw in raws] == [False, True]
    assert first.to_dict() == second.to_dict()
    assert "Paris" in first.choices[0].message.content
    assert 0 < first.usage.completion_tokens <= 16


def test_a_stream_is_stored_and_serves_a_plain_caller(client):
    ask = ASK | {"messages": [{"role": "user", "content": "Count from one to five."}]}
    text = "".join(c.choices[0].delta.content or "" for c in client.chat.completions.create(**ask, stream=True)
                   if c.choices)
    raw = client.chat.completions.with_raw_response.create(**ask)
    assert is_hit(raw.http_response)
    assert raw.parse().choices[0].message.content == text != ""
    with client.chat.completions.with_streaming_response.create(**ask, stream=True) as again:
        assert CacheStatus(again.http_response).hit
        assert "".join(c.choices[0].delta.content or "" for c in again.parse() if c.choices) == text


def test_the_anthropic_client_is_served_as_well(up):
    ask = {"model": "local", "max_tokens": 16, "system": "Be brief.",
           "messages": [{"role": "user", "content": "Name the capital of Italy."}]}
    with anthropic.Anthropic(base_url=up.root, api_key="unused", max_retries=0, timeout=120) as client:
        raws = [client.messages.with_raw_response.create(**ask) for _ in range(2)]
        first, second = (raw.parse() for raw in raws)
        assert [is_hit(raw.http_response) for raw in raws] == [False, True]
        assert first.to_dict() == second.to_dict()
        assert first.content[0].text and first.usage.output_tokens > 0
        with client.messages.stream(**ask) as stream:
            assert stream.get_final_message().content[0].text == first.content[0].text


def test_completions_and_models_are_served(client):
    ask = {"model": "local", "prompt": "Once upon a time", "max_tokens": 8, "temperature": 0}
    first, second = (client.completions.with_raw_response.create(**ask) for _ in range(2))
    assert (is_hit(first.http_response), is_hit(second.http_response)) == (False, True)
    assert first.parse().choices[0].text == second.parse().choices[0].text != ""
    assert list(client.models.list())


def test_it_greets_with_a_request_that_works(up):
    up.wait_logged("Payonce is ready at", "curl")
    assert up.ready_after_s < READY_LIMIT_S


def test_a_model_that_is_not_there_is_told_with_what_to_do(tmp_path):
    ended = run_cli("up", "--model", tmp_path / "none.gguf", "--listen", "127.0.0.1:0", "--data", tmp_path / "data",
                    home=tmp_path)
    assert ended.returncode == 1 and "none.gguf" in ended.stderr and "./dev run" in ended.stderr


def test_it_ends_well_while_the_model_is_loading(tmp_path):
    loading = Gateway(tmp_path, "--model", model_file(), "--kv-memory", "64MiB", command="up").launch()
    try:
        eventually(lambda: "the model is loading" in loading.log(), READY_LIMIT_S)
        assert loading.stop() == 0, loading.log()
    finally:
        loading.client.close()
        if loading.process.poll() is None:
            loading.kill()


def test_stats_tell_of_the_engine_inside(up, client):
    client.chat.completions.create(**ASK | {"messages": [{"role": "user", "content": "Name a colour."}]})
    engine = up.stats()["engine"]
    assert engine["ready"] and engine["running"] == 0
    assert sum(engine["blocks"].values()) > 0 and engine["blocks"]["used"] == 0
    assert engine["prompt_tokens"] > 0


def test_a_miss_computes_only_what_its_scope_has_not_asked_before(up):
    """Distinct requests, so the exact layer misses; the engine shares their prefix in one scope, never across."""
    def cached(text, **headers):
        system = {"role": "system", "content": "You count sheep. " * 20}
        answer = up.chat({"model": "local", "temperature": 0, "max_tokens": 1,
                          "messages": [system, {"role": "user", "content": text}]}, **headers)
        assert not is_hit(answer)
        return answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"]

    own = {"Authorization": "Bearer sheep"}
    assert cached("one", **own) < 50
    assert cached("two", **own) > 80
    assert cached("three", **own, X_Payonce_Scope="user:1") < 50
    assert cached("four", **own, X_Payonce_Scope="user:1") > 80
    assert cached("five", Authorization="Bearer wolf") < 50


def test_a_client_that_leaves_frees_the_engine(up):
    body = {"model": "local", "stream": True, "max_tokens": 1000, "temperature": 0,
            "messages": [{"role": "user", "content": "Tell me all that you know of trees."}]}
    with up.client.stream("POST", "/v1/chat/completions", json=body) as answer:
        chunks = answer.iter_raw()  # kept: httpx hangs up when its iterator goes
        next(chunks)
        assert up.stats()["engine"]["running"] == 1
    eventually(lambda: up.stats()["engine"]["running"] == 0)
    assert up.stats()["engine"]["blocks"]["used"] == 0
