"""What `convoy export --onnx` writes, as the packages onnx and onnxruntime see it, and what `convoy import` makes of it.

usage: onnx_test.py CONVOY LOGITS_TOOL
"""

import os

from onnx_common import BUILT_IN, TOOL, OnnxCase, main, np, run


class Onnx(OnnxCase):
    def check_noise(self, name: str, channels: int, size: int, shape: tuple) -> None:
        run(TOOL, "make", name, channels, size, self.folder / "model")
        self.check(self.folder / "model", np.random.default_rng(1).integers(0, 256, (32, *shape), np.uint8), 32)

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
    main()
