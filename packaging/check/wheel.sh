#!/usr/bin/env bash
# wheel.sh WHEEL MODEL.gguf: pip install into a fresh environment of a bare system; the two lines around OpenAI's own
# client start the program that the wheel carries, and the second answer comes from it.
# shellcheck source=packaging/check/root.sh
source "$(dirname "$0")/root.sh"
[[ $# == 2 && -f $1 && -f $2 ]] || die "usage: wheel.sh WHEEL MODEL.gguf"
isolate "$@"
new_root
install_in_root python3-minimal python3-venv
cp "$1" "$root/"
cp "$2" "$root/model.gguf"
enter python3 -m venv /venv
enter /venv/bin/pip install --quiet --disable-pip-version-check "/$(basename "$1")" openai || die "pip install"
enter /venv/bin/payonce --version >&2
# A provider of its own: the program's engine.
start engine /venv/bin/payonce engine --model /model.gguf --listen 127.0.0.1:0 --kv-memory 64MiB
cat >"$root/two_lines.py" <<'PYTHON'
import sys

import payonce
from openai import OpenAI

client = payonce.wrap(OpenAI(base_url=sys.argv[1], api_key="sk-1"))
for _ in range(2):
    raw = client.chat.completions.with_raw_response.create(
        model="default", max_tokens=8, messages=[{"role": "user", "content": "What is a wheel?"}])
    print(raw.headers.get("cache-status"))
PYTHON
enter env HOME=/tmp /venv/bin/python /two_lines.py "$url/v1" >"$root/said" || die "two_lines.py"
mapfile -t said <"$root/said"
[[ ${said[0]} == *fwd=miss* && ${said[1]} == *hit* ]] || die "expected a miss and a hit, found: ${said[*]}"
stop engine
enter /venv/bin/pip uninstall --quiet --yes payonce
[[ -z $(find "$root/venv" -name 'payonce*') ]] || die "uninstalling left $(find "$root/venv" -name 'payonce*')"
say "$(basename "$1"): two lines around OpenAI() start the carried program in a bare $suite: ${said[1]}"
