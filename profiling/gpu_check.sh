#!/usr/bin/env bash
# Everything that only a GPU can show, in one command and one report:
#
#   profiling/gpu_check.sh [--package FOLDER] [--arch LIST] [--data FOLDER] [--limit MIB] [--build-dir DIR] [--skip-build]
#                          [ARGS OF run...]
#
# Builds the preset `release`, packs programs, tests, golden files and MNIST into one folder, and runs that folder's `run`,
# which writes runs/gpu_check/report.md (see gpu_check/run for its arguments: --out, --steps, --tests, --budget ...).
#
#   --package FOLDER  only pack, for a machine that has a driver and CUDA's libraries and nothing else: copy the folder
#                     there and call FOLDER/run. Built without oneDNN and downloads, in build/gpu_package
#   --arch LIST       GPU architectures to compile for, as CONVOY_CUDA_ARCHITECTURES (90-real: H100)
#   --data FOLDER     MNIST's four files (default: CONVOY_DATA, else data/mnist, else a download)
#   --limit MIB       a larger folder is an error (default: 60)
#   --build-dir DIR   where it is or was built; --skip-build takes it as it is
#
# Exit code 0 if every step was done, 1 if one failed or there is no GPU, 2 for wrong usage.
set -euo pipefail
here=$(realpath "$(dirname "$0")/..")
fail() { echo "gpu_check: error: $2" >&2; exit "$1"; }

package='' arch='' data=${CONVOY_DATA:-} limit=60 build='' skip_build='' run_arguments=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --skip-build) skip_build=1; shift; continue ;;
    --list) run_arguments+=("$1"); shift; continue ;;
    --package | --arch | --data | --limit | --build-dir) [[ $# -gt 1 ]] || fail 2 "$1 needs a value" ;;&
    --out | --budget | --steps | --tests | --bench | --train | --jobs) [[ $# -gt 1 ]] || fail 2 "$1 needs a value" ;;&
    --package) package=$(realpath -m "$2") ;;
    --arch) arch=$2 ;;
    --data) data=$2 ;;
    --limit) limit=$2 ;;
    --build-dir) build=$(realpath -m "$2") ;;
    --out) run_arguments+=(--out "$(realpath -m "$2")") ;;
    --budget | --steps | --tests | --bench | --train | --jobs) run_arguments+=("$1" "$2") ;;
    *) fail 2 "unknown argument $1; see --help" ;;
  esac
  shift 2
done
[[ -z $package || ${#run_arguments[@]} -eq 0 ]] || fail 2 "--package runs nothing; give ${run_arguments[0]} to FOLDER/run"
[[ -z $data || -d $data ]] || fail 1 "there is no folder $data; --data or CONVOY_DATA names MNIST's"
[[ -z $data ]] || data=$(realpath "$data")
cd "$here"

# -- build -----------------------------------------------------------------------------------------------------------
configure=(-DCONVOY_TESTS=ON)
if [[ -n $package ]]; then
  configure+=(-DCONVOY_FETCH=OFF -DCMAKE_DISABLE_FIND_PACKAGE_OneDNN=ON)
  build=${build:-$here/build/gpu_package}
fi
[[ -z $arch ]] || configure+=("-DCONVOY_CUDA_ARCHITECTURES=$arch")
build=${build:-$here/build/release}
if [[ -z $skip_build ]]; then
  # Before minutes of building: is there anything to run on?
  [[ -n $package ]] || nvidia-smi -L >/dev/null 2>&1 ||
    fail 1 "no GPU: nvidia-smi is missing or lists none; install NVIDIA's driver for CUDA 13 (580 or newer)"
  cmake/setup.sh test || fail 1 "packages are missing; see above"
  cmake --preset release -B "$build" "${configure[@]}" || fail 1 "the configuration failed; see above"
  cmake --build "$build" --target gpu_check || fail 1 "the build failed; see above"
fi
[[ -x $build/tests/gpu/on_gpu && -x $build/convoy ]] || fail 1 "$build has no complete build; run this without --skip-build"

# -- pack ------------------------------------------------------------------------------------------------------------
folder=${package:-$build/gpu_check}
# What is replaced is a package; nothing else that happens to have this name.
[[ ! -e $folder || -e $folder/manifest.txt ]] || fail 1 "$folder is there already and is no package: name another folder"
rm -rf "$folder"
mkdir -p "$folder"
: >"$folder/manifest.txt"  # from now on a package, so that the next attempt replaces it
for component in program bundled gpu_check; do
  cmake --install "$build" --prefix "$folder" --component "$component" --strip >"$build/gpu_check.log" 2>&1 ||
    { tail -n 5 "$build/gpu_check.log" >&2; fail 1 "cannot install $component into $folder"; }
done
python3 profiling/gpu_check/list_tests.py "$build" "$folder" >"$folder/tests.tsv" || fail 1 "CTest cannot list the tests of $build"

if [[ -z $data && ! -d data/mnist ]]; then
  "$build/convoy" fetch mnist --out data/mnist || fail 1 "no MNIST: name its folder with --data"
fi
data=${data:-$here/data/mnist}
[[ ! -d $data/mnist ]] || data=$data/mnist
mkdir "$folder/data"
cp "$data"/*-ubyte* "$folder/data/" 2>/dev/null || fail 1 "no MNIST in $data: --data names the folder of its four files"

cache_value() { sed -n "s/^$1:[^=]*=//p" "$build/CMakeCache.txt"; }
changes=$([[ -z $(git status --porcelain 2>/dev/null) ]] || echo ' with local changes')
{
  echo "commit $(git rev-parse HEAD 2>/dev/null || echo unknown)$changes"
  echo "built with $("$(cache_value CMAKE_CXX_COMPILER)" --version | head -n 1)"
  architectures=$(cache_value CMAKE_CUDA_ARCHITECTURES)
  echo "kernels for ${architectures:-$(cache_value CONVOY_CUDA_ARCHITECTURES)}"
  symbols=$(find "$folder/bin" "$folder/lib" -type f -exec objdump -T {} + 2>/dev/null || true)  # scripts among them have no symbols
  newest() { grep -o "$1_[0-9.]*" <<<"$symbols" | sort -uV | tail -n 1; }
  echo "needs $(newest GLIBC) and $(newest GLIBCXX) (libstdc++) or newer"
} >"$folder/manifest.txt"
kib=$(du -sk --apparent-size "$folder" | cut -f 1)
echo "gpu_check: $folder, $((kib / 1024)) MiB, $(wc -l <"$folder/tests.tsv") tests"
((kib <= limit * 1024)) || fail 1 "$folder has more than $limit MiB; --limit allows more, --arch names fewer GPUs"

# -- run -------------------------------------------------------------------------------------------------------------
[[ -z $package ]] || { echo "gpu_check: copy it to the machine with the GPU and call run there"; exit 0; }
exec "$folder/run" --out "$here/runs/gpu_check" "${run_arguments[@]}"
