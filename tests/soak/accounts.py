"""Compares, while nobody asks, what the process counted in this life with what the clients counted. A client that left
before its head does not know what it would have got: by so many a count may differ."""

import time
from typing import Any

from harness import Gateway
from world import World

SETTLE_S = 20  # at least, until calls that nobody waits for (those asked again for a label) are over
AGENT_KINDS = ("plan", "tool_result", "subagent")


class Accounts:
    def __init__(self, world: World, gateway: Gateway, admin: str) -> None:
        self._world = world
        self._gateway = gateway
        self._admin = {"Authorization": f"Bearer {admin}"}
        self._book_before: dict[str, int] = {}

    def opened(self) -> None:
        """At the start of a life, before anybody asks."""
        self._book_before = self._savings()

    def _savings(self) -> dict[str, int]:
        """Requests of the ledger by layer."""
        rows = self._gateway.client.get("/payonce/v1/savings", params={"days": "3"}, headers=self._admin).json()[
            "rows"
        ]
        sums: dict[str, int] = {}
        for row in rows:
            sums[row["layer"]] = sums.get(row["layer"], 0) + row["requests"]
            if min(row["requests"], row["input_tokens"], row["output_tokens"]) < 0 or row["usd"] < 0:
                self._world.fail("accounts", f"a row of the ledger below zero: {row}")
        return sums

    def compare(self) -> None:
        stats = self._settled()
        exact = stats["layers"]["exact"]
        semantic = stats["layers"].get("semantic", {"hits": 0})  # a life that began without the layer has none
        self._equal("exact hits", exact["hits"], "hit exact")
        self._equal("semantic hits", semantic["hits"], "hit semantic")
        self._equal("bypassed", exact["bypassed"], "fwd bypass")
        for kind in AGENT_KINDS:
            layer = stats["layers"][kind]
            self._equal(f"hits of {kind}", layer["hits"], f"hit {kind}", "unknown agent")
            self._equal(f"misses of {kind}", layer["misses"], f"miss {kind}", "unknown agent")
        self._metrics(exact["hits"], semantic["hits"])
        book = self._savings()
        for layer, counted in (("exact", exact["hits"]), ("semantic", semantic["hits"])):
            written = book.get(layer, 0) - self._book_before.get(layer, 0)
            if written != counted:
                self._world.fail("accounts", f"the ledger has {written} {layer} hits of this life, stats {counted}")
        if faults := self._gateway.metric("payonce_sealed_faults_total"):
            self._world.fail("accounts", f"{faults:.0f} sealed pieces on the disk failed their check")
        if self._world.book.wrong:
            self._world.fail("accounts", f"credentials upstream: {self._world.book.wrong[:3]}")
        self._world.count("accounts compared")

    def _settled(self) -> dict[str, Any]:
        """The stats when nothing is under way any more; what stays is a leak."""
        deadline = time.monotonic() + max(SETTLE_S, self._world.patience_s)
        while True:
            stats: dict[str, Any] = self._gateway.stats()
            left = {
                "upstream calls": self._world.book.open_calls(),
                "engine": stats["engine"]["running"],
                "engine waiting": stats["engine"]["waiting"],
                "blocks used": stats["engine"]["blocks"]["used"],
            }
            left |= {f"in flight at {each['name']}": each["in_flight"] for each in stats["routing"]["upstreams"]}
            if not any(left.values()):
                return stats
            if time.monotonic() > deadline:
                self._world.fail(
                    "accounts", f"nobody asks, and yet there is: { {k: v for k, v in left.items() if v} }"
                )
                return stats
            time.sleep(0.05)

    def _equal(self, what: str, told: int, counted: str, doubt: str = "unknown") -> None:
        life = self._world.life
        sure, unknown = self._world.counted(life, counted), self._world.counted(life, doubt)
        if not sure <= told <= sure + unknown:
            self._world.fail("accounts", f"{what}: stats say {told}, clients counted {sure}, and {unknown} unknown")

    def _metrics(self, exact: int, semantic: int) -> None:
        for layer, counted in (("exact", exact), ("semantic", semantic)):
            told = self._gateway.metric("payonce_requests_total", layer=layer, outcome="hit")
            if told != counted:
                self._world.fail("accounts", f"payonce_requests_total has {told} {layer} hits, stats {counted}")
