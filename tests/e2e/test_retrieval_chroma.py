"""The retrieval cache in front of a real Chroma server, by its official client, whose base URL alone changes."""

import pathlib
import subprocess
import sys

import chromadb
import httpx
import numpy
import pytest

from harness import CacheStatus, eventually, write_config
from ports import free_port

TEXTS = ["red", "crimson", "blue", "green"]
VECTORS = [[1.0, 0.0, 0.0], [0.9, 0.1, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
QUERY = [1.0, 0.05, 0.0]


@pytest.fixture(scope="module")
def chroma(tmp_path_factory):
    """The base URL of a Chroma server of our own."""
    folder, port = tmp_path_factory.mktemp("chroma"), free_port()
    program = pathlib.Path(sys.executable).parent / "chroma"
    with open(folder / "log.txt", "wb") as log:
        server = subprocess.Popen([program, "run", "--host", "127.0.0.1", "--port", str(port), "--path",
                                   folder / "data"], stdout=log, stderr=log, cwd=folder)

    def is_up():
        assert server.poll() is None, (folder / "log.txt").read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/api/v2/heartbeat", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False
    try:
        eventually(is_up, what="Chroma's heartbeat")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def start(make_gateway, chroma, tmp_path):
    def started(more=""):
        config = write_config(tmp_path / "payonce.toml",
                              f'[retrieval.docs]\nkind = "chroma"\nurl = "{chroma}"\n{more}')
        return make_gateway("--config", config)
    return started


@pytest.fixture
def gateway(start):
    return start()


def connect(gateway, token="key-a"):
    settings = chromadb.config.Settings(anonymized_telemetry=False)
    return chromadb.HttpClient(host=gateway.root + "/retrieval/docs", headers={"X-Chroma-Token": token},
                               settings=settings)


@pytest.fixture
def colours(gateway):
    client = connect(gateway)
    if "colours" in [known.name for known in client.list_collections()]:
        client.delete_collection("colours")
    made = client.create_collection("colours", embedding_function=None)
    made.add(ids=["1", "2", "3", "4"], embeddings=VECTORS, documents=TEXTS, metadatas=[{"n": i} for i in range(4)])
    return made


def layer(gateway):
    return gateway.stats()["layers"]["retrieval"]


def ask(collection, query=QUERY, n_results=2, **options):
    return collection.query(query_embeddings=[query], n_results=n_results, **options)


def test_the_official_client_misses_then_hits_with_an_equal_result(gateway, colours):
    first, again = ask(colours), ask(colours)
    assert first == again and first["ids"] == [["1", "2"]] and first["documents"] == [["red", "crimson"]]
    assert (layer(gateway)["hits"], layer(gateway)["misses"]) == (1, 1)
    both = [colours.query(query_embeddings=VECTORS[:2], n_results=1) for _ in range(2)]
    assert both[0] == both[1] and both[0]["ids"] == [["1"], ["2"]]
    assert (layer(gateway)["hits"], layer(gateway)["misses"]) == (2, 2)


def test_another_token_filter_or_size_misses(gateway, colours):
    ask(colours)
    theirs = connect(gateway, "key-b").get_collection("colours", embedding_function=None)
    assert ask(theirs)["ids"] == [["1", "2"]]
    assert ask(colours, where={"n": {"$gte": 1}})["ids"] == [["2", "3"]]
    assert ask(colours, n_results=3)["ids"] == [["1", "2", "3"]]
    assert "embeddings" in ask(colours, include=["embeddings", "distances"])
    assert (layer(gateway)["hits"], layer(gateway)["misses"]) == (0, 5)
    body = {"query_embeddings": [QUERY], "n_results": 2}
    path = f"/retrieval/docs/api/v2/tenants/default_tenant/databases/default_database/collections/{colours.id}/query"
    for headers in ({"X_Payonce_Version": "kb=1"}, {"X_Payonce_Version": "kb=2"}, {"Authorization": "Bearer b"}):
        assert not CacheStatus(gateway.post(path, body, **headers)).hit, headers
        assert CacheStatus(gateway.post(path, body, **headers)).hit, headers


@pytest.mark.parametrize("write", [
    lambda collection: collection.add(ids=["9"], embeddings=[QUERY], documents=["pink"]),
    lambda collection: collection.upsert(ids=["1"], embeddings=[[0, 0, 1]], documents=["red"]),
    lambda collection: collection.update(ids=["1"], embeddings=[[0, 0, 1]]),
    lambda collection: collection.delete(ids=["1"]),
])
def test_a_write_by_anyone_is_seen_at_once(gateway, colours, write):
    assert ask(colours)["ids"] == ask(colours)["ids"] == [["1", "2"]]
    write(connect(gateway, "key-b").get_collection("colours", embedding_function=None))
    assert ask(colours)["ids"] != [["1", "2"]]
    assert layer(gateway)["hits"] == 1 and layer(gateway)["reasons"]["epoch"] == 1


def test_a_write_to_another_collection_leaves_lists_alone(gateway, colours):
    ask(colours)
    client = connect(gateway)
    other = client.get_or_create_collection("other", embedding_function=None)
    other.upsert(ids=["1"], embeddings=[[1, 0]], documents=["x"])
    ask(colours)
    assert layer(gateway)["hits"] == 1
    client.delete_collection("other")  # by its name: it may be any
    ask(colours)
    assert layer(gateway)["hits"] == 1


def test_errors_of_the_store_reach_the_client_and_are_not_kept(gateway, colours):
    for _ in range(2):
        with pytest.raises(Exception, match="dimension"):
            ask(colours, query=[1.0, 0.0])
    assert layer(gateway)["entries"] == 0


def test_seeded_lists_are_scored_as_chroma_scores(start, colours):
    gateway = start("[retrieval]\nseed = true\nshadow = 0\n")
    again = connect(gateway).get_collection("colours", embedding_function=None)
    for i in range(180):
        query = [1.0, 0.05 + 0.0001 * i, 0.0]
        found = ask(again, query=query, include=["embeddings", "distances", "documents"])
    stats = layer(gateway)
    assert stats["rules"]["seeded"] > 0 and stats["recall"]["low"] >= 0.95, stats
    distances = [sum((a - b) ** 2 for a, b in zip(query, vector)) for vector in VECTORS[:2]]
    assert found["ids"] == [["1", "2"]] or found["ids"] == [["2", "1"]]
    assert numpy.allclose(sorted(found["distances"][0]), sorted(distances), atol=1e-5)
    assert sorted(found["documents"][0]) == ["crimson", "red"] and len(found["embeddings"][0][0]) == 3
