#!/bin/sh
# Makes an environment with what the tests need, as tests/*requirements.txt pin it, and runs them against the program
# of PAYONCE_BINARY. With --agents those in the real frameworks and the real cheetahclaws, too, which take minutes and
# need PAYONCE_MODEL; then types are checked as well.
set -eu
cd "$(dirname "$0")"
if ! python3 -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
  echo "sdk/python: no Python 3.10 or newer with venv here, which these tests need" >&2
  exit 77
fi
agents=false
if [ "${1:-}" = --agents ]; then
  agents=true
  shift
fi
if $agents; then list=tests/agents_requirements.txt name=agents; else list=tests/requirements.txt name=plain; fi
venv=../../build/venv-sdk-python-$name
if ! cmp -s "$list" "$venv/installed.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$list"
  cp "$list" "$venv/installed.txt"
fi
"$venv/bin/ruff" format --check --quiet src tests setup.py
"$venv/bin/ruff" check --quiet src tests setup.py
if $agents; then
  "$venv/bin/mypy"
  exec "$venv/bin/python" -m pytest -q -p no:cacheprovider "$@"
fi
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider --ignore tests/test_cheetahclaws.py \
  --ignore tests/test_integrations.py "$@"
