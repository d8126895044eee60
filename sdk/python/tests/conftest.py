"""Fixtures: one instance for the tests of a file, each of which asks as a caller of its own."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from instance import Instance

import payonce

_callers = itertools.count(1)
NOWHERE = "http://127.0.0.1:9"  # an upstream that nobody needs


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[None]:
    """No test sees this machine's instance, nor another test's client."""
    for name in ("PAYONCE_URL", "PAYONCE_SOCKET", "PAYONCE_API_KEY", "PAYONCE_TIMEOUT_MS", "PAYONCE_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PAYONCE_URL", NOWHERE)
    payonce.set_default_client(None)
    yield
    payonce.set_default_client(None)


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    running = Instance(tmp_path_factory.mktemp("instance"), "--upstream", NOWHERE + "/v1", "--layers", "exact")
    yield running
    running.stop()


@pytest.fixture(params=["socket", "http"])
def make_client(instance: Instance, request: pytest.FixtureRequest) -> Iterator[Callable[..., payonce.Client]]:
    """make_client(api_key=…): strict clients of one caller, over the socket and over HTTP."""
    made: list[payonce.Client] = []
    caller = f"sk-test-{next(_callers)}"

    def make(**options: Any) -> payonce.Client:
        where = {"socket": instance.socket if request.param == "socket" else ""}
        client = instance.client(**{"api_key": caller, **where, **options})
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., payonce.Client]) -> payonce.Client:
    return make_client()


@pytest.fixture
def default(client: payonce.Client) -> payonce.Client:
    """The client that decorators and runs use."""
    payonce.set_default_client(client)
    return client
