"""Encryption at rest: with a key nothing that was asked, answered or counted can be read from the data directory, and all
of it is served again after a kill; without that key nothing is served, and nothing is lost."""

import base64
import os

import pytest

from agent_api import Http, plan, put
from harness import CacheStatus, Gateway, chat_body, eventually, model_file, paths_in, run_cli
from test_semantic import embedder_file

QUESTION = "What is the capital of the canary islands of kw7731q?"
MODEL = "model-canary-zx81"
VALUE = "plan-canary-5f0ba1"
MAGICS = [b"PAYRESP1", b"PAYQLOG1", b"PoR1", b"PAYKVBL1", b"PoK1"]
ENDS = 30


def write_key(path, *keys):
    path.write_text("".join(f"# a key\n{key}\n" for key in keys))
    path.chmod(0o600)
    return path


def new_key():
    return base64.b64encode(os.urandom(32)).decode()


def files(gateway):
    everything = paths_in(gateway.data, lambda path: path.read_bytes() if path.is_file() else None)
    return {path.relative_to(gateway.data): content for path, content in everything.items() if content is not None}


def found(gateway, *canaries):
    """Which of them stand somewhere in the data directory, names of files included."""
    everything = b"\0".join(bytes(name) + b"\0" + content for name, content in files(gateway).items())
    return {canary for canary in canaries if canary in everything}


def exits(gateway):
    """Starts, must end by itself; what it said."""
    gateway.launch()
    assert gateway.process.wait(ENDS) != 0
    return gateway.log().splitlines()[-1]


@pytest.fixture
def start(make_gateway, upstream, tmp_path):
    """start(key file or "", *flags): the gateway of this test, always in the same data directory."""
    def started(key_file, *flags, start=True):
        flags = [*flags, "--encryption-key-file", key_file] if key_file else flags
        gateway = make_gateway("--upstream", upstream.url, "--layers", "exact,semantic,prefix",
                               "--semantic-ask-again", "0", *flags,
                               env={"PAYONCE_EMBEDDER": embedder_file()}, start=False)
        return gateway.start(scanned=True) if start else gateway
    return started


@pytest.fixture
def key_file(tmp_path):
    return write_key(tmp_path / "key", new_key())


def use(gateway):
    """Traffic of every layer, until all of it is on disk. The scope id that the ledger has for the caller."""
    call = Http(gateway.root)
    answer = gateway.chat(chat_body(QUESTION, model=MODEL), Authorization="Bearer sk-ann")
    assert not CacheStatus(answer).hit
    assert put(call, VALUE, **plan())["status"] == "stored"
    ann = {"Authorization": "Bearer sk-ann"}
    rows = eventually(lambda: gateway.client.get("/payonce/v1/savings", headers=ann).json()["rows"])
    eventually(lambda: gateway.stats()["layers"]["exact"]["disk_entries"] >= 2, what="entries on disk")
    eventually(lambda: (gateway.data / "questions.log").stat().st_size > 500, what="the question on disk")
    call.close()
    return rows[0]["scope"].encode(), answer.content


def expect_hits(gateway, answer, upstream):
    before = upstream.count
    eventually(lambda: gateway.stats()["layers"]["exact"]["disk_entries"] >= 2, what="the scan")
    again = gateway.chat(chat_body(QUESTION, model=MODEL), Authorization="Bearer sk-ann")
    assert CacheStatus(again).hit and again.content == answer
    reworded = gateway.chat(chat_body(QUESTION.replace("What is", "what's"), model=MODEL),
                            Authorization="Bearer sk-ann")
    assert CacheStatus(reworded).hit and reworded.content == answer
    call = Http(gateway.root)
    hit = call("lookup", **plan())
    call.close()
    assert (hit["status"], hit["value"]) == ("hit", VALUE)
    rows = gateway.client.get("/payonce/v1/savings", headers={"Authorization": "Bearer sk-ann"}).json()["rows"]
    assert {row["model"] for row in rows if row["layer"] == "upstream"} == {MODEL}
    assert upstream.count == before


# The key of the agent's entry stands for its value, which is compressed in the log, as answers are.
CANARIES = [QUESTION.encode(), MODEL.encode(), b"plan:v1:u-", b"resp:v1:u-"]


def test_nothing_can_be_read_and_everything_comes_back_after_a_kill(start, upstream, key_file):
    gateway = start(key_file)
    scope, answer = use(gateway)
    gateway.kill()
    assert found(gateway, scope, VALUE.encode(), *CANARIES, *MAGICS) == set()
    assert (gateway.data / "ledger.db").read_bytes().startswith(b"SQLite")
    gateway.start(scanned=True)
    expect_hits(gateway, answer, upstream)
    assert gateway.metric("payonce_sealed_faults_total") == 0
    assert gateway.stop() == 0
    assert found(gateway, scope, *CANARIES, *MAGICS) == set()


def test_without_a_key_it_can_be_read_and_a_key_seals_it_at_the_next_start(start, upstream, key_file):
    plain = start("")
    scope, answer = use(plain)
    plain.kill()
    readable = {scope, *CANARIES}
    assert found(plain, *readable) == readable, "the test looks for what is never there"
    refusing = start(key_file, "--encryption-plaintext", "refuse", start=False)
    before = files(plain)
    assert "are not sealed" in exits(refusing)
    assert files(plain) == before
    sealed = start(key_file)
    expect_hits(sealed, answer, upstream)
    eventually(lambda: not found(sealed, *readable, *MAGICS), what="the ledger is sealed")
    assert "of them were not sealed" in sealed.log()
    assert sealed.stop() == 0
    strict = start(key_file, "--encryption-plaintext", "refuse")
    expect_hits(strict, answer, upstream)


def test_another_key_or_none_is_refused_and_costs_no_byte(start, upstream, key_file, tmp_path):
    gateway = start(key_file)
    _, answer = use(gateway)
    assert gateway.stop() == 0
    before = files(gateway)
    other = write_key(tmp_path / "other", new_key())
    for flags in (["--encryption-key-file", other], []):
        message = exits(start("", *flags, start=False))
        assert "is sealed under key" in message and "encryption.key_file" in message, message
        checked = run_cli("serve", "--check", "--upstream", upstream.url, "--data", gateway.data, *flags,
                          home=tmp_path)
        assert checked.returncode != 0 and "is sealed under key" in checked.stderr
        assert files(gateway) == before
    checked = run_cli("serve", "--check", "--upstream", upstream.url, "--data", gateway.data,
                      "--encryption-key-file", key_file, home=tmp_path)
    assert checked.returncode == 0 and "0 under older keys, 0 not sealed" in checked.stdout, checked.stdout
    assert key_file.read_text().split()[-1] not in checked.stdout + gateway.log()
    expect_hits(start(key_file), answer, upstream)


def test_a_new_first_key_takes_over_and_the_old_one_can_go(start, upstream, key_file, tmp_path):
    old = key_file.read_text().split()[-1]
    gateway = start(key_file)
    scope, answer = use(gateway)
    gateway.kill()
    new = new_key()
    rotated = start(write_key(tmp_path / "both", new, old))
    expect_hits(rotated, answer, upstream)
    assert rotated.stop() == 0
    alone = start(write_key(tmp_path / "new", new))
    expect_hits(alone, answer, upstream)
    assert alone.stop() == 0
    assert found(gateway, scope, *CANARIES, *MAGICS) == set()
    assert "is sealed under key" in exits(start(key_file, start=False))


def test_damage_is_a_miss_and_a_counter(start, upstream, key_file):
    gateway = start(key_file)
    _, answer = use(gateway)
    assert gateway.stop() == 0
    for path in (gateway.data / "responses").glob("*.log"):
        content = bytearray(path.read_bytes())
        for at in range(200, len(content), 64):
            content[at] ^= 1
        path.write_bytes(content)
    gateway.start(scanned=True)
    before = upstream.count
    again = gateway.chat(chat_body(QUESTION, model=MODEL), Authorization="Bearer sk-ann")
    assert again.status_code == 200 and not CacheStatus(again).hit and upstream.count == before + 1
    assert again.content != answer
    assert gateway.metric("payonce_sealed_faults_total") > 0


@pytest.mark.parametrize("mode, text, what", [
    (0o644, None, "has mode 0644"), (0o600, "secret", "key 1 has 6 characters"), (0o600, "", "no key in it")])
def test_a_bad_key_file_is_told_precisely_and_never_shown(start, key_file, mode, text, what):
    if text is not None:
        key_file.write_text(text)
    key_file.chmod(mode)
    gateway = start(key_file, start=False)
    message = exits(gateway)
    assert "encryption.key_file" in message and what in message
    assert not gateway.data.exists()
    if text is None:
        assert key_file.read_text().split()[-1] not in gateway.log()


def test_the_key_comes_by_variable_too(make_gateway, upstream, key_file):
    variable = {"PAYONCE_ENCRYPTION_KEY": os.urandom(32).hex()}
    gateway = make_gateway("--upstream", upstream.url, "--layers", "exact", env=variable)
    assert not CacheStatus(gateway.chat(chat_body(QUESTION, model=MODEL))).hit
    assert gateway.stop() == 0
    assert found(gateway, *CANARIES, *MAGICS) == set()
    gateway.start(scanned=True)
    eventually(lambda: gateway.stats()["layers"]["exact"]["disk_entries"] == 1, what="the scan")
    assert CacheStatus(gateway.chat(chat_body(QUESTION, model=MODEL))).hit


def test_kv_blocks_are_sealed_and_found_again(tmp_path, key_file):
    story = "The canary left the cage before dawn, and nobody knew where it would go. " * 12
    body = {"model": "m", "prompt": story, "max_tokens": 4, "temperature": 0}

    def cached(engine):
        return engine.post("/v1/completions", body).json()["usage"]["prompt_tokens_details"]["cached_tokens"]

    engine = Gateway(tmp_path / "engine", "--model", model_file(), "--kv-memory", "256MiB", "--kv-ram", "0",
                     "--encryption-key-file", key_file, command="engine")
    engine.client.timeout = 120
    try:
        engine.start(120)
        assert cached(engine) == 0
        assert engine.stop() == 0
        stored = list((engine.data / "kv").glob("*.kvb"))
        assert stored and found(engine, *MAGICS) == set()
        engine.start(120)
        assert cached(engine) > 0
        assert engine.stop() == 0
        key_file.write_text(new_key())
        assert "is sealed under key" in exits(engine)
    finally:
        engine.client.close()
        if engine.process.poll() is None:
            engine.stop()
