"""The retrieval cache in front of Qdrant's HTTP API, by the official client, whose base URL alone changes. The server is
a stand-in (qdrant_server.py says what of it is Qdrant's)."""

import os

import pytest
from qdrant_client import QdrantClient
from qdrant_client.http import models

from harness import CacheStatus, eventually, write_config
from qdrant_server import QdrantServer

POINTS = [(1, [1.0, 0.0, 0.0, 0.0], "red"), (2, [0.9, 0.1, 0.0, 0.0], "red"), (3, [0.0, 1.0, 0.0, 0.0], "blue"),
          (4, [0.0, 0.9, 0.1, 0.0], "red"), (5, [0.0, 0.0, 0.0, 1.0], "blue")]
QUERY = [1.0, 0.05, 0.0, 0.0]
RED = models.Filter(must=[models.FieldCondition(key="colour", match=models.MatchValue(value="red"))])


@pytest.fixture
def store():
    running = QdrantServer()
    yield running
    running.close()


@pytest.fixture
def start(make_gateway, store, tmp_path):
    def started(more="", **options):
        config = write_config(tmp_path / "payonce.toml",
                              f'[retrieval.docs]\nkind = "qdrant"\nurl = "{store.url}"\nsettle = "0s"\n{more}')
        return make_gateway("--config", config,
                            env={"PAYONCE_EMBEDDER": os.environ.get("PAYONCE_EMBEDDER", "")}, **options)
    return started


@pytest.fixture
def gateway(start):
    return start()


def connect(gateway, key="key-a", **options):
    return QdrantClient(url=gateway.root, prefix="retrieval/docs", api_key=key, check_compatibility=False, timeout=20,
                        **options)


def fill(client, name="colours"):
    client.create_collection(name, vectors_config=models.VectorParams(size=4, distance=models.Distance.COSINE))
    client.upsert(name, [models.PointStruct(id=i, vector=v, payload={"colour": c}) for i, v, c in POINTS])


@pytest.fixture
def client(gateway):
    connected = connect(gateway)
    fill(connected)
    return connected


def ids(client, query=QUERY, limit=2, **options):
    return [point.id for point in client.query_points("colours", query=query, limit=limit, **options).points]


def post(gateway, body, path="/retrieval/docs/collections/colours/points/query", **headers):
    return gateway.post(path, body, **headers)


def test_the_official_client_misses_then_hits_with_an_equal_result(gateway, client, store):
    first = client.query_points("colours", query=QUERY, limit=2, with_payload=True)
    again = client.query_points("colours", query=QUERY, limit=2, with_payload=True)
    assert first == again and [point.id for point in first.points] == [1, 2]
    assert store.searches == 1
    layer = gateway.stats()["layers"]["retrieval"]
    assert (layer["hits"], layer["misses"], layer["entries"]) == (1, 1, 1)
    assert layer["rules"] == {"equal": 1, "paraphrase": 0, "seeded": 0} and layer["bytes"] > 0
    # Counted behind the answer, which went over another connection than this question.
    eventually(lambda: gateway.metric("payonce_requests_total", layer="retrieval", outcome="hit") == 1)
    assert gateway.metric("payonce_retrieval_hits_total", rule="equal") == 1


def test_the_answer_tells_what_became_of_it_and_is_byte_equal(gateway, client):
    first = post(gateway, {"query": QUERY, "limit": 2})
    again = post(gateway, {"limit": 2.0, "query": [1, 0.050, 0, 0]})
    status = CacheStatus(first)
    assert (status.hit, status.fwd, status.stored) == (False, "miss", True)
    assert str(status.parameters["detail"]) == "retrieval"
    status = CacheStatus(again)
    assert status.hit and str(status.parameters["detail"]) == "retrieval" and 590 < status.parameters["ttl"] <= 600
    assert again.headers["x-payonce-retrieval"] == "equal" and int(again.headers["age"]) >= 0
    assert first.content == again.content


def test_another_scope_filter_limit_or_version_misses(gateway, client, store):
    assert ids(client) == [1, 2]
    other = connect(gateway, "key-b")
    assert ids(other) == [1, 2] and store.searches == 2
    assert ids(client, query_filter=RED) == [1, 2] and store.searches == 3
    assert ids(client, limit=3) == [1, 2, 3] and store.searches == 4
    body = {"query": QUERY, "limit": 2}
    for headers in ({"X_Payonce_Version": "kb=1"}, {"X_Payonce_Version": "kb=2"}, {"X_Payonce_Scope": "user:u"},
                    {"X_Tenant": "t"}):
        before = store.searches
        assert not CacheStatus(post(gateway, body, **headers)).hit, headers
        assert CacheStatus(post(gateway, body, **headers)).hit, headers
        assert store.searches == before + 1


@pytest.mark.parametrize("write", [
    lambda client: client.upsert("colours", [models.PointStruct(id=9, vector=QUERY, payload={})]),
    lambda client: client.delete("colours", models.PointIdsList(points=[1])),
    lambda client: client.delete_collection("colours"),
])
def test_a_write_by_anyone_makes_lists_void(gateway, client, store, write):
    assert ids(client) == ids(client) == [1, 2]
    write(connect(gateway, "key-b"))
    if not store.local.collection_exists("colours"):
        fill(client)
        assert ids(client) == [1, 2]
    else:
        assert ids(client) != [1, 2]
    assert store.searches == 2
    assert gateway.stats()["layers"]["retrieval"]["writes"] >= 3


def test_reads_of_other_kinds_and_errors_pass_and_are_not_kept(gateway, client, store):
    assert client.count("colours").count == client.count("colours").count == len(POINTS)
    assert sum(path.endswith("/count") for _, path in store.seen) == 2
    missing = [post(gateway, {"query": QUERY}, "/retrieval/docs/collections/none/points/query") for _ in range(2)]
    assert [answer.status_code for answer in missing] == [404, 404]
    assert store.searches == 2 and not CacheStatus(missing[1]).stored


def test_callers_choose_as_with_answers(gateway, client, store):
    body = {"query": QUERY, "limit": 2}
    assert post(gateway, body, Cache_Control="only-if-cached").status_code == 504
    assert not CacheStatus(post(gateway, body, Cache_Control="no-store")).stored
    assert not CacheStatus(post(gateway, body)).hit
    assert CacheStatus(post(gateway, body, Cache_Control="no-cache")).fwd == "request"
    assert CacheStatus(post(gateway, body, X_Payonce_Layers="none")).fwd == "bypass"
    assert CacheStatus(post(gateway, body, Cache_Control="only-if-cached")).hit


def test_a_write_past_the_gateway_is_told_by_the_endpoint(gateway, client, store):
    assert ids(client) == [1, 2]
    store.local.delete("colours", models.PointIdsList(points=[1]))
    assert ids(client) == [1, 2]  # nobody told
    assert gateway.post("/payonce/v1/retrieval/invalidate", {"store": "nothing"}).status_code == 404
    assert gateway.post("/payonce/v1/retrieval/invalidate", {}).status_code == 400
    assert gateway.post("/payonce/v1/retrieval/invalidate", {"store": "docs"}).status_code == 200
    assert ids(client) == [2, 3]


def test_a_store_that_is_away_is_an_error_and_hits_go_on(gateway, client, store):
    assert ids(client) == [1, 2]
    store.close()
    assert ids(client) == [1, 2]
    assert post(gateway, {"query": QUERY, "limit": 5}).status_code == 502


def test_only_configured_keys_are_let_in(start, store):
    digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"  # of "secret"
    gateway = start(f'[keys.app]\nsha256 = "{digest}"\n')
    assert post(gateway, {"query": QUERY}).status_code == 401 and not store.seen
    fill(connect(gateway, "secret"))


CAPITAL = "What is the capital of France?"


def test_a_verified_paraphrase_gets_the_list_a_trap_does_not(gateway, client, store):
    assert os.path.exists(os.environ.get("PAYONCE_EMBEDDER", "")), "PAYONCE_EMBEDDER names no file: run ./dev test"

    def ask(text, query, **headers):
        return post(gateway, {"query": query, "limit": 2}, X_Payonce_Query=text, **headers)
    first = ask(CAPITAL, QUERY)
    again = ask("what's the capital of France", [1.0, 0.06, 0.0, 0.0])
    assert CacheStatus(again).hit and again.headers["x-payonce-retrieval"] == "paraphrase"
    assert again.content == first.content and float(CacheStatus(again).parameters["similarity"]) > 0.8
    for text in ("What is the capital of Germany?", "What is the population of France?"):
        assert not CacheStatus(ask(text, [1.0, 0.06, 0.0, 0.0], Cache_Control="no-store")).hit, text
    assert not CacheStatus(ask(CAPITAL, [0.0, 1.0, 0.0, 0.0], Cache_Control="no-store")).hit  # another vector
    assert not CacheStatus(ask("what's the capital of France", [1, 0.07, 0, 0], Authorization="Bearer b")).hit


def test_seeding_waits_for_its_proof_and_keeps_the_bound(start, store):
    gateway = start("[retrieval]\nseed = true\nshadow = 0\n")
    client = connect(gateway)
    fill(client)
    seeded = 0
    for i in range(190):
        query = [1.0, 0.03 + 0.0001 * i, 0.0, 0.0]
        found = client.query_points("colours", query=query, limit=2, with_vectors=True)
        assert [point.id for point in found.points] == [1, 2]
        seeded = gateway.stats()["layers"]["retrieval"]["rules"]["seeded"]
        assert i > 170 or not seeded
    assert seeded > 0 and store.searches < 190
    exact = store.local.query_points("colours", query=query, limit=2).points
    assert found.points[0].score == pytest.approx(exact[0].score, abs=1e-5)
    recall = gateway.stats()["layers"]["retrieval"]["recall"]
    assert recall["low"] >= recall["bound"] == 0.95 and recall["searches"] >= 170
