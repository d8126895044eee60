#!/usr/bin/env bash
# Builds llama-server from the pinned llama.cpp and prints where the binary lies; messages go to stderr.
# Source: the PyPI sdist of llama-cpp-python, which carries llama.cpp; or a checkout named by PAYONCE_LLAMA_SOURCE or
# -DPAYONCE_LLAMA_SOURCE=DIR. Only that one target is built: static, for this CPU, without TLS, web page or downloads.
set -euo pipefail

tools_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly pin=0.3.36
readonly sdist=llama_cpp_python-$pin.tar.gz
readonly sdist_size_bytes=76589250
readonly sdist_sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
readonly cache=${PAYONCE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/payonce}
readonly jobs=${PAYONCE_JOBS:-$(nproc)}

say() { printf '%s\n' "$*" >&2; }
die() { say "build_llama_server: $*"; exit 1; }

unpack_sdist() {
  local target=$1
  say "llama.cpp as carried by llama-cpp-python $pin (MIT), 77 MB"
  python3 "$tools_dir/pypi_file.py" llama-cpp-python "$sdist" "$sdist_size_bytes" "$sdist_sha256" "$cache/src/$sdist"
  rm -rf "$target.part"
  mkdir -p "$target.part"
  tar -xzf "$cache/src/$sdist" -C "$target.part" --strip-components=3 "llama_cpp_python-$pin/vendor/llama.cpp"
  rm -f "$cache/src/$sdist"
  mv "$target.part" "$target"
}

# A binary made for one CPU may not run on another that shares the home directory, so its flags are part of the name.
cpu_id() { { uname -m; grep -m1 -E '^(flags|Features)' /proc/cpuinfo || true; } | sha256sum | cut -c1-8; }

build() {
  local source=$1 build_dir=$2 binary=$3 log=$2/build.log
  local -a launcher=()
  [[ -f $source/tools/server/CMakeLists.txt ]] || die "$source: no tools/server; expected a llama.cpp checkout"
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  mkdir -p "$build_dir"
  say "building llama-server, some minutes the first time; log: $log"
  {
    cmake -S "$source" -B "$build_dir" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
      -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_TOOLS=ON \
      -DLLAMA_BUILD_SERVER=ON -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF \
      -DGGML_NATIVE=ON -DGGML_OPENMP=OFF -DGGML_CCACHE=OFF "${launcher[@]}" &&
      cmake --build "$build_dir" --target llama-server --parallel "$jobs"
  } >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "the build failed; whole log: $log"; }
  mkdir -p "$(dirname "$binary")"
  install -m 755 "$build_dir/bin/llama-server" "$binary.part"
  mv "$binary.part" "$binary"
  "$binary" --version >/dev/null 2>&1 || die "$binary does not start"
}

main() {
  local checkout=${PAYONCE_LLAMA_SOURCE:-} source binary
  case ${1:-} in
    -DPAYONCE_LLAMA_SOURCE=*) checkout=${1#*=} ;;
    '') ;;
    *) say "usage: build_llama_server.sh [-DPAYONCE_LLAMA_SOURCE=DIR]"; exit 2 ;;
  esac
  mkdir -p "$cache/src"
  exec 9>"$cache/src/.lock"
  flock 9
  if [[ -n $checkout ]]; then
    # Someone works on this checkout: always asked of the build, which is quick when nothing changed.
    source=$(cd "$checkout" && pwd) || die "PAYONCE_LLAMA_SOURCE=$checkout is not a directory"
    binary=$cache/bin/llama-server-checkout
    build "$source" "$cache/src/checkout-build" "$binary"
  else
    source=$cache/src/llama.cpp-$pin
    binary=$cache/bin/llama-server-$pin-$(cpu_id)
    if [[ ! -x $binary ]]; then
      [[ -d $source ]] || unpack_sdist "$source"
      build "$source" "$source-build" "$binary"
    fi
  fi
  printf '%s\n' "$binary"
}
main "$@"
