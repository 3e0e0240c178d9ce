"""check_labels.py CTEST BUILD_DIR LABEL...: fails if a test has no label of the list, or more than one label."""

import json
import subprocess
import sys

ctest, build, *known = sys.argv[1:]
listing = subprocess.run([ctest, "--show-only=json-v1"], cwd=build, capture_output=True, text=True, check=True).stdout
# Where a program is not built yet, CMake names a test after it that has no properties.
tests = [test for test in json.loads(listing)["tests"] if not test["name"].endswith("_NOT_BUILT")]
broken = []
for test in tests:
    labels = [p["value"] for p in test.get("properties", []) if p["name"] == "LABELS"]
    if len(labels) != 1 or len(labels[0]) != 1 or labels[0][0] not in known:
        broken.append(f"{test['name']}: {labels}")
print("\n".join(broken) or f"each of {len(tests)} tests has one label of: {', '.join(known)}")
sys.exit(bool(broken) or not tests)
