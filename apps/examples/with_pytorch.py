"""Convoy and PyTorch go on from each other's files: the same network, trained by one, the other, and the first again.

usage: with_pytorch.py CONVOY DATA FOLDER
  CONVOY  the program, such as build/release/convoy
  DATA    a folder with MNIST's four files, plain or compressed
  FOLDER  where what is written goes; it must not be there

It ends with 1 if Convoy and PyTorch do not agree on a model. Needs PyTorch 1.13 or newer, and nothing else.
"""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

BATCH = 100


class ConvNet(nn.Module):
    """The network of `convoy train`, as the PyTorch tutorials have it."""

    def __init__(self, extent):
        super().__init__()
        self.layer1 = self.block(1, 16)
        self.layer2 = self.block(16, 32)
        self.fc = nn.Linear((extent // 4) ** 2 * 32, 10)

    @staticmethod
    def block(inputs, outputs):
        return nn.Sequential(nn.Conv2d(inputs, outputs, 5, padding=2), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2))

    def forward(self, x):
        return self.fc(self.layer2(self.layer1(x)).flatten(1))


def read_idx(folder, name, header):
    """The bytes behind the header, and the numbers in it."""
    plain = folder / name
    content = bytearray(plain.read_bytes() if plain.exists() else gzip.open(f"{plain}.gz").read())
    sizes = [int.from_bytes(content[at:at + 4], "big") for at in range(4, header, 4)]
    return torch.frombuffer(content, dtype=torch.uint8, offset=header).view(sizes)


def read_half(folder, half):
    images = read_idx(folder, f"{half}-images-idx3-ubyte", 16)
    return images.unsqueeze(1).float() / 255, read_idx(folder, f"{half}-labels-idx1-ubyte", 8).long()


def convoy(*arguments):
    """The events of a command."""
    command = [str(argument) for argument in (sys.argv[1], *arguments, "--json")]
    print("$", *command)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def train(model, optimizer, images, labels):
    """One epoch."""
    model.train()
    for rows in torch.randperm(len(images)).split(BATCH):
        loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def evaluate(model, images, labels):
    """Loss and accuracy."""
    model.eval()
    logits = torch.cat([model(part) for part in images.split(BATCH)])
    hits = (logits.argmax(1) == labels).float().mean().item()
    return nn.functional.cross_entropy(logits, labels).item(), hits


def compare(what, event, loss, accuracy):
    print(f"{what}: loss {event['loss']:.6f} and {loss:.6f}, accuracy {event['accuracy']:.4f} and {accuracy:.4f}")
    if abs(event["loss"] - loss) > 1e-4 * max(1.0, loss):
        sys.exit(f"{what}: Convoy and PyTorch do not agree")


def main(data, folder):
    folder.mkdir()
    torch.manual_seed(1)
    images, labels = read_half(data, "train")
    test = read_half(data, "t10k")
    model = ConvNet(images.shape[-1])
    optimizer = torch.optim.Adam(model.parameters())
    of_data = ["--dataset", "idx", "--data", data]

    # Convoy trains one epoch, and PyTorch goes on from its state: weights, moments and learning rate.
    first = folder / "first"
    convoy("train", *of_data, "--epochs", 1, "--batch-size", BATCH, "--out", first)
    state = torch.load(max((first / "states").iterdir()))
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    (event,) = convoy("eval", *of_data, "--checkpoint", first / "model.ckpt")
    compare("Convoy's model", event, *evaluate(model, *test))
    train(model, optimizer, images, labels)

    # What a script with DataParallel saves, in either of PyTorch's formats; Convoy takes the model out of it.
    state = {"module." + name: tensor for name, tensor in model.state_dict().items()}
    for name, options in {"second.pt": {}, "second-before-1.6.pth": {"_use_new_zipfile_serialization": False}}.items():
        torch.save({"epoch": 2, "state_dict": state, "optimizer": optimizer.state_dict()}, folder / name, **options)
        (event,) = convoy("eval", *of_data, "--checkpoint", folder / name, "--model", first / "model.json")
        compare(f"PyTorch's {name}", event, *evaluate(model, *test))

    # Convoy goes on from it, and exports what comes of it.
    third = folder / "third"
    convoy("train", *of_data, "--epochs", 1, "--batch-size", BATCH, "--init", folder / "second.pt", "--out", third)
    safetensors, exported = folder / "third.safetensors", folder / "third.pt"
    convoy("export", "--checkpoint", third / "model.ckpt", "--safetensors", safetensors, "--pytorch", exported)
    model.load_state_dict(torch.load(exported))
    (event,) = convoy("eval", *of_data, "--checkpoint", safetensors)
    compare("Convoy's model of PyTorch's", event, *evaluate(model, *test))
    convoy("inspect", safetensors, exported, folder / "second.pt")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[2]), Path(sys.argv[3]))
