#!/usr/bin/env python3
"""Times PyTorch's training step of the classic ConvNet; started by compare_pytorch.py, once per environment.

Arguments: one JSON object {"threads", "steps", "warmup", "batch_size", "variants": [{"channels_last", "optimizer",
"compile"}, ...]}. Prints one JSON line: {"torch", "times": [[seconds of each step] or null, ...]}, null where this
PyTorch cannot run a variant.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Callable

import torch
from torch import nn


def convnet() -> nn.Module:
    """The seed program's network."""

    def block(channels_in: int, channels_out: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels_in, channels_out, kernel_size=5, stride=1, padding=2),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )

    return nn.Sequential(block(1, 16), block(16, 32), nn.Flatten(), nn.Linear(7 * 7 * 32, 10))


def adam(model: nn.Module, flavour: str) -> torch.optim.Optimizer:
    """`flavour` is "default", "foreach" or "fused"; throws where this PyTorch has no such one for the CPU."""
    extra = {} if flavour == "default" else {flavour: True}
    return torch.optim.Adam(model.parameters(), lr=1e-3, **extra)


def make_step(variant: dict[str, Any], batch_size: int) -> Callable[[], None]:
    """A function that makes one step on a batch that is already in memory."""
    torch.manual_seed(1)
    model = convnet()
    images = torch.rand(batch_size, 1, 28, 28)
    labels = torch.randint(0, 10, (batch_size,))
    if variant["channels_last"]:
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    optimizer = adam(model, variant["optimizer"])
    forward = torch.compile(model) if variant["compile"] else model
    criterion = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)  # the faster way, and the default since 2.0
        criterion(forward(images), labels).backward()
        optimizer.step()

    return step


def measure(variant: dict[str, Any], job: dict[str, Any]) -> list[float] | None:
    """Seconds of each step, or None (and the reason on stderr) if the variant does not run here."""
    try:
        step = make_step(variant, job["batch_size"])
        for _ in range(job["warmup"]):
            step()
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        print(f"{variant}: {error}", file=sys.stderr)
        return None
    times = []
    for _ in range(job["steps"]):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return times


def main() -> None:
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    times = [measure(variant, job) for variant in job["variants"]]
    print(json.dumps({"torch": torch.__version__, "times": times}))


if __name__ == "__main__":
    main()
