"""compare_pytorch.py with stand-ins for Convoy and for the interpreters: no PyTorch and no clock involved."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "profiling" / "bench"))

import compare_pytorch  # noqa: E402  (its folder must be on the path first)

# Takes the place of a Python: notes its environment, answers for pytorch_step.py. A variant costs 20 ms a step,
# less 4 for fused Adam, less 2 where OpenMP waits passively; "foreach" is one that this PyTorch does not know.
INTERPRETER = """#!{python} -IS
import json, os, sys
job = json.loads(sys.argv[2])
passive = os.environ.get("OMP_WAIT_POLICY") == "passive"
with open({log!r}, "a") as log:
    print("pytorch", job["threads"], passive, os.environ.get("OMP_NUM_THREADS"), file=log)
def seconds(variant):
    if variant["optimizer"] == "foreach":
        return None
    return 0.020 - 0.004 * (variant["optimizer"] == "fused") - 0.002 * passive
print(json.dumps({{"torch": "9.9", "times": [
    None if seconds(v) is None else [seconds(v)] * job["steps"] for v in job["variants"]]}}))
"""

CONVOY = """#!{python} -IS
import sys
with open({log!r}, "a") as log:
    print("convoy", *sys.argv[1:], file=log)
print({output!r})
sys.exit({code})
"""

EVENT = {"event": "bench", "ms_per_step_median": 4.0, "ms_per_step_min": 3.5, "convolutions_ms": 2.5}


class ComparePytorch(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.log = self.folder / "log"
        self.python = self.program("python", INTERPRETER)

    def program(self, name: str, text: str, **values: object) -> str:
        path = self.folder / name
        path.write_text(text.format(python=sys.executable, log=str(self.log), **values), encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def convoy(self, output: str, code: int = 0) -> str:
        return self.program("convoy", CONVOY, output=output, code=code)

    def compare(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = compare_pytorch.main(["--python", self.python, "--rounds", "2", "--steps", "7", *arguments])
        return code, out.getvalue(), err.getvalue()

    def fastest(self) -> float:
        """What the stand-in's fastest setting takes: with one core there is no policy to choose."""
        return 16.0 if len(os.sched_getaffinity(0)) == 1 else 14.0

    def test_convoy_takes_turns_with_the_fastest_settings(self) -> None:
        os.environ["OMP_NUM_THREADS"] = "1"  # must reach nobody
        self.addCleanup(os.environ.pop, "OMP_NUM_THREADS")
        run_event = json.dumps({"event": "run"})
        code, out, _ = self.compare("--convoy", self.convoy(f"{run_event}\n{json.dumps(EVENT)}"))
        self.assertEqual(code, 0)
        self.assertIn(f"Convoy is {self.fastest() / 4.0:.2f} times as fast as the fastest PyTorch 9.9", out)
        self.assertIn("2.50 ms a step; the whole step takes 1.60 times that", out)
        self.assertIn("Adam fused", out)
        self.assertNotIn("foreach", out)

        lines = self.log.read_text(encoding="utf-8").splitlines()
        self.assertEqual([line.split()[0] for line in lines[-6:]], ["pytorch", "pytorch", "convoy"] * 2)
        self.assertEqual(lines[-1], "convoy bench --device cpu --model convnet --batch-size 100 --steps 7 --json")
        cores = len(os.sched_getaffinity(0))
        self.assertIn("pytorch 1 False None", lines)
        self.assertIn(f"pytorch {cores} False None", lines)
        if cores > 1:
            self.assertIn(f"pytorch {cores} True None", lines)

    def test_assert_ratio_decides_the_exit_code(self) -> None:
        convoy = self.convoy(json.dumps(EVENT))
        self.assertEqual(self.compare("--convoy", convoy, "--assert-ratio", "3.4")[0], 0)
        code, out, _ = self.compare("--convoy", convoy, "--assert-ratio", "5")
        self.assertEqual(code, 1)
        self.assertIn("5.00 wanted: MISSED", out)

    def test_absent_convoy_is_one_clear_line(self) -> None:
        code, _, err = self.compare("--convoy", str(self.folder / "nowhere"))
        self.assertEqual(code, 2)
        self.assertRegex(err, r"^compare_pytorch: no program at .*nowhere: build it first, or correct --convoy\n$")

    def test_failing_convoy_is_named(self) -> None:
        with self.assertRaisesRegex(compare_pytorch.CompareError, "convoy failed with exit code 1: no message$"):
            compare_pytorch.run_convoy(self.convoy("", code=1), steps=7, batch_size=100)

    def test_convoy_without_a_whole_bench_event_is_named(self) -> None:
        for output in ("", "4.0 ms", "[]", json.dumps({"event": "run"}), json.dumps({"event": "bench"})):
            with self.subTest(output=output), self.assertRaises(compare_pytorch.CompareError):
                compare_pytorch.run_convoy(self.convoy(output), steps=7, batch_size=100)

    def test_interpreter_without_pytorch_is_one_clear_line(self) -> None:
        broken = self.program("broken", "#!{python} -IS\nraise SystemExit('no module named torch')\n")
        code, _, err = self.compare("--python", broken, "--convoy", self.convoy(json.dumps(EVENT)))
        self.assertEqual(code, 2)
        self.assertRegex(err, r"^compare_pytorch: .*broken failed with exit code 1: no module named torch\n$")


if __name__ == "__main__":
    unittest.main()
