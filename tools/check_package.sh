#!/usr/bin/env bash
# check_package.sh TARBALL MODEL.gguf: unpacks the tarball into a place of its own and asks the engine in it
# something.
set -euo pipefail

die() { printf 'check_package: %s\n' "$*" >&2; exit 1; }
[[ $# == 2 && -f $1 && -f $2 ]] || die "usage: check_package.sh TARBALL MODEL.gguf"
tarball=$(realpath "$1")
model=$(realpath "$2")

place=$(mktemp -d)
engine=
trap '[[ -z $engine ]] || kill "$engine" 2>/dev/null || true; rm -rf "$place"' EXIT
tar -xzf "$tarball" -C "$place" --strip-components=1
"$place/bin/payonce" --version

: >"$place/out"  # read below, perhaps before the engine's shell has made it
# In an environment without anything that could help it find libraries or files.
env -i HOME="$place" "$place/bin/payonce" engine --model "$model" --listen 127.0.0.1:0 --kv-memory 64MiB --json \
  >"$place/out" 2>"$place/log" &
engine=$!
for ((tries = 0; tries < 600; ++tries)); do
  url=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$place/out")
  [[ -z $url ]] || break
  kill -0 "$engine" 2>/dev/null || { cat "$place/log" >&2; die "the engine ended"; }
  sleep 0.1
done
[[ -n $url ]] || { cat "$place/log" >&2; die "the engine was not ready after 60 s"; }
answer=$(curl -sf "$url/v1/completions" -d '{"prompt":"The capital of France is","max_tokens":4,"temperature":0}') ||
  { cat "$place/log" >&2; die "no answer"; }
[[ $answer == *Paris* ]] || die "expected Paris in the answer, found: $answer"
# By the embedder that the package brings.
answer=$(curl -sf "$url/v1/embeddings" -d '{"input":"What is a cache?","dimensions":2}') ||
  { cat "$place/log" >&2; die "no embedding"; }
[[ $answer == *'"model":"all-MiniLM-L6-v2"'* ]] || die "expected a vector of all-MiniLM-L6-v2, found: $answer"
kill "$engine"
wait "$engine" || die "exit status $? after SIGTERM"
engine=
printf 'check_package: %s starts, answers and ends\n' "$(basename "$tarball")" >&2
