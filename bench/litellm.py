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


def install(directory, version):
    """The virtual environment's proxy program; made once."""
    program, stamp = directory / "bin" / "litellm", directory / "installed.txt"
    if not (stamp.exists() and stamp.read_text() == version):
        print(f"… installing litellm[proxy] {version}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        pip = [directory / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", f"litellm[proxy]=={version}"], check=True)
        stamp.write_text(version)
    return program


class LiteLlm(servers.Server):
    def __init__(self, program, mock_port, core, directory):
        port = servers.free_port()
        config = directory / "litellm.yaml"
        config.write_text(CONFIG.format(port=mock_port))
        # Prices from the package: the proxy must not wait for a network.
        env = {**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        command = [program, "--config", config, "--host", "127.0.0.1", "--port", port, "--num_workers", 1]
        super().__init__("litellm", command, port, core, directory, env)
