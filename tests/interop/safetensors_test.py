"""Convoy and the safetensors package read each other's files, and refuse the same ones.

usage: safetensors_test.py IO_CHECKPOINT_TOOL; exits with 77 (skipped) where a package is missing.
"""

import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import unittest

from needed import need

need("numpy", "safetensors.numpy")

import numpy
import safetensors
from safetensors.numpy import load_file, save_file

TOOL = sys.argv.pop(1)


def ramp(shape, k):
    """As in tests/io/convnet_state.h."""
    i = numpy.arange(int(numpy.prod(shape, dtype=numpy.int64)), dtype=numpy.int64)
    return ((((37 * i + 11 * k) % 257) - 128) / 64).astype(numpy.float32).reshape(shape)


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def file_of(header, data=b"", pad=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += pad
    return struct.pack("<Q", len(text)) + text + data


# What a file may be, and what it may not, by the rules of the format.
SOUND = {
    "empty": file_of({}),
    "one": file_of({"a": entry()}, bytes(4)),
    "not aligned": file_of({"a": entry()}, bytes(4), b" "),
    "padded": file_of({"a": entry()}, bytes(4), b" " * 5),
    "no elements": file_of({"a": entry(shape=(0, 3), offsets=(0, 0))}),
    "scalar": file_of({"a": entry(shape=())}, bytes(4)),
    "metadata": file_of({"__metadata__": {"k": "v"}, "a": entry()}, bytes(4)),
    "no metadata": file_of({"__metadata__": None, "a": entry()}, bytes(4)),
    "a size of 63 bits": file_of({"a": entry(shape=((1 << 63) - 1, 0), offsets=(0, 0))}),
    "in another order": file_of({"b": entry(offsets=(4, 8)), "a": entry()}, bytes(8)),
}
UNSOUND = {
    "nothing": b"",
    "a length alone": struct.pack("<Q", 2),
    "a header that is too long": struct.pack("<Q", 100_000_001) + b"{}",
    "a header beyond the file": struct.pack("<Q", 3) + b"{}",
    "a list": file_of(b"[]"),
    "two objects": file_of(b"{}{}"),
    "not UTF-8": file_of(b'{"\xff": 1}'),
    "text for a tensor": file_of({"a": "b"}),
    "no type": file_of({"a": {"shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
    "an unknown type": file_of({"a": entry("F33")}, bytes(4)),
    "a negative size": file_of({"a": entry(shape=(-1,))}, bytes(4)),
    "a fraction for a size": file_of({"a": entry(shape=(1.5,))}, bytes(4)),
    "one offset": file_of({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, bytes(4)),
    "three offsets": file_of({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 4]}}, bytes(4)),
    "offsets the wrong way": file_of({"a": entry(offsets=(4, 0))}, bytes(4)),
    "fewer bytes than the shape": file_of({"a": entry(shape=(2,))}, bytes(4)),
    "a shape that overflows": file_of({"a": entry(shape=(1 << 40, 1 << 40))}, bytes(4)),
    "a hole": file_of({"a": entry(), "b": entry(offsets=(8, 12))}, bytes(12)),
    "a hole in front": file_of({"a": entry(offsets=(4, 8))}, bytes(8)),
    "an overlap": file_of({"a": entry(), "b": entry(offsets=(2, 6))}, bytes(6)),
    "a file that is too short": file_of({"a": entry()}, bytes(3)),
    "a file that is too long": file_of({"a": entry()}, bytes(5)),
    "a number in the metadata": file_of({"__metadata__": {"k": 1}}),
    "a shape that overflows before it is 0": file_of({"a": entry(shape=(1 << 62, 4, 0), offsets=(0, 0))}),
    "metadata that is there twice": file_of(b'{"__metadata__":{},"__metadata__":{}}'),
    "a type that is there twice": file_of(b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
}


TENSOR = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
# Refused by Convoy, though the package takes them: the first three by the rules of the format, which not all readers
# enforce, the others by Convoy's own limits.
STRICTER = {
    "a space in front": file_of(b" {}"),
    "a tensor that is there twice": file_of(b"{" + TENSOR + b"," + TENSOR + b"}", bytes(4)),
    "a key of the metadata that is there twice": file_of(b'{"__metadata__":{"k":"a","k":"b"}}'),
    "more about a tensor than the format has": file_of({"a": entry() | {"more": 1}}, bytes(4)),
    "a list for a tensor": file_of({"a": ["F32", [1], [0, 4]]}, bytes(4)),
    "a name with a line break": file_of({"a\n": entry()}, bytes(4)),
    "a name of more than 64 KiB": file_of({"a" * ((64 << 10) + 1): entry()}, bytes(4)),
    "65 dimensions": file_of({"a": entry(shape=[1] * 65)}, bytes(4)),
    "a size of 64 bits": file_of({"a": entry(shape=(1 << 63, 0), offsets=(0, 0))}),
    "100,001 tensors": file_of({str(i): entry(shape=(0,), offsets=(0, 0)) for i in range(100_001)}),
    "10,001 entries of metadata": file_of({"__metadata__": {str(i): "" for i in range(10_001)}}),
}
# The bits of every type that the package knows, and whether Convoy reads it.
TYPES = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32}
TYPES_NOT_READ = {"BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "U64": 64, "C64": 64, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
                  "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}


class Interop(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def tool(self, *arguments):
        return subprocess.run([TOOL, *arguments], capture_output=True, text=True)

    def test_the_package_reads_what_convoy_wrote(self):
        self.assertEqual(self.tool("convnet", self.path("x.ckpt")).returncode, 0)
        self.assertEqual(self.tool("safetensors", self.path("x.ckpt"), self.path("x.safetensors")).returncode, 0)
        state = load_file(self.path("x.safetensors"))
        self.assertEqual(len(state), 16)
        with safetensors.safe_open(self.path("x.safetensors"), framework="numpy") as file:
            self.assertEqual(file.metadata(), {"format": "pt"})
        names = [f"layer{layer}.{part}" for layer in (1, 2) for part in ("0.weight", "0.bias", "1.weight", "1.bias",
                 "1.running_mean", "1.running_var", "1.num_batches_tracked")] + ["fc.weight", "fc.bias"]
        for k, name in enumerate(names):
            if name.endswith("num_batches_tracked"):
                wanted = numpy.array(600 + k, dtype=numpy.int64)
            else:
                wanted = ramp(state[name].shape, k)
            self.assertTrue(same_bits(state[name], wanted), name)
        self.assertEqual(state["fc.weight"].shape, (10, 7 * 7 * 32))

    def test_convoy_reads_what_the_package_wrote(self):
        state = {
            "f32": numpy.array([0.0, -0.0, numpy.inf, -numpy.inf, numpy.nan, 1e-45, 3.4028234e38], dtype=numpy.float32),
            "i32": numpy.array([[-(2**31)], [2**31 - 1]], dtype=numpy.int32),
            "i64": numpy.array([-(2**53), 2**53]),
            "scalar": numpy.array(2.5, dtype=numpy.float32),
            "empty": numpy.zeros((0, 3), dtype=numpy.float32),
            "gr\u00fc\u00df": ramp((2, 3, 4), 5),
        }
        save_file(state, self.path("in"), metadata={"k": "v"})
        self.assertEqual(self.tool("safetensors", self.path("in"), self.path("out")).returncode, 0)
        again = load_file(self.path("out"))
        self.assertEqual(set(again), set(state))
        for name, wanted in state.items():
            self.assertTrue(same_bits(again[name], wanted), name)

    def test_every_half_and_bfloat16_and_doubles_become_float32(self):
        bits = numpy.arange(1 << 16, dtype=numpy.uint32)
        halves = bits.astype(numpy.uint16).view(numpy.float16)
        brains = (bits << 16).view(numpy.float32)
        doubles = numpy.array([0.1, -3.0, numpy.inf])
        size = 2 << 16
        header = {
            "half": entry("F16", (1 << 16,), (0, size)),
            "brain": entry("BF16", (1 << 16,), (size, 2 * size)),
            "double": entry("F64", (3,), (2 * size, 2 * size + 24)),
        }
        content = file_of(header, halves.tobytes() + bits.astype(numpy.uint16).tobytes() + doubles.tobytes())
        self.assertTrue(self.package_reads(content))
        with open(self.path("in"), "wb") as file:
            file.write(content)
        self.assertEqual(self.tool("safetensors", self.path("in"), self.path("out")).returncode, 0)
        again = load_file(self.path("out"))
        for name, wanted in {"half": halves, "brain": brains, "double": doubles}.items():
            wanted = wanted.astype(numpy.float32)
            self.assertTrue(numpy.array_equal(numpy.isnan(again[name]), numpy.isnan(wanted)), name)
            numbers = ~numpy.isnan(wanted)
            self.assertTrue(same_bits(again[name][numbers], wanted[numbers]), name)

    def package_reads(self, content):
        try:
            safetensors.deserialize(content)
            return True
        except safetensors.SafetensorError:
            return False

    def test_both_know_the_same_types(self):
        for kind, bits in (TYPES | TYPES_NOT_READ).items():
            for wrong in (0, 1):  # eight elements have as many bytes as one has bits
                content = file_of({"a": entry(kind, (8,), (0, bits + wrong))}, bytes(bits + wrong))
                with self.subTest(kind, wrong=wrong):
                    with open(self.path("in"), "wb") as file:
                        file.write(content)
                    done = self.tool("copy", self.path("in"), self.path("out"))
                    self.assertEqual(done.returncode == 0, wrong == 0 and kind in TYPES, done.stderr)
                    if kind in TYPES_NOT_READ:
                        self.assertIn(f"tensors of type {kind} are not read" if wrong == 0 else "do not go with", done.stderr)
                    self.assertEqual(self.package_reads(content), wrong == 0)

    def test_the_package_knows_no_others(self):
        with self.assertRaises(safetensors.SafetensorError) as refused:
            safetensors.deserialize(file_of({"a": entry("F33")}, bytes(4)))
        known = set(re.findall("`([A-Z0-9_]+)`", str(refused.exception).split("expected one of")[1]))
        self.assertEqual(known, set(TYPES | TYPES_NOT_READ))

    def test_both_take_and_refuse_the_same(self):
        for files, sound in ((SOUND, True), (UNSOUND, False), (STRICTER, False)):
            for what, content in files.items():
                with self.subTest(what):
                    with open(self.path("in"), "wb") as file:
                        file.write(content)
                    done = self.tool("copy", self.path("in"), self.path("out"))
                    self.assertEqual(done.returncode == 0, sound, done.stderr)
                    self.assertEqual(self.package_reads(content), sound or files is STRICTER)
                    self.assertEqual(done.stderr.count("\n"), 0 if sound else 1)


if __name__ == "__main__":
    print(f"safetensors {safetensors.__version__} of {sys.executable}")
    unittest.main(verbosity=2)
