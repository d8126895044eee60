"""Fixtures: one upstream and one gateway for each test, so that no test sees another's entries."""

import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import Gateway, eventually, model_file  # noqa: E402
from upstream import Upstream  # noqa: E402

MODEL_READY_LIMIT_S = 120
DAY_S = 24 * 3600


@pytest.fixture
def one_day():
    """For what is summed up by day (UTC): a test that would run over midnight waits for it."""
    eventually(lambda: time.time() % DAY_S < DAY_S - 60, 120, "the next day")


@pytest.fixture
def upstream():
    with Upstream() as running:
        yield running


@pytest.fixture
def make_gateway(tmp_path):
    """make_gateway(*flags, name="g", …) starts one; all are stopped at the end."""
    running = []

    def make(*arguments, name="gateway", start=True, **options):
        gateway = Gateway(tmp_path / name, *arguments, **options)
        running.append(gateway)
        return gateway.start() if start else gateway

    yield make
    for gateway in running:
        gateway.client.close()
        if gateway.process and gateway.process.poll() is None:
            gateway.stop()


@pytest.fixture
def gateway(make_gateway, upstream):
    """The gateway of most tests: one upstream, no keys, so that the caller's credential passes through."""
    return make_gateway("--upstream", upstream.url, "--layers", "exact")


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """One for the tests of a file that leave nothing behind but cached blocks; each asks as a tenant of its own."""
    running = Gateway(tmp_path_factory.mktemp("engine"), "--model", model_file(), "--kv-memory", "256MiB",
                      command="engine", keep=False).start(MODEL_READY_LIMIT_S)
    running.client.timeout = 120
    yield running
    assert running.stop() == 0, running.log()
    running.client.close()
