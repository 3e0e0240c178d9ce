"""PyTorch goes on with a training that Convoy stopped, and gets the same next ten losses.

usage: torch_goes_on.py CONVOY; exits with 77 (skipped) where torch cannot be imported.

The training's batch is its whole data set, so the order of the images plays no part: an epoch is one step.
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import torch
except ImportError as error:
    print(f"skipped: {sys.executable} has no PyTorch ({error})")
    sys.exit(77)

from made_up_data import write_made_up_data
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent))
from torch_convnet import ConvNet

CONVOY = sys.argv.pop(1)
COUNT, EXTENT, CLASSES, MORE = 64, 12, 10, 10


OPTIMIZERS = {
    "adam": (["--lr", "2e-3", "--weight-decay", "0.01"], torch.optim.Adam),
    "adamw": (["--lr", "2e-3", "--weight-decay", "0.05"], torch.optim.AdamW),
    "sgd": (["--lr", "0.02", "--momentum", "0.9", "--nesterov"], torch.optim.SGD),
}


DECAY_WEIGHTS = ["--decay", "weights", "--clip-norm", "0.5"]


def in_two_groups(model):
    """As `--decay weights` has them."""
    weights = [p for p in model.parameters() if p.dim() > 1]
    return [{"params": weights}, {"params": [p for p in model.parameters() if p.dim() == 1]}]


class GoesOn(unittest.TestCase):
    def train(self, folder, run, name, epochs, *flags):
        command = [CONVOY, "train", "--device", "cpu", "--dataset", "idx", "--data", folder / "data", "--out", run,
                   "--batch-size", str(COUNT), "--epochs", str(epochs), "--optimizer", name,
                   "--mean", "0.5", "--std", "0.25", "--log-every", "1", *OPTIMIZERS[name][0], *flags]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        return [event["loss"] for event in events if event["event"] == "step"]

    def check(self, name, flags=(), groups=lambda model: model.parameters(), clip=None):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            images, labels = map(torch.tensor, write_made_up_data(folder / "data", COUNT, EXTENT))
            wanted = self.train(folder, folder / "whole", name, 5 + MORE, *flags)[5:]
            self.train(folder, folder / "stopped", name, 5, *flags)
            (file,) = (folder / "stopped" / "states").glob("step-00000005.ckpt")
            # PyTorch 1's restricted unpickler knows no floats, not even those of its own optimizers' files.
            state = torch.load(file, weights_only=int(torch.__version__.split(".")[0]) >= 2)

            model = ConvNet(EXTENT)
            model.load_state_dict(state["model"], strict=True)
            # Everything else is in the file: these defaults are not the training's.
            optimizer = OPTIMIZERS[name][1](groups(model), lr=1.0)
            optimizer.load_state_dict(state["optimizer"])
            x = (images.view(COUNT, 1, EXTENT, EXTENT).float() / 255 - 0.5) / 0.25
            got = []
            for _ in range(MORE):
                loss = nn.functional.cross_entropy(model(x), labels)
                optimizer.zero_grad()
                loss.backward()
                if clip:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                got.append(loss.item())
            self.assertGreater(abs(wanted[-1] - wanted[0]), 0.01, "the losses move")
            # A gradient sums over 64 images of 12 x 12 pixels, 9216 products that are rounded to 2^-24 each: at the very
            # worst 5.5e-4 of its size, and some 1e-5 as errors cancel. Ten small steps carry a part of that into the loss.
            for one, other in zip(got, wanted):
                self.assertAlmostEqual(one, other, delta=2e-4 * max(1.0, abs(other)))
            print(f"{name}: largest difference of {MORE} losses", max(abs(a - b) for a, b in zip(got, wanted)))

    def test_adam(self):
        self.check("adam")

    def test_adamw(self):
        self.check("adamw")

    def test_sgd(self):
        self.check("sgd")

    def test_groups_and_clipping(self):
        self.check("adamw", DECAY_WEIGHTS, in_two_groups, clip=0.5)


if __name__ == "__main__":
    print(f"PyTorch {torch.__version__} of {sys.executable}")
    unittest.main(verbosity=2)
