"""One agent, its project, its home, the gateway and the scripted model: what a test of this folder works with."""

import dataclasses
import os
import pathlib
import re
import shutil
import types
from typing import Any

from agent import Agent, Ended, Setup
from harness import Gateway
from script import Model
from workspace import Workspace


@dataclasses.dataclass(frozen=True)
class Session:
    """One session, ended: what it said, and which of its calls reached the upstream."""

    ended: Ended
    upstream: list[str]
    hits: int

    @property
    def answer(self) -> int:
        """Number of the upstream call that wrote the final answer."""
        found: list[str] = re.findall(r"\(answer (\d+)\)", self.ended.out)
        assert found, f"no final answer: {self.ended}"
        return int(found[-1])


class Lab:
    """`with Lab(agent, folder) as lab: lab.session()`."""

    def __init__(self, agent: Agent, folder: pathlib.Path, layers: str = "exact") -> None:
        self.agent = agent
        self.home = folder / "home"
        self.workspace = Workspace(folder / "project", agent.rules_file)
        self.model = Model(agent, self.workspace.folder)
        self._folder = folder
        self._layers = layers
        self.gateway: Gateway

    def __enter__(self) -> "Lab":
        self.model.upstream.start()
        embedder = os.environ.get("PAYONCE_EMBEDDER", "none")
        self.gateway = Gateway(self._folder / "gateway", "--upstream", self.model.upstream.url, "--layers",
                               self._layers, env={"PAYONCE_EMBEDDER": embedder}).start()
        self.fresh_home()
        self.workspace.reset()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | types.TracebackType | None) -> None:
        self.gateway.client.close()
        self.gateway.stop()
        self.model.upstream.stop()

    def fresh_home(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)

    def setup(self, **what: Any) -> Setup:
        return dataclasses.replace(Setup(root=self.gateway.root, home=self.home, repo=self.workspace.folder), **what)

    def hits(self) -> int:
        count: int = self.gateway.stats()["layers"]["exact"]["hits"]
        return count

    def session(self, **what: Any) -> Session:
        """A new process asks in the project as it stands."""
        before = self.hits()
        ended = self.agent.run(self.setup(**what))
        assert ended.status == 0, f"{self.agent.name}: {ended}"
        return Session(ended, self.model.new(), self.hits() - before)
