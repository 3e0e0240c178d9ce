"""Writes the files of tests/io/golden with the PyTorch that runs it.

usage: make_golden.py FOLDER TAG; the files are FOLDER/TAG-*.ckpt. golden_test.cpp knows the values.
"""

import os
import sys
from collections import OrderedDict

import torch
from torch import nn


def ramp(shape, k):
    """As in convnet_state.h."""
    count = 1
    for size in shape:
        count *= size
    i = torch.arange(count, dtype=torch.int64)
    return (((37 * i + 11 * k) % 257 - 128).float() / 64).view(shape)


def small_module():
    layers = OrderedDict(conv=nn.Conv2d(1, 2, 3), bn=nn.BatchNorm2d(2), flatten=nn.Flatten(), fc=nn.Linear(2, 3))
    module = nn.Sequential(layers)
    with torch.no_grad():
        for k, tensor in enumerate(module.state_dict().values()):
            tensor.copy_(torch.tensor(600 + k) if tensor.dtype == torch.int64 else ramp(tensor.shape, k))
    return module


def types():
    special = torch.tensor([0.0, -0.0, float("inf"), -float("inf"), float("nan"), 2.0**-24, -(2.0**-14), 0.333])
    return {
        "half": ramp((2, 3), 0).half(),
        "half_special": special.half(),
        "bfloat16": ramp((2, 3), 1).bfloat16(),
        "bfloat16_special": special.bfloat16(),
        "double": ramp((2, 3), 2).double() / 3,
        "int32": torch.tensor([-(2**31), -1, 0, 2**31 - 1], dtype=torch.int32),
        "int64": torch.tensor([-(2**53), -1, 0, 2**53]),
    }


def views():
    base = ramp((12,), 0)
    matrix = base.view(3, 4)
    return OrderedDict(
        matrix=matrix, transposed=matrix.t(), tail=base[8:], column=matrix[:, 1], scalar=base[5], empty=base[:0]
    )


def training():
    module = small_module()
    optimizer = torch.optim.Adam(module.parameters())
    return {"epoch": 3, "model": module.state_dict(), "optimizer": optimizer.state_dict()}


def parallel_training():
    """As DataParallel and a script that keeps the generators make it."""
    state = OrderedDict(("module." + name, tensor.half() if tensor.is_floating_point() else tensor)
                        for name, tensor in small_module().state_dict().items())
    return {"epoch": 7, "rng": torch.arange(5, dtype=torch.uint8), "state_dict": state, "best": torch.tensor(0.5)}


def main(folder, tag):
    def save(name, value, **options):
        torch.save(value, os.path.join(folder, f"{tag}-{name}.ckpt"), **options)

    save("module", small_module().state_dict())
    save("parameters", dict(small_module().named_parameters()))
    save("types", types())
    save("views", views())
    save("expanded", {"expanded": torch.zeros(1).expand(1000)})
    save("bytes", {"image": torch.zeros(2, dtype=torch.uint8)})
    save("training", training())
    save("legacy", {"x": ramp((2,), 0)}, _use_new_zipfile_serialization=False)
    save("protocol4", {"x": ramp((2,), 0)}, pickle_protocol=4)
    if tag == "torch-1.13":  # what people have in the format of before 1.6, which later versions write alike
        before = {"_use_new_zipfile_serialization": False}
        save("legacy-module", small_module().state_dict(), **before)
        save("legacy-types", types(), **before)
        save("legacy-views", views(), **before)
        save("legacy-training", parallel_training(), **before)


if __name__ == "__main__":
    main(*sys.argv[1:])
