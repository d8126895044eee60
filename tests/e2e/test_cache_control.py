"""What a caller asks of the cache (RFC 9111 5.2.1, X-Payonce-TTL, X-Payonce-Layers), and what Cache-Status tells."""

import pytest

from answers import text_of
from harness import CacheStatus, chat_body, eventually, is_hit, messages_body, sse_events

PATHS = pytest.mark.parametrize("path, body", [("/v1/chat/completions", chat_body()),
                                               ("/v1/messages", messages_body())], ids=["chat", "messages"])


def text(answer):
    return answer.json()["choices"][0]["message"]["content"]


def test_no_cache_asks_again_and_replaces_what_is_stored(gateway, upstream):
    gateway.chat()
    fresh = gateway.chat(Cache_Control="no-cache")
    assert text(fresh) == text_of(2)
    assert (CacheStatus(fresh).fwd, CacheStatus(fresh).stored) == ("request", True)
    after = gateway.chat()
    assert is_hit(after) and text(after) == text_of(2)
    assert upstream.count == 2


def test_no_cache_that_fails_leaves_the_stored_answer(gateway, upstream):
    gateway.chat()
    upstream.fail(status=500)
    assert gateway.chat(Cache_Control="no-cache").status_code == 500
    after = gateway.chat()
    assert is_hit(after) and text(after) == text_of(1)


def test_no_store_writes_nothing_and_still_reads(gateway, upstream):
    first = gateway.chat(Cache_Control="no-store")
    assert not is_hit(first) and not CacheStatus(first).stored
    assert gateway.entries() == 0
    assert not is_hit(gateway.chat())
    assert is_hit(gateway.chat(Cache_Control="no-store"))
    assert upstream.count == 2


def test_both_at_once_touch_the_store_in_no_way(gateway, upstream):
    gateway.chat()
    answer = gateway.chat(Cache_Control="No-Cache , NO-STORE")
    assert text(answer) == text_of(2) and not CacheStatus(answer).stored
    assert text(gateway.chat()) == text_of(1)


def test_max_age_accepts_no_older_answer(gateway, upstream):
    gateway.chat()
    assert is_hit(gateway.chat(Cache_Control="max-age=3600"))
    eventually(lambda: int(gateway.chat().headers["age"]) >= 1, what="Age grows")
    fresh = gateway.chat(Cache_Control="max-age=0")
    assert (CacheStatus(fresh).fwd, text(fresh)) == ("stale", text_of(2))
    after = gateway.chat()
    assert is_hit(after) and text(after) == text_of(2)


def test_a_max_age_that_is_no_number_counts_as_nought(gateway, upstream):
    gateway.chat()
    eventually(lambda: int(gateway.chat().headers["age"]) >= 1, what="Age grows")
    assert not is_hit(gateway.chat(Cache_Control="max-age=soon"))


@PATHS
def test_only_if_cached_never_goes_upstream(gateway, upstream, path, body):
    missed = gateway.post(path, body, Cache_Control="only-if-cached")
    assert missed.status_code == 504
    assert CacheStatus(missed).fwd is not None and not CacheStatus(missed).hit
    assert missed.json()["error"]["message"]
    assert missed.json().get("type") == ("error" if path == "/v1/messages" else None)
    assert upstream.count == 0
    gateway.post(path, body)
    assert is_hit(gateway.post(path, body, Cache_Control="only-if-cached"))
    assert upstream.count == 1


def test_unknown_directives_are_ignored(gateway, upstream):
    for hit in (False, True):
        assert is_hit(gateway.chat(Cache_Control='max-stale, community="UCI"')) == hit


def test_an_entry_expires_after_its_ttl(gateway, upstream):
    first = gateway.chat(X_Payonce_TTL="1")
    assert CacheStatus(first).stored
    stale = eventually(lambda: next((a for a in [gateway.chat()] if not is_hit(a)), None), what="the entry expires")
    assert CacheStatus(stale).fwd in ("miss", "stale")
    assert text(stale) == text_of(2)


def test_a_hit_tells_how_long_it_stays_fresh(gateway, upstream):
    gateway.chat(X_Payonce_TTL="100")
    ttl = CacheStatus(gateway.chat()).parameters["ttl"]
    assert 90 <= ttl <= 100


@pytest.mark.parametrize("name, value", [("X_Payonce_TTL", "soon"), ("X_Payonce_TTL", "-1"),
                                         ("X_Payonce_Layers", "exact,quantum")])
def test_a_malformed_wish_is_refused(gateway, upstream, name, value):
    answer = gateway.chat(**{name: value})
    assert answer.status_code == 400
    assert name.replace("_", "-").lower() in answer.json()["error"]["message"].lower()
    assert upstream.count == 0


@pytest.mark.parametrize("layers", ["none", "prefix", "semantic"])
def test_a_request_may_leave_the_exact_layer_out(gateway, upstream, layers):
    gateway.chat()
    answer = gateway.chat(X_Payonce_Layers=layers)
    assert (CacheStatus(answer).fwd, CacheStatus(answer).stored) == ("bypass", False)
    assert text(answer) == text_of(2)
    assert is_hit(gateway.chat(X_Payonce_Layers="exact,semantic,prefix"))


SAMPLED = [{"temperature": 0.7}, {"temperature": None}]


@pytest.mark.parametrize("fields", SAMPLED, ids=["warm", "default"])
def test_sampled_requests_are_cached_unless_the_operator_says_otherwise(make_gateway, upstream, fields):
    body = chat_body(**fields)
    if fields["temperature"] is None:
        del body["temperature"]
    cached = make_gateway("--upstream", upstream.url, "--layers", "exact", name="cached")
    assert [is_hit(cached.chat(body)) for _ in range(2)] == [False, True]
    bypassed = make_gateway("--upstream", upstream.url, "--layers", "exact", name="bypassed",
                            env={"PAYONCE_POLICY_SAMPLED": "bypass"})
    assert [CacheStatus(bypassed.chat(body)).fwd for _ in range(2)] == ["bypass", "bypass"]
    assert [is_hit(bypassed.chat()) for _ in range(2)] == [False, True]  # temperature 0


def test_a_stream_tells_in_its_head_that_it_will_be_stored(gateway, upstream):
    with gateway.client.stream("POST", "/v1/chat/completions", json=chat_body(stream=True)) as answer:
        status = CacheStatus(answer)
        events = sse_events(answer.read())
    assert (status.fwd, status.stored) == ("miss", True)
    assert events[-1] == (None, "[DONE]")
    again = gateway.chat(chat_body(stream=True))
    assert is_hit(again) and sse_events(again.content) == events
    assert again.headers["content-type"].startswith("text/event-stream")


def test_the_time_is_told_by_phase(gateway, upstream):
    for phases in ({"lookup", "upstream"}, {"lookup"}):
        timing = gateway.chat().headers["server-timing"]
        durations = {part.split(";")[0].strip(): float(part.split("dur=")[1]) for part in timing.split(",")}
        assert phases <= set(durations) <= {"parse", "lookup", "upstream"}, timing
        assert all(0 <= value < 10_000 for value in durations.values())


def ask_everything(gateway, upstream):
    """One answer of every kind that the data plane gives."""
    upstream.fail(match=lambda request: request.json["messages"][0]["content"] == "fails", status=429)
    yield gateway.chat()
    yield gateway.chat()
    yield gateway.chat(chat_body("fails"))
    yield gateway.chat(Cache_Control="no-cache")
    yield gateway.chat(X_Payonce_Layers="none")
    yield gateway.chat(chat_body("absent"), Cache_Control="only-if-cached")
    yield gateway.chat(chat_body(stream=True))
    yield gateway.post("/v1/messages", messages_body())
    yield gateway.client.get("/v1/models")
    yield gateway.client.get("/v1/nothing/here")
    upstream.stop()
    yield gateway.chat(chat_body("unreachable"))


def test_every_answer_of_the_data_plane_carries_a_cache_status_that_parses(gateway, upstream):
    statuses = [CacheStatus(answer) for answer in ask_everything(gateway, upstream)]
    assert [status.fwd for status in statuses] == [
        "miss", None, "miss", "request", "bypass", "miss", None, "miss", "bypass", "bypass", "miss"]
    assert statuses[2].parameters["fwd-status"] == 429


def test_an_upstreams_own_cache_fields_are_not_taken_for_ours(gateway, upstream):
    saved = "input=1,output=1,usd=1"
    upstream.fail(headers=(("Cache-Status", "cdn; hit"), ("Age", "99"), ("X-Payonce-Saved", saved)))
    assert not is_hit(gateway.chat())
    assert is_hit(gateway.chat())


def test_layers_may_be_switched_off_altogether(make_gateway, upstream):
    gateway = make_gateway("--upstream", upstream.url, "--layers", "none")
    assert [CacheStatus(gateway.chat()).fwd for _ in range(2)] == ["bypass", "bypass"]
    assert upstream.count == 2
