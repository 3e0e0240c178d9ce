"""What follows the gradients in a training of a recipe: optimizers, schedules, averages of the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import swa_utils

Recipe = dict[str, Any]
FLAVOURS = ("default", "foreach", "fused")  # of PyTorch's optimizers


def groups_of(recipe: Recipe, parameters: list[nn.Parameter], decay: float) -> Any:
    """Where only weights decay, biases and norms are in a group of their own."""
    if not decay or recipe.get("decay", "all") != "weights":
        return parameters
    return [{"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}]


def optimizer_of(recipe: Recipe, parameters: list[nn.Parameter], flavour: str) -> torch.optim.Optimizer:
    name = recipe.get("optimizer", "adam")
    decay = recipe.get("weight-decay", 0.01 if name == "adamw" else 0.0)
    groups = groups_of(recipe, parameters, decay)
    options = {"lr": recipe.get("lr", 1e-3), "weight_decay": decay}
    if flavour != "default":
        options[flavour] = True
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=recipe.get("momentum", 0.0), nesterov=recipe.get("nesterov", False),
                               **options)
    if name in ("adam", "adamw"):
        return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name](groups, **options)
    raise SystemExit(f"the PyTorch side has no optimizer {name}")


def in_rows(weight: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """How tensors laid out as this weight become matrices [out, in KH KW] without a copy. In channels_last the columns
    are in another order, which Muon does not mind."""
    if weight.ndim == 2 or weight.is_contiguous():
        return lambda tensor: tensor.flatten(1)
    return lambda tensor: tensor.permute(0, 2, 3, 1).flatten(1)


class Muon:
    """torch.optim.Muon, which takes matrices alone, over the memory of convolutions' weights."""

    def __init__(self, recipe: Recipe, weights: list[nn.Parameter]) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise SystemExit(f"PyTorch {torch.__version__} has no torch.optim.Muon: take 2.9 or newer, or leave --muon")
        self.weights, self.rows = weights, [in_rows(weight) for weight in weights]
        self.matrices = [nn.Parameter(rows(weight.detach())) for weight, rows in zip(weights, self.rows)]
        self.rate = recipe.get("muon-lr", 0.02)
        self.optimizer = torch.optim.Muon(self.matrices, lr=self.rate, momentum=recipe.get("muon-momentum", 0.95),
                                          weight_decay=recipe.get("muon-weight-decay", 0.1))

    def step(self) -> None:
        for weight, matrix, rows in zip(self.weights, self.matrices, self.rows):
            matrix.grad = rows(weight.grad)
        self.optimizer.step()


class Updates:
    """The optimizers of a model: Muon's weights, if any, and all else."""

    def __init__(self, recipe: Recipe, model: nn.Module, flavour: str) -> None:
        parameters = [p for p in model.parameters() if p.requires_grad]
        self.rate, self.muon = recipe.get("lr", 1e-3), None
        if recipe.get("muon", False):
            weights = [p for p in parameters if p.ndim > 1]
            chosen = [p for p in weights[:-1] if p.ndim == 4 or recipe.get("muon-linear", False)]
            self.muon = Muon(recipe, chosen)
            parameters = [p for p in parameters if not any(p is other for other in chosen)]
        self.optimizer = optimizer_of(recipe, parameters, flavour)

    def apply(self, setting: Any) -> None:
        """The rate of a step, and its momentum or first beta; Muon's own rate goes the same way."""
        rate, momentum = setting
        for group in self.optimizer.param_groups:
            group["lr"] = rate
            if momentum is None:
                continue
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            else:
                group["momentum"] = momentum
        if self.muon:
            for group in self.muon.optimizer.param_groups:
                group["lr"] = self.muon.rate * rate / self.rate

    def step(self) -> None:
        self.optimizer.step()
        if self.muon:
            self.muon.step()

    def forget(self) -> None:
        self.optimizer.state.clear()
        if self.muon:
            self.muon.optimizer.state.clear()


def scheduler_of(recipe: Recipe, optimizer: torch.optim.Optimizer, length: int) -> Any:
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
        return module.MultiStepLR(optimizer, milestones=recipe["lr-milestones"], gamma=gamma)
    if name == "exponential":
        return module.ExponentialLR(optimizer, gamma=gamma)
    if name == "one-cycle":
        moves = recipe.get("cycle-momentum", True)
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


def warm_up_steps(recipe: Recipe, steps: int) -> int:
    text = str(recipe.get("warmup", 0)).strip()
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    return int(digits) * (steps if "epoch" in text else 1)


def settings_by_step(recipe: Recipe, epochs: int, steps: int) -> list[Any]:
    """What PyTorch's schedulers give for each step: the rate, and the momentum or first beta (None: as it is). Taken
    once, before the clock runs, so that they cost the training nothing."""
    rises, total = warm_up_steps(recipe, steps), epochs * steps
    drops = recipe.get("schedule", "constant") in ("step", "multi-step", "exponential")
    by_epochs = recipe.get("schedule-by", "epochs" if drops else "steps") == "epochs"
    factor = recipe.get("warmup-factor", 1 / 3)
    values: list[Any] = [(recipe.get("lr", 1e-3) * (factor + (1 - factor) * step / rises), None)
                         for step in range(min(rises, total))]
    length = max(-(-(total - rises) // steps) if by_epochs else total - rises, 1)
    # An optimizer of nothing that is trained, as schedulers want its steps before their own.
    optimizer = optimizer_of(recipe, [nn.Parameter(torch.zeros(1, 1)), nn.Parameter(torch.zeros(1))], "default")
    scheduler = scheduler_of(recipe, optimizer, length)
    cycles = recipe.get("schedule") == "one-cycle"
    for step in range(rises, total):
        group = optimizer.param_groups[0]
        momentum = (group["betas"][0] if "betas" in group else group.get("momentum")) if cycles else None
        values.append((group["lr"], momentum))
        # Behind a warm-up a schedule counts its epochs from there.
        if step + 1 < total and (not by_epochs or (step + 1 - rises) % steps == 0):
            optimizer.step()
            scheduler.step()
    return values


def average_of(recipe: Recipe, swa: bool, model: nn.Module) -> Any:
    """The model that is tested in place of the last step's: a moving average, a mean of the last fifth, or none."""
    decay = recipe.get("ema", 0.0)
    if not decay:
        return swa_utils.AveragedModel(model) if swa else None
    if hasattr(swa_utils, "get_ema_multi_avg_fn"):  # since PyTorch 2.1; all tensors at once
        return swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(decay), use_buffers=True)

    def move(mean: torch.Tensor, new: torch.Tensor, _: Any) -> torch.Tensor:
        return torch.lerp(mean, new, 1 - decay) if mean.is_floating_point() else new

    return swa_utils.AveragedModel(model, avg_fn=move, use_buffers=True)


def is_averaged(recipe: Recipe, step: int, total: int) -> bool:
    """Of a moving average every step; else ten steps of the last fifth, of which the last is one."""
    if recipe.get("ema", 0.0):
        return True
    return step > total - total // 5 and (total - step) % max(total // 50, 1) == 0
