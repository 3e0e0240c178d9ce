#!/usr/bin/env python3
"""list_tests.py BUILD_DIR FOLDER: CTest's list of the tests labelled gpu, as FOLDER/bin has their programs.

A line a test, with tabs between: its name, the seconds that it may take, the command's words. Programs are bin/NAME.
"""

import json
import os
import subprocess
import sys
from pathlib import Path


def packed(word: str, folder: Path) -> str:
    if not (os.path.isabs(word) and os.access(word, os.X_OK)):
        return word
    name = f"bin/{Path(word).name}"
    if not (folder / name).exists():
        sys.exit(f"list_tests: error: {word} is not in {folder}/bin; name it in tests/gpu/CMakeLists.txt")
    return name


def main() -> int:
    build, folder = map(Path, sys.argv[1:3])
    command = ["ctest", "--test-dir", build / "tests" / "gpu", "-L", "^gpu$", "--show-only=json-v1"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    tests = json.loads(listed.stdout)["tests"]
    for test in tests:
        if "command" not in test:
            sys.exit(f"list_tests: error: {test['name']} is not built")
        properties = {entry["name"]: entry["value"] for entry in test["properties"]}
        if "ENVIRONMENT" in properties:
            sys.exit(f"list_tests: error: {test['name']} wants variables, which the package does not set")
        words = [packed(word, folder) for word in test["command"]]
        print(test["name"], int(properties.get("TIMEOUT", 900)), *words, sep="\t")
    return 0 if tests else 1


if __name__ == "__main__":
    sys.exit(main())
