"""`payonce engine` with the real small model: what it counts, shares, refuses, and keeps over a restart."""

import json
import os
import threading

import openai
import pytest

from harness import SIGTERM, Gateway, eventually, model_file, raw_post, run_cli

READY_LIMIT_S = 120
STORY = "The ship left the harbour before dawn, and nobody on the pier knew where it would go. " * 12


@pytest.fixture
def make_engine(tmp_path):
    """make_engine(*flags, name="e", keep=False) starts one; all are stopped at the end."""
    running = []

    def make(*arguments, name="engine", keep=False, start=True):
        engine = Gateway(tmp_path / name, "--model", model_file(), "--kv-memory", "256MiB", *arguments,
                         command="engine", keep=keep)
        engine.client.timeout = 120
        running.append(engine)
        return engine.start(READY_LIMIT_S) if start else engine

    yield make
    for engine in running:
        engine.client.close()
        if engine.process and engine.process.poll() is None:
            engine.stop()


def complete(engine, prompt, tenant="nobody", **fields):
    body = {"model": "m", "prompt": prompt, "max_tokens": 4, "temperature": 0, **fields}
    return engine.post("/v1/completions", body, Authorization=f"Bearer {tenant}")


def usage_of(answer):
    """(tokens of the prompt, those of them that were not computed)."""
    assert answer.status_code == 200, answer.text
    usage = answer.json()["usage"]
    return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]


def blocks(engine):
    return {state: engine.metric("payonce_kv_blocks", state=state) for state in ("free", "used", "cached")}


def error_of(answer):
    """The message of an error in the OpenAI shape."""
    error = answer.json()["error"]
    assert error["type"] and error["message"]
    return error["message"]


# ---- starting ------------------------------------------------------------------------------------

def test_it_listens_at_once_and_is_ready_when_it_would_serve(make_engine):
    engine = make_engine(start=False).launch()

    def status(path):
        try:
            return engine.client.get(path).status_code
        except Exception:
            return None

    eventually(lambda: status("/healthz") == 200)
    seen = set()
    while status("/readyz") != 200:
        answer = complete(engine, "Hi")
        seen.add(answer.status_code)
        if answer.status_code == 503:
            assert answer.headers["retry-after"] and "loading" in error_of(answer)
    assert seen <= {200, 503}
    assert complete(engine, "Hi").status_code == 200
    engine.wait_logged("ready in", "KV pool:")
    assert engine.client.get("/").status_code == 200


@pytest.mark.parametrize("damage", ["missing", "not_gguf", "truncated", "empty", "version", "no_tensors"])
def test_a_file_that_is_no_model_is_told_and_ends_the_process(tmp_path, damage):
    file = tmp_path / f"{damage}.gguf"
    with open(model_file(), "rb") as source:
        head = bytearray(source.read(4 << 20))
    if damage == "not_gguf":
        file.write_bytes(b"PK\x03\x04" + head[4:])
    elif damage == "truncated":
        file.write_bytes(head)  # all tensors begin or end behind it
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "version":
        head[4:8] = (9999).to_bytes(4, "little")
        file.write_bytes(head)
    elif damage == "no_tensors":
        file.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(16))
    ended = run_cli("engine", "--model", file, "--listen", "127.0.0.1:0", home=tmp_path)
    assert ended.returncode == 1, ended
    assert file.name in ended.stderr.replace("\n", " ") and "--model FILE" in ended.stderr, ended.stderr
    assert "terminate called" not in ended.stderr and "assert" not in ended.stderr.lower()


def test_a_context_that_the_pool_cannot_hold_is_refused_at_start(tmp_path):
    ended = run_cli("engine", "--model", model_file(), "--kv-blocks", 8, "--context", 1000, "--listen",
                    "127.0.0.1:0", home=tmp_path)
    assert ended.returncode == 1 and "need 63 KV blocks, the pool has 8" in ended.stderr


def test_the_rest_of_the_contracts_flags_is_told_not_to_be_here_yet(tmp_path):
    for flags in (["--role", "prefill"], ["--kv", "127.0.0.1:9"]):
        ended = run_cli("engine", "--model", model_file(), *flags, home=tmp_path)
        assert ended.returncode == 2 and "not in this release" in ended.stderr


def test_a_line_of_json_says_when_it_is_ready(make_engine):
    engine = make_engine("--json")
    engine.wait_logged("}\n")
    lines = [json.loads(line) for line in engine.log().splitlines() if line.startswith("{")]
    assert [line["url"] for line in lines] == [engine.root] and lines[0]["ready"]


# ---- sharing -------------------------------------------------------------------------------------

def test_a_repeated_prompt_computes_one_token(engine):
    first, second = (usage_of(complete(engine, STORY, "repeats")) for _ in range(2))
    assert first[1] == 0 and second == (first[0], first[0] - 1)


def test_reuse_is_exact_to_the_token(engine):
    usage_of(complete(engine, STORY, "exact"))
    tokens, cached = usage_of(complete(engine, STORY + "Then", "exact"))
    assert tokens - cached <= 3


def test_two_credentials_never_share(engine):
    usage_of(complete(engine, STORY, "alice"))
    assert usage_of(complete(engine, STORY, "bob"))[1] == 0
    assert usage_of(complete(engine, STORY, "alice"))[1] > 0
    anonymous = engine.post("/v1/completions", {"prompt": STORY, "max_tokens": 1})
    assert usage_of(anonymous)[1] == 0


def test_warm_answers_equal_cold_ones(engine):
    texts = [complete(engine, STORY, "warm", max_tokens=16).json()["choices"][0]["text"] for _ in range(3)]
    other = complete(engine, STORY, "cold", max_tokens=16).json()["choices"][0]["text"]
    assert {other} == set(texts)


def test_a_public_prefix_is_shared_by_all_and_the_rest_is_not(make_engine, tmp_path):
    system = "You are the guide of a museum of clocks. " * 12
    (tmp_path / "system.txt").write_text(system)
    engine = make_engine("--public-prefix", tmp_path / "system.txt")

    def ask(tenant, text):
        body = {"model": "m", "max_tokens": 1, "messages": [{"role": "system", "content": system},
                                                           {"role": "user", "content": text}]}
        return usage_of(engine.post("/v1/chat/completions", body, Authorization=f"Bearer {tenant}"))

    secret = "My secret is a very long sentence of my own. " * 8
    tokens, _ = ask("alice", secret)
    shared_tokens, shared = ask("bob", secret)
    assert tokens == shared_tokens and 60 < shared < tokens - 60, (tokens, shared)
    assert ask("alice", secret)[1] == tokens - 1


# ---- counting ------------------------------------------------------------------------------------

def test_blocks_add_up_and_hits_are_what_usage_says(make_engine):
    engine = make_engine()
    pool = sum(blocks(engine).values())
    assert pool > 0 and blocks(engine)["used"] == 0
    cached = 0
    for tenant in ("a", "b"):
        for length in (200, 200, 500, len(STORY)):
            cached += usage_of(complete(engine, STORY[:length], tenant))[1]
    body = {"prompt": STORY, "n": 3, "max_tokens": 4, "temperature": 1, "seed": 1}
    cached += usage_of(engine.post("/v1/completions", body, Authorization="Bearer a"))[1]
    assert cached > 0 and engine.metric("payonce_kv_hit_tokens_total") == cached
    now = blocks(engine)
    assert sum(now.values()) == pool and now["used"] == 0 and now["cached"] > 0
    stats = engine.stats()["engine"]
    assert stats["blocks"] == {state: int(count) for state, count in now.items()}
    assert stats["hit_tokens"] == cached


def test_a_full_pool_evicts_and_still_answers(make_engine):
    engine = make_engine("--kv-blocks", 40)
    for number in range(8):
        assert usage_of(complete(engine, f"{number} {STORY}"[:1200]))[0] > 100
    assert engine.metric("payonce_kv_evictions_total") > 0
    assert sum(blocks(engine).values()) == 40


def test_a_client_that_leaves_frees_its_blocks(engine):
    body = {"prompt": "Once", "stream": True, "max_tokens": 2000, "ignore_eos": True, "temperature": 0}
    with engine.client.stream("POST", "/v1/completions", json=body) as answer:
        chunks = answer.iter_raw()  # kept: httpx hangs up when its iterator goes
        next(chunks)
        assert engine.metric("payonce_engine_requests", state="running") == 1
    eventually(lambda: blocks(engine)["used"] == 0)
    assert engine.metric("payonce_engine_requests", state="running") == 0


# ---- refusing ------------------------------------------------------------------------------------

def test_what_cannot_be_served_is_a_precise_error_and_the_others_go_on(make_engine):
    engine = make_engine("--context", 512)
    beyond = complete(engine, STORY * 4)
    assert beyond.status_code == 400 and "512" in error_of(beyond)
    assert complete(engine, "").status_code == 400
    assert complete(engine, []).status_code == 400
    bad = engine.post("/v1/completions", b'{"prompt":"\xff\xfe"}')
    assert bad.status_code == 400 and "UTF-8" in error_of(bad)
    assert engine.post("/v1/completions", b'{"prompt":').status_code == 400
    assert engine.post("/v1/completions", b"[]").status_code == 400
    assert engine.client.get("/v1/nothing").status_code == 404
    wrong = engine.post("/v1/messages", {"messages": []})
    assert wrong.status_code == 400 and wrong.json()["type"] == "error"
    large = engine.connect().send(raw_post("/v1/completions", b"", "Content-Length: 99999999999", length=False))
    assert large.read_answer()[0] == 413
    assert complete(engine, "Hello").status_code == 200


def test_more_than_may_wait_is_told_to_come_back(make_engine):
    engine = make_engine("--max-batch", 1, "--max-queue", 1)
    body = {"prompt": "Count:", "max_tokens": 60, "ignore_eos": True, "temperature": 0}
    statuses = []

    def ask():
        answer = engine.client.post("/v1/completions", json=body)
        statuses.append((answer.status_code, answer.headers.get("retry-after")))

    asking = [threading.Thread(target=ask) for _ in range(6)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert {status for status, _ in statuses} == {200, 429}, statuses
    assert all(after for status, after in statuses if status == 429), statuses


def test_the_official_client_is_served_under_any_model_name(engine):
    with openai.OpenAI(base_url=engine.url, api_key="unused", max_retries=0, timeout=120) as client:
        listed = [model.id for model in client.models.list()]
        assert len(listed) == 1
        answer = client.chat.completions.create(model="whatever", temperature=0, max_tokens=16, messages=[
            {"role": "user", "content": "Name the capital of France."}])
        assert "Paris" in answer.choices[0].message.content
        stream = client.chat.completions.create(model=listed[0], temperature=0, max_tokens=16, stream=True, messages=[
            {"role": "user", "content": "Name the capital of France."}])
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        assert text == answer.choices[0].message.content


# ---- ending --------------------------------------------------------------------------------------

def test_what_was_kept_on_disk_is_there_after_a_kill(make_engine):
    engine = make_engine(keep=True)
    tokens, _ = usage_of(complete(engine, STORY, "keeper"))
    text = complete(engine, STORY, "keeper", max_tokens=16).json()["choices"][0]["text"]
    eventually(lambda: stored_bytes(engine) > 0, what="KV blocks on disk")
    size = eventually(lambda: settled(engine))
    engine.kill()
    assert size > 0
    engine.start(READY_LIMIT_S)
    again = complete(engine, STORY, "keeper", max_tokens=16)
    assert usage_of(again)[1] >= tokens - 32, "the disk tier gave too little"
    assert again.json()["choices"][0]["text"] == text
    assert usage_of(complete(engine, STORY, "someone else"))[1] == 0


def stored_bytes(engine):
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(engine.data / "kv")
               for name in names)


def settled(engine):
    """The size on disk once a further request finds the engine idle and nothing was added meanwhile; else 0."""
    before = stored_bytes(engine)
    complete(engine, "Hi", "someone else", max_tokens=8)
    return before if stored_bytes(engine) == before else 0


def test_sigterm_lets_the_answer_in_progress_end(make_engine):
    engine = make_engine()
    body = {"prompt": "Once", "stream": True, "max_tokens": 100, "ignore_eos": True, "temperature": 0}
    with engine.client.stream("POST", "/v1/completions", json=body) as answer:
        parts = answer.iter_raw()
        received = next(parts)
        engine.signal(SIGTERM)
        received += b"".join(parts)
    assert received.rstrip().endswith(b"data: [DONE]")
    assert engine.process.wait(30) == 0
