"""The PyTorch side of race.py, where this interpreter has torch."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import math
import struct
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

BENCH = Path(__file__).resolve().parents[2] / "profiling" / "bench"
sys.path[:0] = [str(BENCH / "peers")]

HAS_TORCH = importlib.util.find_spec("torch") is not None
if HAS_TORCH:
    import pytorch_data
    import pytorch_model
    import pytorch_training
    import pytorch_updates
    import torch
    from torch import nn

    torch.set_num_threads(1)
    HAS_MUON = hasattr(torch.optim, "Muon")
else:
    HAS_MUON = False

LAYERS = [{"name": "a", "type": "Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": [3, 3], "padding": 1},
          {"name": "n", "type": "BatchNorm2d", "num_features": 4},
          {"name": "r", "type": "ReLU"},
          {"name": "b", "type": "Residual", "body": [
              {"name": "c", "type": "Conv2d", "in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": 1}]},
          {"name": "p", "type": "MaxPool2d", "kernel_size": 2, "stride": 0},
          {"name": "g", "type": "GlobalAvgPool2d"}, {"name": "f", "type": "Flatten"},
          {"name": "l", "type": "Linear", "in_features": 4, "out_features": 2}]


@unittest.skipUnless(HAS_TORCH, "this interpreter has no torch")
class Model(unittest.TestCase):
    def test_it_is_that_of_the_file(self) -> None:
        model = pytorch_model.network_of(LAYERS)
        self.assertEqual(model(torch.zeros(4, 1, 6, 6)).shape, (4, 2))
        self.assertEqual(model[4].stride, 2)
        with self.assertRaises(SystemExit):
            pytorch_model.network_of([{"name": "x", "type": "Nonsense"}])


@unittest.skipUnless(HAS_TORCH, "this interpreter has no torch")
class Batches(unittest.TestCase):
    IMAGE = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]

    def batches(self, count: int = 200, image: list[list[int]] | None = None, std: float = 1 / 255,
                **recipe: object) -> pytorch_data.Batches:
        """Of one image many times, whose values stay bytes."""
        images = torch.tensor(image or self.IMAGE, dtype=torch.uint8)[None, None].repeat(count, 1, 1, 1)
        job = {"recipe": {"batch-size": count, **recipe}, "mean": 0, "std": std}
        return pytorch_data.Batches(job, images, torch.arange(count), False)

    def seen(self, batches: pytorch_data.Batches) -> set[tuple[int, ...]]:
        (images, _), = batches.epoch()
        return {tuple(one.flatten().round().int().tolist()) for one in images}

    def moves_of(self, padded: list[list[int]]) -> set[tuple[int, ...]]:
        return {tuple(padded[y + i][x + k] for i in range(3) for k in range(3)) for y in range(3) for x in range(3)}

    def test_images_move_over_black_or_their_mirror_image(self) -> None:
        black = [[0] * 5] + [[0, *row, 0] for row in self.IMAGE] + [[0] * 5]
        self.assertEqual(self.seen(self.batches(shift=1)), self.moves_of(black))
        mirror = [[row[1], *row, row[1]] for row in (self.IMAGE[1], *self.IMAGE, self.IMAGE[1])]
        self.assertEqual(self.seen(self.batches(shift=1, padding="reflect")), self.moves_of(mirror))
        self.assertEqual(self.seen(self.batches()), {tuple(range(1, 10))})

    def test_flips(self) -> None:
        plain, flipped = tuple(range(1, 10)), (3, 2, 1, 6, 5, 4, 9, 8, 7)
        self.assertEqual(self.seen(self.batches(flip="random")), {plain, flipped})
        batches = self.batches(flip="alternating")
        epochs = []
        for _ in range(3):
            (images, labels), = batches.epoch()
            epochs.append((images[:, 0, 0, 0] > 2)[labels.argsort()])
        self.assertTrue(50 < int(epochs[0].sum()) < 150)
        self.assertTrue(torch.equal(epochs[0], ~epochs[1]))
        self.assertTrue(torch.equal(epochs[0], epochs[2]))

    def test_a_square_is_cut_out_behind_the_normalisation(self) -> None:
        batches = self.batches(400, [[255] * 5] * 5, std=0.5, cutout=2)
        (images, _), = batches.epoch()
        self.assertEqual(set(images.flatten().tolist()), {0.0, 2.0})
        # Around pixel 0 one row is left of two, around all others two.
        self.assertEqual({int(count) for count in (images == 0).sum((1, 2, 3))}, {1, 2, 4})
        self.assertEqual(set((images == 0).any(3).sum((1, 2)).tolist()), {1, 2})

    def turned(self, image: list[list[int]], angle: float, size: float, down: int, right: int, flip: bool,
               reflect: bool) -> list[float]:
        """Pixel by pixel: where it comes from, and the four pixels there."""
        tall, wide = len(image), len(image[0])

        def mirrored(at: int, count: int) -> int:
            at %= 2 * (count - 1)
            return min(at, 2 * (count - 1) - at)

        def pixel(y: int, x: int) -> int:
            if reflect:
                y, x = mirrored(y, tall), mirrored(x, wide)
            if not (0 <= y < tall and 0 <= x < wide):
                return 0
            return image[y][wide - 1 - x if flip else x]

        values = []
        for i in range(tall):
            for k in range(wide):
                y, x = i + down - (tall - 1) / 2, k + right - (wide - 1) / 2
                from_y = (math.cos(angle) * y - math.sin(angle) * x) / size + (tall - 1) / 2
                from_x = (math.cos(angle) * x + math.sin(angle) * y) / size + (wide - 1) / 2
                top, left = math.floor(from_y), math.floor(from_x)
                part_y, part_x = from_y - top, from_x - left
                values.append(sum((part_y if a else 1 - part_y) * (part_x if b else 1 - part_x) *
                                  pixel(top + a, left + b) for a in (0, 1) for b in (0, 1)))
        return values

    def test_rotation_scale_and_shift_are_where_convoy_has_them(self) -> None:
        image = [[(37 * y + 91 * x) % 251 for x in range(7)] for y in range(5)]
        for padding in ("zeros", "reflect"):
            for flip in (False, True):
                with self.subTest(padding=padding, flip=flip):
                    batches = self.batches(1, image, rotate=40.0, scale=0.25, shift=2, padding=padding,
                                           flip="alternating" if flip else "none")
                    batches.mirrored, batches.begun = torch.tensor([True]), 1
                    drawn = mock.Mock(side_effect=[torch.tensor([0.75]), torch.tensor([0.1])])
                    moves = mock.Mock(return_value=torch.tensor([[2], [-1]]))
                    with mock.patch.object(torch, "rand", drawn), mock.patch.object(torch, "randint", moves):
                        (values, _) = batches.batch(torch.tensor([0]))
                    expected = self.turned(image, math.radians(20), 0.8, 2, -1, flip, padding == "reflect")
                    # A place is off by some 2^-22 of a pixel, a value by 251 times that and what its sums round.
                    for value, wanted in zip(values.flatten().tolist(), expected):
                        self.assertAlmostEqual(value, wanted, delta=1e-3)

    def test_layout_changes_no_value(self) -> None:
        images = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8)
        job = {"recipe": {"batch-size": 4}, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.25, 0.125]}
        index = torch.tensor([5, 0, 3])
        expected = (images[index].double() / 255 - torch.tensor(job["mean"])[:, None, None]) / torch.tensor(
            job["std"])[:, None, None]
        for last in (False, True):
            batches = pytorch_data.Batches(job, images, torch.arange(6), last)
            for x, labels in (batches.batch(index), batches.plain(index)):
                self.assertEqual(labels.tolist(), [5, 0, 3])
                self.assertTrue(torch.allclose(x.double(), expected, atol=1e-5))  # 8 times a few units of 2^-24
                self.assertTrue(x.is_contiguous(memory_format=torch.channels_last if last else torch.contiguous_format))


@unittest.skipUnless(HAS_TORCH, "this interpreter has no torch")
class Updates(unittest.TestCase):
    def rates(self, epochs: int, steps: int, **recipe: object) -> list[float]:
        flags = {key.replace("_", "-"): value for key, value in recipe.items()}
        return [rate for rate, _ in pytorch_updates.settings_by_step(flags, epochs, steps)]

    def assert_rates(self, rates: list[float], expected: list[float]) -> None:
        self.assertEqual(len(rates), len(expected))
        for rate, wanted in zip(rates, expected):
            self.assertAlmostEqual(rate, wanted, delta=1e-14)

    def test_rates_are_those_of_pytorchs_schedulers(self) -> None:
        recipe = {"lr": 0.4, "optimizer": "sgd", "momentum": 0.9, "schedule": "one-cycle", "pct-start": 0.5}
        values = pytorch_updates.settings_by_step(recipe, 2, 5)
        optimizer = torch.optim.SGD(nn.Linear(2, 3).parameters(), lr=0.4, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=10, pct_start=0.5)
        for rate, momentum in values:
            group = optimizer.param_groups[0]
            self.assertEqual((rate, momentum), (group["lr"], group["momentum"]))
            optimizer.step()
            if scheduler.last_epoch + 1 < len(values):
                scheduler.step()

    def test_schedules_by_step_and_by_epoch(self) -> None:
        self.assert_rates(self.rates(3, 2, lr=1.0, schedule="step", lr_step=1, lr_gamma=0.5), [1, 1, .5, .5, .25, .25])
        self.assert_rates(self.rates(3, 2, lr=1.0, schedule="multi-step", lr_milestones=[1, 2], lr_gamma=0.5),
                          [1, 1, .5, .5, .25, .25])
        self.assert_rates(self.rates(1, 4, lr=1.0, schedule="exponential", lr_gamma=0.5, schedule_by="steps"),
                          [1, .5, .25, .125])
        self.assert_rates(self.rates(1, 4, lr=1.0, schedule="linear", lr_end=0.2), [1, .8, .6, .4])
        half = math.sqrt(0.125)
        self.assert_rates(self.rates(2, 2, lr=1.0, schedule="cosine"), [1, .5 + half, .5, .5 - half])
        self.assert_rates(self.rates(1, 3, lr=0.3), [.3, .3, .3])

    def test_a_schedule_begins_behind_its_warm_up(self) -> None:
        self.assert_rates(self.rates(2, 3, lr=1.0, warmup="4steps", warmup_factor=0.2), [.2, .4, .6, .8, 1, 1])
        self.assert_rates(self.rates(2, 2, lr=1.0, warmup="1epoch", warmup_factor=0.5, schedule="linear"),
                          [.5, .75, 1, .5])
        # Epochs count from the warm-up's end, too.
        self.assert_rates(self.rates(2, 4, lr=1.0, warmup=1, warmup_factor=0.5, schedule="step", lr_step=1),
                          [.5, 1, 1, 1, 1, .1, .1, .1])

    def test_biases_and_norms_can_be_spared(self) -> None:
        updates = pytorch_updates.Updates({"weight-decay": 0.1, "decay": "weights"}, nn.Linear(2, 3), "default")
        self.assertEqual([(group["weight_decay"], group["params"][0].ndim) for group in updates.optimizer.param_groups],
                         [(0.1, 2), (0.0, 1)])
        for name, decay in (("adam", 0.0), ("adamw", 0.01), ("sgd", 0.0)):
            updates = pytorch_updates.Updates({"optimizer": name}, nn.Linear(2, 3), "default")
            self.assertEqual(updates.optimizer.param_groups[0]["weight_decay"], decay)
        with self.assertRaises(SystemExit):
            pytorch_updates.Updates({"optimizer": "lion"}, nn.Linear(2, 3), "default")

    def test_ten_sets_of_the_last_fifth_are_averaged(self) -> None:
        for total, expected in ((50, range(41, 51)), (100, range(82, 101, 2))):
            self.assertEqual([step for step in range(1, total + 1) if pytorch_updates.is_averaged({}, step, total)],
                             list(expected))

    def test_a_moving_average_moves_by_a_part(self) -> None:
        model = nn.BatchNorm2d(1)
        average = pytorch_updates.average_of({"ema": 0.75}, False, model)
        for weight, running in ((1.0, 4.0), (2.0, 8.0), (3.0, 0.0)):
            with torch.no_grad():
                model.weight.fill_(weight)
                model.running_mean.fill_(running)
            average.update_parameters(model)
        # The first is taken; then 1 + (2 - 1) / 4, and from there a quarter of the way to 3.
        self.assertAlmostEqual(average.module.weight.item(), 1.6875, delta=1e-6)
        self.assertAlmostEqual(average.module.running_mean.item(), 3.75, delta=1e-6)
        self.assertIsNone(pytorch_updates.average_of({}, False, model))

    @unittest.skipUnless(HAS_MUON, "this PyTorch has no Muon")
    def test_muon_trains_convolutions_in_either_layout(self) -> None:
        recipe = {"muon": True, "muon-lr": 0.5, "muon-weight-decay": 0.25, "lr": 0.1, "optimizer": "sgd"}
        left = []
        for layout in (torch.contiguous_format, torch.channels_last):
            torch.manual_seed(1)
            model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 8), nn.Linear(8, 2))
            model = model.to(memory_format=layout)
            before = [p.detach().clone() for p in model.parameters()]
            updates = pytorch_updates.Updates(recipe, model, "default")
            updates.apply((0.05, None))  # half the rate, Muon's too
            gradients = [torch.randn(p.shape) for p in model.parameters()]
            for p, gradient in zip(model.parameters(), gradients):
                p.grad = gradient.clone().to(memory_format=layout if p.ndim == 4 else torch.contiguous_format)
            updates.step()
            after = [p.detach() for p in model.parameters()]
            for old, new, gradient in list(zip(before, after, gradients))[1:]:
                self.assertTrue(torch.allclose(new, old - 0.05 * gradient, atol=1e-6))
            # 8 rows of 27: singular values of about 1, so that a step has a norm of about sqrt(8).
            step = ((1 - 0.25 * 0.25) * before[0] - after[0]) / 0.25
            self.assertTrue(0.6 * math.sqrt(8) < step.norm().item() < 1.3 * math.sqrt(8))
            left.append(after[0])
        # Products in bf16 of other orders of columns: 2^-8 of values up to 1, a few times over, times the rate.
        self.assertTrue(torch.allclose(left[0], left[1], atol=0.02))
        updates = pytorch_updates.Updates({**recipe, "muon-linear": True}, model, "default")
        self.assertEqual([tuple(m.shape) for m in updates.muon.matrices], [(8, 27), (8, 8)])  # not the last one

    @unittest.skipIf(HAS_MUON, "this PyTorch has Muon")
    def test_muon_is_refused_where_it_is_not(self) -> None:
        with self.assertRaisesRegex(SystemExit, "has no torch.optim.Muon: take 2.9 or newer"):
            pytorch_updates.Updates({"muon": True}, pytorch_model.network_of(LAYERS), "default")


@unittest.skipUnless(HAS_TORCH, "this interpreter has no torch")
class Training(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for part, count in (("train", 70), ("t10k", 40)):  # class 1 is bright
            labels = bytes(i % 2 for i in range(count))
            pixels = b"".join(bytes((200 if label else 20) + i % 7 for i in range(64)) for label in labels)
            header = struct.pack(">4I", 0x803, count, 8, 8)
            (self.folder / f"{part}-images-idx3-ubyte").write_bytes(header + pixels)
            (self.folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, count) + labels)

    def train(self, setting: str | None = "contiguous+default", to: float | None = None, every: int = 0,
              swa: bool = False, **recipe: object) -> dict[str, object]:
        flags = {key.replace("_", "-"): value for key, value in recipe.items()}
        job = {"recipe": {"batch-size": 16, "epochs": 4, "lr": 0.01, **flags},
               "model": {"layers": LAYERS}, "data": str(self.folder), "dataset": "mnist", "mean": [0.3], "std": [0.4],
               "swa": swa, "bn_batches": 3, "to": to, "test_every": every, "device": "cpu", "threads": 1,
               "compile": False, "seed": 1, "setting": setting}
        path = self.folder / "job.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        out = io.StringIO()
        with mock.patch.object(sys, "argv", ["", str(path)]), contextlib.redirect_stdout(out):
            pytorch_training.main()
        return json.loads(out.getvalue())

    def test_every_ingredient_trains(self) -> None:
        for recipe in ({}, {"swa": True}, {"ema": 0.5}, {"clip_norm": 1.0, "label_smoothing": 0.1, "decay": "weights",
                                                        "weight_decay": 0.01, "optimizer": "adamw"},
                       {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "schedule": "one-cycle", "lr": 0.1},
                       {"shift": 2, "padding": "reflect", "flip": "alternating", "cutout": 2},
                       {"shift": 1, "rotate": 10.0, "scale": 0.1, "flip": "random"},
                       *([{"muon": True, "muon_lr": 0.02}] if HAS_MUON else [])):
            with self.subTest(recipe=recipe):
                done = self.train(**recipe)
                self.assertGreater(done["accuracy"], 0.9)
                self.assertEqual(done["images"], 4 * 70)
                self.assertGreater(done["training_seconds"], 0)

    def test_the_fastest_setting_is_found_and_limits_hold(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            done = self.train(None, epochs=1, limit_train=64, validation=32, limit_test=10)
        self.assertRegex(done["setting"], r"^(contiguous|channels_last)\+(default|foreach|fused)$")
        self.assertEqual(done["images"], 32)

    def test_without_a_setting_that_works_one_line_says_why(self) -> None:
        with self.assertRaisesRegex(SystemExit, "^PyTorch cannot train this recipe: "), \
                contextlib.redirect_stderr(io.StringIO()):
            self.train(None, optimizer="sgd", nesterov=True)

    def test_it_ends_with_the_test_that_reaches_it(self) -> None:
        self.assertEqual(self.train(to=1.0)["images"], 70)
        self.assertEqual(self.train(to=1.0, every=2)["images"], 32)

    def test_an_accuracy_is_reached_in_decimal_digits(self) -> None:
        for hits, percent in ((5700, 57.0), (9004, 90.04), (9400, 94.0), (9934, 99.34), (9999, 99.99), (10000, 100.0)):
            self.assertTrue(pytorch_training.reaches(hits, 10000, percent))
            self.assertFalse(pytorch_training.reaches(hits - 1, 10000, percent))

    def test_statistics_are_of_images_as_they_are(self) -> None:
        seen = []
        plain, augmented = pytorch_data.Batches.plain, pytorch_data.Batches.batch
        with mock.patch.object(pytorch_data.Batches, "plain", lambda *a: seen.append("plain") or plain(*a)), \
                mock.patch.object(pytorch_data.Batches, "batch", lambda *a: seen.append("augmented") or augmented(*a)):
            self.train(swa=True, shift=1)
        # 5 steps of warm-up, 4 epochs of 5 steps, 3 batches for batch norm, one for the test.
        self.assertEqual(seen, ["augmented"] * 25 + ["plain"] * 4)

    def test_tests_come_behind_epochs_and_every_so_many_steps(self) -> None:
        job = {"to": 9, "test_every": 4}
        steps = [done for done in range(1, 13) if pytorch_training.tests_behind(job, done, 6, 12)]
        self.assertEqual(steps, [4, 6, 8])  # and 12 is the end
        self.assertFalse(pytorch_training.tests_behind({"to": None, "test_every": 4}, 4, 6, 12))


if __name__ == "__main__":
    unittest.main()
