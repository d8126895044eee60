"""The measurements. Each round runs every rival once, one after the other, so that a ratio compares neighbours in time."""

import collections
import json
import os
import resource
import select
import socket
import subprocess
import threading
import time

import bodies
import litellm
import servers

CHAT = "/v1/chat/completions"
BODIES = ("small", "agent")
IDLE_CONNECTIONS = 10_000
BURST = 20
RELAY_EVENTS = 2_000
RELAY_CONNECTIONS = 16
SLOW_SECONDS = 5
WARM_UP_REQUESTS = 200


class Samples:
    """Values by name, one per round; and what was checked on the way."""

    def __init__(self):
        self.values = collections.defaultdict(list)
        self.checks = collections.Counter()
        self.failures = []
        self.notes = []

    def add(self, name, value):
        self.values[name].append(value)

    def check(self, holds, kind, detail):
        self.checks[kind] += 1
        if not holds:
            self.failures.append(f"{kind}: {detail}")


class Bench:
    def __init__(self, options, directory, started):
        self.options, self.directory, self.started = options, directory, started
        self.samples = Samples()
        # A number is never used twice within a run, nor by a second run on the same data.
        self.next_number = int(time.time()) % 1_000_000 * 100_000
        bodies.write(directory)
        self.mock = self.start(servers.Mock(options.binaries, options.load_core, directory))

    def start(self, server):
        self.started.append(server)
        return server

    def start_rivals(self):
        answer = self.mock.answer(bodies.small())
        core = self.options.server_core
        self.nginx = self.start(servers.Nginx(servers.find_program("nginx"), self.mock.port, answer, core,
                                              self.directory))
        self.bare = {}
        for name, flags in (("bare_sha", []), ("bare_xxh", ["--xxh"])):
            port = servers.free_port()
            command = [self.options.binaries / "bare_loop", "--port", port, *flags]
            self.bare[name] = self.start(servers.Server(name, command, port, core, self.directory)).wait_listening()
        self.litellm = None
        if self.options.litellm_program:
            proxy = litellm.LiteLlm(self.options.litellm_program, self.mock.port, core, self.directory)
            self.litellm = self.start(proxy).wait_listening(120)
        self.payonce = None
        if self.options.payonce:
            self.payonce = self.start(self.new_gateway("payonce")).wait_ready()

    def new_gateway(self, name):
        return servers.Payonce(self.options.payonce, self.mock.port, self.options.server_core, self.directory, name)

    def numbers(self, count):
        first = self.next_number
        self.next_number += count
        return first

    def fresh_body(self, kind="small", stream=False):
        number = f"{self.numbers(1):012d}"
        return getattr(bodies, kind)(stream).replace(bodies.MARK, number)

    # ---- load --------------------------------------------------------------------------------------------

    def wrk(self, port, kind, connections, unique, seconds=None):
        command = ["taskset", "-c", self.options.load_core, servers.find_program("wrk"), "-t1", f"-c{connections}",
                   f"-d{seconds or self.options.seconds}s", "--timeout", "10s", "-s", servers.HERE / "wrk.lua",
                   f"http://127.0.0.1:{port}{CHAT}", "--", self.directory / f"{kind}.json"]
        if unique:
            command.append(str(self.numbers(10_000_000)))
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"wrk: {done.stderr or done.stdout}")
        result = json.loads(done.stdout.strip().splitlines()[-1])
        errors = result["status_errors"] + result["socket_errors"]
        self.samples.check(errors == 0, "no answer but 2xx, no socket error",
                           f"{errors} of {result['requests']} requests to port {port}")
        return result

    def measure(self, name, server, port, kind, connections, unique):
        """One wrk run; rps, p50 and CPU per request go to the samples under `name`."""
        seen, cpu = self.mock.count(), server.cpu_seconds()
        # Of a slow server a short run would hold too few answers, and those cut off at its end would count.
        seconds = SLOW_SECONDS if server is self.litellm else None
        result = self.wrk(port, kind, connections, unique, seconds)
        cpu, seen = server.cpu_seconds() - cpu, self.mock.count() - seen
        self.samples.add(f"{name}.rps", result["requests"] / result["seconds"])
        self.samples.add(f"{name}.p50_us", result["p50_us"])
        self.samples.add(f"{name}.p99_us", result["p99_us"])
        self.samples.add(f"{name}.cpu_us", cpu * 1e6 / max(1, result["requests"]))
        if unique:  # those in flight when wrk stopped were asked, but not counted by it
            expected = result["requests"] <= seen <= result["requests"] + connections
            self.samples.check(expected, "each miss reached the upstream once", f"{name}: {result['requests']} "
                               f"requests, {seen} upstream calls")
        else:
            self.samples.check(seen == 0, "no hit reached the upstream", f"{name}: {seen} upstream calls")

    def prime(self, port, kind, seconds=20):
        """Asks until the answer comes from the cache."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = self.mock.count()
            status, _, text = servers.request(port, "POST", CHAT, (self.directory / f"{kind}.json").read_bytes())
            if status != 200:
                raise RuntimeError(f"port {port} answered {status}: {text[:500]!r}")
            if self.mock.count() == before:
                return
            time.sleep(0.05)
        raise RuntimeError(f"port {port}: the {kind} body was never answered from the cache")

    # ---- hits and misses ---------------------------------------------------------------------------------

    def hits(self):
        rivals = [("nginx", self.nginx, self.nginx.static_port)]
        rivals += [(name, server, server.port) for name, server in self.bare.items()]
        if self.payonce:
            rivals.append(("payonce", self.payonce, self.payonce.port))
            for kind in BODIES:
                self.prime(self.payonce.port, kind)
        if self.litellm:
            self.prime(self.litellm.port, "small")
            for _ in range(WARM_UP_REQUESTS):
                servers.request(self.litellm.port, "POST", CHAT, (self.directory / "small.json").read_bytes())
        for turn in range(self.options.rounds):
            for kind in BODIES:
                for connections in (16, 1):
                    for name, server, port in rotated(rivals + self.slow_rivals(kind), turn):
                        self.measure(f"hit{connections}.{kind}.{name}", server, port, kind, connections, False)

    def slow_rivals(self, kind):
        return [("litellm", self.litellm, self.litellm.port)] if self.litellm and kind == "small" else []

    def misses(self):
        rivals = [("direct", self.mock, self.mock.port), ("nginx", self.nginx, self.nginx.proxy_port)]
        if self.payonce:
            rivals.append(("payonce", self.payonce, self.payonce.port))
        for turn in range(self.options.rounds):
            for kind in BODIES:
                for name, server, port in rotated(rivals + self.slow_rivals(kind), turn):
                    self.measure(f"miss.{kind}.{name}", server, port, kind, 1, True)

    # ---- streams -----------------------------------------------------------------------------------------

    def sse(self, port, kind, streams, connections):
        command = ["taskset", "-c", self.options.load_core, self.options.binaries / "sse_client", "--port", port,
                   "--body", self.directory / f"{kind}-stream.json", "--streams", streams, "--connections",
                   connections, "--seed", self.numbers(streams)]
        seen = self.mock.count()
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"sse_client: {done.stderr}")
        result = json.loads(done.stdout)
        self.samples.check(result["errors"] == 0 and result["streams"] == streams, "each stream came to its end",
                           f"{result['errors']} of {streams} streams from port {port} were cut")
        seen = self.mock.count() - seen
        self.samples.check(seen == streams, "each missed stream reached the upstream once",
                           f"{streams} streams, {seen} upstream calls")
        return result

    def stream_rivals(self):
        rivals = [("direct", self.mock, self.mock.port), ("nginx", self.nginx, self.nginx.stream_port)]
        if self.payonce:
            rivals.append(("payonce", self.payonce, self.payonce.port))
        return rivals

    def first_events(self):
        # The pause lets the reader, who shares the mock's core, see the first event before the next is made.
        self.mock.set(events=1, event_delay_us=500)
        for turn in range(self.options.rounds):
            for kind in BODIES:
                for name, _, port in rotated(self.stream_rivals(), turn):
                    result = self.sse(port, kind, self.options.streams, 1)
                    self.samples.add(f"sse.{kind}.{name}.p50_us", result["first_p50_us"])
                    self.samples.add(f"sse.{kind}.{name}.p99_us", result["first_p99_us"])
        self.mock.set(events=10, event_delay_us=0)

    def relay(self):
        self.mock.set(events=RELAY_EVENTS)
        for turn in range(self.options.rounds):
            for name, server, port in rotated(self.stream_rivals()[1:], turn):
                cpu = server.cpu_seconds()
                result = self.sse(port, "small", 2 * RELAY_CONNECTIONS, RELAY_CONNECTIONS)
                cpu = server.cpu_seconds() - cpu
                self.samples.add(f"relay.{name}.events_per_cpu_second", result["events"] / max(cpu, 1e-9))
                self.samples.add(f"relay.{name}.events_per_second", result["events"] / result["seconds"])
        self.mock.set(events=10)

    # ---- the gateway alone -------------------------------------------------------------------------------

    def start_up(self):
        for turn in range(self.options.rounds):
            gateway = self.start(self.new_gateway(f"start-{turn}")).wait_ready()
            self.samples.add("start_ms", gateway.ready_seconds * 1e3)
            time.sleep(0.3)  # what start-up leaves to the background is part of the idle memory
            self.samples.add("rss_idle_mib", gateway.rss_bytes() / 2**20)
            gateway.stop()

    def burst(self):
        """Equal requests at once against a slow upstream: all but one wait for the first."""
        self.mock.set(delay_ms=300)
        for _ in range(self.options.rounds):
            body, before = self.fresh_body(), self.mock.count()
            gate, statuses = threading.Barrier(BURST), []

            def ask():
                gate.wait()
                statuses.append(servers.request(self.payonce.port, "POST", CHAT, body)[0])

            threads = [threading.Thread(target=ask) for _ in range(BURST)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.samples.check(statuses == [200] * BURST, "all of a burst are answered", statuses)
            self.samples.add("burst_upstream_calls", self.mock.count() - before)
        self.mock.set(delay_ms=0)

    def idle_connections(self):
        """Connections that have asked once and stay open; the growth of the gateway's memory over them."""
        if not raise_descriptor_limit(IDLE_CONNECTIONS + 500):
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            self.samples.notes.append(f"idle connections: skipped, at most {limit} descriptors are allowed here")
            return
        gateway = self.start(self.new_gateway("idle")).wait_ready()
        self.prime(gateway.port, "small")
        body = (self.directory / "small.json").read_bytes()
        head = f"POST {CHAT} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer bench\r\n" \
               f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        before, held, answered = gateway.rss_bytes(), [], 0
        try:
            for _ in range(IDLE_CONNECTIONS):
                connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
                held.append(connection)
                connection.sendall(head.encode() + body)
                answered += connection.recv(65536).startswith(b"HTTP/1.1 200")
            time.sleep(0.5)
            closed = sum(bool(select_readable(part)) for part in chunks(held, 500))
            self.samples.check(answered == IDLE_CONNECTIONS and closed == 0, "idle connections are answered and kept",
                               f"{answered} of {IDLE_CONNECTIONS} answered, some closed: {closed > 0}")
            self.samples.add("idle_connections_mb", (gateway.rss_bytes() - before) / 1e6)
        except OSError as error:
            self.samples.check(False, "idle connections are answered and kept", f"after {len(held)}: {error}")
        finally:
            for connection in held:
                connection.close()
            gateway.stop()

    def run(self):
        self.start_rivals()
        steps = [self.hits, self.misses, self.first_events, self.relay]
        if self.payonce:
            steps += [self.start_up, self.burst, self.idle_connections]
        for step in steps:
            if self.options.only and step.__name__ not in self.options.only:
                continue
            print(f"… {step.__name__}", flush=True)
            step()
        if self.payonce:
            self.samples.add("rss_after_mib", self.payonce.rss_bytes() / 2**20)
        return self.samples


def rotated(rivals, turn):
    """Who goes first changes from round to round."""
    shift = turn % len(rivals)
    return rivals[shift:] + rivals[:shift]


def chunks(items, size):
    return [items[at:at + size] for at in range(0, len(items), size)]


def select_readable(connections):
    """Those with something to read: the peer has closed, since no answer is owed. poll, as select() stops at 1024."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    return poll.poll(0)


def raise_descriptor_limit(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return True
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError):
        return False
    return True


def pin_to(core):
    os.sched_setaffinity(0, {core})
