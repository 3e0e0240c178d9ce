"""The picture of the rooms is that of the list which every include is held to, and of the libraries that they call."""

import re
import sys
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
sys.path.insert(0, str(PICTURES))

import architecture  # noqa: E402

HEADERS = {"MPI": r"mpi", "cuDNN": r"cudnn\w*", "CUDA": r"cuda_runtime\w*", "cuBLASLt": r"cublasLt", "NCCL": r"nccl",
           "oneDNN": r"(?:oneapi/dnnl/)?dnnl\w*", "Highway": r"hwy/\w+"}


def rooms_that_include(header):
    """The innermost room of each file that does."""
    found = set()
    include = re.compile(rf"^\s*#include [<\"]{header}\.(?:h|hpp)[>\"]", re.MULTILINE)
    for folder in ("engine", "kernels"):
        for file in (ROOT / folder).rglob("*"):
            path = file.relative_to(ROOT).as_posix()
            if file.suffix in {".h", ".cpp", ".cu"} and include.search(file.read_text()):
                found.add(max((room for room in architecture.ROOMS if path.startswith(room + "/")), key=len))
    return found


class Architecture(unittest.TestCase):
    def test_the_picture_is_as_it_would_be_made_now(self):
        self.assertEqual((PICTURES / "architecture.svg").read_text(encoding="utf-8"), architecture.picture(),
                         "run docs/pictures/make.py architecture")

    def test_it_is_xml_with_every_room(self):
        text = "".join(ElementTree.fromstring(architecture.picture()).itertext())
        for floor in architecture.check_rooms().FLOORS:
            for room in floor:
                self.assertIn(room, text)

    def test_a_room_without_a_description_and_one_that_is_gone_are_named(self):
        floors = [list(floor) for floor in architecture.check_rooms().FLOORS]
        with self.assertRaisesRegex(ValueError, r"without a description: \['engine/new'\]"):
            architecture.svg([*floors, ["engine/new"]])
        with mock.patch.dict(architecture.ROOMS, {"engine/old": ("gone", "")}):
            with self.assertRaisesRegex(ValueError, r"without a room: \['engine/old'\]"):
                architecture.svg(floors)

    def test_the_libraries_are_those_that_the_rooms_include(self):
        for library, header in HEADERS.items():
            named = {room for room, (_, libraries) in architecture.ROOMS.items() if library in libraries.split(", ")}
            with self.subTest(library):
                self.assertTrue(named)
                self.assertLessEqual(named, rooms_that_include(header))


if __name__ == "__main__":
    unittest.main()
