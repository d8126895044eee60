"""The actors that ask the data plane: each sends the requests of its plan, one after the other, and has each judged."""

import json
import time

import httpx

import plan
from dialects import Conversation, Turn, render
from harness import CacheStatus
from oracle import Oracle, Outcome
from world import World

LEAVE_AFTER_S = 0.02  # a client that leaves before the head
EXPLAIN_SHARE = 0.08  # of the hits
FEEDBACK_SHARE = 0.03  # of the semantic hits


class Caller:
    """Connections of one actor, HTTP/1.1 and HTTP/2, kept as clients keep them."""

    def __init__(self, root: str, world: World) -> None:
        self._root = root
        self._world = world
        self._clients: dict[bool, httpx.Client] = {}
        self._life = 0

    def begin(self, life: int) -> None:
        """Connections to a process that ended are of no use."""
        if life != self._life:
            self.close()
            self._life = life

    def _client(self, http2: bool) -> httpx.Client:
        if http2 not in self._clients:
            self._clients[http2] = httpx.Client(
                base_url=self._root, http1=not http2, http2=http2, trust_env=False, timeout=self._world.patience_s
            )
        return self._clients[http2]

    def hang_up(self, http2: bool) -> None:
        if http2 in self._clients:
            self._clients.pop(http2).close()

    def close(self) -> None:
        for http2 in list(self._clients):
            self.hang_up(http2)

    def send(self, ask: plan.Ask, life: int) -> Outcome:
        got = Outcome(started=time.monotonic(), life=life)
        content = json.dumps(ask.body).encode()
        patience = httpx.Timeout(self._world.patience_s, read=LEAVE_AFTER_S) if ask.cancel == "head" else None
        try:
            self._read(ask, got, content, patience)
        except httpx.TimeoutException:
            got.error = "left" if ask.cancel == "head" else "timeout"
        except httpx.TransportError as error:
            got.error = f"cut: {type(error).__name__} {error}"
        if got.error:
            self.hang_up(ask.http2)
        got.ended = time.monotonic()
        return got

    def _read(self, ask: plan.Ask, got: Outcome, content: bytes, patience: httpx.Timeout | None) -> None:
        fields = ask.headers | {"Content-Type": "application/json"}
        more = {} if patience is None else {"timeout": patience}
        method = "GET" if ask.dialect == "models" else "POST"
        with self._client(ask.http2).stream(
            method, ask.path, content=content if method == "POST" else None, headers=fields, **more
        ) as answer:
            got.status = answer.status_code
            got.headers = {name.lower(): value for name, value in answer.headers.items()}
            chunks = answer.iter_raw()
            for chunk in chunks:
                got.body += chunk
                if ask.cancel == "body":
                    got.error = "left"
                    return
            got.whole = True


class GatewayActor:
    """Asks by its plan until the run is over."""

    def __init__(self, world: World, root: str, name: str, engine_share: float) -> None:
        self._world = world
        self._name = name
        self._engine_share = engine_share
        self._caller = Caller(root, world)
        self._oracle = Oracle.of(world)

    def run(self) -> None:
        number = 0
        try:
            while not self._world.over.is_set():
                ask = plan.ask(self._world.seed, self._name, number, self._engine_share)
                time.sleep(ask.pause_s)
                self._one(ask)
                number += 1
        except Exception as error:  # noqa: BLE001 - an actor that stops in silence would look like a good run
            self._world.fail(f"{self._name}/{number}", f"the actor itself failed: {type(error).__name__} {error}")
            raise
        finally:
            self._caller.close()

    def _one(self, ask: plan.Ask) -> None:
        with self._world.action(ask.name) as life:
            if self._world.over.is_set():
                return
            self._caller.begin(life)
            if ask.kind == "purge":
                return self._purge(ask, life)
            status = self._send(ask, life)
            draw = plan.stream_of(self._world.seed, ask.name, "after")
            if status is None or not status.hit:
                return
            if draw.random() < EXPLAIN_SHARE:
                self._explain(ask, life, str(status.parameters["detail"]))
            if str(status.parameters["detail"]) == "semantic" and draw.random() < FEEDBACK_SHARE:
                self._admin(
                    ask,
                    life,
                    "POST",
                    "/payonce/v1/feedback",
                    {"hit": self._last.headers["x-payonce-hit"], "wrong": True},
                    (200, 404),
                )
                self._world.count("feedback")

    def _send(self, ask: plan.Ask, life: int) -> CacheStatus | None:
        self._last = got = self._caller.send(ask, life)
        world = self._world
        world.count(f"requests {ask.kind}")
        if ask.fault:
            world.count(f"faults {ask.fault}")
        if got.error != "left":
            world.took(got.ended - got.started, ask.name)
        world.log(
            ask.name,
            f"{ask.kind} {ask.dialect} {plan.who(ask.user, ask.scope)} {ask.fault}{ask.cancel} {got.status} "
            f"{got.headers.get('cache-status', '')} {got.error} {got.ended - got.started:.3f}",
        )
        return self._oracle.judge(ask, got)

    def _admin(
        self,
        ask: plan.Ask,
        life: int,
        method: str,
        path: str,
        body: object,
        good: tuple[int, ...],
        params: dict[str, str] | None = None,
    ) -> httpx.Response | None:
        """A call of Payonce's own API as the caller of `ask`; None when the end of the process explains its failure."""
        fields = {name: value for name, value in ask.headers.items() if not name.startswith("X-Soak")}
        try:
            answer = self._caller._client(False).request(method, path, json=body, headers=fields, params=params)
        except httpx.TransportError as error:
            self._caller.hang_up(False)
            if not self._world.cut_explained(life, time.monotonic()):
                self._world.fail(ask.name, f"{method} {path}: {type(error).__name__} {error}")
            return None
        if answer.status_code not in good:
            self._world.fail(ask.name, f"{method} {path} {params or body}: {answer.status_code} {answer.text}")
            return None
        return answer

    def _explain(self, ask: plan.Ask, life: int, layer: str) -> None:
        """Every hit can say why: its layer, its entry."""
        told = self._admin(
            ask, life, "GET", "/payonce/v1/explain", None, (200,), {"id": self._last.headers.get("x-payonce-id", "")}
        )
        if told is None:
            return
        self._world.count("hits explained")
        why = told.json()
        good = (why.get("outcome"), why.get("layer")) == ("hit", layer) and str(why.get("key", "")).startswith(
            "resp:"
        )
        if not good:
            self._world.fail(ask.name, f"a {layer} hit is not explained: {why}")

    def _purge(self, ask: plan.Ask, life: int) -> None:
        """In a scope of its own: what was purged is not given again."""
        scope = f"session:{ask.name.replace('/', '-')}"
        own = ask.headers | {"X-Payonce-Scope": scope, "X-Soak-Who": plan.who(ask.user, scope)}
        for step in range(3):
            conversation = Conversation(model="m", turns=(Turn("user", f"Purged: {ask.name}"),))
            path, body = render("chat", conversation, False, plan.stream_of(0))
            fields = {
                name: value
                for name, value in own.items()
                if not name.startswith(("X-Soak-Fault", "Cache-", "X-Payonce-T", "X-Payonce-L", "X-Payonce-V"))
            }
            step_ask = plan.Ask(
                f"{ask.name}.{step}",
                "purge",
                ask.user,
                scope,
                "chat",
                path,
                body,
                False,
                fields | {"X-Soak-Action": f"{ask.name}.{step}"},
                "",
                0,
                "",
                ask.http2,
                0,
            )
            status = self._send(step_ask, life)
            if step == 2 and status is not None and status.hit:
                self._world.fail(step_ask.name, "an answer that was purged is a hit")
            if step == 1:
                # own scope alone: the listing names it
                self._admin(step_ask, life, "POST", "/payonce/v1/cache/purge", {"all": True}, (200,))
