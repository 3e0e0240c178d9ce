#!/usr/bin/env python3
"""Trains one recipe with Convoy and with PyTorch, seed by seed and in turn, and compares accuracy and seconds.

    race.py --convoy build/release/convoy --python python3 --recipe mnist-99 --seeds 1-10
    race.py --config recipe.toml --seeds 1-5 --to 99 -- --epochs 3

What stands behind -- are flags of `convoy train`, and override the recipe. README.md says what is timed and why.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import CompareError, last_json, output_of

try:
    import tomllib
except ModuleNotFoundError:  # before Python 3.11
    tomllib = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parent.parent.parent
BUILT_CONVOY = ROOT / "build" / "release" / "convoy"
WORKER = Path(__file__).resolve().parent / "peers" / "pytorch_training.py"
TIMEOUT_S = 6 * 3600

# What the PyTorch side does as well.
INGREDIENTS = ("lr", "epochs", "batch-size", "optimizer", "weight-decay", "momentum", "nesterov", "decay", "clip-norm",
               "ema", "label-smoothing", "shift", "flip", "schedule", "schedule-by", "schedule-length", "lr-end",
               "lr-step", "lr-milestones", "lr-gamma", "pct-start", "anneal", "div-factor", "final-div-factor",
               "cycle-momentum", "no-cycle-momentum", "base-momentum", "max-momentum", "three-phase", "warmup",
               "warmup-factor", "validation", "limit-train", "limit-test")
# What run.json tells better, or what changes no accuracy.
OTHERS = ("model", "dataset", "data", "mean", "std", "swa", "bn-batches", "settle", "log-every", "save-every", "keep",
          "keep-best", "check-finite", "device", "plan-cache", "no-plan-cache", "no-graph", "autotune", "fuse",
          "no-fuse", "nondeterministic", "verbose", "test-every")
FLAGS_ALONE = ("nesterov", "flip", "cycle-momentum", "no-cycle-momentum", "three-phase", "swa", "keep-best",
               "check-finite", "no-plan-cache", "no-graph", "autotune", "fuse", "no-fuse", "nondeterministic",
               "verbose")
NOTHING = (None, False, 0, 0.0, "", "constant", "all", [], "auto")  # what an ingredient has that does nothing

Recipe = dict[str, Any]


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
class Side:
    """Convoy or PyTorch, and what its trainings gave."""

    name: str
    accuracies: list[float] = field(default_factory=list)  # percent
    seconds: list[float] = field(default_factory=list)  # of training alone
    images: list[float] = field(default_factory=list)

    def add(self, run: dict[str, Any]) -> None:
        self.accuracies.append(100 * run["accuracy"])
        self.seconds.append(run["training_seconds"])
        self.images.append(run["images"])


def interval(samples: list[float]) -> tuple[float, float]:
    """The mean, and how far the 95 % interval reaches to both sides; infinitely far of one sample."""
    mean = statistics.fmean(samples)
    if len(samples) < 2:
        return mean, math.inf
    return mean, student_t_95(len(samples) - 1) * statistics.stdev(samples) / math.sqrt(len(samples))


def in_words(samples: list[float], digits: int) -> str:
    mean, half = interval(samples)
    return f"{mean:.{digits}f}" + ("" if math.isinf(half) else f" +- {half:.{digits}f}")


def value_of(text: str) -> Any:
    """A flag's value as TOML would have it."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(text, text)


def recipe_of_flags(flags: list[str]) -> Recipe:
    """"--lr 0.1 --flip" as keys and values."""
    recipe: Recipe = {}
    words = iter(flags)
    for word in words:
        if not word.startswith("--"):
            raise CompareError(f"'{word}' is no flag of convoy train")
        key, equals, text = word[2:].partition("=")
        if not equals and key not in FLAGS_ALONE:
            text = next(words, None)  # type: ignore[assignment]
            if text is None:
                raise CompareError(f"--{key} needs a value")
        recipe[key] = value_of(text) if equals or key not in FLAGS_ALONE else True
    return recipe


def recipe_of_text(text: str, source: str) -> Recipe:
    """The keys of a configuration; its tables describe it."""
    if tomllib is None:
        raise CompareError("reading a recipe takes Python 3.11 or newer")
    try:
        return {key: value for key, value in tomllib.loads(text).items() if not isinstance(value, dict)}
    except tomllib.TOMLDecodeError as error:
        raise CompareError(f"{source}: {error}") from error


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """What is trained: the recipe, and over it the flags."""
    recipe: Recipe = {}
    if arguments.recipe:
        command = [arguments.convoy, "train", "--recipe", arguments.recipe, "--print-config"]
        recipe = recipe_of_text(output_of(command, {}), f"recipe {arguments.recipe}")
        recipe.pop("seed", None)  # the whole configuration has one
    if arguments.config:
        try:
            text = Path(arguments.config).read_text(encoding="utf-8")
        except OSError as error:
            raise CompareError(f"{arguments.config}: {error.strerror}") from error
        recipe.update(recipe_of_text(text, arguments.config))
    recipe.update(recipe_of_flags(arguments.flags))
    return recipe


def check(recipe: Recipe) -> None:
    """Throws CompareError for what PyTorch's side cannot do."""
    for key in ("seed", "seeds", "stop-at", "patience", "resume", "out", "json"):
        if recipe.get(key) not in NOTHING:
            raise CompareError(f"'{key}' cannot be part of it: the race has --seeds and --to")
    for key, value in recipe.items():
        if key in INGREDIENTS or key in OTHERS or value in NOTHING:
            continue
        if key == "precision" and value == "fp32":
            continue
        raise CompareError(f"the PyTorch side has no '{key}' (here {value}): leave it out, or extend {WORKER.name}")


def train_convoy(arguments: argparse.Namespace, seed: int, folder: Path) -> dict[str, Any]:
    """One training; returns the event `done`."""
    command = [arguments.convoy, "train"]
    for flag, value in (("--recipe", arguments.recipe), ("--config", arguments.config)):
        command += [flag, value] if value else []
    command += [*arguments.flags, "--seed", str(seed), "--out", str(folder), "--json"]
    command += ["--stop-at", str(arguments.to)] if arguments.to else []
    event = last_json(output_of(command, {}, TIMEOUT_S), arguments.convoy)
    missing = {"accuracy", "training_seconds", "images"} - event.keys()
    if event.get("event") != "done" or missing:
        raise CompareError(f"{arguments.convoy} train --json ended without a complete 'done' event")
    return event


def job_of(recipe: Recipe, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """What PyTorch trains: the recipe, and what Convoy's folder says of model and data."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    batches = record.get("settle_batches", record.get("bn_batches", 0))
    preparation = record["preparation"]
    if preparation.get("transposed"):
        raise CompareError("the PyTorch side cannot transpose images")
    return {"recipe": {key: value for key, value in recipe.items() if key in INGREDIENTS},
            "model": json.loads((folder / "model.json").read_text(encoding="utf-8")), "data": record["data"],
            "dataset": record["dataset"], "mean": preparation.get("mean", 0), "std": preparation.get("std", 1),
            "swa": record.get("swa", batches > 0), "bn_batches": batches, "to": arguments.to,
            "device": record["device"], "threads": arguments.threads, "compile": arguments.compile}


def train_pytorch(python: str, job: dict[str, Any], seed: int, setting: str | None) -> dict[str, Any]:
    """One training in a process of its own. Without a setting it tries them, and says which is the fastest."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump({**job, "seed": seed, "setting": setting}, file)
        file.flush()
        reply = last_json(output_of([python, str(WORKER), file.name], {}, TIMEOUT_S), python)
    missing = {"version", "setting", "accuracy", "training_seconds", "images"} - reply.keys()
    if missing:
        raise CompareError(f"{python}: {WORKER.name} ended without {', '.join(sorted(missing))}")
    return reply


def print_table(sides: list[Side], to: float | None) -> None:
    width = max(len(side.name) for side in sides)
    print(f"\n{len(sides[0].seconds)} seeds" + (f", each until {to} % or to its end" if to else ""))
    print(f"{'':{width}} {'test accuracy, %':>18} {'training alone, s':>20} {'images':>12}")
    for side in sides:
        print(f"{side.name:{width}} {in_words(side.accuracies, 2):>18} {in_words(side.seconds, 2):>20} "
              f"{statistics.fmean(side.images):12.0f}")
    print("+- is the 95 % interval of the mean (Student's t)")
    if len(sides) < 2:
        return
    ours, theirs = sides
    ratios = [b / a for a, b in zip(ours.seconds, theirs.seconds)]
    (a, half_a), (b, half_b) = interval(ours.accuracies), interval(theirs.accuracies)
    same = "overlap" if abs(a - b) <= half_a + half_b else "do NOT overlap"
    print(f"Convoy is {statistics.median(ratios):.2f} times as fast (median of the seeds' ratios, "
          f"{min(ratios):.2f} .. {max(ratios):.2f}); the intervals of the accuracies {same}")


def race(arguments: argparse.Namespace) -> int:
    """The whole race; returns the exit code."""
    recipe = recipe_of(arguments)
    check(recipe)
    convoy, pytorch = Side("Convoy"), Side("PyTorch")
    setting = None
    with tempfile.TemporaryDirectory(prefix="convoy-race-") as scratch:
        for seed in arguments.seeds:
            folder = Path(scratch) / str(seed)
            ours = train_convoy(arguments, seed, folder)
            convoy.add(ours)
            line = f"seed {seed}: Convoy {100 * ours['accuracy']:.2f} %, {ours['training_seconds']:.2f} s"
            try:
                theirs = train_pytorch(arguments.python, job_of(recipe, folder, arguments), seed, setting)
            except CompareError as error:
                if pytorch.seconds or arguments.require_pytorch:
                    raise
                print(f"{line}; PyTorch: not measured: {error}", flush=True)
                arguments.require_pytorch = False
                continue
            setting = theirs["setting"]
            pytorch.name = f"PyTorch {theirs['version']}, {setting}"
            pytorch.add(theirs)
            print(f"{line}; {pytorch.name} {100 * theirs['accuracy']:.2f} %, {theirs['training_seconds']:.2f} s",
                  flush=True)
    print_table([convoy] + ([pytorch] if pytorch.seconds else []), arguments.to)
    return 0


def seeds_of(text: str) -> list[int]:
    """1-8 or 1,5,9."""
    seeds: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            seeds += range(int(first), (int(last) if dash else int(first)) + 1)
    except ValueError:
        seeds = []
    if not seeds or len(set(seeds)) != len(seeds):
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of seeds, as 1-8 or 1,5,9")
    return seeds


def percent(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100:
        raise ValueError
    return value


def parse(argv: list[str] | None) -> argparse.Namespace:
    given = list(sys.argv[1:] if argv is None else argv)
    at = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convoy", metavar="PATH", help="the program (default: the release build's, then PATH)")
    parser.add_argument("--python", default=sys.executable, metavar="PATH", help="interpreter that has PyTorch")
    parser.add_argument("--recipe", metavar="NAME", help="a recipe of convoy recipes")
    parser.add_argument("--config", metavar="FILE", help="a recipe of one's own, as TOML")
    parser.add_argument("--seeds", type=seeds_of, default=[1, 2, 3, 4, 5], metavar="LIST", help="1-10 or 1,5,9 (1-5)")
    parser.add_argument("--to", type=percent, metavar="PERCENT", help="end a training behind the epoch that reaches it")
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch on a CPU (default: its own choice)")
    parser.add_argument("--compile", action="store_true", help="try torch.compile as well; its start is not counted")
    parser.add_argument("--require-pytorch", action="store_true", help="exit 2 where PyTorch cannot be measured")
    arguments = parser.parse_args(given[:at])
    arguments.flags = given[at + 1:]
    return arguments


def find_convoy(asked: str | None) -> str:
    found = shutil.which(asked) if asked else shutil.which(str(BUILT_CONVOY)) or shutil.which("convoy")
    if found is None:
        raise CompareError(f"no program at {asked or BUILT_CONVOY}: build it first, or correct --convoy")
    return found


def main(argv: list[str] | None = None) -> int:
    arguments = parse(argv)
    try:
        arguments.convoy = find_convoy(arguments.convoy)
        return race(arguments)
    except CompareError as error:
        print(f"race: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
