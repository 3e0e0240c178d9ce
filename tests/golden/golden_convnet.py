"""The classic ConvNet's golden files: first state, losses, gradients, a later state and its logits."""

from __future__ import annotations

import gzip
import json
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

BATCH = 100
STEPS = 100
PINNED_STEPS = 20
LEARNING_RATE = 1e-3
# Of the first weights: one from which training in fp32 stays within 5e-4 of training in double (README.md).
SEED = 141
SAMPLES = "mnist"  # the folder of the samples, beside the golden files


class ConvNet(nn.Module):
    """The model; Convoy's built-in "convnet" has the same names."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=5, stride=1, padding=2), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2, 2)
        )
        self.layer2 = nn.Sequential(
            nn.Conv2d(16, 32, kernel_size=5, stride=1, padding=2), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2, 2)
        )
        self.fc = nn.Linear(7 * 7 * 32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.layer2(self.layer1(x))
        return self.fc(out.reshape(out.size(0), -1))


@dataclass
class Samples:
    """The first BATCH * STEPS training samples, in the order of the file."""

    pixels: np.ndarray  # [count, 28, 28] bytes
    labels: np.ndarray  # [count] bytes

    def batch(self, step: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Batch `step`, from 0: images [BATCH, 1, 28, 28] as torchvision's ToTensor scales them (byte / 255, rounded
        to float32 in either dtype, so that all arithmetic starts from the same numbers) and labels [BATCH]."""
        rows = slice(step * BATCH, (step + 1) * BATCH)
        images = torch.from_numpy(self.pixels[rows].astype(np.float32)).div(255).unsqueeze(1)
        return images.to(dtype), torch.from_numpy(self.labels[rows].astype(np.int64))


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def read_idx(folder: Path, name: str, header: int) -> np.ndarray:
    """The bytes behind the header of an IDX file, compressed or not."""
    plain, packed = folder / name, folder / f"{name}.gz"
    content = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    return np.frombuffer(content, np.uint8, offset=header)


def read_samples(folder: Path) -> Samples:
    count = BATCH * STEPS
    pixels = read_idx(folder, IMAGES, 16).reshape(-1, 28, 28)
    return Samples(pixels[:count], read_idx(folder, LABELS, 8)[:count])


def write_samples(samples: Samples, folder: Path) -> None:
    """What `read_samples` reads, so that the tests and this script need no MNIST."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in ((IMAGES, samples.pixels), (LABELS, samples.labels)):
        header = struct.pack(f">{1 + values.ndim}I", 0x0800 + values.ndim, *values.shape)
        (folder / f"{name}.gz").write_bytes(gzip.compress(header + values.tobytes(), mtime=0))


def conv_biases(model: nn.Module) -> list[nn.Parameter]:
    return [layer.bias for layer in model.modules() if isinstance(layer, nn.Conv2d)]


@dataclass
class Run:
    model: ConvNet
    losses: list[float]


def train(samples: Samples, steps: int, dtype: torch.dtype, pinned: bool) -> Run:
    """`steps` steps of Adam from the first state. `pinned` zeroes the gradients of the conv biases, which are
    rounding noise that Adam would blow up to full steps (README.md): then every other value is determined."""
    model = first_model().to(dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    losses = []
    for step in range(steps):
        images, labels = samples.batch(step, dtype)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        if pinned:
            for bias in conv_biases(model):
                bias.grad.zero_()
        optimizer.step()
        losses.append(loss.item())
    return Run(model, losses)


def first_model() -> ConvNet:
    torch.manual_seed(SEED)
    return ConvNet()


@dataclass
class FirstGradients:
    gradients: OrderedDict[str, torch.Tensor]  # float32, by parameter
    bias_terms: dict[str, float]  # conv bias -> the largest channel's sum of |terms| of its gradient


def first_gradients(samples: Samples) -> FirstGradients:
    """Step 1 in double."""
    model = first_model().double()
    images, labels = samples.batch(0, torch.float64)
    outputs = {}

    def keep(name: str):
        def hook(_module: nn.Module, _inputs: tuple, output: torch.Tensor) -> None:
            output.retain_grad()
            outputs[name] = output

        return hook

    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(keep(f"{name}.bias"))
    nn.functional.cross_entropy(model(images), labels).backward()
    gradients = OrderedDict((name, p.grad.float()) for name, p in model.named_parameters())
    terms = {name: float(output.grad.abs().sum(dim=(0, 2, 3)).max()) for name, output in outputs.items()}
    return FirstGradients(gradients, terms)


def evaluate(model: ConvNet, samples: Samples) -> torch.Tensor:
    """Logits of the first batch, in evaluation mode and double, of the state as float32 holds it."""
    rounded = ConvNet()
    rounded.load_state_dict(float_state(model))
    with torch.no_grad():
        return rounded.double().eval()(samples.batch(0, torch.float64)[0])


def float_state(model: ConvNet) -> OrderedDict[str, torch.Tensor]:
    return OrderedDict((name, t.float() if t.is_floating_point() else t) for name, t in model.state_dict().items())


def write(data: Path, out: Path) -> None:
    samples = read_samples(data)
    write_samples(samples, out / SAMPLES)
    torch.save(first_model().state_dict(), out / "convnet_init.ckpt")

    first = first_gradients(samples)
    torch.save(first.gradients, out / "convnet_grads.ckpt")

    pinned = train(samples, PINNED_STEPS, torch.float64, pinned=True)
    torch.save(float_state(pinned.model), out / "convnet_step20.ckpt")

    content = {
        "torch": torch.__version__,
        "batch_size": BATCH,
        "learning_rate": LEARNING_RATE,
        "losses_float32": train(samples, STEPS, torch.float32, pinned=False).losses,
        "losses_float64": train(samples, STEPS, torch.float64, pinned=False).losses,
        "conv_bias_terms": first.bias_terms,
        "step20_logits": evaluate(pinned.model, samples).flatten().tolist(),
    }
    (out / "convnet.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
