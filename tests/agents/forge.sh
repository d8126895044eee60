#!/usr/bin/env bash
# ForgeCode with Payonce in its loop, for real: applies the patches to a checkout, builds it, and asks the same
# questions twice through a scripted model. Not part of CI: a first build takes 7 minutes on two cores, and 3 GB.
#
#   FORGE_CHECKOUT=…/forgecode PAYONCE_BINARY=…/payonce tests/agents/forge.sh [--unit]
#
# --unit also runs ForgeCode's own tests of the crates that are touched. Needs git, cargo, protoc (Debian:
# protobuf-compiler), python3. The checkout keeps the patches; integrations/forgecode/apply.sh --undo takes them out.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() { printf 'forge.sh: %s\n' "$*" >&2; exit 1; }

: "${FORGE_CHECKOUT:?the path of a checkout of ForgeCode}"
: "${PAYONCE_BINARY:?the path of the payonce program}"
[[ -x $PAYONCE_BINARY ]] || die "PAYONCE_BINARY is '$PAYONCE_BINARY', no program"
command -v protoc >/dev/null || die "no protoc; Debian: apt-get install protobuf-compiler"
jobs=${PAYONCE_JOBS:-2}

"$here/../../integrations/forgecode/apply.sh" "$FORGE_CHECKOUT"
cd "$FORGE_CHECKOUT"
# Their pinned toolchain is used where it is installed; from 1.94 on any compiles it.
if ! cargo --version >/dev/null 2>&1; then
  RUSTUP_TOOLCHAIN=$(rustup toolchain list | sed -n 's/ (.*default.*)//p')
  export RUSTUP_TOOLCHAIN
fi
# Without debug information the build takes a quarter of the disk.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
cargo build --locked -p forge_main -j"$jobs"
cargo test --locked -p forge_app -j"$jobs" payonce
if [[ ${1:-} == --unit ]]; then
  cargo test --locked -p forge_app -p forge_config -p payonce -j"$jobs" --lib
fi
target=$(cargo metadata --format-version 1 --no-deps --locked |
  python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
python3 "$here/forge_check.py" "$target/debug/forge" "$PAYONCE_BINARY"
