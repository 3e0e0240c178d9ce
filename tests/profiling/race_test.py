"""race.py with stand-ins for Convoy and PyTorch; the PyTorch side itself where this interpreter has torch."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "profiling" / "bench"
sys.path[:0] = [str(BENCH), str(BENCH / "peers")]

import race  # noqa: E402  (its folder must be on the path first)

HAS_TORCH = importlib.util.find_spec("torch") is not None
HAS_TOML = race.tomllib is not None

# Takes the place of convoy: seed s reaches 98 + s % in s seconds.
CONVOY = """#!{python} -IS
import json, os, sys
with open({log!r}, "a") as log:
    print("convoy", *sys.argv[1:], file=log)
if "--print-config" in sys.argv:
    print('seed = 1\\nlr = 0.02\\noptimizer = "sgd"\\nmomentum = 0.9\\n[recipe]\\nreaches = "99 %"')
    sys.exit(0)
if "--lr=-1" in sys.argv:
    sys.exit("convoy: error: --lr: '-1' is not a finite number above 0")
value = dict(zip(sys.argv, sys.argv[1:]))
out, seed = value["--out"], int(value["--seed"])
os.makedirs(out)
with open(out + "/run.json", "w") as file:
    json.dump(dict(data="/data", dataset="mnist", device="cpu", settle_batches=50,
                   preparation=dict(mean=[0.5], std=[0.25])), file)
with open(out + "/model.json", "w") as file:
    json.dump(dict(name="m", layers=[]), file)
print(json.dumps(dict(event="run")))
print(json.dumps(dict(event={event!r}, accuracy=(98 + seed) / 100, training_seconds=seed, images=1000)))
"""

# Takes the place of an interpreter with PyTorch: three times as slow, and less accurate by {behind} %.
PYTHON = """#!{python} -IS
import json, os, sys
with open({log!r}, "a") as log:
    job = json.load(open(sys.argv[2]))
    print("python", os.path.basename(sys.argv[1]), json.dumps(job), file=log)
if not {works}:
    sys.exit("ModuleNotFoundError: No module named 'torch'")
print(json.dumps(dict(version="9.9", setting="channels_last+fused", accuracy=(98 + job["seed"] - {behind}) / 100,
                      training_seconds=3 * job["seed"], images=1000)))
"""


class Race(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.log = self.folder / "log"

    def program(self, name: str, text: str, **values: object) -> str:
        path = self.folder / name
        path.write_text(text.format(python=sys.executable, log=str(self.log), **values), encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def race(self, *arguments: str, works: bool = True, behind: float = 0, event: str = "done") -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        out, err = io.StringIO(), io.StringIO()
        convoy = self.program("convoy", CONVOY, event=event)
        python = self.program("python", PYTHON, works=works, behind=behind)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = race.main(["--convoy", convoy, "--python", python, *arguments])
        return code, out.getvalue(), err.getvalue()

    def lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def jobs(self) -> list[dict[str, object]]:
        return [json.loads(line.split(" ", 2)[2]) for line in self.lines() if line.startswith("python")]

    def test_both_take_turns_and_are_compared(self) -> None:
        code, out, err = self.race("--seeds", "1-2", "--to", "99", "--", "--shift", "2", "--flip")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual([line.split()[0] for line in self.lines()], ["convoy", "python"] * 2)
        self.assertIn("train --shift 2 --flip --seed 1 --out ", self.lines()[0])
        self.assertTrue(self.lines()[0].endswith(" --json --stop-at 99.0"))
        # 99 and 100 %: a standard deviation of sqrt(1/2), over sqrt(2), times 12.706.
        self.assertRegex(out, r"\nConvoy +99\.50 \+- 6\.35 +1\.50 \+- 6\.35 +1000\n")
        self.assertRegex(out, r"\nPyTorch 9\.9, channels_last\+fused +99\.50 \+- 6\.35 +4\.50 \+- 19\.06 +1000\n")
        self.assertIn("Convoy is 3.00 times as fast (median of the seeds' ratios, 3.00 .. 3.00)", out)
        self.assertIn("the intervals of the accuracies overlap\n", out)
        first, second = self.jobs()
        self.assertEqual(first["recipe"], {"shift": 2, "flip": True})
        self.assertEqual((first["setting"], second["setting"]), (None, "channels_last+fused"))
        self.assertEqual((first["mean"], first["std"], first["swa"], first["bn_batches"]), ([0.5], [0.25], True, 50))

    def test_another_accuracy_is_told(self) -> None:
        _, out, _ = self.race("--seeds", "1-3", behind=10)
        self.assertIn("the intervals of the accuracies do NOT overlap\n", out)

    @unittest.skipUnless(HAS_TOML, "reading TOML takes Python 3.11")
    def test_a_recipe_is_what_convoy_prints_and_flags_override_it(self) -> None:
        code, _, err = self.race("--seeds", "1", "--recipe", "fast", "--", "--lr", "0.5")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(self.lines()[0], "convoy train --recipe fast --print-config")
        self.assertIn("train --recipe fast --lr 0.5 --seed 1", self.lines()[1])
        self.assertEqual(self.jobs()[0]["recipe"], {"lr": 0.5, "optimizer": "sgd", "momentum": 0.9})

    @unittest.skipUnless(HAS_TOML, "reading TOML takes Python 3.11")
    def test_a_file_may_have_only_what_pytorch_does_as_well(self) -> None:
        file = self.folder / "recipe.toml"
        file.write_text('lr = 0.1\ncutout = 8\n', encoding="utf-8")
        code, _, err = self.race("--config", str(file))
        self.assertEqual(code, 2)
        self.assertRegex(err, r"^race: the PyTorch side has no 'cutout' \(here 8\): leave it out, or extend pytorch_")
        file.write_text('lr = 0.1\ncutout = 0\nlog-every = 10\nprecision = "fp32"\n', encoding="utf-8")
        self.assertEqual(self.race("--config", str(file), "--seeds", "1")[0], 0)
        self.assertEqual(self.jobs()[0]["recipe"], {"lr": 0.1})
        file.write_text("lr = \n", encoding="utf-8")
        self.assertRegex(self.race("--config", str(file))[2], r"^race: .*recipe.toml: ")
        self.assertRegex(self.race("--config", str(self.folder / "no"))[2], r"^race: .*no: No such file")

    def test_without_pytorch_convoy_is_left(self) -> None:
        code, out, err = self.race("--seeds", "1-2", works=False)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("PyTorch: not measured: ", out)
        self.assertIn("No module named 'torch'\n", out)
        self.assertRegex(out, r"\nConvoy +99\.50")
        self.assertNotIn("times as fast", out)
        code, _, err = self.race("--seeds", "1-2", "--require-pytorch", works=False)
        self.assertEqual(code, 2)
        self.assertRegex(err, "^race: .*No module named 'torch'\n$")

    def test_what_cannot_be_is_one_clear_line(self) -> None:
        for flags, message in ((["--seed", "3"], "'seed' cannot be part of it: the race has --seeds and --to"),
                               (["lr"], "'lr' is no flag of convoy train"), (["--lr"], "--lr needs a value"),
                               (["--precision", "bf16"], "the PyTorch side has no 'precision' (here bf16)"),
                               (["--lr=-1"], "'-1' is not a finite number above 0")):
            with self.subTest(flags=flags):
                code, _, err = self.race("--", *flags)
                self.assertEqual(code, 2)
                self.assertEqual(len(err.splitlines()), 1)
                self.assertIn(message, err)
        self.assertRegex(self.race(event="epoch")[2], "ended without a complete 'done' event\n$")
        self.assertRegex(self.race("--convoy", "/nowhere")[2], "^race: no program at /nowhere: build it first")
        for wrong in (["--seeds", "2-1"], ["--seeds", "x"], ["--to", "101"]):
            with self.subTest(wrong=wrong), self.assertRaises(SystemExit) as raised:
                self.race(*wrong)
            self.assertEqual(raised.exception.code, 2)

    def test_student_t_is_that_of_the_tables(self) -> None:
        for degrees, t in ((1, 12.70620), (2, 4.30265), (9, 2.26216), (30, 2.04227)):
            self.assertAlmostEqual(race.student_t_95(degrees), t, delta=0.5e-5)


@unittest.skipUnless(HAS_TORCH, "this interpreter has no torch")
class PytorchSide(unittest.TestCase):
    def setUp(self) -> None:
        import pytorch_training
        import torch

        torch.set_num_threads(1)
        self.torch, self.side = torch, pytorch_training

    def optimizer(self, **recipe: object) -> object:
        return self.side.optimizer_of(recipe, self.torch.nn.Linear(2, 3), "default")

    def test_models_are_those_of_the_file(self) -> None:
        layers = [{"name": "a", "type": "Conv2d", "in_channels": 1, "out_channels": 2, "kernel_size": [3, 3],
                   "padding": 1},
                  {"name": "b", "type": "Residual", "body": [{"name": "n", "type": "BatchNorm2d", "num_features": 2}]},
                  {"name": "p", "type": "MaxPool2d", "kernel_size": 2, "stride": 0},
                  {"name": "g", "type": "GlobalAvgPool2d"}, {"name": "f", "type": "Flatten"},
                  {"name": "l", "type": "Linear", "in_features": 2, "out_features": 5}]
        model = self.side.network_of(layers)
        self.assertEqual(model(self.torch.zeros(4, 1, 6, 6)).shape, (4, 5))
        self.assertEqual(model[2].stride, 2)
        with self.assertRaises(SystemExit):
            self.side.network_of([{"name": "x", "type": "Nonsense"}])

    def test_images_move_over_black(self) -> None:
        image = self.torch.arange(1, 10, dtype=self.torch.uint8).reshape(1, 1, 3, 3)
        job = {"recipe": {"batch-size": 200, "shift": 1}, "mean": 0.5, "std": 0.25}
        labels = self.torch.zeros(200, dtype=self.torch.long)
        batches = self.side.Batches(job, image.expand(200, 1, 3, 3), labels, False)
        padded = self.torch.nn.functional.pad(image, (1, 1, 1, 1))[0, 0]
        expected = {tuple(padded[y:y + 3, x:x + 3].flatten().tolist()) for y in range(3) for x in range(3)}
        (images, _), = batches.epoch()
        bytes_again = ((images * 0.25 + 0.5) * 255).round().int()
        self.assertEqual({tuple(one.flatten().tolist()) for one in bytes_again}, expected)

    def test_rates_are_those_of_pytorchs_schedulers(self) -> None:
        recipe = {"lr": 0.4, "optimizer": "sgd", "momentum": 0.9, "schedule": "one-cycle", "pct-start": 0.5}
        values = self.side.settings_by_step(recipe, self.optimizer(**recipe), 2, 5)
        optimizer = self.optimizer(**recipe)
        scheduler = self.torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=10, pct_start=0.5)
        for rate, momentum in values:
            group = optimizer.param_groups[0]
            self.assertEqual((rate, momentum), (group["lr"], group["momentum"]))
            optimizer.step()
            if scheduler.last_epoch + 1 < len(values):
                scheduler.step()

        drops = self.side.settings_by_step({"lr": 1.0, "schedule": "step", "lr-step": 1, "lr-gamma": 0.5},
                                           self.optimizer(lr=1.0), 3, 2)
        self.assertEqual([rate for rate, _ in drops], [1, 1, 0.5, 0.5, 0.25, 0.25])
        rise = self.side.settings_by_step({"lr": 1.0, "warmup": "4steps", "warmup-factor": 0.2},
                                          self.optimizer(lr=1.0), 2, 3)
        for (rate, _), expected in zip(rise, (0.2, 0.4, 0.6, 0.8, 1.0, 1.0)):
            self.assertAlmostEqual(rate, expected, delta=1e-15)

    def test_biases_and_norms_can_be_spared(self) -> None:
        groups = self.optimizer(**{"weight-decay": 0.1, "decay": "weights"}).param_groups
        self.assertEqual([(group["weight_decay"], group["params"][0].ndim) for group in groups], [(0.1, 2), (0.0, 1)])

    def test_ten_sets_of_the_last_fifth_are_averaged(self) -> None:
        job = {"recipe": {}, "swa": True}
        self.assertEqual([step for step in range(1, 51) if self.side.is_averaged(job, step, 50)], list(range(41, 51)))
        self.assertEqual([step for step in range(1, 101) if self.side.is_averaged(job, step, 100)],
                         list(range(82, 101, 2)))


if __name__ == "__main__":
    unittest.main()
