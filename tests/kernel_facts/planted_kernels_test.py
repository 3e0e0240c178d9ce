"""planted_kernels_test.py NVCC TOOLS: does the check find what is wrong with planted_kernels.cu, and nothing else?"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

from facts import Missing, find_tools, read_library
from kernel_facts import problems_of

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NAMES = ("double_kernel", "local_kernel", "narrow_kernel", "wide_kernel")
EXPECTATIONS = {
    "wide": {name: {"loads": int(name in NAMES[2:]), "stores": int(name in NAMES[2:])} for name in NAMES},
    "double": {},
}


class PlantedKernels(unittest.TestCase):
    nvcc = tools = ""

    def test_each_fault_is_found_in_its_kernel_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            cubin = pathlib.Path(folder, "planted.o")
            source = HERE / "planted_kernels.cu"
            command = [self.nvcc, "-std=c++20", "-O3", "-arch=sm_90", f"-I{ROOT}", f"-I{ROOT}/include", "-c"]
            subprocess.run([*command, "-o", str(cubin), str(source)], check=True)
            kernels = read_library(cubin, self.tools)
        self.assertEqual([one.name for one in kernels], list(NAMES))
        found = {one.name: " ".join(problems_of(one, EXPECTATIONS)) for one in kernels}
        self.assertRegex(found["double_kernel"], r"^has \d+ instructions in double precision")
        self.assertRegex(found["local_kernel"], r"^uses 32 bytes of local memory")
        self.assertEqual(found["narrow_kernel"], "has 0 16-byte loads, and should have 1")
        self.assertEqual(found["wide_kernel"], "")
        self.assertEqual([one.block for one in kernels], [0, 0, 0, 256])


if __name__ == "__main__":
    PlantedKernels.nvcc = sys.argv[1]
    try:
        PlantedKernels.tools = find_tools(sys.argv[2:])
    except Missing as missing:
        print(f"skipped: {missing}")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
