"""The same as onnx_test.py on the 10,000 test images of MNIST, of every built-in model, and of trained ones.

usage: onnx_mnist_test.py CONVOY LOGITS_TOOL, with CONVOY_DATA, which names a folder with MNIST; without, it is skipped.
"""

import gzip
import os
import sys
from pathlib import Path

from onnx_common import BUILT_IN, CONVOY, TOOL, OnnxCase, main, metadata, np, run


def mnist_images() -> np.ndarray | None:
    """The 10,000 test images, [N, 1, 28, 28], or None."""
    folder = Path(os.environ.get("CONVOY_DATA", ""))
    for name, opened in (("t10k-images-idx3-ubyte.gz", gzip.open), ("t10k-images-idx3-ubyte", open)):
        if os.environ.get("CONVOY_DATA") and (folder / name).exists():
            with opened(folder / name, "rb") as file:
                return np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 1, 28, 28)
    return None


IMAGES = mnist_images()


class OnnxOfMnist(OnnxCase):
    def check_trained(self, name: str) -> None:
        run(CONVOY, "train", "--dataset", "mnist", "--data", os.environ["CONVOY_DATA"], "--model", name, "--epochs", 1,
            "--limit-train", 6000, "--mean", 0.1307, "--std", 0.3081, "--out", self.folder / "model")
        self.check(self.folder / "model", IMAGES, len(IMAGES))
        said = metadata(self.folder / "kept.onnx")
        self.assertEqual(said["classes"], [str(digit) for digit in range(10)])
        self.assertEqual(said["preparation"]["framing"], "mnist")
        self.assertAlmostEqual(said["preparation"]["mean"][0], 0.1307)

    def test_trained_convnet_on_the_test_images_of_mnist(self):
        self.check_trained("convnet")

    def test_trained_lenet5_on_the_test_images_of_mnist(self):
        self.check_trained("lenet5")

    def test_every_built_in_model_on_the_test_images_of_mnist(self):
        for name in BUILT_IN:
            with self.subTest(name):
                run(TOOL, "make", name, 1, 28, self.folder / name)
                self.check(self.folder / name, IMAGES, 500)


if __name__ == "__main__":
    if IMAGES is None:
        print("skipped: CONVOY_DATA names no folder with MNIST's test images (`convoy fetch mnist` gets them)")
        sys.exit(77)
    assert IMAGES.shape == (10000, 1, 28, 28)
    main()
