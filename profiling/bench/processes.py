"""Starts what is compared, and reads what it printed."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

TIMEOUT_S = 900
STEERING = ("OMP_", "GOMP_", "KMP_", "MKL_NUM", "OPENBLAS_", "TF_NUM_", "XLA_FLAGS")  # what steers threads
COMPLAINT_LENGTH = 200


class CompareError(Exception):
    """Something that ends the comparison, in one line."""


def environment(extra: dict[str, str]) -> dict[str, str]:
    """The caller's, without anything that steers threads but what is wanted here."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith(STEERING)}, **extra}


def output_of(command: list[str], extra: dict[str, str], timeout: int = TIMEOUT_S) -> str:
    """Runs a program; throws CompareError with its last line of complaint if it fails."""
    try:
        done = subprocess.run(command, env=environment(extra), capture_output=True, text=True, timeout=timeout,
                              check=False)
    except OSError as error:
        raise CompareError(f"cannot run {command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise CompareError(f"{command[0]} did not finish in {timeout} s") from error
    if done.returncode != 0:
        complaint = (done.stderr.strip().splitlines() or ["no message"])[-1][:COMPLAINT_LENGTH]
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
