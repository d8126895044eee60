"""Three libraries are loaded by who needs them (base/shared_library.h). Where one cannot be loaded, everything else
works, and who needed it is told which one it was."""

import ctypes.util

import pytest

from agent_api import Http, plan
from harness import eventually, write_config

QUERY = {"collection": "docs", "vector": [1, 0, 0], "limit": 2}


@pytest.fixture
def without(make_gateway, tmp_path):
    """without(name, flags …): a gateway whose loader finds an empty file as that library; and the library."""
    def made(name, *flags, **options):
        library = ctypes.util.find_library(name)
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / library).touch()
        return make_gateway(*flags, env={"LD_LIBRARY_PATH": str(tmp_path / "broken")}, **options), library
    return made


def answers(gateway):
    return [gateway.chat().headers["cache-status"].split(";")[1].strip().split("=")[0] for _ in range(2)]


def test_without_libpq_a_search_is_a_bad_gateway(without, upstream, tmp_path):
    config = write_config(tmp_path / "payonce.toml", f'[upstreams.one]\nurl = "{upstream.url}"\n'
                          '[retrieval.docs]\nkind = "postgres"\nurl = "postgresql://127.0.0.1/docs"\n')
    gateway, library = without("pq", "--config", config, "--layers", "exact")
    for _ in range(2):
        answer = gateway.post("/retrieval/docs/query", QUERY)
        assert answer.status_code == 502 and library in answer.json()["error"]["message"], answer.text
    assert answers(gateway) == ["fwd", "hit"]


def test_without_libzmq_an_upstream_is_asked_and_its_cache_guessed(without, upstream, tmp_path):
    config = write_config(tmp_path / "payonce.toml", '[routing]\npolicy = "balance"\n'
                          f'[upstreams.one]\nurl = "{upstream.url}"\nkv_events = "tcp://127.0.0.1:5557"\n')
    gateway, library = without("zmq", "--config", config, "--layers", "exact")
    eventually(lambda: library in gateway.log(), what="the library is told")
    assert answers(gateway) == ["fwd", "hit"]
    assert gateway.stats()["routing"]["kv_events"]["one"]["connected"] is False
    assert gateway.stop() == 0


def test_without_libgit2_what_depends_on_a_repository_is_not_given(without, upstream, tmp_path):
    gateway, library = without("git2", "--upstream", upstream.url, "--layers", "exact")
    call = Http(gateway.root)
    tree = {"deps": [{"type": "git", "path": str(tmp_path)}]}
    for _ in range(2):
        missed = call("lookup", **plan(**tree))
        assert missed["status"] == "miss", missed
        told = call("commit", ticket=missed["ticket"], value="v", outcome="success")
        assert (told["status"], told["reason"]) == ("dropped", "dependency"), told
    assert library in gateway.log() and gateway.log().count("git repository is not kept") == 1
    ticket = call("lookup", **plan("other"))["ticket"]
    assert call("commit", ticket=ticket, value="v", outcome="success")["status"] == "stored"
    assert call("lookup", **plan("other"))["status"] == "hit"
    call.close()
