"""PyTorch loads what Convoy saved, and Convoy loads what PyTorch saved.

usage: torch_roundtrip.py IO_CHECKPOINT_TOOL; exits with 77 (skipped) where torch cannot be imported.
"""

import os
import subprocess
import sys
import tempfile
import unittest

try:
    import torch
except ImportError as error:
    print(f"skipped: {sys.executable} has no PyTorch ({error})")
    sys.exit(77)

from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from torch_convnet import ConvNet

TOOL = sys.argv.pop(1)


def expected(k, tensor):
    """Tensor k as convnet_state.h fills it."""
    if tensor.dtype == torch.int64:
        return torch.tensor(600 + k)
    i = torch.arange(tensor.numel(), dtype=torch.int64)
    return (((37 * i + 11 * k) % 257 - 128).to(tensor.dtype) / 64).view(tensor.shape)


def same_bits(a, b):
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    bits = torch.int32 if a.dtype == torch.float32 else a.dtype
    return torch.equal(a.contiguous().view(bits), b.contiguous().view(bits))


class RoundTrip(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def through_convoy(self, state):
        torch.save(state, self.path("in.ckpt"))
        subprocess.run([TOOL, "copy", self.path("in.ckpt"), self.path("out.ckpt")], check=True)
        return torch.load(self.path("out.ckpt"), weights_only=True)

    def assert_same(self, got, wanted):
        self.assertEqual(list(got), list(wanted))
        for name, tensor in wanted.items():
            self.assertTrue(same_bits(got[name], tensor), name)

    def test_torch_loads_what_convoy_saved(self):
        subprocess.run([TOOL, "convnet", self.path("convnet.ckpt")], check=True)
        state = torch.load(self.path("convnet.ckpt"), weights_only=True)
        model = ConvNet()
        self.assertEqual(list(state), list(model.state_dict()))
        model.load_state_dict(state, strict=True)
        for k, (name, tensor) in enumerate(model.state_dict().items()):
            self.assertTrue(torch.equal(tensor, expected(k, tensor)), name)
        self.assertEqual(tuple(model(torch.zeros(2, 1, 28, 28)).shape), (2, 10))

    def test_torch_maps_what_convoy_saved(self):
        subprocess.run([TOOL, "convnet", self.path("convnet.ckpt")], check=True)
        try:
            state = torch.load(self.path("convnet.ckpt"), weights_only=True, mmap=True)
        except TypeError:
            self.skipTest("this PyTorch cannot map checkpoints")
        for k, (name, tensor) in enumerate(state.items()):
            self.assertEqual(tensor.data_ptr() % tensor.element_size(), 0, name)
            self.assertTrue(torch.equal(tensor, expected(k, tensor)), name)

    def test_convnet_survives_convoy(self):
        torch.manual_seed(1)
        model = ConvNet()
        model(torch.randn(4, 1, 28, 28))  # moves the running statistics and the counters
        self.assert_same(self.through_convoy(model.state_dict()), model.state_dict())

    def test_parameters_survive_convoy(self):
        parameters = dict(ConvNet().named_parameters())
        self.assert_same(self.through_convoy(parameters), {k: v.detach() for k, v in parameters.items()})

    def test_special_values_survive_convoy(self):
        state = {
            "floats": torch.tensor([0.0, -0.0, float("inf"), -float("inf"), float("nan"), 1e-45, 3.4028234e38]),
            "int32": torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
            "int64": torch.tensor([[-(2**53)], [2**53]]),
            "empty": torch.zeros(0, 3),
            "view": torch.arange(24.0).view(2, 3, 4).permute(2, 0, 1)[1:],
        }
        self.assert_same(self.through_convoy(state), state)

    def test_narrow_and_wide_floats_become_float32(self):
        values = torch.tensor([0.0, -0.0, 1.5, -2.25, float("inf")])
        for dtype in (torch.float16, torch.bfloat16, torch.float64):
            self.assert_same(self.through_convoy({"x": values.to(dtype)}), {"x": values})

    def test_every_half_and_bfloat16_is_read_right(self):
        bits = torch.arange(-(2**15), 2**15).to(torch.int16)
        for dtype in (torch.float16, torch.bfloat16):
            values = bits.view(dtype)
            got = self.through_convoy({"x": values})["x"]
            wanted = values.float()
            self.assertTrue(torch.equal(got.isnan(), wanted.isnan()))
            self.assertTrue(same_bits(got[~got.isnan()], wanted[~wanted.isnan()]))

    def test_many_tensors(self):
        state = {f"layer{k}.weight": torch.full((1,), float(k)) for k in range(2500)}
        self.assert_same(self.through_convoy(state), state)

    def test_state_dict_is_found_in_a_training_checkpoint(self):
        model = nn.Linear(2, 2)
        optimizer = torch.optim.Adam(model.parameters())
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, self.path("in.ckpt"))
        subprocess.run([TOOL, "copy", self.path("in.ckpt"), self.path("out.ckpt")], check=True)
        self.assert_same(torch.load(self.path("out.ckpt")), model.state_dict())

    def test_optimizer_alone_is_refused(self):
        optimizer = torch.optim.Adam(nn.Linear(2, 2).parameters())
        torch.save(optimizer.state_dict(), self.path("in.ckpt"))
        done = subprocess.run(
            [TOOL, "copy", self.path("in.ckpt"), self.path("out.ckpt")], stderr=subprocess.PIPE, text=True
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("model.state_dict()", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertFalse(os.path.exists(self.path("out.ckpt")))


if __name__ == "__main__":
    print(f"PyTorch {torch.__version__} of {sys.executable}")
    unittest.main(verbosity=2)
