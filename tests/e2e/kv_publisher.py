"""What vLLM's and SGLang's engines do around their caches, over real sockets: a publisher of KV events with a replay
endpoint, and `/tokenize`. The wire is that of vllm/distributed/kv_events.py, in our own words: `style` "maps" is what
vLLM publishes since 0.2x and SGLang since 0.5.2x (but for the batch), "arrays" what both did before."""

import collections
import json
import threading
import time
import zlib

import msgspec
import upstream
import zmq

BLOCK_TOKENS = 16
END = (2**64 - 1).to_bytes(8, "big")


def struct_like(style, tag, *values):
    """The struct classes of one encoding: `tag` and its fields, with those that are None left out of maps."""
    fields = {"BlockStored": ("block_hashes", "parent_block_hash", "token_ids", "block_size", "lora_id", "medium",
                              "lora_name", "extra_keys", "group_idx"),
              "BlockRemoved": ("block_hashes", "medium", "group_idx"), "AllBlocksCleared": ()}[tag]
    if style == "arrays":
        return [tag, *values]
    return {"type": tag} | dict(zip(fields, values))


def stored(style, hashes, parent, tokens):
    return struct_like(style, "BlockStored", hashes, parent, tokens, BLOCK_TOKENS, None, "GPU", None, None, 0)


def removed(style, hashes):
    return struct_like(style, "BlockRemoved", hashes, "GPU", 0)


def cleared(style):
    return struct_like(style, "AllBlocksCleared")


class Publisher:
    """PUB and ROUTER sockets on a thread of their own, as vLLM's ZmqEventPublisher."""

    def __init__(self, events, replay, replays_topic):
        self._before_replay = (b"", b"kv-events") if replays_topic else (b"",)
        self._context = zmq.Context()
        self._pub = self._context.socket(zmq.PUB)
        self._pub.bind(events)
        self._router = self._context.socket(zmq.ROUTER)
        self._router.bind(replay)
        self._queue = collections.deque()
        self._kept = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def publish(self, *events, lose=False):
        self._queue.append((msgspec.msgpack.encode([time.time(), list(events), 0]), lose))

    def close(self):
        self._stop.set()
        self._thread.join()
        self._pub.close(linger=0)
        self._router.close(linger=0)
        self._context.term()

    def _run(self):
        while not self._stop.is_set():
            if self._router.poll(2):
                identity, _, first = self._router.recv_multipart()
                for number, payload in list(enumerate(self._kept))[int.from_bytes(first, "big"):]:
                    self._router.send_multipart((identity, *self._before_replay, number.to_bytes(8, "big"), payload))
                self._router.send_multipart((identity, *self._before_replay, END, b""))
            while self._queue:
                payload, lose = self._queue.popleft()
                self._kept.append(payload)
                if not lose:
                    number = (len(self._kept) - 1).to_bytes(8, "big")
                    self._pub.send_multipart((b"kv-events", number, payload))


def tokens_of(messages):
    """A token for each word, by a hash that every replica shares."""
    return [zlib.crc32(word.encode()) % 50_000
            for message in messages for word in ("<", message["role"], *message["content"].split(), ">")]


class Engine(upstream.Upstream):
    """A replica with `/tokenize`, whose cache the test fills by hand (hold, drop, clear) or from what it serves."""

    def __init__(self, folder, style="maps", hash_bytes=False, fills=False):
        super().__init__()
        self.events, self.replay = f"ipc://{folder}/events", f"ipc://{folder}/replay"
        self.style = style
        self._hash_bytes = hash_bytes
        self._fills = fills
        self.known = set()
        self.publisher = self._publisher()

    def _publisher(self):
        return Publisher(self.events, self.replay, replays_topic=self.style == "maps")

    def stop(self):
        super().stop()
        self.publisher.close()

    def restart(self):
        """The same endpoints, another process: nothing is cached and numbers begin anew."""
        self.publisher.close()
        self.known.clear()
        self.publisher = self._publisher()

    def chain(self, messages):
        """The engine's own names of the blocks, each over all before it."""
        tokens = tokens_of(messages)
        names, name = [], 7
        for begin in range(0, len(tokens) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
            block = tokens[begin:begin + BLOCK_TOKENS]
            name = zlib.crc32(json.dumps([name, block]).encode()) | 1 << 40
            names.append((name.to_bytes(32, "big") if self._hash_bytes else name, block))
        return names

    def hold(self, messages, lose=False):
        parent, names, tokens = None, [], []
        for name, block in self.chain(messages):
            if name in self.known:
                parent = name
                continue
            self.known.add(name)
            names.append(name)
            tokens += block
        if names:
            self.publisher.publish(stored(self.style, names, parent, tokens), lose=lose)

    def drop(self, messages):
        gone = [name for name, _ in self.chain(messages) if name in self.known]
        self.known.difference_update(gone)
        for name in gone:  # as vLLM does: one event each
            self.publisher.publish(removed(self.style, [name]))

    def clear(self):
        self.known.clear()
        self.publisher.publish(cleared(self.style))

    def asked(self, path):
        return [request for request in self.requests if request.path == path]

    def _take_fault(self, request):
        fault = super()._take_fault(request)
        if request.path == "/tokenize" and fault.status == 0 and fault.body is None:
            fault.body = json.dumps({"count": 0, "tokens": tokens_of(request.json["messages"])}).encode()
            fault.content_type = "application/json"
        elif self._fills and request.path.endswith("/chat/completions"):
            self.hold(request.json["messages"])
        return fault
