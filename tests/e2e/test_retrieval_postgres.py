"""Tables of a real PostgreSQL 16 with pgvector, searched through the gateway and cached."""

import os
import pathlib
import subprocess
import tempfile

import pgserver
import pytest

from harness import CacheStatus, write_config

PATH = "/retrieval/docs/query"
ROWS = [("red", "en", [1, 0, 0]), ("crimson", "de", [0.9, 0.1, 0]), ("blue", "en", [0, 1, 0])]
QUERY = [1, 0.05, 0]


def started(folder):
    try:
        return pgserver.get_server(folder, cleanup_mode="delete")
    except subprocess.TimeoutExpired:  # 10 s, while a build keeps the disk busy; it comes up all the same
        pgserver.PostgresServer._instances.pop(folder)
        return pgserver.get_server(folder, cleanup_mode="delete")


@pytest.fixture(scope="module")
def database():
    # Its folder becomes part of a socket's path, which must be short. Not below pytest's: PostgreSQL runs as another
    # user, whom each pytest that starts meanwhile shuts out of there.
    with tempfile.TemporaryDirectory(prefix="payonce-pg-") as folder:
        server = started(pathlib.Path(folder))
        server.psql("CREATE EXTENSION IF NOT EXISTS vector")
        yield server
        server.cleanup()


@pytest.fixture
def table(database):
    database.psql("DROP TABLE IF EXISTS docs")
    database.psql("CREATE TABLE docs (id serial PRIMARY KEY, body text, lang text, embedding vector(3))")
    for body, lang, vector in ROWS:
        database.psql(f"INSERT INTO docs (body, lang, embedding) VALUES ('{body}', '{lang}', '{vector}')")


@pytest.fixture
def start(make_gateway, database, table, tmp_path):
    def started(more=""):
        config = write_config(tmp_path / "payonce.toml",
                              f'[retrieval.docs]\nkind = "postgres"\nurl = "{database.get_uri()}"\n{more}')
        return make_gateway("--config", config, env={"PAYONCE_EMBEDDER": os.environ.get("PAYONCE_EMBEDDER", "")})
    return started


@pytest.fixture
def gateway(start):
    return start()


def search(gateway, body=None, status=200, **headers):
    """(rows, hit)"""
    answer = gateway.post(PATH, {"collection": "docs", "vector": QUERY, "limit": 2} | (body or {}), **headers)
    assert answer.status_code == status, answer.text
    return answer.json().get("rows"), CacheStatus(answer).hit


def bodies(rows):
    return [row["body"] for row in rows]


def test_misses_then_hits_with_equal_rows(gateway):
    rows, hit = search(gateway)
    assert (bodies(rows), hit) == (["red", "crimson"], False)
    assert set(rows[0]) == {"id", "body", "lang", "distance"} and 0 < rows[0]["distance"] < 0.01
    assert search(gateway, {"vector": [1.0, 0.050, 0e0]}) == (rows, True)


def test_another_scope_filter_table_or_version_misses(gateway, database):
    search(gateway)
    database.psql("CREATE TABLE IF NOT EXISTS other AS SELECT * FROM docs WHERE lang = 'en'")
    for body, headers, expected in [({}, {"Authorization": "Bearer b"}, ["red", "crimson"]),
                                    ({}, {"X_Payonce_Version": "kb=2"}, ["red", "crimson"]),
                                    ({"filter": {"lang": "en"}}, {}, ["red", "blue"]),
                                    ({"filter": {"lang": "en", "id": 3}}, {}, ["blue"]),
                                    ({"limit": 3}, {}, ["red", "crimson", "blue"]),
                                    ({"collection": "public.other"}, {}, ["red", "blue"])]:
        assert [(bodies(rows), hit) for rows, hit in (search(gateway, body, **headers) for _ in range(2))] == [
            (expected, False), (expected, True)], (body, headers)
    database.psql("DROP TABLE other")


def test_a_write_past_the_gateway_counts_when_it_is_told_or_the_time_is_over(gateway, database):
    search(gateway)
    database.psql("DELETE FROM docs WHERE body = 'red'")
    assert search(gateway)[1]
    answer = gateway.post("/payonce/v1/retrieval/invalidate", {"store": "docs", "collection": "docs"})
    assert answer.status_code == 200
    rows, hit = search(gateway)
    assert (bodies(rows), hit) == (["crimson", "blue"], False)


def test_faults_of_the_caller_are_told_and_not_kept(gateway, database):
    for body, words in [({"collection": "nothing"}, "does not exist"), ({"filter": {"nothing": 1}}, "does not exist"),
                        ({"vector": [1, 2]}, "dimensions"), ({"limit": -1}, "limit"), ({"where": "1=1"}, "where")]:
        for _ in range(2):
            answer = gateway.post(PATH, {"collection": "docs", "vector": QUERY} | body)
            assert answer.status_code == 400 and words in answer.json()["error"]["message"], (body, answer.text)
    quoted = {"collection": 'docs"; DROP TABLE docs; --', "vector": QUERY, "filter": {'lang" = lang --': "'"}}
    assert gateway.post(PATH, quoted).status_code == 400
    assert bodies(search(gateway)[0]) == ["red", "crimson"]
    assert gateway.client.get(PATH).status_code == 404
    assert gateway.stats()["layers"]["retrieval"]["entries"] == 1


def test_a_lost_connection_is_made_again(gateway, database):
    search(gateway)
    database.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'payonce'")
    assert bodies(search(gateway, {"limit": 1})[0]) == ["red"]


def test_distances_are_the_configured_ones(start):
    gateway = start('distance = "l2"\n')
    rows, _ = search(gateway, {"vector": [1, 0, 0], "with_vector": True, "limit": 3})
    assert [round(row["distance"], 5) for row in rows] == [0, 0.14142, 1.41421]
    assert rows[2]["embedding"] == "[0,1,0]"


def test_a_text_is_embedded_and_a_verified_paraphrase_hits(gateway, database):
    embedder = pathlib.Path(os.environ.get("PAYONCE_EMBEDDER", "-"))
    assert embedder.exists(), "PAYONCE_EMBEDDER names no file: run ./dev test"
    texts = ["Paris is the capital of France.", "Berlin is the capital of Germany.", "Bread is made of flour."]
    database.psql("DROP TABLE IF EXISTS facts")
    database.psql("CREATE TABLE facts (id int, body text, embedding vector(384))")
    for i, body in enumerate(texts):
        vector = [0.0] * 384
        vector[i] = 1.0
        database.psql(f"INSERT INTO facts VALUES ({i}, '{body}', '{vector}')")

    def ask(text, **headers):
        answer = gateway.post(PATH, {"collection": "facts", "text": text, "limit": 3}, **headers)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["rows"]) == 3
        return answer
    first = ask("What is the capital of France?")
    again = ask("what's the capital of France")
    assert CacheStatus(again).hit and again.headers["x-payonce-retrieval"] == "paraphrase"
    assert again.content == first.content
    assert not CacheStatus(ask("What is the capital of Germany?")).hit
    assert not CacheStatus(ask("what's the capital of France", Authorization="Bearer b")).hit
