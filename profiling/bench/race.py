#!/usr/bin/env python3
"""Trains one recipe with Convoy and with PyTorch, seed by seed and in turn, and compares accuracy and seconds.

    race.py --convoy build/release/convoy --python python3 --recipe mnist-99 --seeds 1-10
    race.py --recipe recipe.toml --seeds 1-5 --to 99 -- --epochs 3

What stands behind -- are flags of `convoy train`, and override the recipe. README.md says what is timed and why.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from processes import CompareError, last_json, output_of
from race_recipe import Recipe, checked, flags_of, recipe_of
from race_table import Training, table

ROOT = Path(__file__).resolve().parent.parent.parent
BUILT_CONVOY = ROOT / "build" / "release" / "convoy"
WORKER = Path(__file__).resolve().parent / "peers" / "pytorch_training.py"
TIMEOUT_S = 6 * 3600
MOST_SEEDS = 1000  # as of convoy train --seeds


def train_convoy(arguments: argparse.Namespace, flags: list[str], seed: int, folder: Path) -> dict[str, Any]:
    """One training; returns the event `done`."""
    command = [arguments.convoy, "train", *flags, "--seed", str(seed), "--out", str(folder), "--json", "--no-report"]
    command += ["--stop-at", str(arguments.to)] if arguments.to else []
    threads = {"OMP_NUM_THREADS": str(arguments.threads)} if arguments.threads else {}
    event = last_json(output_of(command, threads, TIMEOUT_S), arguments.convoy)
    missing = {"accuracy", "training_seconds", "images"} - event.keys()
    if event.get("event") != "done" or missing:
        raise CompareError(f"{arguments.convoy} train --json ended without a complete 'done' event")
    return event


def threads_of(record: dict[str, Any]) -> int:
    """How many Convoy had on a CPU; 0 where it does not tell."""
    found = re.search(r"\b(\d+) threads?\b", record.get("device_description", ""))
    return int(found.group(1)) if found else 0


def job_of(recipe: Recipe, every: int, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """What PyTorch trains: the recipe's ingredients, and what Convoy's folder says of model and data."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    preparation = record["preparation"]
    if preparation.get("transposed"):
        raise CompareError("the PyTorch side cannot transpose images")
    return {"recipe": recipe, "model": json.loads((folder / "model.json").read_text(encoding="utf-8")),
            "data": record["data"], "dataset": record["dataset"], "mean": preparation.get("mean", 0),
            "std": preparation.get("std", 1), "swa": record.get("swa", False),
            "bn_batches": record.get("bn_batches", 0), "to": arguments.to, "test_every": every,
            "device": record["device"], "threads": arguments.threads or threads_of(record),
            "compile": arguments.compile}


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


def race(arguments: argparse.Namespace) -> int:
    """The whole race; returns the exit code."""
    flags = flags_of(arguments.recipe, arguments.flags)
    printed = recipe_of(arguments.convoy, flags)
    recipe = checked(printed)
    arguments.to = arguments.to or printed.get("stop-at")
    ours: dict[int, Training] = {}
    theirs: dict[int, Training] = {}
    setting, name = None, "PyTorch"
    with tempfile.TemporaryDirectory(prefix="convoy-race-") as scratch:
        for seed in arguments.seeds:
            folder = Path(scratch) / str(seed)
            ours[seed] = Training.of(train_convoy(arguments, flags, seed, folder))
            line = f"seed {seed}: Convoy {ours[seed]}"
            try:
                job = job_of(recipe, printed.get("test-every", 0), folder, arguments)
                reply = train_pytorch(arguments.python, job, seed, setting)
            except CompareError as error:
                if arguments.require_pytorch:
                    raise
                print(f"{line}; PyTorch: not measured: {error}", flush=True)
                continue
            setting, name = reply["setting"], f"PyTorch {reply['version']}, {reply['setting']}"
            theirs[seed] = Training.of(reply)
            print(f"{line}; {name} {theirs[seed]}", flush=True)
    print("\n" + table(ours, theirs, name, arguments.to))
    return 0


def seeds_of(text: str) -> list[int]:
    """1-8 or 1,5,9."""
    seeds: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            some = range(int(first), (int(last) if dash else int(first)) + 1)
            if len(seeds) + len(some) > MOST_SEEDS:
                raise argparse.ArgumentTypeError(f"'{text}' has more than {MOST_SEEDS} seeds")
            seeds += some
    except (ValueError, OverflowError):
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
    parser.add_argument("--recipe", "--config", metavar="NAME|FILE", help="of convoy recipes, or one's own TOML file")
    parser.add_argument("--seeds", type=seeds_of, default=[1, 2, 3, 4, 5], metavar="LIST", help="1-10 or 1,5,9 (1-5)")
    parser.add_argument("--to", type=percent, metavar="PERCENT", help="end a training with the test that reaches it")
    parser.add_argument("--threads", type=int, default=0, help="of both on a CPU (default: Convoy's own choice)")
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
    except KeyboardInterrupt:
        print("race: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
