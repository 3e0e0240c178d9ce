"""The example apps/examples/with_pytorch.py does what it says.

usage: with_pytorch_test.py CONVOY EXAMPLE; exits with 77 (skipped) where torch cannot be imported.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import torch
except ImportError as error:
    print(f"skipped: {sys.executable} has no PyTorch ({error})")
    sys.exit(77)

from made_up_data import write_made_up_data

print(f"PyTorch {torch.__version__} of {sys.executable}", flush=True)
with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    write_made_up_data(folder / "data", 200, 12)
    done = subprocess.run([sys.executable, sys.argv[2], sys.argv[1], folder / "data", folder / "out"], stdout=subprocess.PIPE,
                          text=True)
    print(done.stdout)
    compared = [line for line in done.stdout.splitlines() if ": loss " in line]
    written = sorted(path.name for path in (folder / "out").iterdir())
assert done.returncode == 0, done.returncode
assert len(compared) == 4, compared
assert written == ["first", "second-before-1.6.pth", "second.pt", "third", "third.pt", "third.safetensors"], written
