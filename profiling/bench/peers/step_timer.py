"""What the workers in Python share: the job on their command line, the clock, and the JSON line that they end with.

    WORKER --threads T --steps S --warmup W --batch-size B --seconds LIMIT VARIANT...

A variant is words joined by "+", its precision first: "bf16+channels_last+fused". The line is {"version", "runs"},
with {"seconds": of each step, "losses": [first, last]} for each variant, or null where it does not run here. Steps
end early once they have taken LIMIT seconds. `step_timer.h` is the same for C++.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from typing import Any, Callable

LEAST_STEPS = 3  # however slow a step is

# Makes one whole training step and returns its loss, as anything that float() takes. It waits for the step's end.
Step = Callable[[], Any]


@dataclass(frozen=True)
class Job:
    """What to do; `seconds` limits the timed steps of a variant."""

    threads: int
    steps: int
    warmup: int
    batch_size: int
    seconds: float
    variants: list[str]


def parse() -> Job:
    """The job of this process. Call it before a library is loaded that counts its threads then."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--warmup", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("variants", nargs="+")
    return Job(**vars(parser.parse_args()))


def measure(step: Step, job: Job) -> dict[str, list[float]]:
    """Times one variant: the first loss is of the first step, the last of the last."""
    losses = [float(step())]
    for _ in range(job.warmup - 1):
        step()
    seconds: list[float] = []
    loss: Any = losses[0]
    while len(seconds) < job.steps and (len(seconds) < LEAST_STEPS or sum(seconds) < job.seconds):
        begin = time.perf_counter()
        loss = step()
        seconds.append(time.perf_counter() - begin)
    return {"seconds": seconds, "losses": [*losses, float(loss)]}


def serve(job: Job, version: str, make_step: Callable[[Job, frozenset[str]], Step]) -> None:
    """Times every variant of the job; what fails is null, and the reason goes to stderr."""
    runs: list[dict[str, list[float]] | None] = []
    for variant in job.variants:
        try:
            runs.append(measure(make_step(job, frozenset(variant.split("+"))), job))
        except Exception as error:  # a library may throw whatever it likes where it cannot
            print(f"{variant}: {type(error).__name__}: {error}", file=sys.stderr)
            runs.append(None)
    print(json.dumps({"version": version, "runs": runs}))
