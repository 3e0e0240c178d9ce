"""Trains a Convoy model by a recipe, as PyTorch's users write it, and prints what it gave as a line of JSON.

Takes a file with the job (see job_of in ../race.py). Whole batches are augmented by indexing, and no loader stands in
the way. Without a setting in the job, memory formats and kinds of optimizer are tried for some steps, and the fastest
trains. The clock runs as the records' does: for the training alone. Reading the data, compiling, warming up and tests
do not count.
"""

from __future__ import annotations

import gzip
import json
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

TRIAL_STEPS, WARM_UP_STEPS = 30, 5
TEST_BATCH = 1000


class Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.shortcut(x)


def layer_of(layer: dict[str, Any]) -> nn.Module:
    """One layer of a model file: types and keys are torch.nn's."""
    keys = {key: tuple(value) if isinstance(value, list) and key not in ("body", "shortcut") else value
            for key, value in layer.items() if key not in ("name", "type")}
    if layer["type"] == "Residual":
        return Residual(network_of(layer["body"]), network_of(layer.get("shortcut", [])))
    if layer["type"] == "GlobalAvgPool2d":
        return nn.AdaptiveAvgPool2d(1)
    if layer["type"] in ("MaxPool2d", "AvgPool2d") and keys.get("stride") in (0, (0, 0)):
        keys["stride"] = None
    try:
        return getattr(nn, layer["type"])(**keys)
    except (AttributeError, TypeError) as error:
        raise SystemExit(f"PyTorch has no such layer {layer['name']}: {error}") from error


def network_of(layers: list[dict[str, Any]]) -> nn.Sequential:
    return nn.Sequential(*(layer_of(layer) for layer in layers))


def read_idx(folder: Path, name: str) -> torch.Tensor:
    """The IDX file of that name, packed or not, anywhere below the folder."""
    for path in sorted([*folder.rglob(name), *folder.rglob(name + ".gz")]):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zeros, kind, rank = struct.unpack(">HBB", content[:4])
        if (zeros, kind) != (0, 8):
            raise SystemExit(f"{path} is no IDX file of bytes")
        shape = struct.unpack(f">{rank}I", content[4:4 + 4 * rank])
        return torch.frombuffer(bytearray(content[4 + 4 * rank:]), dtype=torch.uint8).reshape(shape)
    raise SystemExit(f"{folder} has no {name}")


def read_cifar10(folder: Path, names: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    records = [torch.frombuffer(bytearray(next(iter(folder.rglob(name))).read_bytes()), dtype=torch.uint8)
               for name in names]
    table = torch.cat(records).reshape(-1, 3073)
    return table[:, 1:].reshape(-1, 3, 32, 32), table[:, 0].long()


def read_data(job: dict[str, Any]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Training and test images as bytes [N, C, H, W] with their labels, on the device."""
    folder = Path(job["data"])
    if job["dataset"] == "cifar10":
        pairs = [read_cifar10(folder, [f"data_batch_{i}.bin" for i in range(1, 6)]),
                 read_cifar10(folder, ["test_batch.bin"])]
    else:
        pairs = []
        for part in ("train", "t10k"):
            images = read_idx(folder, f"{part}-images-idx3-ubyte")
            pairs.append((images.unsqueeze(1), read_idx(folder, f"{part}-labels-idx1-ubyte").long()))
    recipe = job["recipe"]
    kept = []
    for (images, labels), limit in zip(pairs, (recipe.get("limit-train"), recipe.get("limit-test"))):
        kept.append((images[:limit or None], labels[:limit or None]))
    left = len(kept[0][0]) - recipe.get("validation", 0)
    kept[0] = kept[0][0][:left], kept[0][1][:left]
    return [(images.to(job["device"]), labels.to(job["device"])) for images, labels in kept]


class Batches:
    """Shuffled and augmented batches of an epoch, normalised; bytes until then, which are less to move."""

    def __init__(self, job: dict[str, Any], images: torch.Tensor, labels: torch.Tensor, channels_last: bool) -> None:
        recipe = job["recipe"]
        self.labels, self.channels_last = labels, channels_last
        self.size, self.shift = recipe.get("batch-size", 100), recipe.get("shift", 0)
        self.flip = recipe.get("flip", False)
        self.height, self.width = images.shape[2:]
        padded = F.pad(images, (self.shift,) * 4)  # what moves in is black
        self.images = padded.permute(0, 2, 3, 1).contiguous()  # [N, H, W, C]: a pixel's channels are copied together
        mean, std = (torch.as_tensor(job[key], dtype=torch.float32, device=images.device).flatten()
                     for key in ("mean", "std"))
        self.scale, self.offset = 1 / (255 * std), -mean / std

    def steps(self) -> int:
        return -(-len(self.labels) // self.size)

    def batch(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.shift:
            moves = torch.randint(0, 2 * self.shift + 1, (2, len(index), 1), device=index.device)
            rows = moves[0] + torch.arange(self.height, device=index.device)
            columns = moves[1] + torch.arange(self.width, device=index.device)
            x = self.images[index[:, None, None], rows[:, :, None], columns[:, None, :]]
        else:
            x = self.images[index]
        x = x.float().mul_(self.scale).add_(self.offset).permute(0, 3, 1, 2)
        if self.flip:
            x = torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5, x.flip(-1), x)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return x.contiguous(memory_format=layout), self.labels[index]

    def epoch(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for index in torch.randperm(len(self.labels), device=self.labels.device).split(self.size):
            yield self.batch(index)


def optimizer_of(recipe: dict[str, Any], model: nn.Module, flavour: str) -> torch.optim.Optimizer:
    name = recipe.get("optimizer", "adam")
    decay = recipe.get("weight-decay", 0.01 if name == "adamw" else 0.0)
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups: Any = parameters
    if decay and recipe.get("decay") == "weights":
        groups = [{"params": [p for p in parameters if p.ndim > 1]},
                  {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}]
    options = {"lr": recipe.get("lr", 1e-3), "weight_decay": decay}
    if flavour != "default":
        options[flavour] = True
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=recipe.get("momentum", 0.0), nesterov=recipe.get("nesterov", False),
                               **options)
    if name in ("adam", "adamw"):
        return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name](groups, **options)
    raise SystemExit(f"the PyTorch side has no optimizer {name}")


def scheduler_of(recipe: dict[str, Any], optimizer: torch.optim.Optimizer, length: int) -> Any:
    """PyTorch's scheduler of that name for so many of its steps."""
    module, name, lr = torch.optim.lr_scheduler, recipe.get("schedule", "constant"), recipe.get("lr", 1e-3)
    length = recipe.get("schedule-length") or length
    end, gamma = recipe.get("lr-end", 0.0), recipe.get("lr-gamma", 0.1)
    if name == "linear":
        return module.LinearLR(optimizer, start_factor=1.0, end_factor=end / lr, total_iters=length)
    if name == "cosine":
        return module.CosineAnnealingLR(optimizer, T_max=length, eta_min=end)
    if name == "step":
        return module.StepLR(optimizer, step_size=recipe["lr-step"], gamma=gamma)
    if name == "multi-step":
        stones = recipe["lr-milestones"]
        if isinstance(stones, str):
            stones = [int(stone) for stone in stones.split(",")]
        return module.MultiStepLR(optimizer, milestones=stones if isinstance(stones, list) else [stones], gamma=gamma)
    if name == "exponential":
        return module.ExponentialLR(optimizer, gamma=gamma)
    if name == "one-cycle":
        moves = not recipe.get("no-cycle-momentum", False)
        # An optimizer without momentum has none to cycle.
        moves = moves and any(group.get("momentum") or "betas" in group for group in optimizer.param_groups)
        return module.OneCycleLR(
            optimizer, max_lr=lr, total_steps=length, pct_start=recipe.get("pct-start", 0.3),
            anneal_strategy=recipe.get("anneal", "cos"), cycle_momentum=moves,
            base_momentum=recipe.get("base-momentum", 0.85), max_momentum=recipe.get("max-momentum", 0.95),
            div_factor=recipe.get("div-factor", 25.0), final_div_factor=recipe.get("final-div-factor", 1e4),
            three_phase=recipe.get("three-phase", False))
    if name == "constant":
        return module.ConstantLR(optimizer, factor=1.0, total_iters=0)
    raise SystemExit(f"the PyTorch side has no schedule {name}")


def warm_up_steps(recipe: dict[str, Any], steps: int) -> int:
    text = str(recipe.get("warmup", 0)).strip()
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    return int(digits) * (steps if "epoch" in text else 1)


def settings_by_step(recipe: dict[str, Any], optimizer: torch.optim.Optimizer, epochs: int, steps: int) -> list[Any]:
    """What PyTorch's schedulers give for each step: the rate, and the momentum or first beta (None: as it is). Taken
    once, before the clock runs, so that they cost the training nothing."""
    rises, total = warm_up_steps(recipe, steps), epochs * steps
    drops = recipe.get("schedule", "constant") in ("step", "multi-step", "exponential")
    by_epochs = recipe.get("schedule-by", "epochs" if drops else "steps") == "epochs"
    factor = recipe.get("warmup-factor", 1 / 3)
    values: list[Any] = [(recipe.get("lr", 1e-3) * (factor + (1 - factor) * step / rises), None)
                         for step in range(min(rises, total))]
    length = max(-(-(total - rises) // steps) if by_epochs else total - rises, 1)
    scheduler = scheduler_of(recipe, optimizer, length)
    for step in range(rises, total):
        group = optimizer.param_groups[0]
        cycles = recipe.get("schedule") == "one-cycle"
        momentum = (group["betas"][0] if "betas" in group else group.get("momentum")) if cycles else None
        values.append((group["lr"], momentum))
        if step + 1 < total and (not by_epochs or (step + 1) % steps == 0):
            optimizer.step()  # without gradients it does nothing, and PyTorch wants it before a scheduler's
            scheduler.step()
    return values


def apply(optimizer: torch.optim.Optimizer, setting: Any) -> None:
    rate, momentum = setting
    for group in optimizer.param_groups:
        group["lr"] = rate
        if momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        else:
            group["momentum"] = momentum


class Training:
    """A model with its optimizer, ready to step."""

    def __init__(self, job: dict[str, Any], setting: str) -> None:
        torch.manual_seed(job["seed"])
        self.recipe, words = job["recipe"], setting.split("+")
        layout = torch.channels_last if "channels_last" in words else torch.contiguous_format
        self.model = network_of(job["model"]["layers"]).to(job["device"]).to(memory_format=layout)
        self.optimizer = optimizer_of(self.recipe, self.model, words[1])
        self.forward = torch.compile(self.model) if "compile" in words else self.model
        self.smoothing, self.clip = self.recipe.get("label-smoothing", 0.0), self.recipe.get("clip-norm", 0.0)

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(self.forward(images), labels, label_smoothing=self.smoothing).backward()
        if self.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()


def now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def try_settings(job: dict[str, Any], images: torch.Tensor, labels: torch.Tensor) -> str:
    """The fastest of the settings that this PyTorch has."""
    times: dict[str, float] = {}
    for layout in ("contiguous", "channels_last"):
        for flavour in ("default", "foreach", "fused"):
            for late in ((), ("compile",)) if job["compile"] else ((),):
                setting = "+".join((layout, flavour, *late))
                try:
                    training = Training(job, setting)
                    batches = Batches(job, images, labels, layout == "channels_last")
                    index = torch.arange(min(batches.size, len(labels)), device=labels.device)
                    for step in range(WARM_UP_STEPS + TRIAL_STEPS):
                        if step == WARM_UP_STEPS:
                            start = now(job["device"])
                        training.step(*batches.batch(index))
                    times[setting] = now(job["device"]) - start
                except (RuntimeError, TypeError, ValueError) as error:
                    print(f"{setting}: {error}", file=sys.stderr)
    return min(times, key=lambda setting: times[setting])


@torch.no_grad()
def test(model: nn.Module, job: dict[str, Any], images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Accuracy and loss on the test images."""
    model.eval()
    plain = Batches({**job, "recipe": {"batch-size": TEST_BATCH}}, images, labels, channels_last=False)
    logits = torch.cat([model(plain.batch(index)[0])
                        for index in torch.arange(len(labels), device=labels.device).split(TEST_BATCH)])
    model.train()
    return (logits.argmax(1) == labels).float().mean().item(), F.cross_entropy(logits, labels).item()


def average_of(job: dict[str, Any], model: nn.Module) -> Any:
    """The model that is tested in place of the last step's: a moving average, a mean of the last fifth, or none."""
    decay = job["recipe"].get("ema", 0.0)
    if decay:
        def move(mean: torch.Tensor, new: torch.Tensor, _: Any) -> torch.Tensor:
            return torch.lerp(mean, new, 1 - decay) if mean.is_floating_point() else new

        return torch.optim.swa_utils.AveragedModel(model, avg_fn=move, use_buffers=True)
    return torch.optim.swa_utils.AveragedModel(model) if job["swa"] else None


def is_averaged(job: dict[str, Any], step: int, total: int) -> bool:
    """Of a moving average every step; else ten steps of the last fifth, of which the last is one."""
    if job["recipe"].get("ema", 0.0):
        return True
    return step > total - total // 5 and (total - step) % max(total // 50, 1) == 0


@torch.no_grad()
def update_statistics(model: nn.Module, batches: Batches, count: int) -> None:
    """Batch norm's statistics become those of the averaged weights."""
    for _, (images, _) in zip(range(count), batches.epoch()):
        model(images)


def train(job: dict[str, Any]) -> dict[str, Any]:
    (images, labels), (test_images, test_labels) = read_data(job)
    setting = job["setting"] or try_settings(job, images, labels)
    batches = Batches(job, images, labels, "channels_last" in setting)
    warm_up = Training(job, setting)
    for _ in range(WARM_UP_STEPS):
        warm_up.step(*batches.batch(torch.arange(min(batches.size, len(labels)), device=labels.device)))

    training = Training(job, setting)
    if "compile" in setting:  # what was compiled just now is for the other model's parameters: warm up anew
        state = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
        training.step(*batches.batch(torch.arange(min(batches.size, len(labels)), device=labels.device)))
        training.model.load_state_dict(state)
        training.optimizer.state.clear()
    model, epochs, steps = training.model, job["recipe"].get("epochs", 5), batches.steps()
    values = settings_by_step(job["recipe"], training.optimizer, epochs, steps)
    averaged = average_of(job, model)
    done, seconds, start, reached = 0, 0.0, now(job["device"]), False
    for epoch in range(epochs):
        for batch in batches.epoch():
            apply(training.optimizer, values[done])
            training.step(*batch)
            done += 1
            if averaged is not None and is_averaged(job, done, epochs * steps):
                averaged.update_parameters(model)
        if job["to"] and epoch + 1 < epochs:
            seconds += now(job["device"]) - start
            tested = averaged if job["recipe"].get("ema") else model
            reached = 100 * test(tested, job, test_images, test_labels)[0] >= job["to"]
            start = now(job["device"])
            if reached:
                break
    if averaged is not None and averaged.n_averaged > 0:
        model = averaged
    if job["swa"] and not job["recipe"].get("ema"):
        update_statistics(model, batches, job["bn_batches"])
    seconds += now(job["device"]) - start
    accuracy, loss = test(model, job, test_images, test_labels)
    return {"version": torch.__version__.partition("+")[0], "setting": setting, "accuracy": accuracy, "loss": loss,
            "training_seconds": seconds, "images": done // steps * len(labels) + done % steps * batches.size}


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if job["device"] != "cuda":
        job["device"] = "cpu"
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    print(json.dumps(train(job)))


if __name__ == "__main__":
    main()
