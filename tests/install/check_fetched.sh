#!/usr/bin/env bash
# check_fetched.sh SOURCE_DIR CXX: builds and runs a project that has Convoy by FetchContent, for the CPU, and installs it,
# which installs nothing of Convoy. It names no build type, so that nothing is optimised, which would take longer than it
# saves here.
set -euo pipefail
source=$1 compiler=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
generator=()
! command -v ninja >/dev/null || generator=(-G Ninja)
cmake -S "$source/tests/install/fetched" -B "$work/build" "${generator[@]}" -DCMAKE_CXX_COMPILER="$compiler" \
  -DFETCHCONTENT_SOURCE_DIR_CONVOY="$source" -DFETCHCONTENT_FULLY_DISCONNECTED=ON -DCONVOY_CUDA=OFF -DCONVOY_MPI=OFF
cmake --build "$work/build" --target outside -j "$(nproc)" >"$work/log" 2>&1 || { tail -n 30 "$work/log"; exit 1; }
"$work/build/outside"
cmake --install "$work/build" --prefix "$work/prefix" >/dev/null
installed=$(cd "$work/prefix" && find . -type f)
[[ $installed == ./bin/outside ]] || { echo "check_fetched: error: the project installs $installed" >&2; exit 1; }
