#!/usr/bin/env python3
"""gpu_check_test.py BUILD_DIR STAND_INS: profiling/gpu_check.sh with a small training over the software GPU."""

import gzip
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "profiling" / "gpu_check.sh"
BUILD, STAND_INS = sys.argv[1:3]
MODEL = {
    "name": "tiny",
    "input": [1, 8, 8],
    "layers": [
        {"name": "conv", "type": "Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3},
        {"name": "flatten", "type": "Flatten"},
        {"name": "fc", "type": "Linear", "in_features": 144, "out_features": 10},
    ],
}


def write_data(folder):
    """Images that are their labels, in MNIST's four files."""
    for name, count in (("train", 60), ("t10k", 10)):
        labels = bytes(i % 10 for i in range(count))
        pixels = b"".join(bytes([25 * label] * 64) for label in labels)
        for kind, header in (("images-idx3", (0x803, count, 8, 8)), ("labels-idx1", (0x801, count))):
            content = struct.pack(f">{len(header)}I", *header) + (pixels if kind[0] == "i" else labels)
            (folder / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))


class GpuCheck(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def check(self, *arguments, **environment):
        command = [SCRIPT, "--skip-build", "--build-dir", BUILD, "--out", self.folder / "out", *arguments]
        return subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=False, cwd=self.folder
        )

    def reports(self):
        return list((self.folder / "out").glob("gpu-report-*.md"))

    def test_writes_one_report_of_every_step(self):
        write_data(self.folder)
        (self.folder / "tiny.json").write_text(json.dumps(MODEL))
        run = self.check(
            *("--tests", r"^gpu\.(gradcheck|Device\.SameSeedSameBits|Training\.GraphsChangeNoBit)$"),
            *("--bench", f"--model {self.folder}/tiny.json --batch-size 4 --steps 2 --warmup 1"),
            *("--train", f"--dataset idx --data {self.folder} --model {self.folder}/tiny.json --epochs 1 --batch-size 2"),
            LD_LIBRARY_PATH=STAND_INS,
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        (report,) = self.reports()
        self.assertRegex(report.name, r"^gpu-report-\d{4}-\d\d-\d\d-[\w-]+\.md$")
        text = report.read_text()
        steps = re.findall(r"^\| ([^|]+) \| 0 \| \d+ \|$", text, re.M)
        self.assertEqual(
            [step.strip() for step in steps if step != "Nsight Systems"],
            ["Machine", "Tests labelled gpu", "Doctor", "Bench, fp32", "Bench, tf32", "Bench, bf16"]
            + ["Training, cold start, 20 steps of it profiled", "Training, warm start, 20 steps of it profiled"]
            + ["Training, autotuned"],
        )
        cold, warm, autotuned = text.split("\n## Training, ")[1:4]
        self.assertRegex(cold, r"\n    [1-9]\d* planned, 0 from the cache, ")
        self.assertRegex(warm, r"\n    0 planned, [1-9]\d* from the cache, ")
        self.assertRegex(autotuned, r"fastest of \d+: [\d.]+ ms")
        bench = text.split("\n## Bench, bf16")[1].split("\n## ")[0]
        self.assertRegex(bench, r"cuDNN engine \d+ ")
        self.assertRegex(text, r"commit ([0-9a-f]{40}|unknown)")
        self.assertRegex(text, r"100% tests passed, 0 tests failed out of 3")
        self.assertNotRegex(text, r"\(Skipped\)|\x1b|\r")

    def test_skips_visibly_what_turing_lacks(self):
        write_data(self.folder)
        (self.folder / "tiny.json").write_text(json.dumps(MODEL))
        run = self.check(
            *("--tests", r"\.(SgdLearnsInBfloat16Too|LearnsAsFp32Does/(fp|tf)32|EveryLayer.*/bf16)$"),
            *("--bench", f"--model {self.folder}/tiny.json --batch-size 4 --steps 2 --warmup 1"),
            *("--train", f"--dataset idx --data {self.folder} --model {self.folder}/tiny.json --epochs 1 --batch-size 2"),
            LD_LIBRARY_PATH=STAND_INS,
            SOFTWARE_GPU_ARCHITECTURE="75",
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        text = self.reports()[0].read_text()
        self.assertEqual(len(re.findall(r"\*+Skipped", text)), 3, text)
        self.assertRegex(text, r"LearnsAsFp32Does/fp32 \.+ +Passed")
        for precision in ("tf32", "bf16"):
            self.assertIn(f"| Bench, {precision} | not run: needs sm_80, this is sm_75 | |", text)
        self.assertIn("| Bench, fp32 | 0 |", text)

    def test_says_in_one_line_that_there_is_no_gpu(self):
        run = self.check(CUDA_VISIBLE_DEVICES="")
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr, r"\Agpu_check: error: no GPU: .+\n\Z")
        self.assertEqual(self.reports(), [])

    def test_a_failing_step_is_in_the_report_and_in_the_exit_code(self):
        arguments = ("--tests", "no such test", "--bench", "--model none", "--train", "--model none")
        run = self.check(*arguments, LD_LIBRARY_PATH=STAND_INS)
        self.assertEqual(run.returncode, 1)
        (report,) = self.reports()
        self.assertRegex(report.read_text(), r"\| Tests labelled gpu \| [1-9]\d* \|")
        self.assertRegex(report.read_text(), r"\| Bench, fp32 \| 2 \|")

    def test_refuses_what_it_does_not_know(self):
        self.assertEqual(self.check("--fast").returncode, 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
