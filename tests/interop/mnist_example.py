"""Writes the network of pytorch/examples, mnist/main.py, as one of PyTorch's exporters does.

usage: mnist_example.py EXPORTER FILE, with torch; EXPORTER is torchscript or dynamo. Exit code 77: this PyTorch has it not.
"""

import sys

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ImportError as error:
    print(f"skipped: {sys.executable} has no torch ({error})")
    sys.exit(77)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = functional.relu(self.conv1(x))
        x = functional.relu(self.conv2(x))
        x = self.dropout1(functional.max_pool2d(x, 2))
        x = functional.relu(self.fc1(torch.flatten(x, 1)))
        return functional.log_softmax(self.fc2(self.dropout2(x)), dim=1)


def main() -> None:
    exporter, file = sys.argv[1:]
    torch.manual_seed(1)
    net, image = Net().eval(), torch.zeros(1, 1, 28, 28)
    newer = int(torch.__version__.split(".")[0]) >= 2
    if exporter == "torchscript":
        torch.onnx.export(net, (image,), file, dynamic_axes={"input": {0: "batch"}}, input_names=["input"],
                          **({"dynamo": False} if newer else {}))
        return
    try:
        import onnxscript  # noqa: F401: the exporter needs it
        assert newer
    except (ImportError, AssertionError) as error:
        print(f"skipped: the newer exporter needs PyTorch 2 with onnxscript, and {sys.executable} has torch {torch.__version__} "
              f"({error or 'too old'})")
        sys.exit(77)
    torch.onnx.export(net, (torch.zeros(2, 1, 28, 28),), file, dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch")},))


main()
