"""The classic ConvNet as a PyTorch user writes it, for the tests that exchange files with PyTorch."""

from torch import nn


class ConvNet(nn.Module):
    """For grey images of `extent` x `extent` and ten classes."""

    def __init__(self, extent=28):
        super().__init__()
        self.layer1 = self.block(1, 16)
        self.layer2 = self.block(16, 32)
        self.fc = nn.Linear((extent // 4) ** 2 * 32, 10)

    @staticmethod
    def block(inputs, outputs):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel_size=5, stride=1, padding=2),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )

    def forward(self, x):
        x = self.layer2(self.layer1(x))
        return self.fc(x.reshape(x.size(0), -1))
