"""Replicas that say what their caches hold (KV events of vLLM and SGLang): a request goes where its prefix is, though
this gateway never sent anything there, and not where it was evicted."""

import pytest
from harness import chat_body, eventually, write_config
from kv_publisher import Engine
from upstream import Hold

KEY = {"Authorization": "Bearer sk-events"}
CHAT = "/v1/chat/completions"


@pytest.fixture
def engines(tmp_path):
    made = []
    for name, options in (("one", {"style": "maps"}), ("two", {"style": "arrays", "hash_bytes": True})):
        (tmp_path / name).mkdir()
        made.append(Engine(tmp_path / name, **options).start())
    yield made
    for engine in made:
        engine.stop()


@pytest.fixture
def make_routed(make_gateway, engines, tmp_path):
    def make(extra="tokenize_within = \"5s\"", name="gateway", replay=True, policy="balance"):
        tables = "\n".join(f'[upstreams.{title}]\nurl = "{engine.url}"\nkv_events = "{engine.events}"\n'
                           + (f'kv_events_replay = "{engine.replay}"\n' if replay else "")
                           for title, engine in zip(("one", "two"), engines))
        config = write_config(tmp_path / f"{name}.toml", f'[routing]\npolicy = "{policy}"\n{extra}\n{tables}')
        gateway = make_gateway("--config", config, "--layers", "none", name=name)
        eventually(lambda: all(told(gateway, title)["connected"] for title in ("one", "two")), what="connected")
        return gateway
    return make


def told(gateway, title):
    return gateway.stats()["routing"]["kv_events"][title]


def session(name, turns=1, words=400):
    messages = [{"role": "system", "content": f"{name} " + " ".join(f"{name}{i}" for i in range(words))}]
    for i in range(turns):
        messages.append({"role": "user", "content": f"question {i} of {name}"})
        if i < turns - 1:
            messages.append({"role": "assistant", "content": "answer"})
    return messages


def ask(gateway, messages, **more):
    answer = gateway.chat(chat_body(messages=messages, **more), **KEY)
    assert answer.status_code == 200, answer.text


def served(engines):
    return [len(engine.asked(CHAT)) for engine in engines]


def where(gateway, engines, messages):
    """Which engine got this request."""
    before = served(engines)
    ask(gateway, messages)
    return [after - count for after, count in zip(served(engines), before)].index(1)


def wait_blocks(gateway, title, engine):
    eventually(lambda: told(gateway, title)["blocks"] == len(engine.known), what=f"{title} told of its blocks")


@pytest.mark.parametrize("holder", [0, 1])
def test_a_request_goes_to_the_engine_that_holds_its_prefix(make_routed, engines, holder):
    gateway = make_routed()
    title = ("one", "two")[holder]
    names = [f"s{i}" for i in range(6)]  # by a guess all would go there by a chance of 1 in 64
    for name in names:
        engines[holder].hold(session(name))
    wait_blocks(gateway, title, engines[holder])
    assert [where(gateway, engines, session(name)) for name in names] == [holder] * len(names)
    stats = told(gateway, title)
    assert stats["complete"] and stats["tokens"] > 6 * 380 and stats["lost_batches"] == 0
    assert gateway.metric("payonce_route_tokenize_total", outcome="in_time") == len(names)


@pytest.mark.parametrize("how", ["drop", "clear"])
def test_a_prefix_that_was_evicted_draws_nothing_any_more(make_routed, engines, how):
    gateway = make_routed()
    for engine in engines:
        engine.hold(session("other"))
    home = where(gateway, engines, session("a"))
    engines[home].hold(session("a"))
    wait_blocks(gateway, ("one", "two")[home], engines[home])
    assert where(gateway, engines, session("a", 2)) == home
    engines[1 - home].hold(session("a", 2))
    engines[home].drop(session("a", 2)) if how == "drop" else engines[home].clear()
    for title, engine in zip(("one", "two"), engines):
        wait_blocks(gateway, title, engine)
    assert where(gateway, engines, session("a", 3)) == 1 - home


def test_a_cleared_cache_is_forgotten_without_any_tokens(make_routed, engines):
    gateway = make_routed('tokenize_within = "0s"')
    homes = {name: where(gateway, engines, session(name)) for name in "abcdefgh"}
    assert set(homes.values()) == {0, 1}
    for engine in engines:
        engine.hold(session("held"))  # else what is believed is more than it can hold
        for name in homes:
            engine.hold(session(name))
    for title, engine in zip(("one", "two"), engines):
        wait_blocks(gateway, title, engine)
    assert {name: where(gateway, engines, session(name, 2)) for name in homes} == homes
    prefixes = {upstream["name"]: upstream["prefixes"] for upstream in gateway.stats()["routing"]["upstreams"]}
    assert min(prefixes.values()) > 0
    for engine in engines:
        engine.clear()
    eventually(lambda: told(gateway, "one")["cleared"] == told(gateway, "two")["cleared"] == 1, what="cleared")
    ask(gateway, session("new"))
    after = {upstream["name"]: upstream["prefixes"] for upstream in gateway.stats()["routing"]["upstreams"]}
    assert sum(after.values()) <= 2  # of the new one
    assert not any(engine.asked("/tokenize") for engine in engines)


def test_a_gateway_that_starts_later_catches_up(make_routed, engines):
    engines[1].hold(session("a"))
    engines[1].hold(session("b"), lose=True)  # the network lost this one
    gateway = make_routed()
    wait_blocks(gateway, "two", engines[1])
    engines[1].hold(session("c"), lose=True)
    engines[1].hold(session("d"))
    wait_blocks(gateway, "two", engines[1])
    assert told(gateway, "two")["gaps"] == 1 and told(gateway, "two")["lost_batches"] == 0
    assert [where(gateway, engines, session(name)) for name in "abcd"] == [1] * 4


def test_what_was_lost_for_good_makes_all_void(make_routed, engines):
    gateway = make_routed(replay=False)
    engines[1].hold(session("a"))
    wait_blocks(gateway, "two", engines[1])
    engines[1].hold(session("b"), lose=True)
    engines[1].hold(session("c"))
    eventually(lambda: told(gateway, "two")["lost_batches"] == 1, what="the gap is seen")
    stats = told(gateway, "two")
    assert not stats["complete"] and stats["blocks"] == len(engines[1].chain(session("c")))
    ask(gateway, session("a"))  # routed as without events


def test_an_engine_that_restarts_is_believed_to_hold_nothing(make_routed, engines):
    gateway = make_routed()
    engines[0].hold(session("a"))
    engines[0].hold(session("b"))
    wait_blocks(gateway, "one", engines[0])
    assert where(gateway, engines, session("a")) == 0
    engines[0].restart()
    engines[1].hold(session("a", 2))
    eventually(lambda: told(gateway, "one")["restarts"] == 1 and told(gateway, "one")["complete"], what="restarted")
    wait_blocks(gateway, "two", engines[1])
    assert where(gateway, engines, session("a", 2)) == 1


def test_the_next_turn_needs_no_question(make_routed, engines):
    gateway = make_routed()
    engines[1].hold(session("a", 3))
    wait_blocks(gateway, "two", engines[1])
    for turns in (1, 2, 3):
        assert where(gateway, engines, session("a", turns)) == 1
    assert sum(len(engine.asked("/tokenize")) for engine in engines) == 1
    question = next(engine.asked("/tokenize")[0] for engine in engines if engine.asked("/tokenize"))
    assert question.json.keys() == {"model", "messages"}
    assert question.header("authorization") == KEY["Authorization"]


def test_a_slow_tokenizer_costs_no_request(make_routed, engines):
    gateway = make_routed('tokenize_within = "50ms"')
    hold = Hold()
    for engine in engines:
        engine.fail(match=lambda request: request.path == "/tokenize", hold=hold, times=1)
    ask(gateway, session("a"))  # it goes on without
    hold.release()
    eventually(lambda: gateway.metric("payonce_route_tokenize_total", outcome="late") == 1, what="the late answer")
    assert sum(served(engines)) == 1


def test_a_failing_tokenizer_costs_no_request(make_routed, engines):
    gateway = make_routed('tokenize_within = "10s"')
    for engine in engines:
        engine.fail(match=lambda request: request.path == "/tokenize", status=404, times=-1)
    for name in "bcd":
        ask(gateway, session(name))
    assert gateway.metric("payonce_route_tokenize_total", outcome="failed") == 2  # one each, then a pause
    assert sum(served(engines)) == 3


def test_the_policy_order_asks_no_engine(make_routed, engines):
    gateway = make_routed(policy="order")
    engines[1].hold(session("a"))
    wait_blocks(gateway, "two", engines[1])
    ask(gateway, session("a"))
    assert not any(engine.asked("/tokenize") for engine in engines)


def test_an_engine_whose_events_cannot_be_had_is_routed_to_as_before(make_gateway, engines, tmp_path):
    tables = "\n".join(f'[upstreams.{title}]\nurl = "{engine.url}"\nkv_events = "ipc://{tmp_path}/nobody"\n'
                       for title, engine in zip(("one", "two"), engines))
    gateway = make_gateway("--config", write_config(tmp_path / "c.toml", f'[routing]\npolicy = "balance"\n{tables}'),
                           "--layers", "none")
    home = where(gateway, engines, session("a"))
    assert where(gateway, engines, session("a", 2)) == home
    assert not any(engine.asked("/tokenize") for engine in engines)
    assert not told(gateway, "one")["connected"]
