#!/usr/bin/env python3
"""Compares the training step of Convoy with PyTorch's fastest one, in one run, alternating between them.

    compare_pytorch.py --convoy build/release/convoy --python python3 --python ~/torch/bin/python

First every setting of every PyTorch is tried briefly: threads, OMP_WAIT_POLICY, memory format, flavour of Adam. Then
each interpreter's best settings and Convoy take turns for --rounds rounds. README.md says what is timed and why.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WORKER = HERE / "pytorch_step.py"
BUILT_CONVOY = HERE.parent.parent / "build" / "release" / "convoy"
FINALISTS = 2  # settings per interpreter that take turns with Convoy; one brief trial may misjudge the best
TIMEOUT_S = 900


class CompareError(Exception):
    """Something that ends the comparison, in one line."""


@dataclass(frozen=True)
class Variant:
    """What can differ within one PyTorch process."""

    channels_last: bool
    optimizer: str
    compile: bool

    def __str__(self) -> str:
        layout = "channels_last" if self.channels_last else "contiguous"
        return f"{layout}, Adam {self.optimizer}" + (", compiled" if self.compile else "")


@dataclass(frozen=True)
class Setting:
    """One way to run PyTorch."""

    python: str
    threads: int
    passive: bool  # OMP_WAIT_POLICY=passive; libgomp reads it when it is loaded, so each policy is a process
    variant: Variant

    def __str__(self) -> str:
        return f"{self.threads} thr{', passive' if self.passive else ''}, {self.variant}"


@dataclass
class Contestant:
    """Convoy, or one PyTorch setting, and what its turns gave: milliseconds a step."""

    name: str
    setting: Setting | None
    medians: list[float] = field(default_factory=list)  # of each round
    minima: list[float] = field(default_factory=list)
    convolutions: list[float] = field(default_factory=list)

    def median(self) -> float:
        return statistics.median(self.medians)


def environment(passive: bool) -> dict[str, str]:
    """The caller's, without anything that steers OpenMP but what is wanted here."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_", "MKL_NUM"))}
    return {**inherited, "OMP_WAIT_POLICY": "passive"} if passive else inherited


def output_of(command: list[str], env: dict[str, str]) -> str:
    """Runs a program; throws CompareError with its last line of complaint if it fails."""
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except OSError as error:
        raise CompareError(f"cannot run {command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise CompareError(f"{command[0]} did not finish in {TIMEOUT_S} s") from error
    if done.returncode != 0:
        complaint = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CompareError(f"{command[0]} failed with exit code {done.returncode}: {complaint}")
    return done.stdout


def last_json(text: str, source: str) -> dict[str, Any]:
    """The object on the last line."""
    try:
        parsed = json.loads((text.strip().splitlines() or [""])[-1])
    except json.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise CompareError(f"{source} printed no JSON object on its last line")
    return parsed


def run_pytorch(setting: Setting, variants: list[Variant], steps: int, batch_size: int) -> dict[str, Any]:
    """One process of PyTorch that times `variants` under the setting's threads and waiting policy."""
    job = {"threads": setting.threads, "steps": steps, "warmup": 5, "batch_size": batch_size}
    command = [setting.python, str(WORKER), json.dumps({**job, "variants": [asdict(v) for v in variants]})]
    return last_json(output_of(command, environment(setting.passive)), setting.python)


def run_convoy(convoy: str, steps: int, batch_size: int) -> dict[str, Any]:
    """The `bench` event."""
    command = [convoy, "bench", "--device", "cpu", "--model", "convnet", "--batch-size", str(batch_size)]
    event = last_json(output_of([*command, "--steps", str(steps), "--json"], environment(passive=False)), convoy)
    missing = {"ms_per_step_median", "ms_per_step_min"} - event.keys()
    if event.get("event") != "bench" or missing:
        raise CompareError(f"{convoy} bench --json ended without a complete 'bench' event")
    return event


def find_convoy(asked: str | None) -> str | None:
    """The program to measure: as asked, else the release build's, else the one on PATH."""
    if asked is not None:
        found = shutil.which(asked)
        if found is None:
            raise CompareError(f"no program at {asked}: build it first, or correct --convoy")
        return found
    return shutil.which(str(BUILT_CONVOY)) or shutil.which("convoy")


def thread_counts() -> list[int]:
    """1, 2, 4 ... and all available cores."""
    cores = len(os.sched_getaffinity(0))
    return sorted({cores, *(1 << k for k in range(cores.bit_length()) if 1 << k <= cores)})


def scan(python: str, arguments: argparse.Namespace) -> list[Contestant]:
    """Tries every setting of one interpreter for a short while; returns the fastest ones, best first."""
    variants = [
        Variant(channels_last, optimizer, compiled)
        for compiled in ([False, True] if arguments.compile else [False])
        for channels_last in (False, True)
        for optimizer in ("default", "foreach", "fused")
    ]
    version, results = "", []
    for threads in thread_counts():
        for passive in [False] if threads == 1 else [False, True]:  # one thread waits for nobody
            base = Setting(python, threads, passive, variants[0])
            reply = run_pytorch(base, variants, arguments.scan_steps, arguments.batch_size)
            version = reply["torch"]
            for variant, seconds in zip(variants, reply["times"]):
                if seconds is not None:
                    setting = Setting(python, threads, passive, variant)
                    results.append((1e3 * statistics.median(seconds), setting))
    if not results:
        raise CompareError(f"{python}: PyTorch {version} ran none of the settings")
    results.sort(key=lambda result: result[0])
    print(f"PyTorch {version} ({python}), {len(results)} settings tried, ms a step:")
    for milliseconds, setting in results if arguments.verbose else results[:3]:
        print(f"  {milliseconds:8.2f}  {setting}")
    return [Contestant(f"PyTorch {version}", setting) for _, setting in results[:FINALISTS]]


def take_turn(contestant: Contestant, convoy: str | None, arguments: argparse.Namespace) -> None:
    """One round of one contestant."""
    if contestant.setting is None:
        event = run_convoy(str(convoy), arguments.steps, arguments.batch_size)
        contestant.medians.append(event["ms_per_step_median"])
        contestant.minima.append(event["ms_per_step_min"])
        if "convolutions_ms" in event:
            contestant.convolutions.append(event["convolutions_ms"])
        return
    setting = contestant.setting
    seconds = run_pytorch(setting, [setting.variant], arguments.steps, arguments.batch_size)["times"][0]
    if seconds is None:
        raise CompareError(f"{contestant.name}: {setting} ran before and does not run now")
    contestant.medians.append(1e3 * statistics.median(seconds))
    contestant.minima.append(1e3 * min(seconds))


def paired_ratio(pytorch: list[Contestant], convoy: Contestant) -> float:
    """Median over the rounds of PyTorch's fastest turn by Convoy's: both halves of a ratio saw the same noise."""
    fastest = [min(turns) for turns in zip(*(c.medians for c in pytorch))]
    return statistics.median(theirs / ours for theirs, ours in zip(fastest, convoy.medians))


def print_table(contestants: list[Contestant], convoy: Contestant | None) -> None:
    """Milliseconds a step: median over the rounds, the rounds' spread, the fastest step; ratios to Convoy."""
    print(f"{'':22} {'median':>8} {'spread of rounds':>18} {'fastest':>8} {'ratio':>6} {'of fastest':>10}")
    for c in contestants:
        ratio = by_fastest = ""
        if convoy is not None and c is not convoy:
            ratio = f"{paired_ratio([c], convoy):.2f}"
            by_fastest = f"{min(c.minima) / min(convoy.minima):.2f}"
        spread = f"{min(c.medians):.2f} .. {max(c.medians):.2f}"
        what = str(c.setting) if c.setting else ""
        print(f"{c.name:22} {c.median():8.2f} {spread:>18} {min(c.minima):8.2f} {ratio:>6} {by_fastest:>10}  {what}")
    if convoy is not None and convoy.convolutions:
        convolutions = statistics.median(convoy.convolutions)
        times = convoy.median() / convolutions if convolutions > 0 else float("nan")
        print(f"Convoy's convolutions alone: {convolutions:.2f} ms a step; the whole step takes {times:.2f} times that")


def compare(arguments: argparse.Namespace) -> int:
    """The whole comparison; returns the exit code."""
    path = find_convoy(arguments.convoy)
    if path is None:
        if arguments.assert_ratio:
            raise CompareError("--assert-ratio needs Convoy: build it first, or pass --convoy PATH")
        print(f"Convoy: not measured, no program at {BUILT_CONVOY} nor on PATH (build it, or pass --convoy PATH)")
    groups = [scan(python, arguments) for python in arguments.python]
    convoy = Contestant("Convoy", None) if path else None
    contestants = [c for group in groups for c in group] + ([convoy] if convoy else [])
    for _ in range(arguments.rounds):
        for contestant in contestants:
            take_turn(contestant, path, arguments)
    print_table(contestants, convoy)
    if convoy is None:
        return 0

    wanted = arguments.assert_ratio * (len(groups) if len(arguments.assert_ratio) == 1 else 1)
    good = True
    for index, group in enumerate(groups):
        ratio = paired_ratio(group, convoy)
        verdict = ""
        if wanted:
            fast_enough = ratio >= wanted[index]
            good = good and fast_enough
            verdict = f", {wanted[index]:.2f} wanted: {'reached' if fast_enough else 'MISSED'}"
        print(f"Convoy is {ratio:.2f} times as fast as the fastest {group[0].name}{verdict}")
    return 0 if good else 1


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convoy", metavar="PATH", help="the program (default: the release build's, then PATH)")
    parser.add_argument("--python", action="append", metavar="PATH", help="interpreter with PyTorch; repeatable")
    parser.add_argument("--assert-ratio", action="append", type=float, default=[], metavar="R",
                        help="exit 1 unless Convoy is R times as fast; once for all, or once for each --python")
    parser.add_argument("--rounds", type=positive, default=5, help="turns of each contestant (%(default)s)")
    parser.add_argument("--steps", type=positive, default=100, help="steps in a turn (%(default)s)")
    parser.add_argument("--scan-steps", type=positive, default=20, help="steps to try a setting (%(default)s)")
    parser.add_argument("--batch-size", type=positive, default=100, help="images in a batch (%(default)s)")
    parser.add_argument("--compile", action="store_true", help="also try torch.compile (the seed program does not)")
    parser.add_argument("--verbose", action="store_true", help="print every setting that was tried")
    arguments = parser.parse_args(argv)
    arguments.python = arguments.python or [sys.executable]
    if len(arguments.assert_ratio) not in (0, 1, len(arguments.python)):
        parser.error("give --assert-ratio once, or once for each --python")
    return arguments


def main(argv: list[str] | None = None) -> int:
    try:
        return compare(parse(argv))
    except CompareError as error:
        print(f"compare_pytorch: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
