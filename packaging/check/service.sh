#!/usr/bin/env bash
# service.sh PAYONCE.deb MODEL.gguf: the unit under a real systemd, in name spaces of its own: enabled, started with
# every restriction in force, a provider key as a credential, first hits, reload, a crash, upgrade and removal; and
# its exposure as systemd counts it. Where systemd cannot run so, only the unit is looked at; the rest is not tried.
# shellcheck source=packaging/check/root.sh
source "$(dirname "$0")/root.sh"
[[ $# == 2 && -f $1 && -f $2 ]] || die "usage: service.sh PAYONCE.deb MODEL.gguf"
isolate "$@"
new_root
cp "$1" "$root/payonce.deb"
cp "$2" "$root/model.gguf"
install_in_root systemd dbus curl /payonce.deb

enter systemd-analyze verify payonce.service 2>"$root/verify" || die "systemd-analyze verify: $(cat "$root/verify")"
! grep payonce.service "$root/verify" || die "systemd-analyze verify, see above"
exposure=$(enter systemd-analyze security --offline=true /usr/lib/systemd/system/payonce.service | tail -n 1)
score=$(sed -E 's/.*: ([0-9.]+) .*/\1/' <<<"$exposure")
awk -v score="$score" 'BEGIN {exit !(score <= 1.5)}' || die "expected an exposure of at most 1.5, found: $exposure"
say "unit:$exposure"

# Inside, systemd is the first process; the script below it tells its end in its log.
mkdir -p "$root/etc/payonce/credentials" "$root/etc/systemd/system/payonce.service.d"
echo 'sk-from-a-credential' >"$root/etc/payonce/credentials/provider-key"
chmod 600 "$root/etc/payonce/credentials/provider-key"
cat >"$root/etc/systemd/system/payonce.service.d/credentials.conf" <<'UNIT'
[Service]
LoadCredential=provider-key:/etc/payonce/credentials/provider-key
UNIT
cat >"$root/etc/systemd/system/engine.service" <<'UNIT'
[Service]
Environment=HOME=/root
ExecStart=/usr/bin/payonce engine --model /model.gguf --listen 127.0.0.1:4199 --kv-memory 64MiB
UNIT
cat >"$root/etc/systemd/system/credential.service" <<'UNIT'
[Service]
Type=oneshot
DynamicUser=yes
LoadCredential=one:/etc/payonce/credentials/provider-key
ExecStart=/bin/cat ${CREDENTIALS_DIRECTORY}/one
UNIT
cat >"$root/etc/systemd/system/check.service" <<'UNIT'
[Service]
Type=oneshot
ExecStart=/bin/bash /check.sh
StandardOutput=append:/check.log
StandardError=append:/check.log
TimeoutStartSec=300
UNIT
cat >"$root/etc/payonce/payonce.toml" <<'TOML'
listen = "127.0.0.1:4141"
[upstreams.local]
base_url = "http://127.0.0.1:4199/v1"
key_file = "/run/credentials/payonce.service/provider-key"
TOML
cat >"$root/check.sh" <<'SCRIPT'
set -eEu
trap 'echo "line $LINENO failed"; systemctl status payonce credential --no-pager
  journalctl -u payonce -u engine --no-pager | tail -n 40' ERR
until_ready() { for n in {1..300}; do curl -sf -o /dev/null "$1/readyz" && return; sleep 0.2; done; false; }
ask() {
  curl -si http://127.0.0.1:4141/v1/chat/completions -H 'Content-Type: application/json' \
    -H 'Authorization: Bearer sk-caller' -d '{"model":"default","max_tokens":8,"temperature":0,
      "messages":[{"role":"user","content":"What is a service?"}]}' |
    grep -i '^cache-status:' | grep "$1"
}
main_pid() { systemctl show --value -p MainPID payonce; }
# Credentials need a mount that not every such place allows. Without, the unit is tried as it is delivered.
if ! systemctl start credential; then
  echo "credentials: not tried, systemd cannot hand them over here"
  rm -r /etc/systemd/system/payonce.service.d
  sed -i /key_file/d /etc/payonce/payonce.toml
  systemctl daemon-reload
fi
systemctl start engine
until_ready http://127.0.0.1:4199
systemctl enable --now payonce
until_ready http://127.0.0.1:4141
ask fwd=miss
ask hit
status=/proc/$(main_pid)/status
grep -qE '^Seccomp:\s*2' $status && grep -qE '^NoNewPrivs:\s*1' $status && grep -qE '^CapBnd:\s*0+$' $status
! grep -qE '^Uid:\s*0' $status
[[ $(stat -c %a /var/lib/private/payonce) == 700 ]]
systemctl reload payonce
ask hit
before=$(main_pid)
kill -9 "$before"
for n in {1..100}; do [[ $(main_pid) != "$before" && $(main_pid) != 0 ]] && break; sleep 0.2; done
until_ready http://127.0.0.1:4141
ask hit  # from the disk
before=$(main_pid)
dpkg -i /payonce.deb >/dev/null
[[ $(main_pid) != "$before" ]]  # an upgrade restarts what runs
until_ready http://127.0.0.1:4141
ask hit
dpkg -r payonce >/dev/null
! systemctl is-active payonce
[[ ! -e /etc/systemd/system/multi-user.target.wants/payonce.service ]]
echo passed
SCRIPT
mkdir -p "$root/mnt" "$root/sys"
# Devices of its own, so that nothing in there reaches this machine's.
umount -Rl "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do cp -a "/dev/$device" "$root/dev/"; done
mkdir "$root/dev/shm" "$root/dev/pts" "$root/dev/mqueue"
mount -t devpts devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
if ! { mount -t sysfs sysfs "$root/sys" && mount -t tmpfs tmpfs "$root/run" &&
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"; }; then
  not_tried "no control groups of its own for systemd here"
fi
# shellcheck disable=SC2016  # for the bash inside
unshare --mount --pid --fork --kill-child --cgroup --uts --ipc bash -c '
  mount --make-rprivate / && cd "$1" && pivot_root . mnt && exec chroot . /usr/bin/env -i container=check \
    /bin/sh -c "umount -l /mnt; mount -t proc proc /proc; exec /lib/systemd/systemd --system --unit=check.service \
      --show-status=no --log-target=null"' bash "$root" &
inner=$!
for ((tries = 0; tries < 300; ++tries)); do
  ! grep -qxE 'passed|line [0-9]+ failed' "$root/check.log" 2>/dev/null || break
  kill -0 $inner 2>/dev/null || break
  sleep 1
done
sleep 1  # what is told of a failure
kill -9 $inner 2>/dev/null || true
cat "$root/check.log" >&2 || not_tried "systemd does not run as a first process here"
grep -qx passed "$root/check.log" || die "the service, see above"
say "starts, answers, reloads, restarts and stops under systemd with every restriction"
say "$(grep '^credentials: ' "$root/check.log" || echo 'the provider key came as a credential')"
