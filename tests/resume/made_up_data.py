"""A small data set in MNIST's files: ten patterns under noise, the same for everybody."""

import random
import struct


def _write_idx(file, dimensions, content):
    file.write_bytes(struct.pack(f">HBB{len(dimensions)}I", 0, 8, len(dimensions), *dimensions) + bytes(content))


def write_made_up_data(folder, count, extent, classes=10):
    """Writes the four files, both halves alike. Returns images [count][extent * extent] and labels [count]."""
    draw = random.Random(3)
    patterns = [[draw.choice((0, 128)) for _ in range(extent * extent)] for _ in range(classes)]
    labels = [i % classes for i in range(count)]
    images = [[pixel + draw.randrange(128) for pixel in patterns[label]] for label in labels]
    folder.mkdir()
    for half in ("train", "t10k"):
        flat = [pixel for image in images for pixel in image]
        _write_idx(folder / f"{half}-images-idx3-ubyte", (count, extent, extent), flat)
        _write_idx(folder / f"{half}-labels-idx1-ubyte", (count,), labels)
    return images, labels
