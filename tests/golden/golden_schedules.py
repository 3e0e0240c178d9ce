"""Golden cases of the schedules: the learning rate and the momentum of every step of whole runs of
torch.optim.lr_scheduler, and the losses of short trainings that follow one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import torch
from torch.optim import lr_scheduler

Json = dict[str, Any]

CYCLE = {"name": "OneCycleLR"}
WARM_UP = {"name": "LinearLR", "start_factor": 0.1, "total_iters": 5}


def rounded(value: float) -> float:
    """The options of Convoy's optimizers are floats."""
    return float(torch.tensor(value, dtype=torch.float32))


def make_optimizer(kind: str, rate: float, parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
    if kind == "SGD":
        return torch.optim.SGD(parameters, lr=rounded(rate), momentum=rounded(0.9))
    return torch.optim.Adam(parameters, lr=rounded(rate), betas=(rounded(0.9), rounded(0.999)), eps=rounded(1e-8))


def make_scheduler(optimizer: torch.optim.Optimizer, scheduler: Json, length: int) -> Any:
    """A T_max, total_steps or total_iters of 0 is the length, or the distance to the next milestone."""
    options = {key: value for key, value in scheduler.items() if key != "name"}
    if scheduler["name"] == "OneCycleLR":
        options["max_lr"] = optimizer.param_groups[0]["lr"]
        options["total_steps"] = options.get("total_steps") or length
    if scheduler["name"] == "CosineAnnealingLR":
        options["T_max"] = options.get("T_max") or length
    if options.get("total_iters") == 0:
        options["total_iters"] = length
    if scheduler["name"] != "SequentialLR":
        return getattr(lr_scheduler, scheduler["name"])(optimizer, **options)
    milestones = scheduler["milestones"]
    lengths = [end - begin for begin, end in zip([0, *milestones], [*milestones, length])]
    parts = list(zip(scheduler["schedulers"], lengths))
    # A cycle is made first: it says what the others' rate is.
    made = {}
    for index in sorted(range(len(parts)), key=lambda index: parts[index][0]["name"] != "OneCycleLR"):
        made[index] = make_scheduler(optimizer, *parts[index])
    return lr_scheduler.SequentialLR(optimizer, [made[index] for index in range(len(parts))], milestones)


def momentum_of(optimizer: torch.optim.Optimizer) -> float:
    group = optimizer.param_groups[0]
    return group["momentum"] if "momentum" in group else group["betas"][0]


def rates_case(
    scheduler: Json, steps: int, optimizer: str = "SGD", steps_per_epoch: int = 1, rate: float = 0.1
) -> Json:
    """With several steps an epoch the scheduler is stepped once an epoch."""
    made = make_optimizer(optimizer, rate, [torch.zeros(1, requires_grad=True)])
    stepped = make_scheduler(made, scheduler, -(-steps // steps_per_epoch))
    case: Json = {"scheduler": scheduler, "optimizer": optimizer, "rate": rate, "steps_per_epoch": steps_per_epoch}
    case["rates"], case["momenta"] = [], []
    for step in range(1, steps + 1):
        case["rates"].append(made.param_groups[0]["lr"])
        case["momenta"].append(momentum_of(made))
        made.step()
        if step % steps_per_epoch == 0 and step < steps:
            stepped.step()
    return case


def sequence(milestones: list[int], *schedulers: Json) -> Json:
    return {"name": "SequentialLR", "schedulers": list(schedulers), "milestones": milestones}


def rates_cases() -> list[Json]:
    step, multi_step = {"name": "StepLR", "step_size": 3, "gamma": 0.5}, {"name": "MultiStepLR", "milestones": [3, 8]}
    cosine, half = {"name": "CosineAnnealingLR"}, {"name": "ConstantLR", "factor": 0.5}
    decay = {"name": "ExponentialLR", "gamma": 0.9}
    three_phase = {**CYCLE, "three_phase": True, "pct_start": 0.4, "div_factor": 10.0, "final_div_factor": 100.0}
    cases = [
        rates_case({"name": "ConstantLR"}, 10),
        rates_case({"name": "ConstantLR", "factor": 0.25, "total_iters": 1}, 4),
        rates_case({"name": "LinearLR"}, 10),
        rates_case({"name": "LinearLR", "start_factor": 0.25, "end_factor": 0.75, "total_iters": 7}, 12),
        rates_case({"name": "LinearLR", "start_factor": 1.0, "end_factor": 0.0, "total_iters": 0}, 30),
        rates_case(step, 20),
        rates_case({"name": "StepLR", "step_size": 7}, 40),
        rates_case({"name": "MultiStepLR", "milestones": [3, 3, 8, 15], "gamma": 0.3}, 20),
        rates_case({"name": "ExponentialLR", "gamma": 0.95}, 200),
        rates_case({"name": "ExponentialLR", "gamma": 1.01}, 50),
        rates_case(cosine, 40),
        rates_case({"name": "CosineAnnealingLR", "T_max": 20, "eta_min": 1e-3}, 90),
        rates_case({"name": "CosineAnnealingLR", "T_max": 1, "eta_min": 1e-3}, 6),
        rates_case({"name": "CosineAnnealingLR", "T_max": 7, "eta_min": 0.2}, 20, "Adam", rate=1e-3),
        rates_case({"name": "CosineAnnealingLR", "T_max": 4}, 20, steps_per_epoch=3),
        rates_case(step, 30, steps_per_epoch=4),
        rates_case(multi_step, 34, "Adam", steps_per_epoch=3, rate=1e-3),
        rates_case({"name": "ExponentialLR", "gamma": 0.5}, 20, steps_per_epoch=7),
        rates_case({"name": "LinearLR", "total_iters": 3}, 20, steps_per_epoch=5),
        rates_case(sequence([5], WARM_UP, cosine), 40),
        rates_case(sequence([5], WARM_UP, {**cosine, "eta_min": 1e-5}), 40, "Adam", rate=1e-3),
        rates_case(sequence([5], {**WARM_UP, "total_iters": 0}, {**cosine, "T_max": 6}), 40),
        rates_case(sequence([5], WARM_UP, multi_step), 20),
        rates_case(sequence([2], WARM_UP, multi_step), 20),
        rates_case(sequence([4, 10], half, step, decay), 30),
        rates_case(sequence([2, 5], WARM_UP, step, cosine), 33, steps_per_epoch=3),
    ]
    for optimizer in ("SGD", "Adam"):
        cases += [
            rates_case(CYCLE, 40, optimizer),
            rates_case({**CYCLE, "total_steps": 50}, 40, optimizer),
            rates_case({**CYCLE, "anneal_strategy": "linear", "pct_start": 0.15}, 37, optimizer),
            rates_case(three_phase, 33, optimizer),
            rates_case({**CYCLE, "three_phase": True, "anneal_strategy": "linear"}, 25, optimizer),
            rates_case({**CYCLE, "cycle_momentum": False}, 20, optimizer),
            rates_case({**CYCLE, "base_momentum": 0.5, "max_momentum": 0.99, "pct_start": 0.0}, 12, optimizer),
            rates_case({**CYCLE, "pct_start": 1.0}, 12, optimizer),
            rates_case({**CYCLE, "pct_start": 0.25}, 30, optimizer, steps_per_epoch=3),
            rates_case(sequence([5], WARM_UP, CYCLE), 30, optimizer),
            rates_case(sequence([10], CYCLE, {**WARM_UP, "end_factor": 0.5}), 20, optimizer),
            rates_case(sequence([3, 20], decay, CYCLE, step), 30, optimizer),
        ]
    return cases


def training_case(samples: tuple[torch.Tensor, torch.Tensor], scheduler: Json, optimizer: str, rate: float) -> Json:
    """Softmax regression, from zeros, in double: one pass over 6000 images in their order, a hundred a step."""
    images, labels = samples
    steps, batch = 60, 100
    weight, bias = (torch.zeros(*shape, dtype=torch.float64, requires_grad=True) for shape in ((10, 784), (10,)))
    made = make_optimizer(optimizer, rate, [weight, bias])
    stepped = make_scheduler(made, scheduler, steps)
    losses = []
    for step in range(steps):
        here = slice(step * batch, (step + 1) * batch)
        loss = torch.nn.functional.cross_entropy(images[here] @ weight.T + bias, labels[here])
        made.zero_grad()
        loss.backward()
        made.step()
        stepped.step() if step + 1 < steps else None
        losses.append(loss.item())
    return {"scheduler": scheduler, "optimizer": optimizer, "rate": rate, "losses": losses}


def read_samples(data: Path) -> tuple[torch.Tensor, torch.Tensor]:
    def payload(name: str, header: int) -> torch.Tensor:
        packed = data / f"{name}.gz"
        content = gzip.decompress(packed.read_bytes()) if packed.exists() else (data / name).read_bytes()
        return torch.frombuffer(bytearray(content[header:]), dtype=torch.uint8)

    images = payload("train-images-idx3-ubyte", 16)[: 6000 * 784].reshape(6000, 784)
    return images.double() / 255, payload("train-labels-idx1-ubyte", 8)[:6000].long()


def write(data: Path, out: Path) -> None:
    samples = read_samples(data)
    warm_cosine = sequence([10], {**WARM_UP, "total_iters": 10}, {"name": "CosineAnnealingLR"})
    trainings = [
        training_case(samples, scheduler, kind, rate)
        for scheduler in (warm_cosine, CYCLE)
        for kind, rate in (("SGD", 0.02), ("Adam", 0.01))
    ]
    content = {"torch": torch.__version__, "cases": rates_cases(), "trainings": trainings}
    text = json.dumps(content, separators=(",", ":")).replace('{"scheduler"', '\n{"scheduler"')
    (out / "schedules.json").write_text(text + "\n", encoding="utf-8")
