"""Who is measured beside the gateway, each in its kindest setting, and the provider behind all of them."""

import json
import os
import pathlib
import string
from typing import Any

from base.run import environment
from base.servers import LOOPBACK, Server, find_program, free_port, request
from base.settings import BENCH

HERE = pathlib.Path(__file__).parent
CHAT = "/v1/chat/completions"
LITELLM_CONFIG = """\
model_list:
  - model_name: gpt-4o-mini
    litellm_params:
      model: openai/gpt-4o-mini
      api_base: http://127.0.0.1:{port}/v1
      api_key: bench
general_settings:
  # No authentication, which is its fastest way; it listens on loopback alone and guards nothing.
  dangerously_permit_weak_or_unset_master_key: true
litellm_settings:
  cache: true
  telemetry: false
  cache_params:
    type: local
    max_messages: 1000
"""


class Mock(Server):
    """The provider; it counts what reaches it."""

    def __init__(self, binary: pathlib.Path, core: str, directory: pathlib.Path) -> None:
        port = free_port()
        super().__init__("mock", [binary, "--port", port], port, core, directory)

    def count(self) -> int:
        return int(json.loads(request(self.port, "GET", "/count")[2])["requests"])

    def set(self, **options: Any) -> None:
        query = "&".join(f"{name.replace('_', '-')}={value}" for name, value in options.items())
        request(self.port, "GET", f"/set?{query}")

    def answer(self, body: str) -> str:
        """Its answer to `body`, which is counted."""
        return request(self.port, "POST", CHAT, body)[2].decode()


class Nginx(Server):
    """Three ports: a fixed answer, a proxy, a proxy that does not buffer."""

    def __init__(self, mock: Mock, answer: str, core: str, directory: pathlib.Path) -> None:
        home = directory / "nginx"
        home.mkdir()
        self.proxy_port, self.stream_port = free_port(), free_port()
        port = free_port()
        template = string.Template((HERE / "nginx.conf").read_text())
        (home / "nginx.conf").write_text(template.substitute(
            upstream_port=mock.port, static_port=port, proxy_port=self.proxy_port, stream_port=self.stream_port,
            answer=answer))
        home.chmod(0o777)  # started as root, the worker becomes another user, who must be able to write here
        program = find_program("nginx", "nginx-light")
        super().__init__("nginx", [program, "-p", home, "-c", home / "nginx.conf", "-e", "stderr"], port, core,
                         directory)


class BareLoop(Server):
    """The least that a cache keyed by content must do: epoll, hash of the body, map, send."""

    def __init__(self, name: str, binary: pathlib.Path, flags: list[str], core: str, directory: pathlib.Path) -> None:
        port = free_port()
        super().__init__(name, [binary, "--port", port, *flags], port, core, directory)


class LiteLlm(Server):
    """LiteLLM's proxy: cache in memory, no database, no keys, no logging."""

    def __init__(self, mock: Mock, core: str, directory: pathlib.Path) -> None:
        port = free_port()
        program = environment("litellm").parent / "litellm"
        config = directory / "litellm.yaml"
        config.write_text(LITELLM_CONFIG.format(port=mock.port))
        # Prices from the package: the proxy must not wait for a network.
        env = {**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        command = [program, "--config", config, "--host", LOOPBACK, "--port", port, "--num_workers", 1]
        super().__init__("litellm", command, port, core, directory, env=env)


def litellm_version() -> str:
    return (BENCH / "peers" / "litellm.txt").read_text().strip().split("==")[1]
