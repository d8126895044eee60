#!/usr/bin/env bash
# Builds parts of the pinned llama.cpp and prints where they lie; messages go to stderr.
#
#   build_llama.sh libs     ggml, libllama and its common library, static: DIR with include/ and lib/, what we link
#   build_llama.sh tsan     the same, with ggml under ThreadSanitizer (its threads run our attention)
#   build_llama.sh portable shared libraries for any CPU of this family: lib/ is linked, and in backends/ lies ggml's
#                           CPU code once for each generation of CPUs, of which the program loads the best (packages)
#   build_llama.sh server   the llama-server binary, the peer of tests and benchmarks
#
# Source: the PyPI sdist of llama-cpp-python, which carries llama.cpp; or a checkout named by PAYONCE_LLAMA_SOURCE.
# PAYONCE_GGML adds configure options for the libraries, such as -DGGML_CUDA=ON (see docs/third-party.md).
set -euo pipefail

tools_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly pin=0.3.36
readonly sdist=llama_cpp_python-$pin.tar.gz
readonly sdist_size_bytes=76589250
readonly sdist_sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
readonly cache=${PAYONCE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/payonce}
readonly jobs=${PAYONCE_JOBS:-$(nproc)}
readonly parts=CMAKE_PROJECT_llama.cpp_INCLUDE
our_parts=("-D$parts=$tools_dir/llama_parts.cmake")
read -r -a extra_options <<<"${PAYONCE_GGML:-}"

say() { printf '%s\n' "$*" >&2; }
die() { say "build_llama: $*"; exit 1; }

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

# Passes on how far ninja is: on a terminal in one line, else every five seconds.
progress() {
  local line shown=-5
  while IFS= read -r line; do
    [[ $line =~ ^\[[0-9]+/[0-9]+\] ]] || continue
    if [[ -t 2 ]]; then
      printf '\r%s ' "${BASH_REMATCH[0]}" >&2
    elif ((SECONDS - shown >= 5)); then
      shown=$SECONDS
      say "${BASH_REMATCH[0]}"
    fi
  done
  [[ ! -t 2 ]] || printf '\n' >&2
}

# build SOURCE BUILD_DIR TARGET [configure options…]
build() {
  local source=$1 build_dir=$2 target=$3 log=$2/build.log
  shift 3
  local -a launcher=()
  [[ -f $source/src/CMakeLists.txt ]] || die "$source: expected a llama.cpp checkout"
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  mkdir -p "$build_dir"
  say "building $target of llama.cpp, some minutes the first time; log: $log"
  {
    cmake -S "$source" -B "$build_dir" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
      -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_TOOLS=ON \
      -DLLAMA_BUILD_SERVER=ON -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF \
      -DGGML_NATIVE=ON -DGGML_OPENMP=OFF -DGGML_CCACHE=OFF "${launcher[@]}" "$@" &&
      cmake --build "$build_dir" --target "$target" --parallel "$jobs"
  } 2>&1 | tee "$log" | progress || { tail -n 30 "$log" >&2; die "the build failed; whole log: $log"; }
}

# Gathers what we link and include into PREFIX; a reader never sees half of it.
install_libs() {
  local source=$1 build_dir=$2 prefix=$3 part=$3.part folder
  rm -rf "$part"
  mkdir -p "$part/include/jinja" "$part/lib"
  cp "$source"/ggml/include/*.h "$source"/include/*.h "$source"/common/*.h "$part/include/"
  cp "$source"/common/jinja/*.h "$part/include/jinja/"
  mkdir "$part/licenses"
  cp "$source/LICENSE" "$part/licenses/llama.cpp"
  cp "$source/licenses/LICENSE-jsonhpp" "$part/licenses/nlohmann-json"
  for folder in ggml src common vendor; do
    find "$build_dir/$folder" -name '*.a' -exec cp {} "$part/lib/" \;
  done
  install_shared "$build_dir/bin" "$part"
  rm -rf "$prefix"
  mv "$part" "$prefix"
}

# Shared libraries, if any were built: those that are linked under the name that they ask for at run time, with a link
# for the linker; those that are loaded (ggml-cpu-haswell …) under the name that ggml's loader looks for.
install_shared() {
  local from=$1 part=$2 file name soname
  for file in "$from"/lib*.so; do
    [[ -e $file ]] || continue
    name=$(basename "$file")
    if [[ $name =~ ^libggml-(base\.so|[^.]*$) || ! $name =~ ^libggml- ]]; then
      soname=$(objdump -p "$file" | sed -n 's/^ *SONAME *//p')
      cp -L "$file" "$part/lib/$soname"
      ln -s "$soname" "$part/lib/$name"
    else
      mkdir -p "$part/backends"
      cp -L "$file" "$part/backends/$name"
    fi
  done
}

libs() {
  local source=$1 build_dir=$2 prefix=$3
  if [[ ! -d $prefix/lib ]]; then
    build "$source" "$build_dir" llama-common "${our_parts[@]}" "${extra_options[@]}"
    install_libs "$source" "$build_dir" "$prefix"
  fi
  printf '%s\n' "$prefix"
}

tsan() {
  local source=$1 build_dir=$2-tsan plain=$2 prefix=$3-tsan
  if [[ ! -d $prefix/lib ]]; then
    libs "$source" "$plain" "$3" >/dev/null
    build "$source" "$build_dir" ggml -DCMAKE_C_FLAGS=-fsanitize=thread -DCMAKE_CXX_FLAGS=-fsanitize=thread
    install_libs "$source" "$build_dir" "$prefix"
    cp -n "$3"/lib/*.a "$prefix/lib/"
  fi
  printf '%s\n' "$prefix"
}

portable() {
  local source=$1 build_dir=$2-portable prefix=$3
  if [[ ! -d $prefix/lib ]]; then
    # The libraries lie beside each other, wherever the package puts them.
    build "$source" "$build_dir" llama-common -DBUILD_SHARED_LIBS=ON -DGGML_NATIVE=OFF -DGGML_BACKEND_DL=ON \
      -DGGML_CPU_ALL_VARIANTS=ON -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON "-DCMAKE_INSTALL_RPATH=\$ORIGIN" \
      "${our_parts[@]}" "${extra_options[@]}"
    install_libs "$source" "$build_dir" "$prefix"
  fi
  printf '%s\n' "$prefix"
}

server() {
  local source=$1 build_dir=$2 binary=$3
  if [[ ! -x $binary ]]; then
    build "$source" "$build_dir" llama-server "-U$parts"
    mkdir -p "$(dirname "$binary")"
    install -m 755 "$build_dir/bin/llama-server" "$binary.part"
    mv "$binary.part" "$binary"
    "$binary" --version >/dev/null 2>&1 || die "$binary does not start"
  fi
  printf '%s\n' "$binary"
}

main() {
  local what=${1:-} source build_dir suffix made
  [[ $what =~ ^(libs|tsan|portable|server)$ && $# == 1 ]] ||
    { say "usage: build_llama.sh libs|tsan|portable|server"; exit 2; }
  source=$cache/src/llama.cpp-$pin
  suffix=$pin-$(cpu_id)
  if [[ -n ${PAYONCE_LLAMA_SOURCE:-} ]]; then
    source=$(cd "$PAYONCE_LLAMA_SOURCE" && pwd) || die "PAYONCE_LLAMA_SOURCE=$PAYONCE_LLAMA_SOURCE is not a directory"
    suffix=checkout
    our_parts=()  # another version may need others
  fi
  build_dir=$cache/src/llama-$suffix-build
  if ((${#extra_options[@]})); then
    suffix+=-$(printf '%s\n' "${extra_options[@]}" | sha256sum | cut -c1-8)
    build_dir+=-${suffix##*-}
  fi
  case $what in
    libs) made=$cache/lib/llama-$suffix ;;
    server) made=$cache/bin/llama-server-$suffix ;;
    *) made=$cache/lib/llama-$suffix-$what ;;
  esac
  # The usual case: it is there, and nobody needs to wait for another build that is under way.
  if [[ $suffix != checkout* && -e $made ]]; then printf '%s\n' "$made"; return; fi
  mkdir -p "$cache/src" "$cache/lib"
  exec 9>"$cache/src/.lock"
  flock 9
  # Someone works on a checkout: always asked of the build, which is quick when nothing changed.
  if [[ $suffix == checkout* ]]; then rm -rf "$made"; fi
  [[ -d $source ]] || unpack_sdist "$source"
  case $what in
    tsan) tsan "$source" "$build_dir" "$cache/lib/llama-$suffix" ;;
    *) "$what" "$source" "$build_dir" "$made" ;;
  esac
}
main "$@"
