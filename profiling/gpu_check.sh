#!/usr/bin/env bash
# Everything that only a GPU can show, in one command and one report:
#
#   profiling/gpu_check.sh [--out FOLDER] [--tests REGEX] [--bench "ARGS"] [--train "ARGS"] [--skip-build] [--build-dir DIR]
#
# Builds the preset `release`, runs the tests labelled `gpu`, the doctor, the bench in every precision that the GPU has
# and three trainings with the table of their plans (a cold start and a warm one, profiled; one autotuned), and writes
# FOLDER/gpu-report-DATE-GPU.md (FOLDER is runs/ if not given). REGEX selects tests; ARGS replace the
# bench's and the training's arguments. Set CONVOY_DATA to the folder of MNIST, or it is downloaded for the training and
# the tests on it are skipped. Exit code 0 if every step was done, 1 if one failed or there is no GPU, 2 for wrong usage.
# shellcheck disable=SC2317  # functions are called by `step`
set -uo pipefail
here=$(realpath "$(dirname "$0")/..")

out=$here/runs tests=. bench="--model convnet --steps 200" train="--epochs 1" build=$here/build/release skip_build=
fail() { echo "gpu_check: error: $2" >&2; exit "$1"; }
while [[ $# -gt 0 ]]; do
  case $1 in
    --skip-build) skip_build=1; shift; continue ;;
    --help) sed -n '2,/^# shellcheck/{/shellcheck/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --out | --tests | --bench | --train | --build-dir) [[ $# -gt 1 ]] || fail 2 "$1 needs a value" ;;&
    --out) out=$(realpath -m "$2") ;;
    --tests) tests=$2 ;;
    --bench) bench=$2 ;;
    --train) train=$2 ;;
    --build-dir) build=$(realpath -m "$2") ;;
    *) fail 2 "unknown argument $1; see --help" ;;
  esac
  shift 2
done
cd "$here" || fail 1 "cannot enter $here"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# step TITLE COMMAND...: runs it in view, and keeps command, exit code, seconds and output for the report.
step() {
  local title=$1 begin=$SECONDS code
  shift
  printf '\n== %s: %s\n' "$title" "$*"
  "$@" 2>&1 | tee "$scratch/output"
  code=${PIPESTATUS[0]}
  [[ $code -eq 0 ]] || failed=1
  echo "| $title | $code | $((SECONDS - begin)) |" >>"$scratch/summary"
  {
    printf '\n## %s\n\nExit code %d after %d s:\n\n' "$title" "$code" $((SECONDS - begin))
    # A progress line overwrites itself; four blanks make it a literal block whatever it contains.
    printf '$ %s\n\n' "$*" | cat - "$scratch/output" | sed -e 's/.*\r\(.\)/\1/' -e 's/\x1b\[[0-9;]*m//g' -e 's/^/    /'
  } >>"$scratch/details"
  return "$code"
}

build_release() {
  cmake/setup.sh test && cmake --preset release && cmake --build --preset release
}

machine() {
  uname -srm
  sed -n 's/^PRETTY_NAME=//p' /etc/os-release
  grep -m1 '^model name' /proc/cpuinfo
  echo "$(nproc) threads, $(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
  if command -v nvidia-smi >/dev/null; then nvidia-smi; else echo "no nvidia-smi"; fi
  if command -v nvcc >/dev/null; then nvcc --version | tail -n 2; else echo "no nvcc on PATH"; fi
}

if [[ -z $skip_build ]]; then
  # Before minutes of building: is there anything to run on?
  nvidia-smi -L >/dev/null 2>&1 ||
    fail 1 "no GPU: nvidia-smi is missing or lists none; install NVIDIA's driver for CUDA 13 (580 or newer)"
  step "Build" build_release || fail 1 "the build failed; see above"
fi
on_gpu=$build/tests/gpu/on_gpu
[[ -x $on_gpu && -x $build/convoy ]] || fail 1 "$build has no complete build; run this without --skip-build"
device=$("$on_gpu") || fail 1 "no GPU: ${device#skipped: no GPU to test on: }"
sm=$(sed -n 's/.*, sm_\([0-9]*\),.*/\1/p' <<<"$device")
[[ -n $sm ]] || fail 1 "no architecture in: $device"
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
gpu=${gpu:-${device#device: }}

mkdir -p "$out/gpu_check" || fail 1 "cannot write to $out"
report=$out/gpu-report-$(date +%F)-$(tr -cs '[:alnum:]\n' - <<<"${gpu%%,*}" | sed 's/-*$//').md

step "Machine" machine
step "Tests labelled gpu" ctest --test-dir "$build/tests/gpu" -L '^gpu$' -R "$tests" --no-tests=error --output-on-failure
step "Doctor" "$build/convoy" doctor
for precision in fp32 tf32 bf16; do
  if [[ $precision != fp32 && $sm -lt 80 ]]; then
    printf '\n== Bench, %s: not run, it needs sm_80\n' "$precision"
    echo "| Bench, $precision | not run: needs sm_80, this is sm_$sm | |" >>"$scratch/summary"
    continue
  fi
  # shellcheck disable=SC2086  # ARGS are several words
  step "Bench, $precision" "$build/convoy" bench --device cuda --precision "$precision" --verbose $bench
done
# An empty folder for plans makes the first training a cold start and the second a warm one.
# shellcheck disable=SC2086
for start in cold warm; do
  step "Training, $start start, 20 steps of it profiled" "$build/convoy" train --device cuda --verbose --profile 20 \
    --plan-cache "$scratch/plans" --out "$out/gpu_check/$start" $train
done
# shellcheck disable=SC2086
step "Training, autotuned" "$build/convoy" train --device cuda --verbose --autotune \
  --plan-cache "$scratch/autotuned" --out "$out/gpu_check/autotuned" $train
if command -v nsys >/dev/null; then
  # shellcheck disable=SC2086
  step "Nsight Systems" nsys profile --trace=cuda,nvtx,cublas,cudnn --sample=none --cpuctxsw=none --stats=true \
    --force-overwrite=true --output="$out/gpu_check/steps" \
    "$build/convoy" train --device cuda --profile 20 --out "$out/gpu_check/nsys" $train
else
  echo "| Nsight Systems | not run: no nsys | |" >>"$scratch/summary"
fi

{
  printf '# Convoy on %s\n\n' "$gpu"
  printf '%s, commit %s%s, %s\n\n' "$(date '+%F %T %Z')" "$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
    "$([[ -z $(git status --porcelain 2>/dev/null) ]] || echo ' with local changes')" "$device"
  printf '| step | exit code | seconds |\n|---|---|---|\n'
  cat "$scratch/summary" "$scratch/details"
} >"$report" || fail 1 "cannot write $report"
printf '\nReport: %s\n' "$report"
exit "$failed"
