"""Images as bytes in memory, and shuffled, augmented batches of them: whole batches at once, without a loader."""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

Images = tuple[torch.Tensor, torch.Tensor]  # bytes [N, C, H, W], and labels


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


def read_cifar10(folder: Path, names: list[str]) -> Images:
    files = [next(iter(folder.rglob(name)), None) for name in names]
    if None in files:
        raise SystemExit(f"{folder} has no {names[files.index(None)]}")
    records = [torch.frombuffer(bytearray(file.read_bytes()), dtype=torch.uint8) for file in files if file]
    table = torch.cat(records).reshape(-1, 3073)
    return table[:, 1:].reshape(-1, 3, 32, 32), table[:, 0].long()


def read_data(job: dict[str, Any]) -> list[Images]:
    """Training and test images with their labels, on the device."""
    folder, recipe = Path(job["data"]), job["recipe"]
    if job["dataset"] == "cifar10":
        pairs = [read_cifar10(folder, [f"data_batch_{i}.bin" for i in range(1, 6)]),
                 read_cifar10(folder, ["test_batch.bin"])]
    else:
        pairs = []
        for part in ("train", "t10k"):
            images = read_idx(folder, f"{part}-images-idx3-ubyte")
            pairs.append((images.unsqueeze(1), read_idx(folder, f"{part}-labels-idx1-ubyte").long()))
    kept = []
    for (images, labels), limit in zip(pairs, (recipe.get("limit-train"), recipe.get("limit-test"))):
        kept.append((images[:limit or None], labels[:limit or None]))
    left = len(kept[0][0]) - recipe.get("validation", 0)
    kept[0] = kept[0][0][:left], kept[0][1][:left]
    return [(images.to(job["device"]), labels.to(job["device"])) for images, labels in kept]


def padded(images: torch.Tensor, by: int, mode: str) -> torch.Tensor:
    """What moves in, as RandomCrop has it: black, or the image mirrored at its outermost pixels."""
    if mode != "reflect" or by == 0:
        return F.pad(images, (by,) * 4)
    for axis in (2, 3):
        size = images.shape[axis]
        at = torch.arange(-by, size + by, device=images.device).abs()  # by is less than the size
        images = images.index_select(axis, torch.where(at >= size, 2 * (size - 1) - at, at))
    return images


class Batches:
    """Shuffled and augmented batches of an epoch, normalised; bytes until then, which are less to move."""

    def __init__(self, job: dict[str, Any], images: torch.Tensor, labels: torch.Tensor, channels_last: bool) -> None:
        recipe = job["recipe"]
        self.labels, self.channels_last = labels, channels_last
        self.size, self.shift = recipe.get("batch-size", 100), recipe.get("shift", 0)
        self.flip, self.cutout = recipe.get("flip", "none"), recipe.get("cutout", 0)
        self.degrees, self.fraction = recipe.get("rotate", 0.0), recipe.get("scale", 0.0)
        self.mode = recipe.get("padding", "zeros")
        self.height, self.width = images.shape[2:]
        self.images = images
        # [N, down, right, C, H, W] without a copy: what is left of a padded image for each of its moves.
        moved = padded(images, 0 if self.turns() else self.shift, self.mode)
        self.windows = moved.unfold(2, self.height, 1).unfold(3, self.width, 1).permute(0, 2, 3, 1, 4, 5)
        self.mirrored = torch.rand(len(labels), device=labels.device) < 0.5  # in the first epoch, third, fifth, ...
        mean, std = (torch.as_tensor(job[key], dtype=torch.float32, device=images.device).reshape(-1, 1, 1)
                     for key in ("mean", "std"))
        self.scale, self.offset = 1 / (255 * std), -mean / std
        self.begun = 0  # epochs

    def turns(self) -> bool:
        return bool(self.degrees or self.fraction)

    def steps(self) -> int:
        return -(-len(self.labels) // self.size)

    def batch(self, index: torch.Tensor) -> Images:
        """Augmented: flipped, then rotated and scaled, then shifted; at last a square is cut out."""
        x = self.turned(index) if self.turns() else self.moved(index)
        x = x.mul_(self.scale).add_(self.offset)
        if self.cutout:
            x.masked_fill_(self.squares(len(index)), 0)
        return self.laid_out(x), self.labels[index]

    def plain(self, index: torch.Tensor) -> Images:
        """The images as they are."""
        return self.laid_out(self.images[index].float().mul_(self.scale).add_(self.offset)), self.labels[index]

    def epoch(self, as_they_are: bool = False) -> Iterator[Images]:
        self.begun += 1
        for index in torch.randperm(len(self.labels), device=self.labels.device).split(self.size):
            yield self.plain(index) if as_they_are else self.batch(index)

    def laid_out(self, x: torch.Tensor) -> torch.Tensor:
        return x.contiguous(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)

    def flips(self, index: torch.Tensor) -> torch.Tensor:
        """Whether each is mirrored: by a coin each time, or by one coin and in every second epoch."""
        if self.flip == "random":
            return torch.rand(len(index), device=index.device) < 0.5
        return self.mirrored[index] if self.begun % 2 else ~self.mirrored[index]

    def moved(self, index: torch.Tensor) -> torch.Tensor:
        if self.shift:
            down, right = torch.randint(0, 2 * self.shift + 1, (2, len(index)), device=index.device)
            x = self.windows[index, down, right]
        else:
            x = self.images[index]
        if self.flip != "none":
            x = torch.where(self.flips(index)[:, None, None, None], x.flip(-1), x)
        return x.float()

    def turned(self, index: torch.Tensor) -> torch.Tensor:
        """As torchvision's RandomAffine, bilinear, with the moves in the same matrix."""
        count, device = len(index), index.device
        angle = (2 * torch.rand(count, device=device) - 1) * math.radians(self.degrees)
        size = 1 + (2 * torch.rand(count, device=device) - 1) * self.fraction
        cos, sin = angle.cos() / size, angle.sin() / size
        moves = torch.randint(-self.shift, self.shift + 1, (2, count), device=device) if self.shift else \
            torch.zeros(2, count, device=device)
        # In half pixels from the middle, of which an image reaches `tall` and `wide` to its outermost pixels' centres.
        tall, wide = max(self.height - 1, 1), max(self.width - 1, 1)
        down, right = 2 * moves[0], 2 * moves[1]
        across = torch.stack([cos, sin * tall / wide, (cos * right + sin * down) / wide], 1)
        if self.flip != "none":
            across = torch.where(self.flips(index)[:, None], -across, across)
        along = torch.stack([-sin * wide / tall, cos, (cos * down - sin * right) / tall], 1)
        grid = F.affine_grid(torch.stack([across, along], 1), [count, 1, self.height, self.width], align_corners=True)
        return F.grid_sample(self.images[index].float(), grid, align_corners=True,
                             padding_mode="reflection" if self.mode == "reflect" else "zeros")

    def squares(self, count: int) -> torch.Tensor:
        """Where the square around one pixel of each image lies."""
        device = self.labels.device
        within = []
        for size in (self.height, self.width):
            middle = torch.randint(0, size, (count, 1), device=device)
            at = torch.arange(size, device=device) - middle + self.cutout // 2
            within.append((at >= 0) & (at < self.cutout))
        return (within[0][:, :, None] & within[1][:, None, :])[:, None]
