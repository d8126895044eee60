# shellcheck shell=bash
# Sourced by the checks: a minimal Debian 12 in a folder, in which nothing of ours and nothing of the builder's is
# installed. Needs root, unshare and debootstrap; without them a check ends with status 77, which is: not tried.
# Mounts and processes live in name spaces of their own and are gone with the script, however it ends.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly here roots=$here/build/roots suite=bookworm
readonly check=${0##*/}

say() { printf '%s: %s\n' "${check%.sh}" "$*" >&2; }
die() { say "FAILED: $*"; exit 1; }
not_tried() { say "not tried: $*"; exit 77; }

# Runs the calling script once more, in name spaces of its own.
isolate() {
  if [[ -n ${PAYONCE_ISOLATED:-} ]]; then unset PAYONCE_ISOLATED; return; fi
  [[ $(id -u) == 0 ]] || not_tried "needs root"
  unshare --mount --pid --fork true 2>/dev/null || not_tried "no name spaces may be made here"
  make_base
  PAYONCE_ISOLATED=1 exec unshare --mount --pid --fork --kill-child bash "$0" "$@"
}

# The archive that this machine's apt uses, asked once; the result is kept.
make_base() {
  local archive
  mkdir -p "$roots"
  exec 8>"$roots/.lock"
  flock 8
  if [[ -d $roots/$suite ]]; then exec 8>&-; return; fi  # no child is to hold the lock
  command -v debootstrap >/dev/null || not_tried "needs debootstrap"
  # shellcheck disable=SC2016  # apt's own variables
  archive=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' |
    awk -v suite=$suite '$2 == suite {print $1; exit}')
  [[ -n $archive ]] || not_tried "apt knows no archive of $suite"
  say "a minimal $suite, once"
  rm -rf "$roots/$suite.part"
  debootstrap --variant=minbase $suite "$roots/$suite.part" "$archive" >"$roots/debootstrap.log" 2>&1 ||
    { tail -n 5 "$roots/debootstrap.log" >&2; not_tried "debootstrap failed; whole log: $roots/debootstrap.log"; }
  mv "$roots/$suite.part" "$roots/$suite"
  exec 8>&-
}

# Sets `root` to a fresh copy. apt, pip and npm in it are told what they are told outside.
new_root() {
  local path
  mkdir -p "$roots/at-work"
  # Of checks that were killed.
  find "$roots/at-work" -mindepth 1 -maxdepth 1 -mmin +120 -exec rm -rf --one-file-system {} +
  root=$(mktemp -d "$roots/at-work/XXXXXX")
  root_place=$root
  trap 'umount -Rl "$root_place/tree" 2>/dev/null || true; rm -rf --one-file-system "$root_place"' EXIT
  mkdir "$root/upper" "$root/work" "$root/tree"
  mount -t overlay overlay "$root/tree" 2>/dev/null \
    -o "lowerdir=$roots/$suite,upperdir=$root/upper,workdir=$root/work" ||
    cp -a "$roots/$suite/." "$root/tree"
  root=$root/tree
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  rm -rf "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d"
  for path in /etc/resolv.conf /etc/hosts /etc/apt /etc/ssl/certs /usr/share/keyrings \
    /usr/local/share/ca-certificates /etc/pip.conf /etc/npmrc; do
    [[ -e $path ]] || continue
    mkdir -p "$root$(dirname "$path")"
    cp -rLT "$path" "$root$path" 2>/dev/null || true
  done
  inside_root
}

# In the tree, with a bare environment; `inside` is what goes before a command.
inside_root() {
  local names='PIP_|NPM_CONFIG_|npm_config_|SSL_CERT_|REQUESTS_CA|NODE_EXTRA_CA|https?_proxy'
  local -a told=()
  mapfile -t told < <(env | grep -E "^($names)" || true)
  inside=(chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "${told[@]}")
}
enter() { "${inside[@]}" "$@"; }

install_in_root() {
  if [[ ! -e $root/.updated ]]; then enter apt-get -qq update && touch "$root/.updated"; fi
  enter apt-get -qq -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold install --no-install-recommends "$@" \
    >"$root/apt.log" 2>&1 || { tail -n 20 "$root/apt.log" >&2; die "apt-get install $*"; }
}

# start NAME COMMAND…: in the background, in the tree; sets `url` once it says where it listens and is ready.
start() {
  local name=$1 log=$root/$1.log tries
  shift
  : >"$log"  # read below, perhaps before the command has made it
  "${inside[@]}" "$@" >"$log" 2>&1 &
  eval "${name}_pid=$!"
  for ((tries = 0; tries < 600; ++tries)); do
    url=$(sed -nE 's/.*listening on (https?:\/\/[0-9.:]+).*/\1/p' "$log" | head -n 1)
    if [[ -n $url ]] && curl -skf -o /dev/null "$url/readyz"; then return; fi
    kill -0 "$(eval "echo \$${name}_pid")" 2>/dev/null || { cat "$log" >&2; die "$* ended"; }
    sleep 0.1
  done
  cat "$log" >&2
  die "$* was not ready after 60 s"
}

# stop NAME: with SIGTERM; it must end well.
stop() {
  local pid
  pid=$(eval "echo \$${1}_pid")
  kill "$pid"
  wait "$pid" || die "$1: exit status $? after SIGTERM"
}

# ask URL WHAT EXPECTED: one chat request; it must be answered, and its Cache-Status match.
ask() {
  local answer
  answer=$(curl -si --max-time 60 "$1/v1/chat/completions" -H 'Content-Type: application/json' -d \
    "{\"model\":\"default\",\"max_tokens\":8,\"temperature\":0,\"messages\":[{\"role\":\"user\",\"content\":\"$2\"}]}")
  if [[ $answer != "HTTP/1.1 200"* ]] || ! grep -qiE "^cache-status: payonce;.*$3" <<<"$answer"; then
    die "'$2': expected 200 and '$3' in Cache-Status, found: $answer"
  fi
}
