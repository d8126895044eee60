#!/usr/bin/env bash
# container.sh CONTEXT MODEL.gguf: the steps of CONTEXT/Containerfile without a container engine, on a bare Debian in
# place of debian:bookworm-slim; then the image's command as its user, its health check, a first hit, and that nothing
# is written outside its volume and /tmp.
# shellcheck source=packaging/check/root.sh
source "$(dirname "$0")/root.sh"
[[ $# == 2 && -f $1/Containerfile && -f $2 ]] || die "usage: container.sh CONTEXT MODEL.gguf"
isolate "$@"

# Each stage is a tree below one folder.
stages=$(mktemp -d "$roots/at-work.stages.XXXXXX")
new_root
unpack=$root
first_place=$root_place
new_root
image=$root
trap 'umount -Rl "$first_place/tree" "$root_place/tree" 2>/dev/null || true
  rm -rf --one-file-system "$first_place" "$root_place" "$stages"' EXIT
ln -s "$unpack" "$stages/unpack"
ln -s "$image" "$stages/image"
python3 "$(dirname "$0")/container.py" "$1" "$stages"
# lines EXPRESSION: of the image's settings, a line each.
lines() {
  python3 -c 'import json, sys; s = json.load(open(sys.argv[1])); print(*eval(sys.argv[2]), sep="\n")' \
    "$stages/image.json" "$1"
}
mapfile -t told < <(lines '[f"{name}={value}" for name, value in s["env"].items()]')
mapfile -t command < <(lines 's["entrypoint"] + s["cmd"]')
mapfile -t health < <(lines 's["healthcheck"]')
IFS=: read -r uid gid < <(lines '[s["user"]]')
[[ $uid != 0 ]] || die "the image's user is root"
user=(setpriv "--reuid=$uid" "--regid=$gid" --clear-groups --no-new-privs --bounding-set=-all)

cp "$2" "$image/model.gguf"
start engine "${user[@]}" /opt/payonce/bin/payonce engine --model /model.gguf --listen 127.0.0.1:0 --kv-memory 64MiB
engine=$url
touch "$root/before"
# As the engine would run it: the image's variables and command, and the upstream that the user names. The port is
# fixed.
as_image=(chroot "$image" "${user[@]}" env -i "${told[@]}" "PAYONCE_UPSTREAM=$engine/v1")
! "${as_image[@]}" "${health[@]}" 2>/dev/null || not_tried "something listens on port 4141 here"
"${as_image[@]}" "${command[@]}" >"$root/serve.log" 2>&1 &
# shellcheck disable=SC2034  # read by `stop serve`
serve_pid=$!
for ((tries = 0; tries < 100; ++tries)); do
  ! "${as_image[@]}" "${health[@]}" 2>/dev/null || break
  sleep 0.2
done
"${as_image[@]}" "${health[@]}" || { cat "$root/serve.log" >&2; die "the health check does not pass"; }
ask http://127.0.0.1:4141 "What is a container?" "fwd=miss"
ask http://127.0.0.1:4141 "What is a container?" "hit"
written=$(find "$image" -xdev -newer "$root/before" -type f ! -name '*.log' |
  grep -vE '/tree/(var/lib/payonce|proc|tmp)/' || true)
[[ -z $written ]] || die "written outside the volume: $written"
[[ $(stat -c %u "$image"/var/lib/payonce/responses) == "$uid" ]] || die "the volume is not the user's"
stop serve
stop engine
say "Containerfile: its steps, user, health check and volume work in a bare $suite"
