"""The retrieval cache in front of a store that is configured by patterns: a scripted one, which counts its requests and
fails on demand."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness import CacheStatus, write_config

CONFIG = """[retrieval.search]
kind = "http"
url = "{url}"
read = ["POST /*/_search", "POST /v1/graphql"]
query_path = "knn.vector"
settle = "0s"
"""


class Store:
    """Answers with the number of the request, or as `script(handler, number)` says."""

    def __init__(self):
        self.count, self.script, self.headers = 0, None, {}
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def _serve(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                store.count += 1
                store.headers = dict(self.headers)
                if store.script:
                    return store.script(self, store.count)
                return self.reply(json.dumps({"hits": [store.count], "errors": []}).encode())

            def reply(self, data, content_type="application/json", length=None):
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(length or len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = _serve
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def store():
    running = Store()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def gateway(make_gateway, store, tmp_path):
    return make_gateway("--config", write_config(tmp_path / "payonce.toml", CONFIG.format(url=store.url)))


def search(gateway, vector=(1, 2), path="/retrieval/search/docs/_search", **headers):
    return gateway.post(path, {"knn": {"vector": list(vector), "k": 3}}, **headers)


def test_patterns_say_what_is_a_query_and_what_a_write(gateway, store):
    first, again = search(gateway), search(gateway, (1.0, 2.0))
    assert first.content == again.content and CacheStatus(again).hit and store.count == 1
    assert not CacheStatus(search(gateway, path="/retrieval/search/other/_search")).hit
    assert not CacheStatus(search(gateway, path="/retrieval/search/docs/_search?size=2")).hit
    assert CacheStatus(search(gateway)).hit
    gateway.client.get("/retrieval/search/docs")
    assert CacheStatus(search(gateway)).hit
    gateway.post("/retrieval/search/docs/_doc", {"text": "new"})
    assert not CacheStatus(search(gateway)).hit
    gateway.client.delete("/retrieval/search/docs")
    assert not CacheStatus(search(gateway)).hit


def test_a_program_is_compared_as_a_whole(gateway):
    def ask(text):
        return CacheStatus(gateway.post("/retrieval/search/v1/graphql", {"query": text})).hit
    programs = ["{ Get { A { b } } }", "{ Get { A { b } } }", "{ Get { A { c } } }"]
    assert [ask(program) for program in programs] == [False, True, False]


@pytest.mark.parametrize("answer", [b'{"errors":[{"message":"x"}]}', b'{"timed_out":true}', b"[1]", b"no JSON"])
def test_what_is_no_whole_list_is_passed_on_and_not_kept(gateway, store, answer):
    store.script = lambda handler, _: handler.reply(answer)
    assert [search(gateway).content for _ in range(2)] == [answer, answer] and store.count == 2


def test_a_cut_answer_is_an_error_and_not_kept(gateway, store):
    def cut(handler, _):
        handler.reply(b'{"hits":[', length=1000)
        handler.close_connection = True
    store.script = cut
    assert search(gateway).status_code == 502
    store.script = None
    assert not CacheStatus(search(gateway)).hit and CacheStatus(search(gateway)).hit


def test_large_answers_and_other_types_pass_whole(gateway, store):
    large = b'{"hits":["' + b"x" * (9 << 20) + b'"]}'
    store.script = lambda handler, _: handler.reply(large)
    assert [search(gateway).content == large for _ in range(2)] == [True, True] and store.count == 2
    store.script = lambda handler, _: handler.reply(b"\x00\x01", "application/octet-stream")
    assert gateway.client.get("/retrieval/search/snapshot").content == b"\x00\x01"


def test_the_store_gets_the_callers_fields_and_none_of_ours(gateway, store):
    search(gateway, X_Payonce_Query="red shoes", X_Payonce_Version="kb=1", Authorization="Bearer a", X_Tenant="t")
    names = {name.lower() for name in store.headers}
    assert not [name for name in names if name.startswith("x-payonce-")]
    assert (store.headers["Authorization"], store.headers["X-Tenant"]) == ("Bearer a", "t")


def test_other_paths_are_the_gateways_own(gateway, store):
    assert gateway.client.get("/retrieval/searching").status_code in (404, 502)
    assert store.count == 0 and gateway.client.get("/healthz").status_code == 200
