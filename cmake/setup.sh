#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that building Convoy needs and that are not there yet; with `test` also those
# for testing, with `format` the formatter. Without the right to do so it prints the one command to run.
set -euo pipefail

needed=(ca-certificates g++ cmake ninja-build pkg-config libfmt-dev nlohmann-json3-dev libcli11-dev libcurl4-openssl-dev
        libssl-dev libzip-dev zlib1g-dev libarchive-dev libstb-dev)
# Their absence costs a feature, not the build: the fast CPU backend, and the data set that stands in for MNIST.
wanted=(libdnnl-dev dataset-fashion-mnist)
if [[ "${1:-}" == test ]]; then
  needed+=(libgtest-dev libgmock-dev)
  wanted+=(python3 python3-numpy python3-torch)  # for the tests that exchange files with PyTorch
  wanted+=(libboost-context-dev)                 # for those that run CUDA kernels on the host
fi

missing_of() {
  for package in "$@"; do
    [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || echo "$package"
  done
}

if [[ "${1:-}" == format ]]; then
  needed+=(clang-format)
fi

if ! command -v dpkg-query >/dev/null; then
  echo "setup: not a Debian or Ubuntu system; install the equivalents of: ${needed[*]} ${wanted[*]}" >&2
  exit 0
fi
mapfile -t missing < <(missing_of "${needed[@]}")
mapfile -t missing_wanted < <(missing_of "${wanted[@]}")
[[ ${#missing[@]} -eq 0 && ${#missing_wanted[@]} -eq 0 ]] && exit 0

commands="apt-get update && apt-get install -y --no-install-recommends"
if [[ $EUID -eq 0 ]]; then
  as_root=()
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }; }; then
  as_root=(sudo)
elif [[ ${#missing[@]} -eq 0 ]]; then
  echo "setup: going on without ${missing_wanted[*]}; to install, run as root: $commands ${missing_wanted[*]}" >&2
  exit 0
else
  echo "setup: packages are missing; run as root: $commands ${missing[*]}" >&2
  exit 1
fi

install() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; }

echo "setup: installing" "${missing[@]}" "${missing_wanted[@]}"
"${as_root[@]}" apt-get update || echo "setup: apt-get update failed; going on with the package lists that are here" >&2
[[ ${#missing[@]} -eq 0 ]] || install "${missing[@]}"
for package in "${missing_wanted[@]}"; do
  install "$package" || echo "setup: $package cannot be installed; going on without it" >&2
done
