"""Who may see whose answers: credentials, X-Payonce-Scope, virtual keys, and what is sent upstream for them."""

import concurrent.futures
import hashlib

import pytest

from harness import chat_body, eventually, is_hit, messages_body, write_config
from upstream import Hold

CREDENTIALS = [{}, {"Authorization": "Bearer sk-a"}, {"Authorization": "Bearer sk-b"}, {"x_api_key": "sk-c"},
               {"api_key": "sk-d"}, {"Authorization": "Bearer sk-a", "x_api_key": "sk-c"}]


@pytest.mark.parametrize("path, body", [("/v1/chat/completions", chat_body()), ("/v1/messages", messages_body())])
def test_no_two_credentials_share_an_answer(gateway, upstream, path, body):
    first = [gateway.post(path, body, **credential) for credential in CREDENTIALS]
    again = [gateway.post(path, body, **credential) for credential in CREDENTIALS]
    assert [is_hit(answer) for answer in first] == [False] * len(CREDENTIALS)
    assert [is_hit(answer) for answer in again] == [True] * len(CREDENTIALS)
    assert [a.content for a in first] == [a.content for a in again]
    assert upstream.count == len({answer.content for answer in first}) == len(CREDENTIALS)


def test_requests_in_flight_are_not_shared_between_credentials_either(gateway, upstream):
    hold = Hold()
    upstream.fail(hold=hold, times=2)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = [pool.submit(gateway.chat, Authorization=f"Bearer sk-{name}") for name in "ab"]
        upstream.wait_count(2)
        hold.release()
        contents = {answer.result().content for answer in asked}
    assert len(contents) == 2


def test_a_scope_narrows_the_callers_own(gateway, upstream):
    scopes = [{}, {"X_Payonce_Scope": "user:a"}, {"X_Payonce_Scope": "user:b"}, {"X_Payonce_Scope": "session:a"},
              {"X_Payonce_Scope": "team:t, user:a"}]
    for hit in (False, True):
        assert [is_hit(gateway.chat(Authorization="Bearer sk-a", **scope)) for scope in scopes] == [hit] * len(scopes)
    assert upstream.count == len(scopes)


def test_the_parts_of_a_scope_have_no_order(gateway, upstream):
    ask = {"Authorization": "Bearer sk-a"}
    assert not is_hit(gateway.chat(X_Payonce_Scope="team:t, user:a", **ask))
    assert is_hit(gateway.chat(X_Payonce_Scope="user:a,team:t", **ask))
    repeated = [("X-Payonce-Scope", "user:a"), ("X-Payonce-Scope", "team:t"), ("Authorization", "Bearer sk-a"),
                ("Content-Type", "application/json")]
    assert is_hit(gateway.client.post("/v1/chat/completions", json=chat_body(), headers=repeated))
    assert upstream.count == 1


@pytest.mark.parametrize("scope", ["public", "team:all", "user:x"])
def test_no_scope_widens_a_credential_that_passes_through(gateway, upstream, scope):
    for name in "ab":
        assert not is_hit(gateway.chat(X_Payonce_Scope=scope, Authorization=f"Bearer sk-{name}"))
    assert not is_hit(gateway.chat(X_Payonce_Scope=scope))
    assert upstream.count == 3


@pytest.mark.parametrize("scope", ["galaxy:x", "user:", "user:a b", "everyone"])
def test_a_scope_that_is_none_is_refused(gateway, upstream, scope):
    answer = gateway.chat(X_Payonce_Scope=scope)
    assert answer.status_code == 400
    assert "X-Payonce-Scope" in answer.json()["error"]["message"]
    assert upstream.count == 0


def test_a_credential_passes_through_unchanged(gateway, upstream):
    gateway.chat(Authorization="Bearer sk-secret", X_Payonce_Scope="user:a", OpenAI_Organization="org-1")
    request = upstream.requests[0]
    assert request.header("authorization") == "Bearer sk-secret"
    assert request.header("openai-organization") == "org-1"
    assert not [name for name, _ in request.headers if name.lower().startswith("x-payonce-")]


def test_entries_of_another_caller_are_neither_listed_nor_purged(gateway, upstream):
    gateway.chat(Authorization="Bearer sk-a")
    listed = gateway.client.get("/payonce/v1/cache", headers={"Authorization": "Bearer sk-b"}).json()
    assert listed["entries"] == []
    own = gateway.client.get("/payonce/v1/cache", headers={"Authorization": "Bearer sk-a"}).json()["entries"]
    assert len(own) == 1
    foreign = gateway.client.get("/payonce/v1/cache/entry", params={"key": own[0]["key"]},
                                 headers={"Authorization": "Bearer sk-b"})
    assert foreign.status_code == 404
    for what in ({"key": own[0]["key"]}, {"scope": own[0]["scope"]}, {"all": True}):
        purged = gateway.client.post("/payonce/v1/cache/purge", json=what, headers={"Authorization": "Bearer sk-b"})
        assert purged.json()["removed"] == 0
    assert is_hit(gateway.chat(Authorization="Bearer sk-a"))


def test_no_credential_is_written_to_disk_or_log(gateway, upstream):
    gateway.chat(Authorization="Bearer sk-very-secret-1", X_Payonce_Scope="user:alice")
    assert gateway.stop() == 0
    files = [file for file in gateway.folder.rglob("*") if file.is_file()]
    assert files
    for file in files:
        assert b"sk-very-secret-1" not in file.read_bytes(), file


# ---- virtual keys --------------------------------------------------------------------------------

KEYS = {"alice": "pk-alice", "bob": "pk-bob", "solo": "pk-solo"}


def key_table(name, *lines):
    digest = hashlib.sha256(KEYS[name].encode()).hexdigest()
    return "\n".join([f"[keys.{name}]", f'sha256 = "{digest}"', *lines])


@pytest.fixture
def keyed(make_gateway, upstream, tmp_path):
    """A gateway with three keys, two of them of one team, and keys of its own for its upstreams."""
    config = write_config(tmp_path / "keys.toml", "\n".join([
        "[upstreams.main]", f'base_url = "{upstream.url}"', 'key_env = "MAIN_KEY"',
        "[upstreams.claude]", f'base_url = "{upstream.root}"', 'kind = "anthropic"', 'key_env = "CLAUDE_KEY"',
        key_table("alice", 'scopes = ["team:search"]'), key_table("bob", 'scopes = ["team:search"]'),
        key_table("solo", "requests_per_minute = 2")]))
    return make_gateway("--config", config, env={"MAIN_KEY": "sk-upstream", "CLAUDE_KEY": "sk-ant-upstream"})


def as_caller(name):
    return {"Authorization": f"Bearer {KEYS[name]}"}


@pytest.mark.parametrize("credential", [{}, {"Authorization": "Bearer pk-mallory"}, {"Authorization": "pk-"}],
                         ids=["none", "unknown", "prefix"])
def test_an_unknown_key_is_refused_in_the_dialects_shape(keyed, upstream, credential):
    chat = keyed.chat(**credential)
    assert (chat.status_code, chat.json()["error"]["type"]) == (401, "authentication_error")
    message = keyed.post("/v1/messages", messages_body(), **credential)
    assert (message.status_code, message.json()["error"]["type"]) == (401, "authentication_error")
    assert message.json()["type"] == "error"
    assert keyed.client.get("/v1/models", headers={k.replace("_", "-"): v for k, v in credential.items()}
                            ).status_code == 401
    assert upstream.count == 0


def test_the_gateways_own_key_goes_upstream_instead_of_the_callers(keyed, upstream):
    assert keyed.chat(**as_caller("alice")).status_code == 200
    assert keyed.post("/v1/messages", messages_body(), x_api_key=KEYS["alice"]).status_code == 200
    chat, message = upstream.requests
    assert chat.header("authorization") == "Bearer sk-upstream" and chat.header("x-api-key") is None
    assert message.header("x-api-key") == "sk-ant-upstream" and message.header("authorization") is None
    for request in upstream.requests:
        assert b"pk-alice" not in request.raw_head


def test_keys_of_a_team_share_its_scope_and_nothing_else(keyed, upstream):
    team = {"X_Payonce_Scope": "team:search"}
    assert not is_hit(keyed.chat(**as_caller("alice")))
    assert not is_hit(keyed.chat(**as_caller("bob")))
    assert not is_hit(keyed.chat(**as_caller("alice"), **team))
    assert is_hit(keyed.chat(**as_caller("bob"), **team))
    assert not is_hit(keyed.chat(**as_caller("solo"), **team))  # does not own it
    narrowed = {"X_Payonce_Scope": "team:search, user:7"}
    assert not is_hit(keyed.chat(**as_caller("alice"), **narrowed))
    assert is_hit(keyed.chat(**as_caller("bob"), **narrowed))
    assert upstream.count == 5


def test_a_key_over_its_rate_waits_and_others_do_not(keyed, upstream):
    answers = [keyed.chat(chat_body(f"text {i}"), **as_caller("solo")) for i in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["retry-after"]) >= 1
    assert answers[2].json()["error"]["type"] == "rate_limit_error"
    assert keyed.chat(**as_caller("alice")).status_code == 200
    assert upstream.count == 3


@pytest.mark.usefixtures("one_day")
def test_a_key_over_its_budget_is_refused(make_gateway, upstream, tmp_path):
    config = write_config(tmp_path / "budget.toml", "\n".join([
        "[upstreams.main]", f'base_url = "{upstream.url}"', '[prices."m"]', "input = 1000.0", "output = 1000.0",
        key_table("alice", "budget_usd_per_day = 0.02"), key_table("bob")]))
    keyed = make_gateway("--config", config)
    assert keyed.chat(chat_body("x" * 100), **as_caller("alice")).status_code == 200  # costs more than 0.03
    refused = eventually(lambda: keyed.chat(chat_body("more"), **as_caller("alice")), what="an answer")
    assert refused.status_code == 429 and "budget" in refused.json()["error"]["message"]
    assert is_hit(keyed.chat(chat_body("x" * 100), **as_caller("alice")))  # a hit costs nothing
    assert keyed.chat(chat_body("more"), **as_caller("bob")).status_code == 200
