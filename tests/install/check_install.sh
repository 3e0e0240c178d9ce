#!/usr/bin/env bash
# check_install.sh BUILD_DIR OUTSIDE_SOURCE_DIR CXX CXXFLAGS: installs the build to an empty folder, then builds and
# runs a project that finds it there.
set -euo pipefail
build=$1 outside=$2 compiler=$3 flags=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" >/dev/null
"$work/prefix/bin/convoy" --version
cmake -S "$outside" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_BUILD_TYPE=Release
cmake --build "$work/build"
"$work/build/outside"
