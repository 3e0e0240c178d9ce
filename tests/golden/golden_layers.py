"""Golden cases for single layers whose semantics are easy to get wrong, all in double."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

Json = dict[str, Any]


class Lcg:
    """x <- 1664525 x + 1013904223 mod 2^32 (Numerical Recipes), from x = seed. Each draw is (x >> 16) / 16384 - 2:
    multiples of 2^-14 in [-2, 2), exact in float32 too, so that backends and PyTorch start from equal numbers."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def draw(self) -> float:
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return (self.state >> 16) / 16384 - 2

    def tensor(self, *shape: int) -> torch.Tensor:
        count = int(torch.tensor(shape).prod())
        return torch.tensor([self.draw() for _ in range(count)], dtype=torch.float64).reshape(shape)


def stored(tensor: torch.Tensor) -> Json:
    return {"shape": list(tensor.shape), "values": tensor.detach().flatten().tolist()}


def state_of(layer: nn.Module) -> Json:
    return {name: stored(tensor) for name, tensor in layer.state_dict().items()}


def layer_case(name: str, inputs: list[torch.Tensor], *layers: nn.Module) -> Json:
    """Runs the batches through the layers in training mode; the last is also run backward, from an upstream gradient
    of its own, and then forward in evaluation mode. Parameters draw from Lcg(8) in the order of the state dict;
    running statistics start as PyTorch's do."""
    lcg = Lcg(8)
    layer = nn.Sequential(*layers).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(lcg.tensor(*parameter.shape))
    case: Json = {"name": name, "state": state_of(layer)}
    case["inputs"] = [stored(batch) for batch in inputs]
    layer.train()
    for batch in inputs:
        x = batch.clone().requires_grad_()
        y = layer(x)
    upstream = Lcg(7).tensor(*y.shape)
    y.backward(upstream)
    case["output"] = stored(y)
    case["upstream"] = stored(upstream)
    case["input_gradient"] = stored(x.grad)
    case["gradients"] = {key: stored(parameter.grad) for key, parameter in layer.named_parameters()}
    case["state_after"] = state_of(layer)
    layer.eval()
    with torch.no_grad():
        case["eval_output"] = stored(layer(inputs[-1]))
    return case


class Residual(nn.Module):
    """y = body(x) + shortcut(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.shortcut(x)


def residual(channels_in: int, channels_out: int, stride: int, projected: bool) -> Residual:
    body = nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
        nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
    )
    if not projected:
        return Residual(body, nn.Sequential())
    projection = nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)
    return Residual(body, nn.Sequential(projection, nn.BatchNorm2d(channels_out)))


def layer_cases() -> list[Json]:
    image = [Lcg(1).tensor(2, 4, 6, 5)]
    negative = [image[0] - 2.5]  # strictly: a padding of zeros would win every window that it touches
    levels = [torch.floor(Lcg(2).tensor(2, 2, 6, 7))]  # four levels, so most windows have ties
    kinks = [torch.floor(Lcg(3).tensor(2, 3, 4, 4))]  # a quarter of them 0
    batches = [Lcg(seed).tensor(3, 4, 3, 2) for seed in (4, 5, 6)]
    return [
        layer_case("conv2d_stride_padding", image, nn.Conv2d(4, 3, (3, 2), stride=(2, 1), padding=(1, 0))),
        layer_case("conv2d_dilation", image, nn.Conv2d(4, 3, (3, 2), padding=(2, 1), dilation=(2, 3))),
        layer_case("conv2d_groups", image, nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False)),
        layer_case("conv2d_depthwise", image, nn.Conv2d(4, 4, 3, padding=1, groups=4)),
        layer_case("avg_pool_with_padding", image, nn.AvgPool2d(3, stride=2, padding=1)),
        layer_case("avg_pool_without_padding", image, nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)),
        layer_case("global_avg_pool", image, nn.AdaptiveAvgPool2d(1)),
        layer_case("max_pool_padding", negative, nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 1))),
        layer_case("max_pool_ties", levels, nn.MaxPool2d(3, stride=2, padding=1)),
        layer_case("relu_at_zero", kinks, nn.ReLU()),
        layer_case("batch_norm", batches, nn.BatchNorm2d(4)),
        layer_case("batch_norm_momentum", batches, nn.BatchNorm2d(4, eps=1e-3, momentum=0.3)),
        layer_case("batch_norm_relu", batches, nn.BatchNorm2d(4), nn.ReLU()),
        layer_case("linear_after_flatten", image, nn.Flatten(), nn.Linear(4 * 6 * 5, 3)),
        layer_case("residual_identity", image, residual(4, 4, 1, projected=False)),
        layer_case("residual_projection", image, residual(4, 6, 2, projected=True)),
    ]


def cross_entropy_case(name: str, label_smoothing: float) -> Json:
    """Logits whose exponentials overflow or vanish, equal logits, and a wrong class at a distance of 2000."""
    logits = torch.tensor(
        [
            [1000.0, -1000.0, 0.0, 3.0],
            [-1000.0, 1000.0, 0.0, 3.0],
            [-5000.0, -5001.0, -5002.0, -5003.0],
            [88.8, 89.0, -88.0, 0.0],
            [0.25, 0.25, 0.25, 0.5],
        ],
        dtype=torch.float32,
    ).double()  # 88.8 as float32 holds it
    logits.requires_grad_()
    labels = torch.tensor([0, 0, 2, 1, 3])
    loss = nn.functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    loss.backward()
    return {
        "name": name,
        "label_smoothing": label_smoothing,
        "logits": stored(logits),
        "labels": labels.tolist(),
        "loss": loss.item(),
        "correct": int((logits.argmax(dim=1) == labels).sum()),
        "gradient": stored(logits.grad),
    }


def as_float(value: float) -> float:
    """The nearest float32: Convoy's options are floats."""
    return float(torch.tensor(value, dtype=torch.float32))


def optimizer_case(name: str, optimizer_type: type[torch.optim.Optimizer], **options: float | bool) -> Json:
    """Ten steps with given gradients, from 1 down to far below Adam's epsilon."""
    lcg = Lcg(9)
    parameter = nn.Parameter(lcg.tensor(12))
    rounded = {key: value if isinstance(value, bool) else as_float(value) for key, value in options.items()}
    if optimizer_type is not torch.optim.SGD:
        rounded |= {"betas": (as_float(0.9), as_float(0.999)), "eps": as_float(1e-8)}
    optimizer = optimizer_type([parameter], **rounded)
    scale = 10.0 ** -torch.arange(12, dtype=torch.float64)
    case: Json = {"name": name, "optimizer": optimizer_type.__name__, "options": options, "initial": stored(parameter)}
    gradients = []
    for _ in range(10):
        parameter.grad = (lcg.tensor(12) * scale).float().double()
        gradients.append(stored(parameter.grad))
        optimizer.step()
    return {**case, "gradients": gradients, "final": stored(parameter)}


def optimizer_cases() -> list[Json]:
    adam, adamw, sgd = torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD
    return [
        optimizer_case("adam", adam, lr=1e-2, weight_decay=0.0),
        optimizer_case("adam_decay", adam, lr=1e-2, weight_decay=0.1),
        optimizer_case("adamw", adamw, lr=1e-2, weight_decay=0.1),
        optimizer_case("sgd", sgd, lr=0.1, momentum=0.0, weight_decay=0.1, nesterov=False),
        optimizer_case("sgd_momentum", sgd, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=False),
        optimizer_case("sgd_nesterov", sgd, lr=0.1, momentum=0.9, weight_decay=0.0, nesterov=True),
    ]


def cases() -> list[Json]:
    losses = [
        cross_entropy_case("cross_entropy", 0.0),
        cross_entropy_case("cross_entropy_smoothed", 0.1),
        cross_entropy_case("cross_entropy_much_smoothed", 0.75),
    ]
    return [*layer_cases(), *losses, *optimizer_cases()]
