"""The pictures of corpus/picture/ and corpus/exif/, for make_corpus.py."""

import struct
import zlib
from collections.abc import Callable


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(orientation: int, big: bool) -> bytes:
    order = ">" if big else "<"
    return (b"MM" if big else b"II") + struct.pack(order + "HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def png(width: int, height: int, depth: int, colour: int, rows: bytes, more: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg(frame: int, scan_end: bytes, data: bytes, app: bytes = b"") -> bytes:
    """A grey picture of 8 x 8. Both Huffman tables have one code of one bit, for 0."""
    table = bytes([1] + [0] * 15) + b"\0"
    return (b"\xff\xd8" + app + segment(0xDB, b"\0" + bytes([1] * 64)) + segment(frame, struct.pack(">BHHBBBB", 8, 8, 8, 1, 1, 0x11, 0))
            + segment(0xC4, b"\x00" + table) + segment(0xC4, b"\x10" + table) + segment(0xDA, b"\x01\x01\x00" + scan_end) + data + b"\xff\xd9")


def cmyk_jpeg() -> bytes:
    """8 x 8 of Adobe's CMYK, where 255 is no ink: cyan and black 228, magenta and yellow 128."""
    lengths = bytes([1, 1] + [0] * 14)  # the codes 0 and 10: no difference, and one of ten bits
    mean, end = "10" + format(800, "010b"), "0"  # 800 / 8 + 128 = 228
    bits = mean + end + ("0" + end) * 2 + mean + end + "11"
    return (b"\xff\xd8" + segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 0)) + segment(0xDB, b"\0" + bytes([1] * 64))
            + segment(0xC0, struct.pack(">BHHB", 8, 8, 8, 4) + b"".join(bytes([c, 0x11, 0]) for c in range(1, 5)))
            + segment(0xC4, b"\x00" + lengths + b"\x00\x0a") + segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0")
            + segment(0xDA, b"\x04" + b"".join(bytes([c, 0]) for c in range(1, 5)) + b"\x00\x3f\x00")
            + int(bits, 2).to_bytes(4, "big") + b"\xff\xd9")


def write_pictures(write: Callable[[str, str, bytes], None]) -> None:
    drawing = bytearray(b"\xff" * 144)  # a bar on white, 12 x 12
    for row in range(2, 10):
        drawing[12 * row + 5] = drawing[12 * row + 6] = 0
    rows = b"".join(b"\0" + bytes(drawing[12 * y:12 * y + 12]) for y in range(12))
    rgba = b"".join(b"\0" + b"".join(bytes([v, v, 0, 255]) for v in drawing[12 * y:12 * y + 12]) for y in range(12))
    wide = b"".join(b"\0" + b"".join(bytes([v, v]) for v in drawing[12 * y:12 * y + 12]) for y in range(12))
    bits = b"".join(b"\0" + (b"\xff\xf0" if y in (0, 1, 10, 11) else b"\xf9\xf0") for y in range(12))
    palette = chunk(b"PLTE", bytes([0, 0, 0, 255, 255, 255])) + chunk(b"tRNS", b"\xff\x80")
    pictures = {
        "grey.png": png(12, 12, 8, 0, rows),
        "rgba.png": png(12, 12, 8, 6, rgba),
        "16-bits.png": png(12, 12, 16, 0, wide),
        "1-bit.png": png(12, 12, 1, 0, bits),
        "palette.png": png(12, 12, 1, 3, bits, palette),
        "turned.png": png(12, 12, 8, 0, rows, chunk(b"eXIf", tiff(6, True))),
        "claims-more.png": png(8000, 8000, 8, 0, rows),
        "baseline.jpg": jpeg(0xC0, b"\x00\x3f\x00", b"\x3f"),
        "progressive.jpg": jpeg(0xC2, b"\x00\x00\x00", b"\x7f"),
        "cmyk.jpg": cmyk_jpeg(),
        "turned.jpg": jpeg(0xC0, b"\x00\x3f\x00", b"\x3f", segment(0xE1, b"Exif\0\0" + tiff(3, False))),
        "grey.bmp": b"BM" + struct.pack("<IHHI", 54 + 192, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 24, 0, 192, 0, 0, 0, 0)
                    + b"".join(bytes([v, v, v]) for v in drawing[:64]),
        "frame.gif": b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255]) + b"," + struct.pack("<HHHHB", 0, 0, 2, 2, 0)
                     + b"\x02\x03\x04\x02\x05\x00;",
        "runs.tga": struct.pack("<BBBHHBHHHHBB", 0, 0, 11, 0, 0, 0, 0, 0, 12, 12, 8, 0) + b"\xff\x00\x8f\xff",
        "plain.psd": b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 4, 4, 8, 3) + bytes(12) + b"\0\0" + bytes(drawing[:48]),
        "packed.psd": b"8BPS" + struct.pack(">H6xHIIHH", 1, 1, 4, 4, 8, 3) + bytes(12) + b"\0\1" + struct.pack(">4H", 2, 2, 2, 2) + b"\xfd\x80" * 4,
        "hang-ends-within-runs.hdr": b"#?RGBE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 8\n" + b"\x02\x02\x00\x08" + b"\x88\x40",
        "grey.pgm": b"P5\n12 12\n255\n" + bytes(drawing),
        "wide.ppm": b"P6 1 2 65535\n" + bytes(range(12)),
        "empty-of-ink.pgm": b"P5 4 4 255\n" + bytes(16),
        "webp": b"RIFF\0\0\0\0WEBPVP8 ",
    }
    for name, content in pictures.items():
        write("picture", name, content)
    for name in ("turned.png", "turned.jpg", "grey.png", "baseline.jpg"):
        write("exif", name, pictures[name])
    write("exif", "long.jpg", b"\xff\xd8\xff" + segment(0xE1, b"Exif\0\0" + b"II" + struct.pack("<HIHHHII", 42, 8, 1, 0x0112, 4, 1, 8)))
    write("exif", "directory-beyond.jpg", b"\xff\xd8" + segment(0xE1, b"Exif\0\0" + b"MM" + struct.pack(">HI", 42, 0xFFFFFFFF)))
