"""The first steps of every recipe have PyTorch's losses: model, optimizers, schedule, label smoothing and all.

usage: recipe_steps_test.py CONVOY; exits with 77 (skipped) where torch cannot be imported.

PyTorch's side is that of a race (profiling/bench/peers). The batch is the whole of a small data set, so the order of the
images plays no part. What is drawn anew in each step is left out: the two sides draw differently.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

try:
    import torch
except ImportError as error:
    print(f"skipped: {sys.executable} has no PyTorch ({error})")
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "profiling/bench/peers"), str(ROOT / "tests/resume")]
import torch.nn.functional as F
from made_up_data import write_made_up_data
from pytorch_training import Training
from pytorch_updates import settings_by_step
from torch import nn

CONVOY = sys.argv.pop(1)
COUNT = 20
NOTHING_DRAWN = ["--shift", "0", "--flip", "none", "--cutout", "0", "--rotate", "0", "--scale", "0"]
EPOCHS = 120  # of one step each: more than any recipe warms up for
# A loss has the roundings of some thousand products behind one another, 2^-24 each, and a step carries on what they
# change of the weights: 8 steps * 4,000 * 2^-24 of a loss of about 2.
STEPS, TOLERANCE = 8, 4e-3


def write_cifar(folder):
    """Four pictures in each of the five training files. Returns images [20, 3, 32, 32] and labels [20]."""
    folder.mkdir()
    draw = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (COUNT, 3072), generator=draw)
    labels = torch.arange(COUNT) % 10
    rows = [bytes([label, *image]) for label, image in zip(labels.tolist(), images.tolist())]
    for file in range(5):
        (folder / f"data_batch_{file + 1}.bin").write_bytes(b"".join(rows[4 * file:4 * file + 4]))
    (folder / "test_batch.bin").write_bytes(rows[0])
    return images.reshape(COUNT, 3, 32, 32), labels


def write_digits(folder):
    images, labels = write_made_up_data(folder, COUNT, 28)
    return torch.tensor(images).reshape(COUNT, 1, 28, 28), torch.tensor(labels)


def convoy(*arguments):
    return subprocess.run([CONVOY, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def losses_of_pytorch(training, recipe, inputs, labels):
    losses = []
    for setting in settings_by_step(recipe, EPOCHS, 1)[:STEPS]:
        training.updates.apply(setting)
        training.model.zero_grad(set_to_none=True)
        loss = F.cross_entropy(training.model(inputs), labels, label_smoothing=training.smoothing)
        loss.backward()
        if training.clip:
            nn.utils.clip_grad_norm_(training.model.parameters(), training.clip)
        training.updates.step()
        losses.append(loss.item())
    return losses


class FirstSteps(unittest.TestCase):
    def check(self, name):
        flags = ["--recipe", name, *NOTHING_DRAWN, "--batch-size", COUNT, "--epochs", EPOCHS, "--log-every", 1]
        recipe = tomllib.loads(convoy("train", *flags, "--print-config"))
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            is_cifar = recipe["dataset"] == "cifar10"
            images, labels = (write_cifar if is_cifar else write_digits)(folder / "data")
            where = ["--data", folder / "data", "--dataset", "cifar10" if is_cifar else "idx", "--device", "cpu"]
            convoy("train", *where, "--model", recipe["model"], "--epochs", 1, "--batch-size", COUNT,
                   "--out", folder / "names")
            model = json.loads((folder / "names/model.json").read_text())
            training = Training({"seed": 1, "recipe": recipe, "model": model, "device": "cpu"}, "contiguous+default")
            names = torch.load(folder / "names/model.ckpt")
            torch.save(dict(zip(names, training.model.state_dict().values())), folder / "initial.ckpt")
            convoy("train", *flags, *where, "--init", folder / "initial.ckpt", "--out", folder / "run")
            events = map(json.loads, (folder / "run/log.jsonl").read_text().splitlines())
            ours = [event["loss"] for event in events if event["event"] == "step"][:STEPS]
            mean, std = (torch.tensor(model["preparation"][key]).reshape(1, -1, 1, 1) for key in ("mean", "std"))
            theirs = losses_of_pytorch(training, recipe, (images.float() / 255 - mean) / std, labels)
        self.assertEqual(len(ours), STEPS)
        for a, b in zip(ours, theirs):
            self.assertAlmostEqual(a, b, delta=TOLERANCE)
        self.assertGreater(abs(ours[-1] - ours[0]), 10 * TOLERANCE, "the steps change the loss")


for listed in map(json.loads, convoy("recipes", "--json").splitlines()):
    setattr(FirstSteps, "test_" + listed["name"].replace("-", "_"), lambda self, name=listed["name"]: self.check(name))

if __name__ == "__main__":
    unittest.main()
