#!/bin/sh
# run_pytest.sh PYTHON FILE: runs one end-to-end file. Without its environment the test fails and says what makes it.
if [ ! -x "$1" ]; then
  echo "no Python environment at $1: run ./dev test" >&2
  exit 1
fi
exec "$1" -m pytest -q -p no:cacheprovider "$2"
