#!/bin/sh
# run_real.sh PAYONCE TEST: a test, and then the example, against a program of their own.
set -eu
folder=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; rm -rf "$folder"' EXIT
# None of the ports that the system gives to connections.
port=$(python3 -c 'import random, socket
for port in random.sample(range(10_000, 32_000), 100):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        continue
    print(port)
    break')
unset PAYONCE_SOCKET PAYONCE_API_KEY
export PAYONCE_TIMEOUT_MS=30000 # the machine may be busy
export PAYONCE_URL="http://127.0.0.1:$port" XDG_RUNTIME_DIR="$folder" PAYONCE_HOME="$folder" HOME="$folder"
"$1" serve --upstream http://127.0.0.1:1/v1 --layers exact --listen "127.0.0.1:$port" --data "$folder/data" \
  >"$folder/log" 2>&1 &
pid=$!
tries=0
until [ -S "$folder/payonce/$port.sock" ]; do
  tries=$((tries + 1))
  if [ "$tries" -gt 300 ] || ! kill -0 "$pid" 2>/dev/null; then cat "$folder/log" >&2; exit 1; fi
  sleep 0.1
done
"$2"
"$3" 1000 | grep '^miss: computed 875'
"$3" 1000 | grep '^hit: 875'
