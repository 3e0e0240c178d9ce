"""A picture to predict: a digit of MNIST's test images, larger and dark on light, as a scanner would give it."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

EDGE = 28
SCALE = 8
MARGIN = 5  # pixels of paper about the image, before it is scaled
NAMES = ["t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz"]
WHICH = 0  # a 7


def first_images(folder: Path) -> bytes:
    for name in NAMES:
        file = folder / name
        if file.exists():
            content = gzip.decompress(file.read_bytes()) if name.endswith(".gz") else file.read_bytes()
            magic, count, height, width = struct.unpack(">IIII", content[:16])
            if magic != 0x803 or (height, width) != (EDGE, EDGE) or count <= WHICH:
                raise ValueError(f"{file} has no images of {EDGE} x {EDGE}")
            return content[16:]
    raise FileNotFoundError(f"{folder} has none of {', '.join(NAMES)}")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows: list[bytes]) -> bytes:
    """Grey, eight bits a pixel."""
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def write_digit(mnist: Path, file: Path) -> None:
    ink = first_images(mnist)[WHICH * EDGE * EDGE:(WHICH + 1) * EDGE * EDGE]
    side = EDGE + 2 * MARGIN
    rows = []
    for y in range(side):
        line = [0] * side
        if MARGIN <= y < MARGIN + EDGE:
            line[MARGIN:MARGIN + EDGE] = ink[(y - MARGIN) * EDGE:(y - MARGIN + 1) * EDGE]
        row = bytes(255 - value for value in line for _ in range(SCALE))
        rows += [row] * SCALE
    file.write_bytes(png(rows))
