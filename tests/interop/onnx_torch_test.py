"""The network of PyTorch's MNIST example, as PyTorch exports it, read by `convoy import --onnx`.

usage: onnx_torch_test.py CONVOY LOGITS_TOOL PYTHON EXPORTER; PYTHON has torch, EXPORTER is torchscript or dynamo.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from onnx_common import CONVOY, OnnxCase, main, np, outputs_of, run

PYTHON, EXPORTER = sys.argv[1:3]
del sys.argv[1:3]


FOLDER = tempfile.TemporaryDirectory()
FILE = Path(FOLDER.name) / "mnist.onnx"


def export() -> None:
    """Writes FILE, or ends the test as skipped where this PyTorch cannot."""
    words = [PYTHON, Path(__file__).with_name("mnist_example.py"), EXPORTER, FILE]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode == 77:
        print(done.stdout.strip())
        sys.exit(77)
    assert done.returncode == 0, done.stdout + done.stderr


class PyTorchsExample(OnnxCase):
    def test_probabilities_are_those_of_the_logits(self):
        model = self.folder / "model"
        done = run(CONVOY, "import", "--onnx", FILE, "--out", model)
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertRegex(done.stderr, r"^convoy: note: node .* \(LogSoftmax\): it is left out, so the logits")
        self.assertIn("conv1", done.stdout)
        images = np.random.default_rng(2).integers(0, 256, (64, 1, 28, 28), np.uint8)
        logits, expected = self.by_convoy(model, images), outputs_of(FILE, images)
        shifted = logits - logits.max(axis=1, keepdims=True)
        self.assert_near(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), expected)
        self.assertTrue((logits.argmax(axis=1) == expected.argmax(axis=1)).all(), "the same classes")


if __name__ == "__main__":
    export()
    main()
