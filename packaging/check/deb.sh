#!/usr/bin/env bash
# deb.sh PAYONCE.deb CLIENT.deb MODEL.gguf: installed by apt with what it depends on, from an older version on: files,
# service, first hits, upgrade, removal, purge; a C program compiled with the client's package.
# shellcheck source=packaging/check/root.sh
source "$(dirname "$0")/root.sh"
[[ $# == 3 && -f $1 && -f $2 && -f $3 ]] || die "usage: deb.sh PAYONCE.deb CLIENT.deb MODEL.gguf"
isolate "$@"
new_root

# An older version: the same files, another default configuration.
older=$root/older
dpkg-deb -R "$1" "$older"
sed -i 's/^Version: .*/Version: 0.0.1/' "$older/DEBIAN/control"
echo '# the older default' >>"$older/etc/payonce/payonce.toml"
sed -i '/etc\/payonce\/payonce.toml/d' "$older/DEBIAN/md5sums"
dpkg-deb --root-owner-group -Zgzip -z1 -b "$older" "$root/older.deb" >/dev/null
rm -rf "$older"
cp "$1" "$root/payonce.deb"
cp "$2" "$root/client.deb"
cp "$3" "$root/model.gguf"

install_in_root /older.deb
expect() {
  local found
  found=$(stat -c '%a %U:%G' "$root$2")
  [[ $found == "$1" ]] || die "$2: expected $1, found $found"
}
expect '755 root:root' /usr/bin/payonce
expect '644 root:root' /etc/payonce/payonce.toml
expect '644 root:root' /usr/lib/systemd/system/payonce.service
enter dpkg --verify payonce || die "dpkg --verify"
! grep -q payonce "$root/etc/passwd" || die "a user was made; the service has its own while it runs"
enter payonce --version >&2
[[ -z $(enter ldd /usr/bin/payonce | grep 'not found' || true) ]] || die "libraries are missing"
gzip -t "$root/usr/share/man/man1/payonce.1.gz"
# shellcheck disable=SC2016  # for the bash inside
enter bash -c 'source /usr/share/bash-completion/completions/payonce; COMP_WORDS=(payonce ca); COMP_CWORD=1; _payonce
  [[ ${COMPREPLY[*]} == cache ]]' || die "completion"
enter payonce serve --check --config /etc/payonce/payonce.toml >&2

start engine payonce engine --model /model.gguf --listen 127.0.0.1:0 --kv-memory 64MiB
engine=$url
mkdir -m 700 "$root/var/lib/payonce"
echo '# edited' >>"$root/etc/payonce/payonce.toml"
serve=(payonce serve --config /etc/payonce/payonce.toml --data /var/lib/payonce --upstream "$engine/v1"
  --listen 127.0.0.1:0)
start serve "${serve[@]}"
ask "$url" "What is a package?" "fwd=miss"
ask "$url" "What is a package?" "hit"
stop serve

install_in_root /payonce.deb
[[ $(tail -n 1 "$root/etc/payonce/payonce.toml") == '# edited' ]] || die "the upgrade overwrote the configuration"
start serve "${serve[@]}"
ask "$url" "What is a package?" "hit"  # of the older version
stop serve
start up payonce up --model /model.gguf --listen 127.0.0.1:0 --kv-memory 64MiB
ask "$url" "What is an upgrade?" "fwd=miss"
ask "$url" "What is an upgrade?" "hit"

install_in_root /client.deb gcc libc6-dev pkg-config
examples=/usr/share/doc/libpayonce-client-dev/examples
enter sh -c "gcc -Wall -Werror -o /digits $examples/digits.c \$(pkg-config --cflags --libs payonce_client)" ||
  die "the C example does not compile"
for ((run = 1; run <= 2; ++run)); do
  enter env PAYONCE_URL="$url" PAYONCE_TIMEOUT_MS=30000 /digits 20 >"$root/digits.$run" 2>&1 ||
    die "the C example: $(cat "$root/digits.$run")"
done
[[ $(cat "$root/digits.1") == miss* && $(cat "$root/digits.2") == hit:* ]] ||
  die "the C example: $(cat "$root"/digits.?)"
say "C example: $(head -n 1 "$root/digits.1") | $(head -n 1 "$root/digits.2")"
stop up
stop engine

enter apt-get -qq -y remove payonce libpayonce-client-dev >"$root/apt.log" 2>&1 ||
  die "remove: $(cat "$root/apt.log")"
left=$(find "$root/usr" -xdev -name '*payonce*')
[[ -z $left ]] || die "remove left: $left"
[[ -f $root/etc/payonce/payonce.toml && -d $root/var/lib/payonce/responses ]] ||
  die "remove took configuration or data"
enter apt-get -qq -y purge payonce >"$root/apt.log" 2>&1 || die "purge: $(cat "$root/apt.log")"
left=$(find "$root/etc" "$root/usr" "$root/var" -xdev -name '*payonce*')
[[ -z $left ]] || die "purge left: $left"
say "$(basename "$1"): installed, upgraded, removed and purged in a bare $suite"
