#!/usr/bin/env bash
# make.sh BUILD VENV OUT: makes every package of the built preset `package` (./dev package): OUT gets two .deb files,
# tarball, wheel, npm packages, container file, bill of materials and the sums of all. VENV has requirements.txt.
# The same build and SOURCE_DATE_EPOCH give the same bytes.
set -euo pipefail

say() { printf 'make: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
[[ $# == 3 && -x $1/payonce && -x $2/bin/python ]] || die "usage: make.sh BUILD VENV OUT"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(realpath "$1") venv=$(realpath "$2") out=$(realpath -m "$3")
version=$("$build/payonce" --version | cut -d' ' -f2)
name=payonce-$version-linux-$(uname -m)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct)} PATH=$venv/bin:$PATH LC_ALL=C
umask 022
rm -rf "$out"
mkdir -p "$out"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# gzip, since most of it are weights, which xz makes hardly smaller in ten times the time.
debian() {
  local file
  (cd "$build" && cpack -G DEB -B "$place/cpack") >"$place/cpack.log" 2>&1 || die "$(cat "$place/cpack.log")"
  for file in "$place"/cpack/*.deb; do
    dpkg-deb -R "$file" "$place/deb"
    dpkg-deb --root-owner-group -Zgzip -z6 -b "$place/deb" "$out" >/dev/null
    rm -rf "$place/deb"
  done
}

tarball() {
  local component
  for component in program client; do
    cmake --install "$build" --component $component --prefix "$place/$name" --strip >/dev/null
  done
  tar -C "$place" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" |
    gzip -9n >"$out/$name.tar.gz"
}

# The tag is what auditwheel finds that the program and its libraries ask of the system.
wheel() {
  local library
  local -a carried=()
  cp -r "$here/sdk/python" "$place/python"
  PAYONCE_PROGRAM=$place/$name python -m pip wheel --quiet --no-deps --no-build-isolation -w "$place/wheel" \
    "$place/python"
  for library in "$place/$name/lib/payonce"/*; do carried+=(--exclude "$(basename "$library")"); done
  auditwheel repair "${carried[@]}" -w "$out" "$place"/wheel/*.whl >"$place/auditwheel.log" 2>&1 ||
    { cat "$place/auditwheel.log" >&2; die "auditwheel"; }
}

npm_packages() {
  [[ -d $here/sdk/node/node_modules/typescript ]] ||
    npm ci --prefix "$here/sdk/node" --no-audit --no-fund --loglevel=error >&2
  npm run --silent --prefix "$here/sdk/node" build
  node "$here/sdk/node/scripts/pack.mjs" "$out" "$place/$name" >/dev/null
}

say ".deb"; debian
say "tarball"; tarball
say "wheel"; wheel
say "npm"; npm_packages
cp "$here/packaging/Containerfile" "$out/"
cp "$place/$name/share/doc/payonce/payonce.cdx.json" "$out/payonce-$version.cdx.json"
(cd "$out" && sha256sum -- * >"$place/sums" && mv "$place/sums" SHA256SUMS && cat SHA256SUMS) >&2
