"""Qdrant's HTTP API for tests, in front of the official client's own local mode (qdrant-client, in memory, exact
search). It is NOT the real server, which no package registry carries as a program: paths, bodies and answers follow
Qdrant's API reference, and what is found comes from Qdrant's code, but not from its server's."""

import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from qdrant_client import QdrantClient
from qdrant_client.http import models


class QdrantServer:
    """`seen` lists (method, path) of every request that arrived; `searches` counts those that searched."""

    def __init__(self):
        self.local = QdrantClient(":memory:")
        self.lock = threading.Lock()
        self.seen = []
        self.closed = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def searches(self):
        return sum(1 for _, path in self.seen if path.endswith("/query"))

    def close(self):
        self.closed = True  # for connections that are kept alive
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method, path, body):
        """The "result" of one request; None: no such thing."""
        with self.lock:
            self.seen.append((method, path))
            parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
            if parts == [""]:
                return {"title": "qdrant - vector search engine", "version": "1.20.0"}
            if parts[0] != "collections":
                return None
            if len(parts) == 1:
                return self.local.get_collections().model_dump(mode="json")
            return self._collection(method, parts[1], "/".join(parts[2:]), body)

    def _collection(self, method, name, operation, body):
        local = self.local
        if operation == "" and method == "PUT":
            return local.create_collection(name, vectors_config=models.VectorParams(**body["vectors"]))
        if operation == "" and method == "DELETE":
            return local.delete_collection(name)
        if operation == "" and method == "GET":
            return local.get_collection(name).model_dump(mode="json")
        if operation == "exists":
            return {"exists": local.collection_exists(name)}
        if operation == "points" and method == "PUT":
            local.upsert(name, [models.PointStruct(**point) for point in body["points"]])
            return {"operation_id": len(self.seen), "status": "completed"}
        if operation == "points/delete":
            local.delete(name, models.PointIdsList(points=body["points"]))
            return {"operation_id": len(self.seen), "status": "completed"}
        if operation == "points/count":
            return {"count": local.count(name).count}
        if operation == "points/query":
            query = body["query"]
            found = local.query_points(name, query=query["nearest"] if isinstance(query, dict) else query,
                                       limit=body.get("limit", 10),
                                       query_filter=models.Filter(**body["filter"]) if body.get("filter") else None,
                                       with_payload=body.get("with_payload", False),
                                       with_vectors=body.get("with_vector", False))
            return found.model_dump(mode="json", exclude_none=True)
        return None

    def _handler(server):  # noqa: N805 - the handler's own self is another
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def _serve(self):
                if server.closed:
                    self.close_connection = True
                    return
                size = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(size)) if size else {}
                started = time.monotonic()
                path = self.path.split("?")[0]
                try:
                    result = server.answer(self.command, path, body)
                except (ValueError, KeyError) as error:
                    self._send(404, {"status": {"error": str(error)}, "time": 0})
                    return
                if path == "/":
                    self._send(200, result)
                elif result is None:
                    self._send(404, {"status": {"error": "not found"}, "time": 0})
                else:
                    self._send(200, {"result": result, "status": "ok", "time": time.monotonic() - started})

            def _send(self, status, answer):
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve
        return Handler
