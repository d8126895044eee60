#!/usr/bin/env bash
# newcomer.sh: README's first two commands in a bare Debian 12, in a clone of the last commit, by a user who may sudo.
# Nothing is there but git, sudo and curl; no cache is warm. Tells after how many seconds each step began. Not part of
# `./dev package`: it compiles for some ten minutes.
# shellcheck source=packaging/check/root.sh
source "$(dirname "${BASH_SOURCE[0]}")/root.sh"
isolate "$@"
new_root

readonly url=http://127.0.0.1:4141
if curl -s -o /dev/null "$url"; then not_tried "something listens on $url already"; fi
install_in_root git sudo curl ca-certificates
enter useradd --create-home --shell /bin/bash newcomer
echo 'newcomer ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/newcomer"
git -C "$here" bundle create --quiet "$root/payonce.bundle" HEAD
newcomer=("${inside[@]}" setpriv --reuid=newcomer --regid=newcomer --init-groups env HOME=/home/newcomer)

declare -A seen=()
SECONDS=0
"${newcomer[@]}" git -c advice.detachedHead=false clone --quiet /payonce.bundle /home/newcomer/payonce
"${newcomer[@]}" sh -c 'cd ~/payonce && exec ./dev run' >"$root/run.log" 2>&1 &
run=$!
until curl -sf -o /dev/null "$url/readyz"; do
  kill -0 "$run" 2>/dev/null || { tail -n 40 "$root/run.log" >&2; die "./dev run ended"; }
  ((SECONDS < 3600)) || die "not ready after an hour"
  for step in 'installing:' 'building .* of llama.cpp' 'Building CXX object src/'; do
    if [[ -z ${seen[$step]:-} ]] && grep -q "$step" "$root/run.log"; then seen[$step]=1; say "$SECONDS s: $step"; fi
  done
  sleep 1
done
say "$SECONDS s: ready"
ask "$url" "What is a cache?" "fwd=miss"
say "$SECONDS s: the first answer"
ask "$url" "What is a cache?" "hit"
say "$SECONDS s: the first hit"
kill "$run"
say "works"
