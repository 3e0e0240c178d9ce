#!/usr/bin/env python3
"""gpu_check_test.py BUILD_DIR STAND_INS [PYTHON]: what profiling/gpu_check.sh packs, run over the software GPU: from another folder,
with an empty environment, with a small training. PYTHON has PyTorch."""

import gzip
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "profiling" / "gpu_check.sh"
BUILD, STAND_INS = sys.argv[1:3]
PYTHON = sys.argv[3] if len(sys.argv) > 3 else ""
MODEL = {
    "name": "tiny",
    "input": [1, 8, 8],
    "layers": [
        {"name": "conv", "type": "Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3},
        {"name": "flatten", "type": "Flatten"},
        {"name": "fc", "type": "Linear", "in_features": 144, "out_features": 10},
    ],
}
# What a build has that is not made for a package: oneDNN is 38 MiB, ICU behind libarchive 30.
LIMIT = "400"


def write_data(folder):
    """Images that are their labels, in MNIST's four files."""
    for name, count in (("train", 60), ("t10k", 10)):
        labels = bytes(i % 10 for i in range(count))
        pixels = b"".join(bytes([25 * label] * 64) for label in labels)
        for kind, header in (("images-idx3", (0x803, count, 8, 8)), ("labels-idx1", (0x801, count))):
            content = struct.pack(f">{len(header)}I", *header) + (pixels if kind[0] == "i" else labels)
            (folder / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))


def call(command, environment=None, cwd="/"):
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=cwd)


class GpuCheck(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.scratch.cleanup)
        folder = Path(cls.scratch.name)
        (folder / "digits").mkdir()
        write_data(folder / "digits")
        (folder / "tiny.json").write_text(json.dumps(MODEL))
        packed = cls.pack("--package", folder / "packed", "--data", folder / "digits", "--limit", LIMIT)
        if packed.returncode != 0:
            raise AssertionError(packed.stdout + packed.stderr)
        cls.package = folder / "elsewhere" / "moved"
        cls.package.parent.mkdir()
        shutil.move(folder / "packed", cls.package)

    @staticmethod
    def pack(*arguments):
        return call([SCRIPT, "--skip-build", "--build-dir", BUILD, *arguments])

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def run_package(self, *arguments, **environment):
        return call([self.package / "run", "--out", self.folder / "out", *arguments], environment, self.folder)

    def rehearse(self, *arguments, **environment):
        tiny = f"--model {self.scratch.name}/tiny.json"
        return self.run_package(
            *("--bench", f"{tiny} --batch-size 4 --steps 2 --warmup 1"),
            *("--train", f"--dataset idx {tiny} --epochs 1 --batch-size 2"),
            *arguments,
            CONVOY_CUDA_LIBS=STAND_INS,
            PYTHON="/nonexistent",
            **environment,
        )

    def report(self):
        return (self.folder / "out" / "report.md").read_text()

    def steps(self):
        return dict(re.findall(r"^\| ([^|]+) \| ([a-z ]+) \| [-\d]+ \| \d+ \|$", self.report(), re.M))

    def test_does_every_step_elsewhere_with_an_empty_environment(self):
        run = self.rehearse(
            *("--tests", r"^gpu\.(gradcheck|layer_parity|Device\.SameSeedSameBits|Training\.GraphsChangeNoBit)$"),
            *("--steps", r"^(train|same|bench|gpu|PyTorch|ncu)"),
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr + self.report())
        steps = self.steps()
        self.assertEqual({status for name, status in steps.items() if name not in ("PyTorch", "ncu")}, {"ok"})
        for precision in ("fp32", "tf32", "bf16"):
            for step in ("train/{}", "train/{}-warm", "same bits/{0}, {0}-warm", "same bits/{0}, {0}-no-graph", "bench/{}"):
                self.assertIn(step.format(precision), steps)
        self.assertEqual(sum(name.startswith("gpu.") for name in steps), 4)
        text = self.report()
        cold, warm = (text.split(f"\n## train/{name}: ok")[1].split("\n## ")[0] for name in ("fp32", "fp32-warm"))
        self.assertRegex(cold, r"\n    [1-9]\d* planned, 0 from the cache, ")
        self.assertRegex(warm, r"\n    0 planned, [1-9]\d* from the cache, ")
        self.assertRegex(text.split("\n## train/fp32-autotuned: ok")[1], r"fastest of \d+: [\d.]+ ms")
        self.assertRegex(text.split("\n## bench/bf16: ok")[1], r"cuDNN engine \d+ ")
        self.assertRegex(text, r"(?m)^commit ([0-9a-f]{40}|unknown)")
        self.assertNotRegex(text, r"\x1b|\r")
        # The report ends with PyTorch, or with why it does not.
        self.assertRegex(text, r"(?s)\n## Convoy beside PyTorch on the same GPU\n\nSkipped: [^\n]+\n\Z")
        self.assertFalse(any((self.folder).glob("*.ckpt")), "what it writes belongs into --out")

    def test_skips_visibly_what_turing_lacks(self):
        run = self.rehearse("--steps", "^(bench/|tf32)", SOFTWARE_GPU_ARCHITECTURE="75")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        steps = self.steps()
        self.assertEqual(steps["tf32 and bf16"], "skipped")
        self.assertEqual([name for name in steps if name.startswith("bench/")], ["bench/fp32"])
        self.assertIn("they need sm_80, this is sm_75", self.report())

    def test_a_failing_step_stops_no_other(self):
        run = self.run_package(
            *("--bench", "--model none", "--steps", "^(bench/fp32|gpu)", "--tests", r"SameSeedSameBits"),
            CONVOY_CUDA_LIBS=STAND_INS,
        )
        self.assertEqual(run.returncode, 1)
        self.assertEqual(self.steps()["bench/fp32"], "failed")
        self.assertEqual(self.steps()["gpu.Device.SameSeedSameBits"], "ok")
        self.assertIn("convoy: error: ", self.report())

    def test_a_step_ends_at_its_time_and_later_ones_are_not_begun(self):
        run = self.rehearse("--budget", "6", "--steps", "^(train/fp32$|gradcheck/fp32|bench)")
        self.assertEqual(run.returncode, 1)
        self.assertIn("not begun", self.steps().values())

    def test_reports_that_there_is_no_gpu(self):
        run = self.run_package(CONVOY_CUDA_LIBS=STAND_INS, SOFTWARE_GPU_FAIL="cudaGetDeviceCount:0:100")
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr, r"\Agpu_check: error: no GPU: [^\n]+\n\Z")
        self.assertIn("a machine without a usable GPU", self.report())
        self.assertIn("## doctor", self.report())

    def test_lists_steps_without_running_any(self):
        run = self.run_package("--list")
        self.assertEqual(run.returncode, 0, run.stderr)
        names = run.stdout.splitlines()
        self.assertEqual(names[0], "train/fp32")
        self.assertLess(names.index("gradcheck/fp32"), names.index("bench/fp32"))
        self.assertFalse((self.folder / "out").exists())

    def test_refuses_what_it_does_not_know(self):
        for run in (self.run_package("--fast"), self.run_package("--budget", "long"), self.pack("--fast")):
            self.assertEqual(run.returncode, 2)
            self.assertRegex(run.stderr, r"\Agpu_check: error: [^\n]+\n\Z")

    def test_refuses_to_replace_what_is_no_package(self):
        (self.folder / "precious").touch()
        run = self.pack("--package", self.folder)
        self.assertEqual(run.returncode, 1)
        self.assertIn("is no package", run.stderr)
        self.assertTrue((self.folder / "precious").exists())

    def test_refuses_a_package_that_is_too_large(self):
        data = Path(self.scratch.name) / "digits"
        run = self.pack("--package", self.folder / "p", "--data", data, "--limit", "1")
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr, r"more than 1 MiB")

    def test_names_the_folder_that_has_no_data(self):
        run = self.pack("--package", self.folder / "p", "--data", self.folder)
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"no MNIST in {self.folder}", run.stderr)

    def test_puts_convoy_beside_pytorch(self):
        if not PYTHON:
            self.skipTest("no Python with PyTorch")
        bench = '$ convoy bench\n{"event": "first_step"}\n{"event": "bench", "ms_per_step_median": 0.001}\n'
        (self.folder / "bench-json_fp32.log").write_text(bench)
        script = SCRIPT.parent / "gpu_check" / "pytorch_gpu.py"
        run = call([PYTHON, script, "--convoy", self.folder, "--device", "cpu", "--steps", "1", "--budget", "1"])
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertRegex(run.stdout, r"(?m)^\| eager, fp32, contiguous, default Adam \| [\d.]+ \| [\d.]+ \|$")
        self.assertIn("| compile, bf16, channels_last, fused Adam | not begun: no time left | |", run.stdout)
        fp32 = re.search(r"(?m)^\| fp32 \| 0\.0010 \| ([\d.]+) \(eager, .+\) \| ([\d.]+) \|", run.stdout)
        self.assertAlmostEqual(float(fp32[2]), float(fp32[1]) / 0.001, delta=0.1)  # of times to four places
        self.assertIn("| bf16 | not measured | | | | |", run.stdout)

    def test_scripts_are_clean(self):
        if shutil.which("shellcheck") is None:
            self.skipTest("no shellcheck")
        clean = call(["shellcheck", SCRIPT, SCRIPT.parent / "gpu_check" / "run"])
        self.assertEqual(clean.returncode, 0, clean.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
