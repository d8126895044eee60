"""Where the programs, the models and the public data lie, and on which cores things run: the same for every run."""

import argparse
import dataclasses
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
TOOLS = ("mock_upstream", "bare_loop", "sse_client", "key_bench", "prefix_bench", "embed_bench")


class Skipped(Exception):
    """What a section needs is not here; the text says what."""


@dataclasses.dataclass(frozen=True)
class Settings:
    quick: bool
    data: pathlib.Path      # public data: semantic/, traces/
    build: pathlib.Path     # of the release preset
    server_core: str
    load_core: str
    model: pathlib.Path
    embedder: pathlib.Path
    llama_server: pathlib.Path

    @property
    def payonce(self) -> pathlib.Path:
        return self.build / "payonce"

    @property
    def both_cores(self) -> str:
        return f"{self.server_core},{self.load_core}"

    def tool(self, name: str) -> pathlib.Path:
        return self.build / "bench" / name

    def data_files(self, folder: str, pattern: str) -> list[pathlib.Path]:
        found = sorted((self.data / folder).glob(pattern))
        if not found:
            raise Skipped(f"no {folder}/{pattern} in {self.data}; --data names the folder that holds {folder}/")
        return found


def add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data",
                        help="folder with the public data: semantic/, traces/, logs/ (default ../shared/data)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release", help="of preset release")
    parser.add_argument("--server-core", default="0")
    parser.add_argument("--load-core", default="1")


def settings_of(options: argparse.Namespace, quick: bool = False) -> Settings:
    models = pathlib.Path(os.environ.get("PAYONCE_HOME", pathlib.Path.home() / ".cache" / "payonce")) / "models"
    found = Settings(
        quick, options.data.resolve(), options.build.resolve(), options.server_core, options.load_core,
        pathlib.Path(os.environ.get("PAYONCE_MODEL", models / "SmolLM2-135M-Instruct.Q4_1.gguf")),
        pathlib.Path(os.environ.get("PAYONCE_EMBEDDER", models / "all-MiniLM-L6-v2.gguf")),
        pathlib.Path(os.environ.get("PAYONCE_LLAMA_SERVER", "llama-server")))
    allowed = sorted(os.sched_getaffinity(0))
    if not {int(found.server_core), int(found.load_core)} <= set(allowed):
        sys.exit(f"bench: cores {found.both_cores} are wanted, this process may use {allowed}; see --server-core")
    for program in (found.payonce, *map(found.tool, TOOLS), found.model, found.embedder):
        if not program.exists():
            sys.exit(f"bench: {program} is missing; ./dev bench makes it")
    return found
