"""The virtual environment has every package of requirements.txt, in the version that stands there."""

import sys
from importlib import metadata
from pathlib import Path

wrong = []
for line in Path(__file__).with_name("requirements.txt").read_text().splitlines():
    if line.startswith("#"):
        continue
    package, version = line.split("==")
    try:
        found = metadata.version(package)
    except metadata.PackageNotFoundError:
        found = "missing"
    print(f"{package} {found}")
    if found != version:
        wrong.append(f"{package} is {found}, not {version}; run cmake/setup.sh interop")
print("\n".join(wrong))
sys.exit(bool(wrong))
