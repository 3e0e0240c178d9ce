"""Writes the files of tests/io/golden/onnx: networks as PyTorch's two exporters write them, and as other tools do.

usage: make_onnx_golden.py FOLDER CORPUS, with torch, onnx, onnxscript and onnxruntime. FOLDER/logits.json has what each
network puts out for two images, of which byte i is (37 i + 11) mod 256, as (byte / 255), probabilities where it ends in a
(log-)softmax; onnx_golden_test.cpp reads it. The
small ones are also put into CORPUS, that of the fuzz target.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

FOLDER, CORPUS = Path(sys.argv[1]), Path(sys.argv[2])
SMALL = 4096  # bytes
LOGITS: dict[str, list] = {}


def images(channels: int, size: int) -> np.ndarray:
    count = 2 * channels * size * size
    pixels = (37 * np.arange(count) + 11) % 256
    return (pixels.astype(np.float32) / 255).reshape(2, channels, size, size)


# PyTorch


class ConvNet(nn.Module):
    """The tutorials' network, with few channels, flattened as they do."""

    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(1, 3, 5, padding=2), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2))
        self.layer2 = nn.Sequential(nn.Conv2d(3, 4, 5, padding=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.fc = nn.Linear(4 * 3 * 3, 5)

    def forward(self, x):
        out = self.layer2(self.layer1(x))
        return self.fc(out.reshape(out.size(0), -1))


class Block(nn.Module):
    def __init__(self, channels: int, out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(out + identity)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.layer1 = nn.Sequential(Block(4, 4, 1), Block(4, 6, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        x = self.pool(self.layer1(torch.relu(self.conv1(x))))
        return self.fc(self.dropout(torch.flatten(x, 1)))


class GroupNormNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.GroupNorm(2, 4), nn.ReLU(), nn.AvgPool2d(2, padding=1))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(36, 8, bias=False), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x):
        return self.head(self.body(x))


class MnistExample(nn.Module):
    """That of pytorch/examples, mnist/main.py, with fewer channels: it ends in probabilities."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 3, 1)
        self.conv2 = nn.Conv2d(3, 4, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(4 * 4 * 4, 8)
        self.fc2 = nn.Linear(8, 10)

    def forward(self, x):
        x = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        x = torch.flatten(self.dropout1(nn.functional.max_pool2d(x, 2)), 1)
        x = self.fc2(self.dropout2(torch.relu(self.fc1(x))))
        return nn.functional.log_softmax(x, dim=1)


class ThreeBranches(nn.Module):
    """A block of RepVGG (Ding et al., 2021) as it is trained, twice, and a batch norm of vectors."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2))
            self.one = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.BatchNorm2d(2))
            self.identity = nn.BatchNorm2d(2)

        def forward(self, x):
            return torch.relu(self.dense(x) + self.one(x) + self.identity(x))

    def __init__(self):
        super().__init__()
        self.stage1 = nn.Sequential(self.Block(), self.Block())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(50, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))

    def forward(self, x):
        return self.head(self.stage1(x))


def trained(module: nn.Module) -> nn.Module:
    """With statistics and affine parameters that are not the initial ones."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.5, 2)
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.normal_(0, 0.3)
    return module.eval()


def without_paths(file: Path) -> None:
    """Takes out the lines of this script that the exporters put beside each node."""
    model = onnx.load(file, load_external_data=False)
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer,
                 model.graph, model):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    onnx.save(model, file)


def export(name: str, module: nn.Module, channels: int, size: int) -> None:
    x = torch.from_numpy(images(channels, size))
    with torch.no_grad():
        logits = module(x).tolist()

    def write(tag: str, image: torch.Tensor, **options) -> None:
        file = f"{tag}-{name}.onnx"
        torch.onnx.export(module, (image,), FOLDER / file, **options)
        without_paths(FOLDER / file)
        LOGITS[file] = logits

    names = {"input_names": ["input"], "output_names": ["logits"]}
    write("torchscript", x, dynamo=False, dynamic_axes={"input": {0: "batch"}}, **names)
    write("torchscript-batch1", x[:1], dynamo=False, opset_version=11, **names)
    if name != "groupnorm":  # whose weights would be computed
        write("torchscript-unfolded", x, dynamo=False, dynamic_axes={"input": {0: "batch"}}, do_constant_folding=False,
              training=torch.onnx.TrainingMode.PRESERVE, keep_initializers_as_inputs=True, **names)
    batch = torch.export.Dim("batch")
    write("dynamo", x, dynamo=True, external_data=False, dynamic_shapes=({0: batch},))
    write("dynamo-batch1", x[:1], dynamo=True, external_data=True)


# Other tools


def value(name: str, shape: list) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def made(file: str, nodes: list, weights: dict, channels: int, size: int, opset: int = 17, inputs: tuple = ()) -> None:
    tensors = [w if isinstance(w, TensorProto) else numpy_helper.from_array(w, name) for name, w in weights.items()]
    graph = helper.make_graph(nodes, "made", [value("x", ["N", channels, size, size]), *inputs], [value("y", ["N", 3])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3 if opset < 10 else 8)
    onnx.checker.check_model(model)
    onnx.save(model, FOLDER / file)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    LOGITS[file] = session.run(None, {"x": images(channels, size)})[0].tolist()


def made_by_hand() -> None:
    rng = np.random.default_rng(3)

    def real(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.4, shape).astype(np.float32)

    node = helper.make_node
    # As tf2onnx has a dense layer: a product, then an addition; and padding by name.
    made("made-matmul.onnx", [
        node("Conv", ["x", "k"], ["c"], "conv", auto_pad="SAME_UPPER", strides=[1, 1]),
        node("Add", ["c", "kb"], ["cb"], "conv_bias"),
        node("Relu", ["cb"], ["r"], "relu"),
        node("Reshape", ["r", "flat"], ["f"], "flatten"),
        node("MatMul", ["f", "w1"], ["m1"], "dense/MatMul"),
        node("Add", ["b1", "m1"], ["a1"], "dense/Add"),
        node("Relu", ["a1"], ["r1"], "relu_2"),
        node("MatMul", ["r1", "w2"], ["y"], "dense_2/MatMul"),
    ], {"k": real(2, 1, 3, 3), "kb": real(1, 2, 1, 1), "flat": np.array([-1, 72]), "w1": real(72, 5), "b1": real(5), "w2": real(5, 3)}, 1, 6)
    # Constants as nodes, weights by Identity, lists of floats in place of bytes, half precision, transB = 0.
    made("made-constants.onnx", [
        node("Identity", ["x"], ["i"], "id"),
        node("Constant", [], ["k"], "kernel", value=numpy_helper.from_array(real(2, 2, 2, 2))),
        node("Conv", ["i", "k"], ["c"], "conv", group=1, dilations=[2, 1]),
        node("Identity", ["s"], ["s2"], "same"),
        node("BatchNormalization", ["c", "s", "s2", "m", "v"], ["n"], "norm", epsilon=1e-3, momentum=0.75),
        node("MaxPool", ["n"], ["p"], "pool", kernel_shape=[2, 2], strides=[1, 2], ceil_mode=1),
        node("Dropout", ["p", "ratio"], ["d"], "drop"),
        node("Flatten", ["d"], ["f"], "flat", axis=-3),
        node("Gemm", ["f", "w", "b"], ["y"], "fc"),
    ], {"s": helper.make_tensor("s", TensorProto.FLOAT, [2], [0.5, 1.5]), "m": real(2), "v": np.array([0.5, 2], np.float32),
        "ratio": np.array(0.25, np.float32), "w": real(8, 3).astype(np.float16).astype(np.float32), "b": real(1, 3)}, 2, 5)
    # Opset 9, where initializers are inputs as well, and a mean over the plane.
    made("made-opset9.onnx", [
        node("Conv", ["x", "k", "kb"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("AveragePool", ["c"], ["a"], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
        node("Dropout", ["a"], ["d"], ratio=0.25),
        node("ReduceMean", ["d"], ["g"], axes=[2, 3], keepdims=1),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "w", "b"], ["y"], transB=1),
    ], {"k": real(4, 1, 3, 3), "kb": real(4), "w": real(3, 4), "b": real(3)}, 1, 6, opset=9,
         inputs=(value("k", [4, 1, 3, 3]), value("kb", [4]), value("w", [3, 4]), value("b", [3])))
    # Residuals without weights, one after the other, and a shape that is computed.
    made("made-residuals.onnx", [
        node("Relu", ["x"], ["r"], "first"),
        node("Add", ["x", "r"], ["a"], "add"),
        node("Conv", ["a", "k"], ["c"], "conv"),
        node("Add", ["c", "a"], ["b"], "add_2"),
        node("Shape", ["b"], ["shape"], "shape"),
        node("Slice", ["shape", "zero", "one", "zero"], ["batch"], "batch"),
        node("Concat", ["batch", "minus"], ["flat"], "concat", axis=0),
        node("Reshape", ["b", "flat"], ["f"], "reshape"),
        node("Gemm", ["f", "w"], ["y"], "fc", transB=1),
    ], {"k": real(1, 1, 1, 1), "zero": np.array([0]), "one": np.array([1]), "minus": np.array([-1]), "w": real(3, 16)}, 1, 4)


    # As Keras has padding of stride 2, which is uneven, numbers in place of lists, and probabilities.
    made("made-uneven.onnx", [
        node("Conv", ["x", "k"], ["c"], "conv", auto_pad="SAME_UPPER", strides=[2, 2]),
        node("Add", ["c", "half"], ["cb"], "conv_bias"),
        node("Conv", ["cb", "k2", "kb2"], ["c2"], "conv_2", pads=[1, 1, 1, 0], strides=[1, 2]),
        node("Flatten", ["c2"], ["f"], "flatten"),
        node("Gemm", ["f", "w1", "one"], ["g"], "dense", beta=0.5),
        node("MatMul", ["g", "w2"], ["m"], "dense_2/MatMul"),
        node("Add", ["m", "number"], ["a"], "dense_2/Add"),
        node("Softmax", ["a"], ["p"], "softmax"),
        node("Identity", ["p"], ["y"], "probabilities"),
    ], {"k": real(2, 1, 3, 3), "half": np.array(0.5, np.float32), "k2": real(2, 2, 3, 2), "kb2": real(2),
        "w1": real(16, 5), "one": real(1, 1), "w2": real(5, 3), "number": np.array(-0.25, np.float32)}, 1, 8)


def main() -> None:
    torch.manual_seed(5)
    export("convnet", trained(ConvNet()), 1, 12)
    export("resnet", trained(ResNet()), 3, 8)
    export("groupnorm", trained(GroupNormNet()), 1, 11)
    export("mnist", trained(MnistExample()), 1, 12)
    export("branches", trained(ThreeBranches()), 2, 5)
    made_by_hand()
    (FOLDER / "logits.json").write_text(json.dumps(LOGITS, indent=1) + "\n")
    for file in FOLDER.glob("*.onnx"):
        if file.stat().st_size <= SMALL and not file.name.startswith("dynamo-batch1"):  # its weights are elsewhere
            shutil.copy(file, CORPUS / file.stem)


main()
