"""What a race trains: the flags of `convoy train` as it prints them, and what of them the PyTorch side does as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes import CompareError, output_of

Recipe = dict[str, Any]


def among(*values: str) -> Callable[[Any], bool]:
    return lambda value: value in values


def anything(_: Any) -> bool:
    return True


def unused(value: Any) -> bool:
    return value in (None, False, 0, "", "none", [])


# What changes a result, and the values with which the PyTorch side does the same.
INGREDIENTS: dict[str, Callable[[Any], bool]] = {
    "optimizer": among("adam", "adamw", "sgd"), "decay": among("all", "weights"),
    "schedule": among("constant", "linear", "step", "multi-step", "exponential", "cosine", "one-cycle"),
    "schedule-by": among("steps", "epochs"), "anneal": among("cos", "linear"),
    "flip": among("none", "random", "alternating"), "padding": among("zeros", "reflect"),
    "precision": among("fp32", "tf32"),
    **dict.fromkeys(
        ("lr", "epochs", "batch-size", "weight-decay", "momentum", "nesterov", "clip-norm", "ema", "label-smoothing",
         "muon", "muon-lr", "muon-momentum", "muon-weight-decay", "muon-linear", "schedule-length", "lr-end", "lr-step",
         "lr-milestones", "lr-gamma", "pct-start", "div-factor", "final-div-factor", "cycle-momentum",
         "base-momentum", "max-momentum", "three-phase", "warmup", "warmup-factor", "shift",
         "cutout", "rotate", "scale", "validation", "limit-train", "limit-test"), anything)}
# What the run's folder tells better, what the race has of its own, and what changes no accuracy.
OTHERS = ("model", "dataset", "data", "mean", "std", "no-transpose", "swa", "bn-batches", "seed", "stop-at",
          "test-every", "log-every", "save-every", "keep", "keep-best", "check-finite", "device", "plan-cache",
          "no-plan-cache", "no-graph", "autotune", "fuse", "no-fuse", "nondeterministic", "verbose")
FLAGS_OF_THE_RACE = ("--seed", "--seeds", "--stop-at", "--out", "--json", "--config", "--recipe")
WITHOUT_RESULT = ("--resume", "--print-config", "--summary", "--profile", "--overwrite", "--help", "-h")


def value_of(text: str) -> Any:
    """A value of a configuration: what is no JSON is in single quotes."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text


def recipe_of_text(text: str) -> Recipe:
    """What `convoy train --print-config` prints: a key a line, and comments."""
    recipe: Recipe = {}
    for line in text.splitlines():
        if line.startswith("["):
            break
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            recipe[key.strip()] = value_of(value.strip())
    return recipe


def flags_of(source: str | None, flags: list[str]) -> list[str]:
    """The recipe as a flag, whether it is a name or a file, and the flags that override it."""
    for word in flags:
        flag = word.partition("=")[0]
        if flag in FLAGS_OF_THE_RACE:
            raise CompareError(f"{flag} cannot stand behind --: the race has --recipe, --seeds and --to")
        if flag in WITHOUT_RESULT:
            raise CompareError(f"{flag} cannot stand behind --: each seed is a training from its start to its end")
    if not source:
        return flags
    is_file = source.endswith(".toml") or Path(source).is_file()
    return ["--config" if is_file else "--recipe", source, *flags]


def checked(recipe: Recipe) -> Recipe:
    """The ingredients; throws CompareError for what the PyTorch side cannot do."""
    for key in ("seeds", "patience", "init", "resume"):
        if not unused(recipe.get(key)):
            raise CompareError(f"'{key}' cannot be part of a race, whose trainings start anew and end alike")
    ingredients: Recipe = {}
    for key, value in recipe.items():
        if key == "flip":  # alone it has no value, or is true
            value = {"": "random", "true": "random", True: "random", "false": "none", False: "none"}.get(value, value)
        if key in INGREDIENTS:
            if not INGREDIENTS[key](value):
                raise CompareError(f"the PyTorch side does not know '{key} = {value}'")
            ingredients[key] = value
        elif key not in OTHERS and not unused(value):
            raise CompareError(f"the PyTorch side has no '{key}' (here {value}): leave it out of the recipe")
    return ingredients


def recipe_of(convoy: str, flags: list[str]) -> Recipe:
    """What convoy trains with those flags, by its own word."""
    return recipe_of_text(output_of([convoy, "train", *flags, "--print-config"], {}))
