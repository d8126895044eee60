#!/usr/bin/env bash
# Puts Payonce into a checkout of ForgeCode, and takes it out again.
#
#   apply.sh CHECKOUT            applies; a second time it brings the files up to date
#   apply.sh --check CHECKOUT    says whether it could, and changes nothing
#   apply.sh --undo CHECKOUT     takes everything out again
#
# A few lines are added to files of ForgeCode (the patches beside this script); all else are new folders and files:
# crates/payonce (the Rust SDK), crates/forge_app/src/payonce, crates/forge_config/src/payonce.rs.
set -euo pipefail

readonly commit=6ed5d37b6b45a2b6220877fd9aec5ba4c4b7f3c0 # of 2026-08-08
readonly here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly sdk=$here/../../sdk/rust
readonly new=(crates/payonce crates/forge_app/src/payonce crates/forge_config/src/payonce.rs)

die() { printf 'apply.sh: %s\n' "$*" >&2; exit 1; }

usage() { sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

patches() { git -C "$checkout" apply --unidiff-zero --whitespace=nowarn "$@" "$here"/*.patch 2>/dev/null; }

is_applied() { patches --reverse --check; }

check_commit() {
  local found
  found=$(git -C "$checkout" rev-parse HEAD)
  [[ $found == "$commit" ]] || die "the checkout is at ${found:0:12}, the patches are made for ${commit:0:12}. Run
  git -C $checkout checkout ${commit:0:12}
(after 'git -C $checkout fetch', when it says that there is no such commit), then this again."
}

# The lines go to places told by number, so the files must be the commit's own.
check_fits() {
  local file changed
  local -a files
  mapfile -t files < <(sed -n 's|^+++ b/||p' "$here"/*.patch)
  changed=$(git -C "$checkout" status --short -- "${files[@]}")
  [[ -z $changed ]] || die "these files of the checkout are changed:
$changed
Put the changes aside (git -C $checkout stash), then run this again."
  patches --check || die "the patches do not fit; is $here whole?"
  for file in "${new[@]}"; do
    [[ ! -e $checkout/$file ]] || die "$checkout/$file is there, and not from here.
Move it away, then run this again."
  done
}

copy() {
  mkdir -p "$checkout/crates/payonce"
  cp -R "$sdk/Cargo.toml" "$sdk/README.md" "$sdk/src" "$checkout/crates/payonce/"
  cp -R "$here/forge_app/payonce" "$checkout/crates/forge_app/src/"
  cp "$here/forge_config/payonce.rs" "$checkout/crates/forge_config/src/"
}

remove() {
  local file
  for file in "${new[@]}"; do rm -rf "${checkout:?}/$file"; done
}

mode=apply
case ${1:-} in
  --check | --undo) mode=${1#--}; shift ;;
esac
[[ $# == 1 && $1 != -* ]] || usage
checkout=$(git -C "$1" rev-parse --show-toplevel 2>/dev/null) || die "'$1' is no checkout of ForgeCode"
[[ -d $checkout/crates/forge_app ]] || die "'$1' is no checkout of ForgeCode: it has no crates/forge_app"

case $mode in
  check)
    check_commit
    if is_applied; then echo "applied"; else check_fits; echo "can be applied"; fi
    ;;
  undo)
    is_applied || die "Payonce is not in this checkout, or its lines were changed since:
  git -C $checkout diff"
    patches --reverse
    remove
    echo "taken out of $checkout"
    ;;
  apply)
    check_commit
    if is_applied; then
      remove
    else
      check_fits
      patches
    fi
    copy
    echo "Payonce is in $checkout. Build it: cargo build --release -p forge_main (it needs protoc)"
    ;;
esac
