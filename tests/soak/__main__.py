"""All layers at once: seeded traffic against the real binary, with faults, kills and restarts, every answer verified.
`./dev soak` runs it; README.md says what is checked."""

import argparse
import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

import report  # noqa: E402
from agents import AgentActor, Files  # noqa: E402
from director import Director, Poller  # noqa: E402
from harness import Gateway, model_file  # noqa: E402
from scripted import Scripted  # noqa: E402
from traffic import GatewayActor  # noqa: E402
from watch import Watch  # noqa: E402
from world import World  # noqa: E402

GATEWAY_ACTORS = 10
AGENT_ACTORS = 3
# Of a build: patience for one request, until it is ready, and the share of requests to the engine that it bears.
BUILDS = {"release": (60.0, 60.0, 1.0), "dev": (120.0, 180.0, 0.3), "tsan": (240.0, 300.0, 0.05)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev soak", description="mixed traffic with faults, kills and restarts")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=None, help="of a run that is to be replayed; default: a new one")
    parser.add_argument("--build", choices=BUILDS, default="release", help="how the binary was built")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a good run, too")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    seed = given.seed if given.seed is not None else int.from_bytes(os.urandom(4), "big")
    patience_s, ready_s, engine_share = BUILDS[given.build]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="payonce-soak-"))
    print(f"soak: seed {seed}, {given.minutes:g} minutes, {given.build}, folder {folder}", flush=True)
    world = World(seed, folder, patience_s)
    upstreams = [Scripted(world.book).start() for _ in range(2)]
    gateway = Gateway(
        folder,
        *Director.flags(str(folder / "payonce.toml"), model_file()),
        command="up",
        env=Director.environment(os.environ.get("PAYONCE_EMBEDDER", "")),
    )
    gateway.client.timeout = patience_s
    director, watch = Director(world, gateway, upstreams, ready_s), Watch(world, gateway)
    files = Files(folder / "files")
    actors = [GatewayActor(world, gateway.root, f"gw{number}", engine_share).run for number in range(GATEWAY_ACTORS)]
    actors += [AgentActor(world, gateway, files, f"ag{number}").run for number in range(AGENT_ACTORS)]
    actors += [Poller(world, gateway).run, watch.run]
    threads = [threading.Thread(target=actor, daemon=True) for actor in actors]
    began = time.monotonic()
    try:
        director.configure(start=True)
        director.begin()
        for thread in threads:
            thread.start()
        director.run(given.minutes * 60)
        director.end()
        for thread in threads:
            thread.join(patience_s)
    finally:
        world.over.set()
        if gateway.process and gateway.process.poll() is None:
            gateway.kill()
        for upstream in upstreams:
            upstream.stop()
        world.flush()
    length_s = time.monotonic() - began
    print(report.summary(world, watch, length_s), flush=True)
    if world.findings:
        print(f"soak: {len(world.findings)} findings; replay with --seed {seed}; {folder} is kept", flush=True)
        return 1
    if not given.keep:
        shutil.rmtree(folder, ignore_errors=True)
    print("soak: nothing found", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
