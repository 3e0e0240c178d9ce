"""The wrapper around nvcc: what it passes on, and that a spilling kernel fails the build."""

import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "kernels" / "refuse_spills.py"

REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z12plain_kernelPl' for 'sm_75'
ptxas info    : Function properties for _Z12plain_kernelPl
    0 bytes stack frame, 0 bytes spill stores, {loads} bytes spill loads
ptxas info    : Used 21 registers, used 1 barriers, 772 bytes smem, 360 bytes cmem[0]
ptxas info    : Compiling entry function '_Z12plain_kernelPl' for 'sm_90'
ptxas info    : Function properties for _Z12plain_kernelPl
    16 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers
"""


class RefuseSpills(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.object = self.folder / "kernel.o"

    def compiler(self, says, status=0):
        """A program that writes the object file, says something to stderr and ends with that status."""
        program = self.folder / "nvcc"
        (self.folder / "says").write_text(says, encoding="utf-8")
        program.write_text(f'#!/bin/sh\necho object > "$2"\ncat "{self.folder}/says" >&2\nexit {status}\n', encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return str(program)

    def script(self, *arguments):
        return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)

    def compile(self, says, status=0):
        return self.script(self.compiler(says, status), "-o", str(self.object))

    def test_only_warnings_are_passed_on(self):
        result = self.compile("kernel.cu(3): warning: odd\n" + REPORT.format(loads=0))
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stderr, "kernel.cu(3): warning: odd\n")
        self.assertTrue(self.object.exists())

    def test_a_spill_fails_and_leaves_no_object(self):
        result = self.compile(REPORT.format(loads=8))
        self.assertEqual(result.returncode, 1)
        self.assertIn("error: plain_kernel spills 8 bytes of registers on sm_75", result.stderr)
        self.assertFalse(self.object.exists())

    def test_the_compilers_failure_is_passed_on(self):
        self.assertEqual(self.compile("kernel.cu(1): error: no\n", status=2).returncode, 2)

    def test_wrong_use_is_refused(self):
        self.assertEqual(self.script().returncode, 2)


if __name__ == "__main__":
    unittest.main()
