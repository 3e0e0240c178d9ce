"""What a race tells: means with their intervals, of the seeds that both sides have trained."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any


def student_t_95(degrees: int) -> float:
    """The t between whose negative and itself 95 % of Student's distribution lie (Abramowitz and Stegun, 26.7.3)."""

    def central_part(t: float) -> float:
        theta = math.atan(t / math.sqrt(degrees))
        odd = degrees % 2 == 1
        term = math.cos(theta) if odd else 1.0
        total = 0.0 if degrees == 1 else term
        for k in range(3 if odd else 2, degrees, 2):
            term *= math.cos(theta) ** 2 * (k - 1) / k
            total += term
        return 2 / math.pi * (theta + math.sin(theta) * total) if odd else math.sin(theta) * total

    low, high = 1.9, 13.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if central_part(middle) < 0.95 else (low, middle)
    return high


@dataclass
class Training:
    """What one seed gave."""

    accuracy: float  # percent
    seconds: float  # of training alone
    images: float

    @staticmethod
    def of(run: dict[str, Any]) -> Training:
        return Training(100 * run["accuracy"], run["training_seconds"], run["images"])

    def __str__(self) -> str:
        return f"{self.accuracy:.2f} %, {self.seconds:.2f} s"


def interval(samples: list[float]) -> tuple[float, float]:
    """The mean, and how far the 95 % interval reaches to both sides; infinitely far of one sample."""
    mean = statistics.fmean(samples)
    if len(samples) < 2:
        return mean, math.inf
    return mean, student_t_95(len(samples) - 1) * statistics.stdev(samples) / math.sqrt(len(samples))


def in_words(samples: list[float], digits: int) -> str:
    mean, half = interval(samples)
    return f"{mean:.{digits}f}" + ("" if math.isinf(half) else f" +- {half:.{digits}f}")


def comparison(ours: list[Training], theirs: list[Training]) -> str:
    """Of the same seeds in the same order."""
    ratios = [b.seconds / a.seconds for a, b in zip(ours, theirs)]
    text = (f"Convoy is {statistics.median(ratios):.2f} times as fast (median of the seeds' ratios, "
            f"{min(ratios):.2f} .. {max(ratios):.2f}); ")
    if len(ratios) < 2:
        return text + "one seed does not tell whether the accuracies are the same"
    (a, half_a), (b, half_b) = (interval([run.accuracy for run in side]) for side in (ours, theirs))
    return text + f"the intervals of the accuracies {'overlap' if abs(a - b) <= half_a + half_b else 'do NOT overlap'}"


def table(ours: dict[int, Training], theirs: dict[int, Training], name: str, to: float | None) -> str:
    """`ours` and `theirs` by seed. Where PyTorch has failed for some seeds, those are left out on both sides."""
    seeds = [seed for seed in ours if seed in theirs] or list(ours)
    sides = {"Convoy": [ours[seed] for seed in seeds]}
    if theirs:
        sides[name] = [theirs[seed] for seed in seeds]
    width = max(len(side) for side in sides)
    counted = f"{len(seeds)} seed{'' if len(seeds) == 1 else 's'}"
    if len(seeds) < len(ours):
        counted += f" of {len(ours)}, those that both have trained"
    lines = [counted + (f", each until {to} % or to its end" if to else ""),
             f"{'':{width}} {'test accuracy, %':>18} {'training alone, s':>20} {'images':>12}"]
    for side, runs in sides.items():
        accuracy, seconds = in_words([run.accuracy for run in runs], 2), in_words([run.seconds for run in runs], 2)
        lines.append(f"{side:{width}} {accuracy:>18} {seconds:>20} "
                     f"{statistics.fmean(run.images for run in runs):12.0f}")
    if len(seeds) > 1:
        lines.append("+- is the 95 % interval of the mean (Student's t)")
    return "\n".join(lines + ([comparison(*sides.values())] if theirs else []))
