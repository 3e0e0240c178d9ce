#!/usr/bin/env python3
"""Times PyTorch's training step of the classic ConvNet on a GPU, in every way that makes it fast, beside Convoy's.

Prints Markdown: a table of all variants, then for each precision Convoy's step, PyTorch's fastest and its eager one. What
this PyTorch or machine cannot run is named with its reason. A step takes its batch of 100 by an order from images that
lie on the GPU as bytes, as Convoy's does; forward, loss, backward and Adam follow.

In `fp32` PyTorch may not use TF32, in `tf32` convolutions may and linear layers may not (its own default), `bf16` is autocast. cuDNN's benchmark mode is
on, so PyTorch has its fastest engines.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional

IMAGES, BATCH = 60000, 100


@dataclass(frozen=True)
class Variant:
    """`mode` is eager, compile, reduce-overhead (compiled, in CUDA graphs), graph (the step as a CUDA graph) or graph20
    (twenty steps as one, which is what Convoy launches)."""

    mode: str
    precision: str
    channels_last: bool
    adam: str = "fused"

    def __str__(self) -> str:
        layout = "channels_last" if self.channels_last else "contiguous"
        return f"{self.mode}, {self.precision}, {layout}, {self.adam} Adam"


def variants() -> Iterator[Variant]:
    """The most telling first, because time may run out."""
    precisions = ("fp32", "tf32", "bf16")
    yield Variant("eager", "fp32", False, "default")  # the classic program
    for mode in ("graph20", "reduce-overhead", "eager", "compile", "graph"):
        for precision in precisions:
            yield Variant(mode, precision, True)
    for mode in ("graph20", "eager"):
        for precision in precisions:
            yield Variant(mode, precision, False)


def convnet() -> nn.Module:
    def block(channels_in: int, channels_out: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels_in, channels_out, kernel_size=5, padding=2),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )

    return nn.Sequential(block(1, 16), block(16, 32), nn.Flatten(), nn.Linear(7 * 7 * 32, 10))


class Training:
    """A network with its data, optimizer and step."""

    def __init__(self, variant: Variant, device: str):
        self.variant, self.device = variant, device
        tf32 = variant.precision == "tf32"
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(1)
        self.images = torch.randint(0, 256, (IMAGES, 1, 28, 28), dtype=torch.uint8, device=device)
        self.labels = torch.randint(0, 10, (IMAGES,), device=device)
        self.order = torch.randperm(IMAGES, device=device).reshape(-1, BATCH)
        self.format = torch.channels_last if variant.channels_last else torch.contiguous_format
        self.model = convnet().to(device, memory_format=self.format)
        options = {} if variant.adam == "default" else {variant.adam: True}
        if variant.mode.startswith("graph"):
            options["capturable"] = True
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, **options)
        compiled = {"compile": "default", "reduce-overhead": "reduce-overhead"}.get(variant.mode)
        self.loss = torch.compile(self.loss_of, mode=compiled) if compiled else self.loss_of

    def loss_of(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        bf16 = self.variant.precision == "bf16"
        # The cache of autocast's copies would outlive the step, which a CUDA graph must not depend on.
        cast = torch.autocast(self.device, dtype=torch.bfloat16, cache_enabled=False) if bf16 else contextlib.nullcontext()
        with cast:
            return functional.cross_entropy(self.model(images), labels)

    def step(self, row: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        pixels = self.images[row].float().div_(255).contiguous(memory_format=self.format)
        self.loss(pixels, self.labels[row]).backward()
        self.optimizer.step()

    def captured(self, steps: int) -> Callable[[int], None]:
        """That many steps as one CUDA graph, as PyTorch's notes on CUDA graphs capture a whole step."""
        rows = self.order[:steps].clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.step(rows[0])
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for k in range(steps):
                self.step(rows[k])

        def launch(first: int) -> None:
            rows.copy_(self.order[first : first + steps])
            graph.replay()

        return launch

    def launcher(self) -> tuple[Callable[[int], None], int]:
        """What makes the steps from a row of the order on, and how many they are."""
        if self.variant.mode == "graph20":
            return self.captured(20), 20
        if self.variant.mode == "graph":
            return self.captured(1), 1
        return lambda first: self.step(self.order[first]), 1


def milliseconds(variant: Variant, device: str, steps: int) -> list[float]:
    """A step's, the median and the least of seven windows of `steps`."""
    if hasattr(torch, "_dynamo"):
        torch._dynamo.reset()
    launch, per_launch = Training(variant, device).launcher()
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    firsts = [k * per_launch % (IMAGES // BATCH) for k in range(max(1, steps // per_launch))]
    windows = []
    for _ in range(8):  # the first one warms up
        wait()
        begin = time.perf_counter()
        for first in firsts:
            launch(first)
        wait()
        windows.append(1e3 * (time.perf_counter() - begin) / (len(firsts) * per_launch))
    return windows[1:]


def convoy_milliseconds(logs: Path, precision: str) -> float | None:
    file = logs / f"bench-json_{precision}.log"
    for line in file.read_text().splitlines() if file.exists() else ():
        if line.startswith("{"):
            event = json.loads(line)
            if event.get("event") == "bench":
                return event["ms_per_step_median"]
    return None


def print_beside(logs: Path, times: dict[Variant, float]) -> None:
    print("\n| precision | Convoy, ms | PyTorch's fastest, ms | times Convoy's | PyTorch eager, ms | times Convoy's |")
    print("|---|---|---|---|---|---|")
    for precision in ("fp32", "tf32", "bf16"):
        ours = convoy_milliseconds(logs, precision)
        of_precision = {variant: time for variant, time in times.items() if variant.precision == precision}
        if not ours or not of_precision:
            print(f"| {precision} | {f'{ours:.4f}' if ours else 'not measured'} | | | | |")
            continue
        best = min(of_precision, key=of_precision.__getitem__)
        fastest = of_precision[best]
        eager = min((time for variant, time in of_precision.items() if variant.mode == "eager"), default=None)
        beside = f"{eager:.4f} | {eager / ours:.2f}" if eager else "not begun |"
        print(f"| {precision} | {ours:.4f} | {fastest:.4f} ({best}) | {fastest / ours:.2f} | {beside} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convoy", type=Path, required=True, help="folder of gpu_check's logs")
    parser.add_argument("--budget", type=float, default=240, help="seconds after which no further variant is begun")
    parser.add_argument("--steps", type=int, default=400, help="in a window")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="cpu is for this script's test")
    arguments = parser.parse_args()
    begin = time.monotonic()
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU"
    print(f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {name}; batch {BATCH}\n")
    print("| variant | median, ms | least, ms |\n|---|---|---|")
    times: dict[Variant, float] = {}
    for variant in variants():
        if time.monotonic() - begin > arguments.budget:
            print(f"| {variant} | not begun: no time left | |")
            continue
        try:
            windows = milliseconds(variant, arguments.device, arguments.steps)
        except Exception as error:  # no C compiler for Triton, no fused Adam, no graph on a CPU: whatever it lacks
            reason = str(error).strip().splitlines()
            print(f"| {variant} | {type(error).__name__}: {reason[0][:160] if reason else ''} | |", flush=True)
            continue
        times[variant] = statistics.median(windows)
        print(f"| {variant} | {times[variant]:.4f} | {min(windows):.4f} |", flush=True)
    print_beside(arguments.convoy, times)
    return 0 if times else 1


if __name__ == "__main__":
    sys.exit(main())
