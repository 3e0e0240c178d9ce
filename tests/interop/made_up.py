"""Made-up digits in MNIST's files: ten patterns under noise, some labels wrong, so that there are mistakes to show."""

import gzip
import struct
from pathlib import Path

import numpy as np


def write_digits(folder: Path, train: int = 600, test: int = 200, extent: int = 28) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    coarse = random.integers(0, 2, (10, 7, 7)).repeat(extent // 7, 1).repeat(extent // 7, 2)
    for prefix, count in (("train", train), ("t10k", test)):
        labels = np.arange(count) % 10
        images = coarse[labels] * 110 + random.integers(0, 146, (count, extent, extent))
        wrong = random.random(count) < 0.05
        labels = np.where(wrong, random.integers(0, 10, count), labels)
        for kind, header, array in (("images-idx3", struct.pack(">IIII", 0x803, count, extent, extent), images),
                                    ("labels-idx1", struct.pack(">II", 0x801, count), labels)):
            (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))
