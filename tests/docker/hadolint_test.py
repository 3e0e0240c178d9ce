#!/usr/bin/env python3
"""hadolint finds nothing in the Dockerfiles. It is looked for in build/interop-venv, then on PATH; exit code 77 without it."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

hadolint = shutil.which("hadolint", path=ROOT / "build/interop-venv/bin") or shutil.which("hadolint")
if not hadolint:
    print("skipped: there is no hadolint; cmake/setup.sh interop installs it")
    sys.exit(77)
print(subprocess.run([hadolint, "--version"], capture_output=True, text=True, check=True).stdout, end="")
files = sorted((ROOT / "docker").glob("Dockerfile*"))
sys.exit(subprocess.run([hadolint, "--no-color", *files], check=False).returncode)
