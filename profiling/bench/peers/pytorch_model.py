"""Builds a Convoy model in PyTorch from its JSON file, whose types and keys are torch.nn's."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.shortcut(x)


def layer_of(layer: dict[str, Any]) -> nn.Module:
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
