#!/usr/bin/env bash
# check_install.sh BUILD_DIR OUTSIDE_SOURCE_DIR CXX [STAND_INS]: installs the build to an empty folder, then builds and
# runs a project that finds it there, with CXXFLAGS; with the folder of the software GPU's libraries on that, too.
set -euo pipefail
build=$1 outside=$2 compiler=$3 stand_ins=${4:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" >/dev/null
"$work/prefix/bin/convoy" --version
cmake -S "$outside" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_BUILD_TYPE=Release
cmake --build "$work/build"
"$work/build/outside"
if [[ -n $stand_ins ]]; then
  LD_LIBRARY_PATH="$stand_ins" "$work/build/outside" cuda
  LD_LIBRARY_PATH="$stand_ins" "$work/prefix/bin/convoy" gradcheck --device cuda >"$work/log" ||
    { cat "$work/log"; exit 1; }
fi
