#!/usr/bin/env bash
# Line coverage of engine/backend/cuda/ and kernels/ by the tests that need no GPU, with the lines that did not run.
# A kernel's lines are those of its twin that the host's compiler made. Fails below 95 %, and if a test fails.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v gcovr >/dev/null || { echo "coverage: gcovr is missing; run cmake/setup.sh coverage" >&2; exit 1; }

cmake --preset coverage "$@"
cmake --build --preset coverage --target tests/{host_kernels,software_gpu,plans,gpu}/all \
  backend_test train_test gradcheck_test golden_parity_test  # these run on the software GPU, too
find build/coverage -name '*.gcda' -delete
for folder in host_kernels software_gpu plans gpu; do
  ctest --test-dir build/coverage/tests/$folder -j "$(nproc)" --no-tests=error --output-on-failure --timeout 1800
done
gcovr --root . --object-directory build/coverage --filter engine/backend/cuda/ --filter kernels/ \
  --print-summary --fail-under-line 95
