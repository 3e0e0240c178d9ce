"""What the scripts of label `interop` have in common."""

import importlib
import sys


def need(*packages: str) -> None:
    """Ends the test as skipped, and says why, unless every package can be imported."""
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            print(f"skipped: {sys.executable} has no {package} ({error}); cmake/setup.sh interop installs it")
            sys.exit(77)
