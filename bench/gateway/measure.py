"""The gateway's measurements. Each round runs every rival once, one after the other, so that a ratio compares
neighbours in time; who goes first changes from round to round."""

import os
import resource
import select
import socket
import threading
import time

from base.results import first_line
from base.run import Json, Run
from base.servers import LOOPBACK, Payonce, Server, find_program, request
from base.settings import Skipped
from gateway.load import Load
from gateway.rivals import CHAT, BareLoop, LiteLlm, Mock, Nginx, litellm_version

BODIES = ("small", "agent")
IDLE_CONNECTIONS = 10_000
BURST = 20
RELAY_EVENTS = 2_000
RELAY_CONNECTIONS = 16
SLOW_SECONDS = 5  # of a slow server a short run would hold too few answers, and those cut off at its end would count
WARM_UP_REQUESTS = 200

Rival = tuple[str, Server, int]  # its name in the values, the process, the port that is asked


class Bench:
    def __init__(self, run: Run) -> None:
        self.run, settings = run, run.settings
        self.rounds, self.streams = (1, 60) if settings.quick else (3, 500)
        self.seconds = 1 if settings.quick else 2
        core, folder = settings.server_core, run.folder
        self.mock = run.start(Mock(settings.tool("mock_upstream"), settings.load_core, folder)).wait()
        self.load = Load(run, self.mock)
        answer = self.mock.answer(self.load.body_file("small").read_text())
        self.nginx = run.start(Nginx(self.mock, answer, core, folder)).wait()
        self.bare = {name: run.start(BareLoop(name, settings.tool("bare_loop"), flags, core, folder)).wait()
                     for name, flags in (("bare_sha", []), ("bare_xxh", ["--xxh"]))}
        self.payonce = self.gateway("payonce", "--layers", "exact")
        self.litellm: LiteLlm | None = None
        try:
            self.litellm = run.start(LiteLlm(self.mock, core, folder)).wait(120)
            run.versions["LiteLLM"] = litellm_version()
        except (Skipped, RuntimeError) as why:
            run.notes.append(f"LiteLLM was not measured: {why}")
        run.versions["nginx"] = first_line([find_program("nginx", "nginx-light"), "-v"]).rpartition("/")[2]

    def gateway(self, name: str, *flags: str) -> Payonce:
        return self.run.payonce("serve", "--upstream", self.mock.url, "--threads", "1", *flags, name=name,
                                cores=self.run.settings.server_core)

    def slow_rivals(self, kind: str) -> list[Rival]:
        return [("litellm", self.litellm, self.litellm.port)] if self.litellm and kind == "small" else []

    def timed(self, name: str, rival: Rival, kind: str, connections: int, unique: bool) -> None:
        _, server, port = rival
        seconds = SLOW_SECONDS if server is self.litellm and not self.run.settings.quick else self.seconds
        self.load.measure(name, server, port, kind, connections, unique, seconds)

    # ---- hits and misses ---------------------------------------------------------------------------------

    def hits(self) -> None:
        rivals: list[Rival] = [("nginx", self.nginx, self.nginx.port)]
        rivals += [(name, server, server.port) for name, server in self.bare.items()]
        rivals.append(("payonce", self.payonce, self.payonce.port))
        for kind in BODIES:
            self.load.prime(self.payonce.port, kind)
        if self.litellm:
            self.load.prime(self.litellm.port, "small")
            for _ in range(WARM_UP_REQUESTS):
                request(self.litellm.port, "POST", CHAT, self.load.body_file("small").read_bytes())
        for turn in range(self.rounds):
            for kind in BODIES:
                for connections in (16, 1):
                    for rival in rotated(rivals + self.slow_rivals(kind), turn):
                        self.timed(f"hit{connections}.{kind}.{rival[0]}", rival, kind, connections, False)

    def proxies(self, nginx_port: int) -> list[Rival]:
        return [("direct", self.mock, self.mock.port), ("nginx", self.nginx, nginx_port),
                ("payonce", self.payonce, self.payonce.port)]

    def misses(self) -> None:
        """Also of a gateway with all layers, as it is by default: it embeds the question and reads the prompt."""
        layers = self.gateway("payonce_all")
        for turn in range(self.rounds):
            for kind in BODIES:
                rivals = self.proxies(self.nginx.proxy_port) + [("payonce_all", layers, layers.port)]
                for rival in rotated(rivals + self.slow_rivals(kind), turn):
                    self.timed(f"miss.{kind}.{rival[0]}", rival, kind, 1, True)
        self.run.add("rss_all_layers_mib", layers.rss_bytes() / 2**20)
        layers.stop()

    # ---- streams -----------------------------------------------------------------------------------------

    def first_events(self) -> None:
        # The pause lets the reader, who shares the mock's core, see the first event before the next is made.
        self.mock.set(events=1, event_delay_us=500)
        for turn in range(self.rounds):
            for kind in BODIES:
                for name, _, port in rotated(self.proxies(self.nginx.stream_port), turn):
                    result = self.load.streams(port, kind, self.streams, 1)
                    self.run.add_all(f"sse.{kind}.{name}", {"p50_us": result["first_p50_us"],
                                                            "p99_us": result["first_p99_us"]})
        self.mock.set(events=10, event_delay_us=0)

    def relay(self) -> None:
        self.mock.set(events=RELAY_EVENTS)
        for turn in range(self.rounds):
            for name, server, port in rotated(self.proxies(self.nginx.stream_port)[1:], turn):
                cpu = server.cpu_seconds()
                result = self.load.streams(port, "small", 2 * RELAY_CONNECTIONS, RELAY_CONNECTIONS)
                cpu = server.cpu_seconds() - cpu
                self.run.add_all(f"relay.{name}", {"events_per_cpu_second": result["events"] / max(cpu, 1e-9),
                                                   "events_per_second": result["events"] / result["seconds"]})
        self.mock.set(events=10)

    # ---- the gateway alone -------------------------------------------------------------------------------

    def start_up(self) -> None:
        for turn in range(self.rounds):
            gateway = self.gateway(f"start-{turn}", "--layers", "exact")
            self.run.add("start_ms", gateway.ready_seconds * 1e3)
            time.sleep(0.3)  # what start-up leaves to the background is part of the idle memory
            self.run.add("rss_idle_mib", gateway.rss_bytes() / 2**20)
            gateway.stop()

    def burst(self) -> None:
        """Equal requests at once against a slow upstream: all but one wait for the first."""
        self.mock.set(delay_ms=300)
        for _ in range(self.rounds):
            body, before = self.load.fresh_body(), self.mock.count()
            gate = threading.Barrier(BURST)
            statuses: list[int] = []

            def ask(gate: threading.Barrier = gate, body: str = body, statuses: list[int] = statuses) -> None:
                gate.wait()
                statuses.append(request(self.payonce.port, "POST", CHAT, body)[0])

            threads = [threading.Thread(target=ask) for _ in range(BURST)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.run.check(statuses == [200] * BURST, "all of a burst are answered", str(statuses))
            self.run.add("burst_upstream_calls", self.mock.count() - before)
        self.mock.set(delay_ms=0)

    def idle_connections(self) -> None:
        """Connections that have asked once and stay open; the growth of the gateway's memory over them."""
        wanted = IDLE_CONNECTIONS // 10 if self.run.settings.quick else IDLE_CONNECTIONS
        if not raise_descriptor_limit(wanted + 500):
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            self.run.notes.append(f"idle connections were not measured: at most {limit} descriptors are allowed here")
            return
        gateway = self.gateway("idle", "--layers", "exact")
        self.load.prime(gateway.port, "small")
        body = self.load.body_file("small").read_bytes()
        head = f"POST {CHAT} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer bench\r\n" \
               f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        before, answered = gateway.rss_bytes(), 0
        held: list[socket.socket] = []
        kind = "idle connections are answered and kept"
        try:
            for _ in range(wanted):
                held.append(socket.create_connection((LOOPBACK, gateway.port), timeout=10))
                held[-1].sendall(head.encode() + body)
                answered += held[-1].recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(0.5)
            closed = sum(has_closed(connection) for connection in held)
            self.run.check(answered == wanted and closed == 0, kind, f"{answered} answered, {closed} closed")
            self.run.add("idle_connections", wanted)
            self.run.add("idle_connections_mb", (gateway.rss_bytes() - before) / 1e6)
        except OSError as error:
            self.run.check(False, kind, f"after {len(held)}: {error}")
        finally:
            for connection in held:
                connection.close()
            gateway.stop()


def rotated(rivals: list[Rival], turn: int) -> list[Rival]:
    shift = turn % len(rivals)
    return rivals[shift:] + rivals[:shift]


def has_closed(connection: socket.socket) -> bool:
    """No answer is owed, so what can be read is the end. poll, as select() stops at descriptor 1024."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def raise_descriptor_limit(wanted: int) -> bool:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return True
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError):
        return False
    return True


def measure(run: Run) -> Json:
    allowed = os.sched_getaffinity(0)
    raise_descriptor_limit(IDLE_CONNECTIONS + 500)  # before the servers start: they inherit it
    os.sched_setaffinity(0, {int(run.settings.load_core)})
    try:
        bench = Bench(run)
        for step in (bench.hits, bench.misses, bench.first_events, bench.relay, bench.start_up, bench.burst,
                     bench.idle_connections):
            run.say(step.__name__.replace("_", " "))
            step()
        run.add("rss_after_mib", bench.payonce.rss_bytes() / 2**20)
    finally:
        os.sched_setaffinity(0, allowed)
    return {"rounds": bench.rounds, "seconds": bench.seconds, "values": dict(run.values)}
