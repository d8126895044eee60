#!/bin/sh
# The crate's tests against the program of PAYONCE_BINARY.
set -eu
cd "$(dirname "$0")"
if ! command -v cargo >/dev/null; then
  echo "sdk/rust: no cargo here; Rust 1.85 or newer is needed to run these tests" >&2
  exit 77
fi
exec cargo test --quiet
