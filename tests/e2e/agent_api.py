"""A client of the agent API as docs/agents/api.md describes it, over HTTP and over the Unix socket."""

import json
import pathlib
import socket
import struct

import httpx


class Http:
    def __init__(self, root, credential="sk-ann", headers=None):
        bearer = {"Authorization": f"Bearer {credential}"} if credential else {}
        self._client = httpx.Client(base_url=root, timeout=70, trust_env=False, headers=bearer | (headers or {}))

    def raw(self, verb, body):
        return self._client.post(f"/payonce/v1/{verb}", json=body)

    def __call__(self, verb, **body):
        answer = self.raw(verb, body)
        assert answer.status_code == 200, f"{verb} {body}: {answer.status_code} {answer.text}"
        return answer.json()

    def close(self):
        self._client.close()


class Socket:
    """The same calls over the socket; one connection."""

    def __init__(self, path, credential="sk-ann"):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(70)
        self._socket.connect(str(path))
        if credential:
            assert self.frame("K", {"credential": credential})[0] == "K"

    def _exactly(self, size):
        out = b""
        while len(out) < size:
            chunk = self._socket.recv(size - len(out))
            if not chunk:
                raise ConnectionError("the server closed")
            out += chunk
        return out

    def send(self, verb, body):
        raw = json.dumps(body).encode()
        self._socket.sendall(verb.encode() + struct.pack(">I", len(raw)) + raw)

    def frame(self, verb, body):
        self.send(verb, body)
        head = self._exactly(5)
        return chr(head[0]), json.loads(self._exactly(struct.unpack(">I", head[1:])[0]))

    def __call__(self, verb, **body):
        byte, answer = self.frame(verb[0].upper(), body)
        assert byte != "X", f"{verb} {body}: {answer}"
        return answer

    def close(self):
        self._socket.close()


def socket_path(gateway):
    return pathlib.Path(gateway.folder) / "payonce" / f"{gateway.port}.sock"


def put(call, value, outcome="success", commit=None, **lookup):
    """Looks up, must miss, and commits."""
    missed = call("lookup", **lookup)
    assert missed["status"] in ("miss", "stale"), missed
    return call("commit", ticket=missed["ticket"], value=value, outcome=outcome, **(commit or {}))


def plan(task="add tests", **more):
    parts = {"task": task, "model": "m", "tools": [{"name": "read"}]}
    return {"kind": "plan", "parts": parts, "semantic": False} | more
