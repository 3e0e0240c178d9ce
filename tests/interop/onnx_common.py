"""What the tests of `convoy export --onnx` and `convoy import` have in common.

Scripts are called as SCRIPT CONVOY LOGITS_TOOL [MORE ...].
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from needed import need

need("numpy", "onnx", "onnxruntime")

import numpy as np
import onnx
import onnxruntime

CONVOY, TOOL = sys.argv[1:3]
del sys.argv[1:3]
TOLERANCE = 1e-4  # between logits


def run(*words, code: int = 0) -> subprocess.CompletedProcess:
    environment = os.environ | {"CONVOY_PYTHON": sys.executable}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=environment)
    assert done.returncode == code, f"{words}: {done.returncode}, not {code}: {done.stdout}{done.stderr}"
    return done


BUILT_IN = run(TOOL, "names").stdout.split()


def metadata(file: Path) -> dict:
    return {entry.key: json.loads(entry.value) for entry in onnx.load(file).metadata_props}


def outputs_of(file: Path, images: np.ndarray, mean: np.ndarray | float = 0, std: np.ndarray | float = 1) -> np.ndarray:
    """What onnxruntime computes for images that are normalised so."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    outputs = [session.run(None, {name: ((batch.astype(np.float32) / 255 - mean) / std).astype(np.float32)})[0]
               for batch in np.array_split(images, max(1, len(images) // 1000))]
    return np.concatenate(outputs)


def by_onnxruntime(file: Path, images: np.ndarray) -> np.ndarray:
    """The logits, with images prepared as the file itself says."""
    preparation = metadata(file).get("preparation", {"mean": [0.0], "std": [1.0]})
    mean, std = (np.array(preparation[key], np.float32).reshape(-1, 1, 1) for key in ("mean", "std"))
    return outputs_of(file, images, mean, std)


class OnnxCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def by_convoy(self, model: Path, images: np.ndarray) -> np.ndarray:
        images.tofile(self.folder / "images")
        run(TOOL, "logits", model, self.folder / "images", self.folder / "logits")
        return np.fromfile(self.folder / "logits", np.float64).reshape(len(images), -1)

    def assert_near(self, got: np.ndarray, expected: np.ndarray) -> None:
        self.assertEqual(got.shape, expected.shape)
        difference = np.abs(got - expected).max()
        print(f"{self.id()}: {len(got)} images, {difference:.2g} apart, logits of {np.abs(expected).max():.3g} at most")
        self.assertLessEqual(difference, TOLERANCE)

    def export(self, model: Path, file: Path, *flags: str) -> None:
        said = run(CONVOY, "export", "--checkpoint", model / "model.ckpt", "--onnx", file, *flags).stdout
        self.assertIn(f"verified: onnxruntime {onnxruntime.__version__} computes the same logits", said)
        self.assertNotIn("not verified", said)
        onnx.checker.check_model(str(file), full_check=True)
        self.assertEqual(onnx.load(file).opset_import[0].version, 17)

    def check(self, model: Path, images: np.ndarray, few: int) -> None:
        """Exports it as it is and compares the logits of all images; then folded, and imports both again, with a few of them."""
        expected = self.by_convoy(model, images)
        for name, flags, count in (("kept", [], len(images)), ("folded", ["--fold"], few)):
            file = self.folder / f"{name}.onnx"
            self.export(model, file, *flags)
            self.assert_near(by_onnxruntime(file, images[:count]), expected[:count])
            self.assertEqual(by_onnxruntime(file, images[:3]).shape[0], 3, "any batch")
            again = self.folder / name
            run(CONVOY, "import", "--onnx", file, "--out", again, "--overwrite")
            self.assert_near(self.by_convoy(again, images[:few]), expected[:few])
        kinds = {node.op_type for node in onnx.load(self.folder / "folded.onnx").graph.node}
        self.assertNotIn("BatchNormalization", kinds)


def main() -> None:
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}")
    unittest.main(module="__main__", verbosity=2)
