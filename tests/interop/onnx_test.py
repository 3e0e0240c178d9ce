"""What `convoy export --onnx` writes, as the packages onnx and onnxruntime see it, and what `convoy import` makes of it.

usage: onnx_test.py CONVOY LOGITS_TOOL; CONVOY_DATA may name a folder with MNIST, for the networks trained on it.
"""

import gzip
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


def mnist_images() -> np.ndarray | None:
    """The 10,000 test images, [N, 1, 28, 28], or None."""
    folder = Path(os.environ.get("CONVOY_DATA", ""))
    for name, opened in (("t10k-images-idx3-ubyte.gz", gzip.open), ("t10k-images-idx3-ubyte", open)):
        if os.environ.get("CONVOY_DATA") and (folder / name).exists():
            with opened(folder / name, "rb") as file:
                return np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 1, 28, 28)
    return None


def metadata(file: Path) -> dict:
    return {entry.key: json.loads(entry.value) for entry in onnx.load(file).metadata_props}


def by_onnxruntime(file: Path, images: np.ndarray) -> np.ndarray:
    """The logits, with images prepared as the file itself says."""
    preparation = metadata(file).get("preparation", {"mean": [0.0], "std": [1.0]})
    mean, std = (np.array(preparation[key], np.float32).reshape(-1, 1, 1) for key in ("mean", "std"))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    logits = [session.run(["logits"], {"input": ((batch.astype(np.float32) / 255 - mean) / std).astype(np.float32)})[0]
              for batch in np.array_split(images, max(1, len(images) // 1000))]
    return np.concatenate(logits)


class Onnx(unittest.TestCase):
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

    def check_noise(self, name: str, channels: int, size: int, shape: tuple) -> None:
        run(TOOL, "make", name, channels, size, self.folder / "model")
        self.check(self.folder / "model", np.random.default_rng(1).integers(0, 256, (32, *shape), np.uint8), 32)

    def mnist(self) -> np.ndarray:
        images = mnist_images()
        if images is None:
            self.skipTest("CONVOY_DATA names no folder with MNIST")
        self.assertEqual(images.shape, (10000, 1, 28, 28))
        return images

    def check_trained(self, name: str) -> None:
        images = self.mnist()
        run(CONVOY, "train", "--dataset", "mnist", "--data", os.environ["CONVOY_DATA"], "--model", name, "--epochs", 1,
            "--limit-train", 6000, "--mean", 0.1307, "--std", 0.3081, "--out", self.folder / "model")
        self.check(self.folder / "model", images, len(images))
        said = metadata(self.folder / "kept.onnx")
        self.assertEqual(said["classes"], [str(digit) for digit in range(10)])
        self.assertEqual(said["preparation"]["framing"], "mnist")
        self.assertAlmostEqual(said["preparation"]["mean"][0], 0.1307)

    def test_trained_convnet_on_the_test_images_of_mnist(self):
        self.check_trained("convnet")

    def test_trained_lenet5_on_the_test_images_of_mnist(self):
        self.check_trained("lenet5")

    def test_every_built_in_model_on_the_test_images_of_mnist(self):
        images = self.mnist()
        for name in BUILT_IN:
            with self.subTest(name):
                run(TOOL, "make", name, 1, 28, self.folder / name)
                self.check(self.folder / name, images, 500)

    def test_every_built_in_model_on_noise_as_large_as_cifar(self):
        for name in BUILT_IN:
            with self.subTest(name):
                self.check_noise(name, 3, 32, (3, 32, 32))

    def test_every_type_of_layer(self):
        self.check_noise("every-layer", 2, 0, (2, 11, 9))

    def test_verification_imports_nothing_from_the_working_folder(self):
        run(TOOL, "make", "lenet5", 1, 28, self.folder / "model")
        for name in ("json", "numpy", "onnxruntime"):
            (self.folder / f"{name}.py").write_text("open('was-imported', 'w')\n")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.export(self.folder / "model", self.folder / "model.onnx")
        self.assertFalse((self.folder / "was-imported").exists())


if __name__ == "__main__":
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}")
    unittest.main(verbosity=2)
