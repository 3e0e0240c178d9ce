"""Trains a Convoy model by a recipe, as PyTorch's users write it, and prints what it gave as a line of JSON.

Takes a file with the job (see job_of in ../race.py). Whole batches are augmented by indexing, and no loader stands in
the way. Without a setting in the job, memory formats and kinds of optimizer are tried for some steps, and the fastest
trains. The clock runs as the records' does: for the training alone. Reading the data, compiling, warming up and tests
do not count.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_data import Batches, Images, read_data
from pytorch_model import network_of
from pytorch_updates import FLAVOURS, Updates, average_of, is_averaged, settings_by_step
from torch import nn
from torch.optim import swa_utils

TRIALS, TRIAL_STEPS, WARM_UP_STEPS = 3, 10, 5
TEST_BATCH = 1000


class Training:
    """A model with its optimizers, ready to step."""

    def __init__(self, job: dict[str, Any], setting: str) -> None:
        torch.manual_seed(job["seed"])
        self.recipe, words = job["recipe"], setting.split("+")
        layout = torch.channels_last if "channels_last" in words else torch.contiguous_format
        self.model = network_of(job["model"]["layers"]).to(job["device"]).to(memory_format=layout)
        self.updates = Updates(self.recipe, self.model, words[1])
        self.forward = torch.compile(self.model) if "compile" in words else self.model
        self.smoothing, self.clip = self.recipe.get("label-smoothing", 0.0), self.recipe.get("clip-norm", 0.0)

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.model.zero_grad(set_to_none=True)
        F.cross_entropy(self.forward(images), labels, label_smoothing=self.smoothing).backward()
        if self.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.updates.step()


def now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds_of(device: str, step: Callable[[], None]) -> float:
    """Of a trial, the fastest of some, which is the least interrupted."""
    times = []
    for steps in (WARM_UP_STEPS, *(TRIAL_STEPS for _ in range(TRIALS))):
        start = now(device)
        for _ in range(steps):
            step()
        times.append(now(device) - start)
    return min(times[1:])


def try_settings(job: dict[str, Any], images: torch.Tensor, labels: torch.Tensor) -> str:
    """The fastest of the settings that this PyTorch has."""
    times: dict[str, float] = {}
    complaint: Exception | None = None
    settings = ["+".join((layout, flavour, *late)) for layout in ("contiguous", "channels_last") for flavour in FLAVOURS
                for late in (((), ("compile",)) if job["compile"] else ((),))]
    for setting in settings:
        try:
            training = Training(job, setting)
            batches = Batches(job, images, labels, "channels_last" in setting)
            index = torch.arange(min(batches.size, len(labels)), device=labels.device)
            times[setting] = seconds_of(job["device"], lambda: training.step(*batches.batch(index)))
        except (RuntimeError, TypeError, ValueError) as error:
            complaint = error
            print(f"{setting}: {error}", file=sys.stderr)
    if not times:
        raise SystemExit(f"PyTorch cannot train this recipe: {str(complaint).strip().splitlines()[0]}")
    return min(times, key=lambda setting: times[setting])


@torch.no_grad()
def test(model: nn.Module, job: dict[str, Any], images: torch.Tensor, labels: torch.Tensor) -> tuple[int, float]:
    """How many of the test images are right, and the loss."""
    model.eval()
    plain = Batches({**job, "recipe": {}}, images, labels, channels_last=False)
    logits = torch.cat([model(plain.plain(index)[0])
                        for index in torch.arange(len(labels), device=labels.device).split(TEST_BATCH)])
    model.train()
    return int((logits.argmax(1) == labels).sum().item()), F.cross_entropy(logits, labels).item()


def reaches(hits: int, count: int, percent: float) -> bool:
    """Whether that is the accuracy or more, in the decimal digits that were asked for."""
    return 100 * Fraction(hits, count) >= Fraction(repr(percent))


def tests_behind(job: dict[str, Any], done: int, steps: int, total: int) -> bool:
    """Whether a training up to an accuracy is tested behind that step. Behind the last one it ends anyway."""
    if not job["to"] or done == total:
        return False
    every = job.get("test_every", 0)
    return done % steps == 0 or bool(every and done % every == 0)


class Course:
    """A training from its first step to its end, against the clock."""

    def __init__(self, job: dict[str, Any], training: Training, batches: Batches, test_data: Images) -> None:
        self.job, self.training, self.batches, self.test_data = job, training, batches, test_data
        self.epochs, self.steps = job["recipe"].get("epochs", 5), batches.steps()
        self.settings = settings_by_step(job["recipe"], self.epochs, self.steps)
        self.average = average_of(job["recipe"], job["swa"], training.model)
        self.done, self.seconds = 0, 0.0

    def run(self) -> nn.Module:
        """The model that is left."""
        start = now(self.job["device"])
        for _ in range(self.epochs):
            for batch in self.batches.epoch():
                self.step(batch)
                if tests_behind(self.job, self.done, self.steps, self.epochs * self.steps):
                    self.seconds += now(self.job["device"]) - start
                    reached = self.reached()
                    start = now(self.job["device"])
                    if reached:
                        break
            else:
                continue
            break
        model = self.settled()
        self.seconds += now(self.job["device"]) - start
        return model

    def step(self, batch: Images) -> None:
        self.training.updates.apply(self.settings[self.done])
        self.training.step(*batch)
        self.done += 1
        if self.average is not None and is_averaged(self.job["recipe"], self.done, self.epochs * self.steps):
            self.average.update_parameters(self.training.model)

    def reached(self) -> bool:
        model = self.average if self.job["recipe"].get("ema") else self.training.model
        return reaches(test(model, self.job, *self.test_data)[0], len(self.test_data[1]), self.job["to"])

    def settled(self) -> nn.Module:
        if self.average is None or self.average.n_averaged == 0:
            return self.training.model
        count = min(self.job["bn_batches"], len(self.batches.labels) // self.batches.size)
        if count and not self.job["recipe"].get("ema"):
            # Batch norm's statistics become those of the averaged weights, of images as they are.
            swa_utils.update_bn(islice(self.batches.epoch(as_they_are=True), count), self.average)
        return self.average

    def images(self) -> int:
        epochs, steps = divmod(self.done, self.steps)
        return epochs * len(self.batches.labels) + steps * self.batches.size


def train(job: dict[str, Any]) -> dict[str, Any]:
    (images, labels), test_data = read_data(job)
    setting = job["setting"] or try_settings(job, images, labels)
    batches = Batches(job, images, labels, "channels_last" in setting)
    index = torch.arange(min(batches.size, len(labels)), device=labels.device)
    training = Training(job, setting)
    # The first steps are slow, and compile: they are taken back.
    state = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
    for _ in range(WARM_UP_STEPS):
        training.step(*batches.batch(index))
    training.model.load_state_dict(state)
    training.updates.forget()
    course = Course(job, training, batches, test_data)
    model = course.run()
    hits, loss = test(model, job, *test_data)
    return {"version": torch.__version__.partition("+")[0], "setting": setting, "accuracy": hits / len(test_data[1]),
            "loss": loss, "training_seconds": course.seconds, "images": course.images()}


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if job["device"] != "cuda":
        job["device"] = "cpu"
    if job["threads"] and job["device"] == "cpu":
        torch.set_num_threads(job["threads"])
    precision = job["recipe"].get("precision", "tf32")  # which is PyTorch's own default, of convolutions alone
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True
    print(json.dumps(train(job)))


if __name__ == "__main__":
    main()
