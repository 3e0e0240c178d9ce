#!/usr/bin/env bash
# Runs all fuzz targets, one after the other, and prints a table. Inputs that reach new code are kept in
# build/fuzz/corpus/, what crashes in build/fuzz/crashes/. README.md tells what to do with it.
#   run.sh                 FUZZ_SECONDS (60) for each target, going on from what is in build/fuzz/corpus/
#   run.sh --runs N        N inputs for each target with a fixed seed, from the committed files alone
#   FUZZ_TARGETS="idx"     only these
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/fuzz
seconds=${FUZZ_SECONDS:-60}
runs=
if [[ ${1:-} == --runs ]]; then runs=${2:?"--runs needs a number"}; fi

if ! command -v clang++ >/dev/null; then
  echo "fuzz: there is no clang++; install clang and its compiler-rt: cmake/setup.sh fuzz" >&2
  exit 1
fi
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz

crashes=$build/crashes logs=$build/logs
mkdir -p $crashes $logs
targets=${FUZZ_TARGETS:-$(for file in tests/fuzz/*_fuzz.cpp; do basename "$file" _fuzz.cpp; done)}
# A parser holds megabytes for inputs of kilobytes, and takes milliseconds; each target has a tighter bound of its own.
common=(-max_len=8192 -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=512 -print_final_stats=1 -verbosity=1)
failed=0
printf '%-14s %12s %8s %8s %8s\n' target executions edges seconds crashes
for target in $targets; do
  if [[ ! -x $build/tests/fuzz/fuzz_$target ]]; then  # its library was not found
    printf '%-14s not built\n' "$target"
    continue
  fi
  options=("${common[@]}" "-artifact_prefix=$crashes/$target-")
  [[ ! -f tests/fuzz/$target.dict ]] || options+=("-dict=tests/fuzz/$target.dict")
  if [[ -n $runs ]]; then
    corpus=$(mktemp -d)
    options+=("-runs=$runs" -seed=1)
  else
    corpus=$build/corpus/$target
    mkdir -p "$corpus"
    options+=("-max_total_time=$seconds")
  fi
  start=$SECONDS status=0
  $build/tests/fuzz/fuzz_"$target" "${options[@]}" "$corpus" "tests/fuzz/corpus/$target" >"$logs/$target" 2>&1 || status=$?
  [[ -z $runs ]] || rm -rf "$corpus"
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/$target")
  edges=$(grep -oE 'cov: [0-9]+' "$logs/$target" | tail -n 1 || true)
  printf '%-14s %12s %8s %8s %8s\n' "$target" "${executions:-?}" "${edges#cov: }" $((SECONDS - start)) $((status != 0))
  if [[ $status -ne 0 ]]; then
    failed=1
    grep -m 1 -E 'this should hold|ERROR:|runtime error' "$logs/$target" >&2 || true
    echo "fuzz: $target crashed (the whole output is in $logs/$target); its input:" \
         "$(sed -n 's/.*Test unit written to //p' "$logs/$target" | tail -n 1)" >&2
  fi
done
exit $failed
