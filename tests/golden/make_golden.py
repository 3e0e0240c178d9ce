#!/usr/bin/env python3
"""Writes the golden files that Convoy is compared with: what PyTorch computes.

    make_golden.py [--data DIR] [--out DIR]           write the files
    make_golden.py [--data DIR] [--out DIR] --check   compute them again and compare with those in --out

The images are those in the folder `mnist` beside this file; --data names another folder with MNIST's training set under
its usual names, gzip-compressed or not, whose first 10,000 images are then kept. README.md beside this file says what
each golden file holds. Works with PyTorch 1.13 and newer; one thread, so the same PyTorch on the same machine
writes the same numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import golden_convnet
import golden_layers
import golden_schedules
import torch

HERE = Path(__file__).resolve().parent

# Another PyTorch, or another CPU, rounds differently. Losses of training in fp32 then drift apart (README.md); what
# was computed in double and stored in float32 or double does not, except by Adam's division of small by small.
CHECK_TOLERANCE = {
    "convnet_init.ckpt": 0.0,
    "convnet_grads.ckpt": 2e-7,
    "convnet_step20.ckpt": 2e-7,
    "convnet.json": 5e-4,
    "layers.json": 1e-12,
    "schedules.json": 1e-12,
}


def write(data: Path, out: Path) -> None:
    """Computes every golden file and writes it into `out`."""
    golden_convnet.write(data, out)
    golden_schedules.write(data, out)
    layers = json.dumps({"torch": torch.__version__, "cases": golden_layers.cases()}, separators=(",", ":"))
    (out / "layers.json").write_text(layers.replace('{"name"', '\n{"name"') + "\n", encoding="utf-8")


def numbers(node: Any, path: str = "") -> dict[str, torch.Tensor]:
    """Flattens parsed JSON or a state dict into named tensors; every list of numbers is one."""
    if isinstance(node, torch.Tensor):
        return {path: node.double()}
    if isinstance(node, (int, float)):
        return {path: torch.tensor(float(node), dtype=torch.float64)}
    if isinstance(node, list) and all(isinstance(value, (int, float)) for value in node):
        return {path: torch.tensor(node, dtype=torch.float64)}
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found: dict[str, torch.Tensor] = {}
    for key, child in children:
        found.update(numbers(child, f"{path}/{key}"))
    return found


def load(file: Path) -> dict[str, torch.Tensor]:
    """Reads a golden file of either kind."""
    return numbers(json.loads(file.read_text("utf-8")) if file.suffix == ".json" else torch.load(file))


def check(fresh: Path, committed: Path) -> bool:
    """Compares two folders of golden files, prints the largest difference of each file; true if all are close."""
    good = True
    for name, tolerance in CHECK_TOLERANCE.items():
        left, right = load(fresh / name), load(committed / name)
        if left.keys() != right.keys():
            print(f"{name}: other entries: {sorted(left.keys() ^ right.keys())}")
            good = False
            continue
        # Conv biases in front of a batch norm have gradients of nothing but rounding noise: see README.md.
        keys = [key for key in left if left[key].numel() and not (name == "convnet_grads.ckpt" and "0.bias" in key)]
        worst, where = max((relative_difference(left[key], right[key]), key) for key in keys)
        good = good and worst <= tolerance
        print(f"{name}: largest difference {worst:.1e} at {where}, {tolerance:.0e} allowed")
    return good


def relative_difference(left: torch.Tensor, right: torch.Tensor) -> float:
    """The largest difference, relative to the largest entry."""
    if left.shape != right.shape:
        return float("inf")
    scale = max(float(right.abs().max()), sys.float_info.min)
    return float((left - right).abs().max()) / scale


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kept = HERE / golden_convnet.SAMPLES
    parser.add_argument("--data", type=Path, default=kept, metavar="DIR", help="folder with MNIST's training set")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="folder of the golden files (this one)")
    parser.add_argument("--check", action="store_true", help="compare with the files in --out, write nothing there")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if not arguments.check:
        arguments.out.mkdir(parents=True, exist_ok=True)
        write(arguments.data, arguments.out)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write(arguments.data, Path(folder))
        return 0 if check(Path(folder), arguments.out) else 1


if __name__ == "__main__":
    sys.exit(main())
