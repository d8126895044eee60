"""/v1/embeddings by the official OpenAI client: the reference's vectors, cached by the gateway, and by a second
program that asks the first."""

import array
import base64
import json
import os
import pathlib

import openai
import pytest

from harness import Gateway, is_hit, model_file

MODEL = "all-MiniLM-L6-v2"
GOLDEN = pathlib.Path(__file__).parents[1] / "data" / "golden_embeddings" / f"{MODEL}.jsonl"
SPACING_MARKS = "नमस्ते"  # src/embed/word_pieces.h says why this script's tokens are others


def embedder_file():
    path = os.environ.get("PAYONCE_EMBEDDER", "")
    assert path and os.path.exists(path), f"PAYONCE_EMBEDDER is '{path}', no file: run ./dev test"
    return path


def start(folder, command, *arguments):
    running = Gateway(folder, "--model", model_file(), "--kv-memory", "64MiB", *arguments, command=command,
                      keep=command == "up")
    running.start(120)
    return running


def client_of(running):
    return openai.OpenAI(base_url=running.url, api_key="unused", max_retries=0, timeout=60)


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    running = start(tmp_path_factory.mktemp("up"), "up", "--embedder", embedder_file())
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture
def client(up):
    with client_of(up) as made:
        yield made


def golden():
    for line in GOLDEN.read_text().splitlines():
        case = json.loads(line)
        if SPACING_MARKS not in case["text"]:
            yield case["text"], array.array("f", base64.b64decode(case["vector"])), case


def worst(found, expected):
    assert len(found) == len(expected)
    return max(abs(a - b) for a, b in zip(found, expected))


def test_the_client_gets_the_references_vectors(client):
    cases = list(golden())
    answer = client.embeddings.create(model=MODEL, input=[text for text, _, _ in cases])
    assert answer.model == MODEL and answer.object == "list"
    assert [item.index for item in answer.data] == list(range(len(cases)))
    for (text, vector, _), item in zip(cases, answer.data):
        assert worst(item.embedding, vector) < 1e-3, text
    tokens = sum(len(case["ids"]) for _, _, case in cases)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == tokens


def test_numbers_and_base64_are_the_same_vector(client):
    as_base64 = client.embeddings.create(model=MODEL, input="Where is Zürich?")  # what the client asks for by itself
    as_numbers = client.embeddings.create(model=MODEL, input="Where is Zürich?", encoding_format="float")
    assert as_base64.data[0].embedding == pytest.approx(as_numbers.data[0].embedding, abs=1e-7)


def test_a_repeat_is_a_hit(up, client):
    before = up.metric("payonce_embedder_texts_total", outcome="embedded")
    raws = [client.embeddings.with_raw_response.create(model=MODEL, input="Is this cached?") for _ in range(2)]
    assert [is_hit(raw.http_response) for raw in raws] == [False, True]
    assert raws[0].parse().data[0].embedding == raws[1].parse().data[0].embedding
    assert up.metric("payonce_embedder_texts_total", outcome="embedded") == before + 1


def test_fewer_dimensions_are_the_first_ones_made_length_one(client):
    whole = client.embeddings.create(model=MODEL, input="What is a cache?").data[0].embedding
    part = client.embeddings.create(model=MODEL, input="What is a cache?", dimensions=64).data[0].embedding
    length = sum(each * each for each in whole[:64]) ** 0.5
    assert part == pytest.approx([each / length for each in whole[:64]], abs=1e-6)


@pytest.mark.parametrize("fields, said", [
    ({"input": ""}, "'input' is empty"),
    ({"input": []}, "'input' is an empty array"),
    ({"input": [1, 2, 3]}, "holds token numbers"),
    ({"input": ["a"] * 2049}, "at most 2048"),
    ({"input": "a", "dimensions": 385}, "'dimensions'"),
])
def test_what_it_does_not_take_is_a_typed_error(client, fields, said):
    with pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(model=MODEL, **fields)
    assert said in str(raised.value) and raised.value.param


def test_a_text_that_is_too_long_is_cut_and_says_so(client):
    answer = client.embeddings.create(model=MODEL, input="many words " * 300)
    assert answer.data[0].model_extra == {"truncated": True}
    assert answer.usage.prompt_tokens == 256


def test_a_second_program_asks_the_first(up, tmp_path):
    there = start(tmp_path / "engine", "engine", "--embedder", up.url, "--embedder-model", MODEL,
                  "--embedder-dimensions", "384")
    try:
        with client_of(there) as client:
            texts = [text for text, _, _ in golden()]
            answer = client.embeddings.create(model="any", input=texts)
            for (text, vector, _), item in zip(golden(), answer.data):
                assert worst(item.embedding, vector) < 1e-3, text
            up.stop()
            with pytest.raises(openai.APIStatusError) as raised:
                client.embeddings.create(model="any", input="after its end")
            assert raised.value.status_code == 503
    finally:
        up.start(120)
        assert there.stop() == 0, there.log()


def test_without_an_embedder_there_are_no_embeddings(tmp_path):
    running = start(tmp_path, "engine", "--embedder", "none")
    with client_of(running) as client, pytest.raises(openai.NotFoundError, match="no embedder"):
        client.embeddings.create(model=MODEL, input="a")
    assert running.stop() == 0, running.log()


def test_a_file_that_is_none_stops_the_start(tmp_path):
    running = Gateway(tmp_path, "--model", model_file(), "--embedder", tmp_path / "none.gguf", command="engine",
                      keep=False)
    running.launch()
    assert running.process.wait(30) == 1
    assert "semantic.embedder" in running.log() and "none.gguf" in running.log()
