"""LiteLLM's proxy beside the gateway, in its kindest setting: cache in memory, no database, no keys, no logging."""

import os
import subprocess
import sys

import servers

CONFIG = """\
model_list:
  - model_name: gpt-4o-mini
    litellm_params:
      model: openai/gpt-4o-mini
      api_base: http://127.0.0.1:{port}/v1
      api_key: bench
litellm_settings:
  cache: true
  telemetry: false
  cache_params:
    type: local
    max_messages: 1000
"""


def install(directory, version):
    """The virtual environment's proxy program; made once."""
    program, stamp = directory / "bin" / "litellm", directory / "installed.txt"
    if not (stamp.exists() and stamp.read_text() == version):
        print(f"… installing litellm[proxy] {version}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        subprocess.run([directory / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                        f"litellm[proxy]=={version}"], check=True)
        stamp.write_text(version)
    return program


def measure(bench, program):
    """Hits and misses of the small body; the peer is slow enough for a single run each to be exact."""
    port = servers.free_port()
    config = bench.directory / "litellm.yaml"
    config.write_text(CONFIG.format(port=bench.mock.port))
    # Prices from the package: the proxy must not wait for a network.
    env = {**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [program, "--config", config, "--host", "127.0.0.1", "--port", port, "--num_workers", 1]
    server = servers.Server("litellm", command, port, bench.options.server_core, bench.directory, env)
    bench.start(server).wait_listening(120)
    hit = bench.prime(port, "small", 30)
    bench.samples.check(hit, "the second request is a hit", "LiteLLM")
    bench.measure("hit16.small.litellm", server, port, "small", 16, False)
    bench.measure("hit1.small.litellm", server, port, "small", 1, False)
    bench.measure("miss.small.litellm", server, port, "small", 1, True)
    server.stop()
