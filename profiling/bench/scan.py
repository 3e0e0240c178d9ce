"""Tries the settings of a peer and keeps the fastest."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from pathlib import Path

from catalog import CLASSIC, PRECISIONS, SYSTEM, WAITING, Environment, Runner
from processes import CompareError, last_json, output_of

WARMUP = 5
FINALISTS = 2  # settings of a precision that take turns with Convoy, if the second is nearly as fast:
NEARLY = 1.1  # one brief trial may misjudge the best
PRELOAD = "LD_PRELOAD"


@dataclass(frozen=True)
class Setting:
    """One way to run a peer."""

    runner: Runner
    threads: int
    environment: tuple[tuple[str, str], ...]
    variant: str

    @property
    def precision(self) -> str:
        return self.variant.split("+")[0]

    def __str__(self) -> str:
        variables = [Path(v).name.split(".")[0].removeprefix("lib") if k == PRELOAD else f"{k}={v}"
                     for k, v in self.environment]
        return ", ".join([f"{self.threads} thr", *variables, self.variant.replace("+", " ")])


@dataclass(frozen=True)
class Trial:
    """What one setting gave: milliseconds a step."""

    setting: Setting
    median: float
    minimum: float


@dataclass(frozen=True)
class Effort:
    """How long to measure: `seconds` ends the steps of a setting early."""

    steps: int
    seconds: float
    batch_size: int


def tcmalloc() -> Path | None:
    return next(iter(sorted(SYSTEM.glob("lib/*/libtcmalloc_minimal.so.4"))), None)


def thread_counts() -> list[int]:
    """1, 2, 4 ... and all available cores."""
    cores = len(os.sched_getaffinity(0))
    return sorted({cores, *(1 << k for k in range(cores.bit_length()) if 1 << k <= cores)})


def run(runner: Runner, threads: int, environment: Environment, variants: tuple[str, ...],
        effort: Effort) -> tuple[str, list[Trial]]:
    """One process: the peer's version, and what each variant gave that runs there. One that does not lower the loss has
    trained nothing and is left out, with a line."""
    job = {"threads": threads, "steps": effort.steps, "warmup": WARMUP, "batch-size": effort.batch_size,
           "seconds": effort.seconds}
    command = [*runner.command, *(text for k, v in job.items() for text in (f"--{k}", str(v))), *variants]
    threading = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    source = f"{runner.peer.worker} of {runner.origin}"
    reply = last_json(output_of(command, {**threading, **environment}), source)
    trials = []
    try:
        for variant, result in zip(variants, reply["runs"]):
            if result is None:
                continue
            first, last = result["losses"]
            if not last < first:
                print(f"{source}, {variant}: left out, as the loss went from {first} to {last}")
                continue
            milliseconds = [1e3 * second for second in result["seconds"]]
            setting = Setting(runner, threads, tuple(sorted(environment.items())), variant)
            trials.append(Trial(setting, statistics.median(milliseconds), min(milliseconds)))
        return str(reply["version"]), trials
    except (KeyError, TypeError, ValueError) as error:
        raise CompareError(f"{source} ended without a complete result") from error


def fastest(trials: list[Trial], precision: str) -> list[Trial]:
    return sorted((t for t in trials if t.setting.precision == precision), key=lambda trial: trial.median)


def scan(runner: Runner, effort: Effort) -> tuple[str, list[Trial]]:
    """The version, and a trial of every combination of threads, environment and variant; then, in the environment that
    was best for a precision, of the variants that start slowly, and of tcmalloc. Throws if nothing ran."""
    peer, version, trials = runner.peer, "", []
    complaints: dict[str, None] = {}  # each once

    def attempt(threads: int, environment: Environment, variants: tuple[str, ...]) -> None:
        nonlocal version
        try:
            version, found = run(runner, threads, environment, variants, effort)
            trials.extend(found)
        except CompareError as error:  # it may not know this environment
            complaints[str(error)] = None

    for threads in thread_counts() if peer.threaded else [1]:
        for environment in peer.environments:
            if threads > 1 or environment not in WAITING[1:]:  # one thread waits for nobody
                attempt(threads, environment, peer.variants)
    allocator = tcmalloc()
    for precision in sorted({trial.setting.precision for trial in trials}):
        of_precision = [variant for variant in peer.late if variant.split("+")[0] == precision]
        if of_precision:
            best = fastest(trials, precision)[0].setting
            attempt(best.threads, dict(best.environment), tuple(of_precision))
        if allocator is not None:
            leaders = fastest(trials, precision)[:FINALISTS]
            best = leaders[0].setting
            variants = tuple(dict.fromkeys(trial.setting.variant for trial in leaders))
            attempt(best.threads, {**dict(best.environment), PRELOAD: str(allocator)}, variants)
    if not trials:
        raise CompareError("; ".join(complaints) or f"version {version} ran none of the settings")
    for complaint in complaints:
        print(f"{peer.name}: a setting was not tried: {complaint}")
    return version, trials


def finalists(trials: list[Trial]) -> list[tuple[frozenset[str], Setting]]:
    """The settings that are to take turns with Convoy, each with the groups that it counts for."""
    chosen = []
    for precision in PRECISIONS:
        ranked = fastest(trials, precision)[:FINALISTS]
        for trial in ranked:
            if trial.median <= NEARLY * ranked[0].median:
                key = trial.setting.runner.peer.key
                chosen.append((frozenset({f"best-{precision}", f"{key}-{precision}"}), trial.setting))
    classic = [t for t in fastest(trials, "fp32")
               if t.setting.runner.peer.key == "pytorch" and t.setting.variant == CLASSIC
               and PRELOAD not in dict(t.setting.environment)]
    return chosen + [(frozenset({"classic"}), trial.setting) for trial in classic[:1]]
