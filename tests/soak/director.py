"""What happens to the process: reloads, outages of the upstreams, quiet moments at which the books are compared, kills,
drains and restarts, all at times that the seed draws."""

import dataclasses
import hashlib
import random
import re
import time

import plan
from accounts import Accounts
from harness import SIGHUP, SIGTERM, Gateway
from scripted import UPSTREAM_KEY, Scripted
from world import Mode, World

SHORT_RUN_S = 120
QUIET_TIMEOUT_S = 30  # beside the patience for one request
SANITIZER = re.compile(
    r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|WARNING: ThreadSanitizer|"
    r"PAYONCE_ASSERT|assertion|terminate called"
)
LAYERS = ('["exact", "semantic", "prefix"]',) * 4 + ('["exact"]', '["exact", "semantic"]', '["prefix"]')
EVENTS = {"reload": 10, "bad_reload": 2, "outage": 2, "quiet": 6}
POLLED = (
    "/",
    "/healthz",
    "/metrics",
    "/payonce/v1/stats",
    "/payonce/v1/savings",
    "/payonce/v1/requests?limit=50",
    "/payonce/v1/last-hour",
    "/payonce/v1/upstreams",
    "/payonce/v1/cache?limit=20",
    "/payonce/v1/breakers",
    "/payonce/v1/prefix",
    "/v1/models",
)
ADMIN = "soak-admin-token"


@dataclasses.dataclass(frozen=True)
class Event:
    at_s: float
    what: str


def timetable(seed: int, length_s: float) -> list[Event]:
    """Events with their times; every life ends by kill -9 or SIGTERM in turn, in mid-traffic."""
    draw = plan.stream_of(seed, "director")
    life_s, pause_s = (
        ((9, 15), (2, 4))
        if length_s <= SHORT_RUN_S
        else ((40, 70), (4, 9)) if length_s < 600 else ((150, 420), (6, 15))
    )
    events: list[Event] = []
    ends_at, at_s = draw.uniform(*life_s), 0.0
    while True:
        at_s += draw.uniform(*pause_s)
        if at_s >= length_s:
            return events
        if at_s >= ends_at:
            kills = sum(event.what in ("kill", "drain") for event in events)
            events.append(Event(at_s, ("kill", "drain")[kills % 2]))
            ends_at = at_s + draw.uniform(*life_s)
        else:
            events.append(Event(at_s, plan.pick(draw, EVENTS)))


def configuration(
    draw: random.Random, upstreams: list[Scripted], start: bool, upstream_timeout_s: int
) -> tuple[str, Mode]:
    """One in force from the start has all layers, since only those can be switched off and on again."""
    layers, teams, rate = draw.choice(LAYERS), draw.random() < 0.35, draw.choice((0, 0, 0, 400))
    if start:
        layers = LAYERS[0]
    lines = [
        f"layers = {layers}",
        f"error_bound = {draw.choice((0.005, 0.01))}",
        "[limits]",
        f"requests_per_minute = {rate}",
        'max_body = "1MiB"',
        'drain_timeout = "40s"',
        "[policy]",
        f"ttl = \"{draw.choice(('5s', '10m', '1d'))}\"",
        "[retry]",
        'base_pause = "20ms"',
        'max_pause = "200ms"',
        f"attempts = {draw.choice((2, 3))}",
        "[routing]",
        f"policy = \"{draw.choice(('order', 'balance'))}\"",
        "[prefix]",
        f"mode = \"{draw.choice(('safe', 'safe', 'observe', 'off'))}\"",
        'hold = "300ms"',
        '[prices."m"]',
        "input = 1.0",
        "output = 2.0",
    ]
    for number, upstream in enumerate(upstreams):
        lines += [
            f"[upstreams.scripted{number}]",
            f'base_url = "{upstream.url}"',
            'models = ["m", "gemini-*"]',
            f'first_byte_timeout = "{upstream_timeout_s}s"',
            f'idle_timeout = "{upstream_timeout_s}s"',
            f'connect_timeout = "{upstream_timeout_s}s"',
        ]
        if teams:
            lines.append('key_env = "SOAK_UPSTREAM_KEY"')
    for user in plan.USERS if teams else ():
        digest = hashlib.sha256(plan.credential(user).encode()).hexdigest()
        scopes = [plan.TEAM] if user in plan.TEAM_MEMBERS else []
        lines += [f"[keys.{user}]", f'sha256 = "{digest}"', f"scopes = {scopes}".replace("'", '"')]
    return "\n".join(lines) + "\n", Mode(time.monotonic(), teams, rate, layers)


class Director:
    def __init__(self, world: World, gateway: Gateway, upstreams: list[Scripted], ready_timeout_s: float) -> None:
        self._world = world
        self._gateway = gateway
        self._upstreams = upstreams
        self._ready_timeout_s = ready_timeout_s
        self._draw = plan.stream_of(world.seed, "configurations")
        self._accounts = Accounts(world, gateway, ADMIN)
        self._log_read = 0
        self._last = False  # the last quiet moment: nobody begins again

    @staticmethod
    def flags(config: str, model: str, engine_disk: str = "8MiB") -> list[str]:
        return [
            "--config",
            config,
            "--model",
            model,
            "--kv-memory",
            "24MiB",
            "--kv-ram",
            "4MiB",
            "--kv-disk-size",
            engine_disk,
            "--max-memory",
            "3MiB",
            "--max-disk",
            "12MiB",
            "--semantic-max-memory",
            "1MiB",
            "--agent-max-memory",
            "512KiB",
            "--prefix-max-memory",
            "6MiB",
            "--max-connections",
            "300",
            "--engine-threads",
            "1",
            "--threads",
            "2",
        ]

    @staticmethod
    def environment(embedder: str) -> dict[str, str]:
        return {"PAYONCE_EMBEDDER": embedder, "PAYONCE_ADMIN_TOKEN": ADMIN, "SOAK_UPSTREAM_KEY": UPSTREAM_KEY}

    def configure(self, start: bool) -> None:
        text, mode = configuration(self._draw, self._upstreams, start, int(self._world.patience_s / 10))
        text += self._encryption(self._world.life + start)
        (self._gateway.folder / "payonce.toml").write_text(text)
        with self._world.lock:
            self._world.modes.append(mode)

    def _encryption(self, life: int) -> str:
        """Its section of the configuration; the keys are written beside it. Only a start reads them."""
        keys = plan.sealing_keys(self._world.seed, life)
        if not keys:
            return ""
        file = self._gateway.folder / "payonce.key"
        file.touch(mode=0o600)
        file.write_text("\n".join(keys) + "\n")
        return f'[encryption]\nkey_file = "{file}"\n'

    def begin(self) -> None:
        self._world.born()
        started = time.monotonic()
        self._gateway.start(timeout_s=self._ready_timeout_s)
        self._world.log("director", f"ready after {time.monotonic() - started:.2f} s")
        self._world.confirm_mode()
        self._accounts.opened()
        self._world.open_gate()

    def run(self, length_s: float) -> None:
        began = time.monotonic()
        for event in timetable(self._world.seed, length_s):
            while time.monotonic() < began + event.at_s and not self._world.over.is_set():
                self.look_at_process()
                self._world.over.wait(0.2)
            if self._world.over.is_set():
                return
            self._world.log("director", event.what)
            self._world.count(f"events {event.what}")
            getattr(self, event.what)()
        while time.monotonic() < began + length_s and not self._world.over.is_set():
            self.look_at_process()
            self._world.over.wait(0.2)

    def look_at_process(self) -> None:
        status = self._gateway.process.poll()
        if status is not None:
            self._world.fail(
                "director", f"the process ended by itself with status {status}:\n{self._gateway.log()[-3000:]}"
            )
            self._world.over.set()

    # ---- events ------------------------------------------------------------------------------------

    def _logged(self, text: str, count: int) -> None:
        deadline = time.monotonic() + self._world.patience_s
        while self._gateway.log().count(text) <= count:
            if time.monotonic() > deadline or self._gateway.process.poll() is not None:
                self._world.fail("director", f"the log never said '{text}'")
                return
            time.sleep(0.02)

    def reload(self) -> None:
        said = "configuration read again"
        before = self._gateway.log().count(said)
        self.configure(start=False)
        self._gateway.signal(SIGHUP)
        self._logged(said, before)
        self._world.confirm_mode()

    def bad_reload(self) -> None:
        said = "configuration not taken"
        before = self._gateway.log().count(said)
        file = self._gateway.folder / "payonce.toml"
        good = file.read_text()
        file.write_text(good + "[upstreams.broken]\nbase_url = 7\nno_such_key = true\n")
        self._gateway.signal(SIGHUP)
        self._logged(said, before)
        file.write_text(good)

    def outage(self) -> None:
        """Both upstreams are away; the circuit breakers may open for 10 s."""
        length_s = self._draw.uniform(0.2, 1.2)
        began = time.monotonic()
        with self._world.lock:
            self._world.outages.append((began, float("inf")))
        for upstream in self._upstreams:
            upstream.stop()
        time.sleep(length_s)
        for upstream in self._upstreams:
            upstream.start()
        with self._world.lock:
            self._world.outages[-1] = (began, time.monotonic() + 12)

    def quiet(self) -> None:
        """Nobody asks: what the process counted is what the clients counted, and nothing is left open."""
        self._world.close_gate()
        stuck = self._world.wait_quiet(self._world.patience_s + QUIET_TIMEOUT_S)
        if stuck:
            self._world.fail("director", f"no end of {stuck}")
        else:
            self._accounts.compare()
        if not self._last:
            self._world.open_gate()

    def kill(self) -> None:
        self._world.ending(draining=False)
        self._gateway.kill()
        self._world.close_gate()
        self._again()

    def drain(self) -> None:
        """SIGTERM in mid-traffic: what is under way is answered, and the process ends well."""
        self._world.ending(draining=True)
        self._gateway.signal(SIGTERM)
        time.sleep(0.3)  # some ask it still
        self._world.close_gate()
        status = self._gateway.process.wait(self._world.patience_s + 60)
        if status != 0:
            self._world.fail("director", f"exit status {status} after SIGTERM:\n{self._gateway.log()[-3000:]}")
        self._again()

    def _again(self) -> None:
        self.read_log()
        self._world.wait_quiet(self._world.patience_s)
        self.configure(start=True)
        self.begin()

    def read_log(self) -> None:
        """What only the log tells: findings of a sanitizer, failed assertions."""
        log = self._gateway.log()
        for line in log[self._log_read :].splitlines():
            if SANITIZER.search(line):
                at = log.index(line, self._log_read)
                self._world.fail("director", f"in the log: {log[at:at + 6000]}")
                break
            for level in ("warn", "error"):
                if f"Z {level}" in line:
                    self._world.count(f"log {level}")
        self._log_read = len(log)

    def end(self) -> None:
        """The last comparison and an orderly end."""
        if self._gateway.process.poll() is None:
            self._last = True
            self.quiet()
            self._world.over.set()
            self.drain_last()
        self._world.over.set()
        self._world.open_gate()

    def drain_last(self) -> None:
        status = self._gateway.stop(self._world.patience_s + 60)
        if status != 0:
            self._world.fail("director", f"exit status {status} at the end:\n{self._gateway.log()[-3000:]}")
        self.read_log()


class Poller:
    """Somebody who looks at the dashboard, the metrics and the lists all the time."""

    def __init__(self, world: World, gateway: Gateway) -> None:
        self._world = world
        self._gateway = gateway

    def run(self) -> None:
        number = 0
        fields = {"Authorization": f"Bearer {ADMIN}"}
        while not self._world.over.is_set():
            draw = plan.stream_of(self._world.seed, "poller", number)
            name = f"poller/{number}"
            with self._world.action(name) as life:
                if self._world.over.is_set():
                    return
                self._poll(name, draw.choice(POLLED), fields, life)
            number += 1
            time.sleep(0.05 + draw.random() * 0.2)

    def _poll(self, name: str, path: str, fields: dict[str, str], life: int) -> None:
        self._world.count("requests poll")
        if path == "/v1/models":
            fields = {"Authorization": f"Bearer {plan.credential('ann')}", "X-Soak-Who": "ann|"}
        try:
            answer = self._gateway.client.get(path, headers=fields)
        except Exception as error:  # noqa: BLE001 - whichever way it fails
            if not self._world.cut_explained(life, time.monotonic()):
                self._world.fail(name, f"GET {path}: {type(error).__name__} {error}")
            return
        explained = path == "/v1/models" or self._world.cut_explained(life, time.monotonic())
        if answer.status_code != 200 and not explained:
            self._world.fail(name, f"GET {path}: {answer.status_code} {answer.text[:300]}")
