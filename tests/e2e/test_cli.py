"""The command line: help, exit statuses, checking a configuration, and a look into a running instance."""

import hashlib
import json
import stat

import pytest

from harness import chat_body, eventually, is_hit, run_cli, write_config
from ports import free_port

COMMANDS = [[], ["serve"], ["up"], ["engine"], ["cache"], ["cache", "ls"], ["cache", "get"], ["cache", "purge"],
            ["cache", "stats"], ["cache", "why"], ["audit"], ["key"], ["lint"], ["mcp"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(tmp_path, command):
    ended = run_cli(*command, "--help", home=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "--help" in ended.stdout
    if len(command) < 2:
        assert "Example" in ended.stdout


@pytest.mark.parametrize("arguments", [[], ["sing"], ["serve", "--sing"], ["serve"], ["serve", "--threads", "many"],
                                       ["serve", "--upstream", "nowhere"], ["serve", "--layers", "quantum"],
                                       ["cache"], ["cache", "purge"], ["cache", "get"], ["key"], ["lint"], ["mcp"],
                                       ["mcp", "--tool", "x=keep", "--", "cat"],
                                       ["mcp", "--ttl", "soon", "--", "cat"],
                                       ["mcp", "--workspace", "/no/such", "--", "cat"],
                                       ["engine", "--role", "decode"], ["engine", "--role", "both", "--kv", "h:1"],
                                       ["engine", "--kv-memory", "2GB"], ["engine", "--upstream", "http://h/v1"]],
                         ids=" ".join)
def test_wrong_usage_is_status_2_and_says_what_is_right(tmp_path, arguments):
    ended = run_cli(*arguments, home=tmp_path)
    assert ended.returncode == 2, ended
    assert ended.stderr and "terminate called" not in ended.stderr


def test_a_command_that_does_not_exist_is_named(tmp_path):
    assert "no command 'sing'" in run_cli("sing", home=tmp_path).stderr


def test_the_version_is_told(tmp_path):
    ended = run_cli("--version", home=tmp_path)
    assert ended.returncode == 0 and ended.stdout.strip()[0].isdigit() or "payonce" in ended.stdout


# ---- configuration -------------------------------------------------------------------------------

GOOD = """
listen = "127.0.0.1:0"
layers = ["exact"]
[upstreams.main]
base_url = "https://api.example.test/v1"
kind = "openai"
models = ["gpt-*"]
[keys.alice]
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
scopes = ["team:search"]
requests_per_minute = 60
budget_usd_per_day = 5.0
[limits]
requests_per_minute = 600
[retry]
attempts = 2
statuses = [429, 503]
[policy]
sampled = "bypass"
ttl = "15m"
"""


def check(tmp_path, text, **options):
    return run_cli("serve", "--config", write_config(tmp_path / "c.toml", text), "--check", home=tmp_path, **options)


def test_a_good_configuration_passes(tmp_path):
    ended = check(tmp_path, GOOD)
    assert (ended.returncode, ended.stderr) == (0, "")


BAD = {"unknown_key": ('lisen = "127.0.0.1:1"\n' + GOOD, "listen"),
       "unknown_table": (GOOD + "[polcy]\nttl = 5\n", "policy"),
       "unknown_in_table": (GOOD.replace("attempts", "attemps"), "attempts"),
       "unknown_in_upstream": (GOOD.replace("base_url", "base_ulr"), "base_url"),
       "wrong_type": (GOOD.replace("attempts = 2", 'attempts = "two"'), "retry.attempts"),
       "wrong_word": (GOOD.replace("bypass", "sometimes"), "policy.sampled"),
       "wrong_url": (GOOD.replace("https://api", "api"), "base_url"),
       "wrong_digest": (GOOD.replace("9f86", "zz"), "sha256"),
       "wrong_scope": (GOOD.replace("team:search", "galaxy:x"), "scopes"),
       "wrong_duration": (GOOD.replace("15m", "a while"), "policy.ttl"),
       "no_toml": ("this is = not = toml", "c.toml"),
       "no_upstream": ('listen = "127.0.0.1:0"\n', "upstream")}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_configuration_is_refused_with_the_place_and_the_remedy(tmp_path, kind):
    text, hint = BAD[kind]
    ended = check(tmp_path, text)
    assert ended.returncode in (1, 2), ended
    assert hint in ended.stderr, ended.stderr
    assert ended.stdout == ""


def test_all_problems_are_told_at_once(tmp_path):
    ended = check(tmp_path, GOOD.replace("attempts", "attemps").replace("15m", "a while"))
    assert "attempts" in ended.stderr and "policy.ttl" in ended.stderr


def test_a_configuration_that_is_not_there_is_named(tmp_path):
    ended = run_cli("serve", "--config", tmp_path / "none.toml", "--check", home=tmp_path)
    assert ended.returncode in (1, 2) and "none.toml" in ended.stderr


def test_a_key_variable_that_is_not_set_is_named(tmp_path):
    text = GOOD.replace('kind = "openai"', 'key_env = "MY_PROVIDER_KEY"')
    ended = check(tmp_path, text)
    assert ended.returncode in (1, 2) and "MY_PROVIDER_KEY" in ended.stderr
    assert check(tmp_path, text, env={"MY_PROVIDER_KEY": "sk-1"}).returncode == 0


def test_variables_beat_the_file_and_flags_beat_variables(make_gateway, upstream, tmp_path):
    config = write_config(tmp_path / "c.toml", f'[policy]\nttl = "10s"\n[upstreams.a]\nbase_url = "{upstream.url}"\n')

    def ttl(name, *flags, **env):
        gateway = make_gateway("--config", config, *flags, name=name, env=env)
        gateway.chat()
        return int(gateway.chat().headers["cache-status"].split("ttl=")[1].split(";")[0])

    assert 0 < ttl("file") <= 10
    assert 10 < ttl("variable", PAYONCE_POLICY_TTL="100s") <= 100
    assert 100 < ttl("flag", "--ttl", "1000s", PAYONCE_POLICY_TTL="100s") <= 1000


def test_an_address_in_use_is_told(gateway, tmp_path, upstream):
    ended = run_cli("serve", "--upstream", upstream.url, "--listen", gateway.address, "--data", tmp_path / "other",
                    home=tmp_path)
    assert ended.returncode == 1 and str(gateway.port) in ended.stderr
    assert gateway.chat().status_code == 200


def test_a_made_key_works(make_gateway, upstream, tmp_path):
    made = json.loads(run_cli("key", "alice", "--json", home=tmp_path).stdout)
    assert hashlib.sha256(made["key"].encode()).hexdigest() == made["sha256"]
    config = write_config(tmp_path / "c.toml", f'[upstreams.a]\nbase_url = "{upstream.url}"\n'
                          f'[keys.alice]\nsha256 = "{made["sha256"]}"\n')
    gateway = make_gateway("--config", config)
    assert gateway.chat().status_code == 401
    assert gateway.chat(Authorization=f"Bearer {made['key']}").status_code == 200
    assert gateway.post("/v1/chat/completions", chat_body(), x_api_key=made["key"]).status_code == 200


# ---- a running instance --------------------------------------------------------------------------

def cache(gateway, *arguments, status=0, **options):
    """`payonce cache …` as the same user; parsed JSON."""
    ended = run_cli("cache", *arguments, "--json", "--url", gateway.root, home=gateway.folder, **options)
    assert ended.returncode == status, ended
    return json.loads(ended.stdout) if status == 0 else ended


def entries(gateway, *filters):
    return cache(gateway, "ls", *filters)["entries"]


@pytest.fixture
def filled(gateway, upstream):
    """Four entries: two callers, two models, two versions."""
    for name, model, version in (("a", "m1", "kb=1"), ("a", "m2", "kb=1, tools=v3"), ("b", "m1", "kb=2"),
                                 ("b", "m2", "tools=v3")):
        gateway.chat(chat_body(model=model), Authorization=f"Bearer sk-{name}", X_Payonce_Version=version)
    return gateway


def test_entries_are_listed_and_shown(filled):
    rows = entries(filled)
    assert len(rows) == 4
    for row in rows:
        kind, version, scope, digest = row["key"].split(":")
        assert (kind, version, row["scope"], len(digest)) == ("resp", "v1", scope, 64)
        assert row["bytes"] > 0 and 0 <= row["age_s"] < 60 and row["ttl_s"] > 0
    shown = cache(filled, "get", rows[0]["key"])
    assert json.loads(shown["body"])["object"] == "chat.completion"
    assert shown["model"] == rows[0]["model"]
    plain = run_cli("cache", "get", rows[0]["key"], "--url", filled.root, home=filled.folder)
    assert plain.stdout.strip() == shown["body"]
    assert "KEY" in run_cli("cache", "ls", "--url", filled.root, home=filled.folder).stdout


def test_the_list_is_filtered(filled):
    one = entries(filled)[0]
    assert len(entries(filled, "--model", "m1")) == 2
    assert len(entries(filled, "--scope", one["scope"])) == 2
    assert len(entries(filled, "--version", "tools=v3")) == 2
    assert len(entries(filled, "--key", one["key"])) == 1
    assert len(entries(filled, "--key", "resp:v1:*")) == 4
    assert len(entries(filled, "--limit", "3")) == 3
    assert entries(filled, "--older-than", "1h") == []


PURGES = [("--model", "m1", 2), ("--version", "tools=v3", 2), ("--version", "kb=1", 2), ("--key", "resp:v1:*", 4),
          ("--older-than", "1h", 0), ("--older-than", "0s", 4), ("--model", "none", 0)]


@pytest.mark.parametrize("flag, text, removed", PURGES, ids=[f"{p[0]}={p[1]}" for p in PURGES])
def test_what_matches_is_purged_and_nothing_else(filled, flag, text, removed):
    assert cache(filled, "purge", flag, text)["removed"] == removed
    assert len(entries(filled)) == 4 - removed == filled.entries()


def test_one_entry_one_scope_or_all_are_purged(filled, upstream):
    rows = entries(filled)
    assert cache(filled, "purge", "--key", rows[0]["key"])["removed"] == 1
    assert cache(filled, "get", rows[0]["key"], status=1).stderr
    left = entries(filled)
    assert cache(filled, "purge", "--scope", left[0]["scope"])["removed"] >= 1
    assert cache(filled, "purge", "--all")["removed"] == len(entries(filled)) or filled.entries() == 0
    before = upstream.count
    assert not is_hit(filled.chat(chat_body(model="m1"), Authorization="Bearer sk-a", X_Payonce_Version="kb=1"))
    assert upstream.count == before + 1


def test_filters_are_joined_by_and(filled):
    assert cache(filled, "purge", "--model", "m1", "--version", "tools=v3")["removed"] == 0
    assert cache(filled, "purge", "--model", "m2", "--version", "kb=1")["removed"] == 1


def test_what_was_purged_stays_away_after_a_restart(filled):
    eventually(lambda: filled.stats()["layers"]["exact"]["disk_entries"] == 4, what="all are on disk")
    assert cache(filled, "purge", "--model", "m1")["removed"] == 2
    filled.kill()
    filled.start(scanned=True)
    assert len(entries(filled)) == 2
    for name, version in (("a", "kb=1"), ("b", "kb=2")):
        assert not is_hit(filled.chat(chat_body(model="m1"), Authorization=f"Bearer sk-{name}",
                                      X_Payonce_Version=version))


def test_entries_of_a_run_before_are_listed_too(filled):
    assert filled.stop() == 0
    filled.start(scanned=True)
    assert len(entries(filled)) == 4
    assert cache(filled, "purge", "--model", "m2")["removed"] == 2


def test_stats_are_those_of_the_endpoint(filled):
    assert cache(filled, "stats")["layers"]["exact"]["misses"] == 4
    plain = run_cli("cache", "stats", "--url", filled.root, home=filled.folder)
    assert plain.returncode == 0 and "4 misses" in plain.stdout


def test_without_the_token_nothing_of_others_is_seen(filled, tmp_path):
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    ended = run_cli("cache", "ls", "--json", "--url", filled.root, home=stranger)
    assert ended.returncode == 1 or json.loads(ended.stdout)["entries"] == []
    wrong = run_cli("cache", "purge", "--all", "--json", "--url", filled.root, "--token", "guess", home=stranger)
    assert wrong.returncode == 1 or json.loads(wrong.stdout)["removed"] == 0
    assert len(entries(filled)) == 4


def test_the_token_may_be_set(make_gateway, upstream, tmp_path):
    gateway = make_gateway("--upstream", upstream.url, env={"PAYONCE_ADMIN_TOKEN": "admin-1"})
    gateway.chat(Authorization="Bearer sk-a")
    ended = run_cli("cache", "ls", "--json", "--url", gateway.root, "--token", "admin-1", home=tmp_path)
    assert len(json.loads(ended.stdout)["entries"]) == 1


def test_secrets_on_disk_are_readable_by_their_owner_alone(gateway):
    secrets = [file for file in gateway.folder.rglob("*") if file.name == "salt" or "token" in file.name]
    assert len(secrets) >= 2, [str(file) for file in gateway.folder.rglob("*")]
    for file in secrets:
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, f"{file}: {oct(file.stat().st_mode)}"


def test_no_instance_is_an_error_with_a_hint(tmp_path):
    ended = run_cli("cache", "stats", "--url", f"http://127.0.0.1:{free_port()}", home=tmp_path)
    assert ended.returncode == 1 and "payonce serve" in ended.stderr


def test_another_server_is_not_taken_for_an_instance(tmp_path, upstream):
    upstream.fail(status=404, body=b"<html>not here</html>")
    ended = run_cli("cache", "stats", "--url", upstream.root, home=tmp_path)
    assert ended.returncode == 1 and "says 404: not an answer of Payonce's" in ended.stderr
