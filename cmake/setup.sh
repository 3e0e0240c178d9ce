#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that building Convoy needs and that are not there yet; with `test` also those
# for testing, with `coverage` for the coverage report, too, with `format` the formatter, with `fuzz` clang and libFuzzer,
# with `interop` the Python packages of tests/interop/requirements.txt, from PyPI into build/interop-venv.
# Without the right to do so it prints the one command to run. The CUDA toolkit and cuDNN come from NVIDIA's package
# source, which is for the user to configure; where it is, and a GPU's driver, they are installed like the others.
set -euo pipefail

needed=(ca-certificates g++ cmake ninja-build pkg-config libfmt-dev nlohmann-json3-dev libcli11-dev libcurl4-openssl-dev
        libssl-dev libzip-dev zlib1g-dev libarchive-dev libstb-dev)
# Their absence costs a feature, not the build: the fast CPU backend, training in several processes, ONNX, the data set
# that stands in for MNIST, CUDA.
wanted=(libdnnl-dev libhwy-dev libopenmpi-dev libonnx-dev libprotobuf-dev dataset-fashion-mnist python3)
purpose=${1:-}
case "$purpose" in
  test | coverage)
    needed+=(libgtest-dev libgmock-dev)
    wanted+=(python3-numpy python3-torch)  # for the tests that exchange files with PyTorch
    wanted+=(libboost-context-dev)         # for those that run CUDA kernels on the host
    wanted+=(doxygen)                      # for the test that the public headers are documented
    wanted+=(zsh fish)                     # for those of the shells' completions
    wanted+=(groff-base man-db mandoc)     # for that of the man pages
    wanted+=(dpkg-dev file)                # for the test of the .deb
    wanted+=(openmpi-bin)                  # for those that train in several processes
    wanted+=(shellcheck)                   # for the test of gpu_check's scripts
    ;;&
  coverage) needed+=(gcovr) ;;
  format) needed+=(clang-format) ;;
  fuzz) needed+=(clang) ;;  # and its compiler-rt, see below
  interop)
    needed+=(python3 python3-venv)
    wanted+=(chromium)  # for the test that opens a run's report; Ubuntu's is a snap, which may not be there
    ;;
esac

missing_of() {
  for package in "$@"; do
    [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || echo "$package"
  done
}

# What libFuzzer and the sanitizers are in, if clang is here without them. Debian and Ubuntu name the package by clang's
# version, so clang has to be installed first.
compiler_rt() {
  local version
  version=$(clang++ -dumpversion 2>/dev/null) || return 0
  clang++ -x c++ -fsanitize=fuzzer,address,undefined -o /dev/null - 2>/dev/null \
    <<<'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' ||
    echo "libclang-rt-${version%%.*}-dev"
}

has_driver() { [[ -e /proc/driver/nvidia/version ]] || nvidia-smi -L >/dev/null 2>&1; }
cuda_home=${CUDA_HOME:-/usr/local/cuda}
has_toolkit() { command -v nvcc >/dev/null || [[ -x $cuda_home/bin/nvcc ]]; }
has_cudnn() {
  for folder in /usr/include /usr/include/*-linux-gnu "$cuda_home/include"; do
    [[ ! -e $folder/cudnn_graph.h ]] || return 0
  done
  return 1
}

has_nccl() {
  for folder in /usr/include /usr/include/*-linux-gnu "$cuda_home/include"; do
    [[ ! -e $folder/nccl.h ]] || return 0
  done
  return 1
}

# What CUDA needs beyond what is here, if apt knows it. That is gigabytes, so only where a driver shows their use.
cuda_packages() {
  command -v apt-cache >/dev/null && has_driver || return 0
  has_toolkit || apt-cache pkgnames cuda-toolkit-13- | grep -E '^cuda-toolkit-13-[0-9]+$' | sort -V | tail -n 1 || true
  has_cudnn || apt-cache pkgnames libcudnn9-dev-cuda-13 | grep -x libcudnn9-dev-cuda-13 || true
  has_nccl || apt-cache pkgnames libnccl-dev | grep -x libnccl-dev || true
}

missing_wanted_packages() {
  missing_of "${wanted[@]}"
  cuda_packages
  [[ $purpose != fuzz ]] || compiler_rt
}

say_without_cuda() {
  has_toolkit && has_cudnn && return
  echo "setup: going on without CUDA; for GPUs install the CUDA toolkit 13 and cuDNN 9.11 or newer" \
       "(and, to test, libboost-context-dev)" >&2
}

# The last file that is written is the list of what is there, so an installation that was cut off is made anew.
interop_environment() {
  local folder=build/interop-venv requirements=tests/interop/requirements.txt python=python3
  cd "$(dirname "${BASH_SOURCE[0]}")/.."
  if cmp -s "$requirements" "$folder/requirements.txt"; then return; fi
  echo "setup: installing the packages of $requirements from PyPI into $folder"
  [[ ! -x /usr/bin/python3 ]] || python=/usr/bin/python3  # the one that python3-venv is for
  rm -rf "$folder"
  "$python" -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check --no-compile --only-binary :all: -r "$requirements"
  cp "$requirements" "$folder/"
}

finish() {
  say_without_cuda
  [[ $purpose != interop ]] || interop_environment
  exit 0
}

if ! command -v dpkg-query >/dev/null; then
  echo "setup: not a Debian or Ubuntu system; install the equivalents of: ${needed[*]} ${wanted[*]}" >&2
  finish
fi
mapfile -t missing < <(missing_of "${needed[@]}")
mapfile -t missing_wanted < <(missing_wanted_packages)
if [[ ${#missing[@]} -eq 0 && ${#missing_wanted[@]} -eq 0 ]]; then
  finish
fi

commands="apt-get update && apt-get install -y --no-install-recommends"
if [[ $EUID -eq 0 ]]; then
  as_root=()
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }; }; then
  as_root=(sudo)
elif [[ ${#missing[@]} -eq 0 ]]; then
  echo "setup: going on without ${missing_wanted[*]}; to install, run as root: $commands ${missing_wanted[*]}" >&2
  finish
else
  echo "setup: packages are missing; run as root: $commands ${missing[*]}" >&2
  exit 1
fi

install() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; }

echo "setup: installing" "${missing[@]}" "${missing_wanted[@]}"
"${as_root[@]}" apt-get update || echo "setup: apt-get update failed; going on with the package lists that are here" >&2
[[ ${#missing[@]} -eq 0 ]] || install "${missing[@]}"
# Only fresh lists may know CUDA, and only clang the name of its compiler-rt.
mapfile -t missing_wanted < <(missing_wanted_packages)
for package in "${missing_wanted[@]}"; do
  install "$package" || echo "setup: $package cannot be installed; going on without it" >&2
done
finish
