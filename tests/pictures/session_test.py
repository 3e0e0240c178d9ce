"""The commands of the recorded session are README.md's, and still run: here on a few made-up images, not on MNIST.

usage: session_test.py CONVOY
"""

import os
import struct
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs" / "pictures"))

import screen_svg  # noqa: E402
import session  # noqa: E402

CONVOY = Path(sys.argv.pop(1))


def write_half(folder, prefix, count):
    """IDX files of digits that can be told apart: a bright square at a place of each class's own."""
    labels = bytes(i % 10 for i in range(count))
    images = bytearray()
    for label in labels:
        image = bytearray(28 * 28)
        left, top = 4 + label % 5 * 4, 6 + label // 5 * 10
        for y in range(top, top + 6):
            image[y * 28 + left:y * 28 + left + 4] = bytes([230] * 4)
        images += image
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, count, 28, 28) + images)
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels)


class Session(unittest.TestCase):
    def test_its_commands_are_the_readmes(self):
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        for command in session.COMMANDS:
            self.assertIn(f"\n{command}", readme)

    def test_its_picture_has_its_commands(self):
        picture = (ROOT / "docs" / "pictures" / "session.svg").read_text(encoding="utf-8")
        for command in session.COMMANDS:
            self.assertIn(f"$ {command}\n", picture, "run docs/pictures/make.py session")

    def test_its_commands_run_and_can_be_drawn(self):
        with tempfile.TemporaryDirectory(prefix="session_test") as folder:
            mnist = Path(folder) / "made-up"
            mnist.mkdir()
            write_half(mnist, "train", 11000)  # the recipe warms up for 100 steps of 100 images
            write_half(mnist, "t10k", 100)
            shown = session.record(CONVOY, mnist)
        text = "\n".join(shown.screen.text())
        self.assertIn("Test accuracy of the model on the 100 test images", text)
        self.assertIn("digit.png: ", text)
        for command in session.COMMANDS:
            self.assertIn(f"$ {command}", screen_svg.svg(shown, "convoy"))

    def test_a_command_that_fails_is_named_with_what_it_said(self):
        with tempfile.TemporaryDirectory(prefix="session_test") as folder:
            mnist = Path(folder)
            write_half(mnist, "t10k", 10)
            command = "build/release/convoy train --no-such-flag"
            with mock.patch.object(session, "COMMANDS", [command]):
                with self.assertRaisesRegex(RuntimeError, rf"(?s)`{command}` ended with exit code 2:.*--no-such-flag"):
                    session.record(CONVOY, mnist)


if __name__ == "__main__":
    if not hasattr(os, "openpty"):
        print("skipped: this system has no pseudo-terminals")
        sys.exit(77)
    unittest.main()
