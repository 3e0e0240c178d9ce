"""PyTorch's training step of the classic ConvNet.

Words of a variant: fp32 or bf16 (autocast); contiguous or channels_last; default, foreach or fused Adam; compile.
"""

from __future__ import annotations

import contextlib

import step_timer
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


def adam(model: nn.Module, words: frozenset[str]) -> torch.optim.Optimizer:
    """Throws where this PyTorch has no such Adam for the CPU."""
    flavour = {word: True for word in ("foreach", "fused") if word in words}
    return torch.optim.Adam(model.parameters(), lr=1e-3, **flavour)


def make_step(job: step_timer.Job, words: frozenset[str]) -> step_timer.Step:
    torch.manual_seed(1)
    model = convnet()
    images = torch.rand(job.batch_size, 1, 28, 28)
    labels = torch.randint(0, 10, (job.batch_size,))
    if "channels_last" in words:
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    optimizer = adam(model, words)
    forward = torch.compile(model) if "compile" in words else model
    criterion = nn.CrossEntropyLoss()

    def step() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)  # the faster way, and the default since 2.0
        narrow = torch.autocast("cpu", dtype=torch.bfloat16) if "bf16" in words else contextlib.nullcontext()
        with narrow:
            loss = criterion(forward(images), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


if __name__ == "__main__":
    given = step_timer.parse()
    torch.set_num_threads(given.threads)
    step_timer.serve(given, torch.__version__, make_step)
