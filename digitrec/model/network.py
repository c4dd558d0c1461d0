"""DigitNet, the report's network: 8,490 parameters."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Mean and standard deviation of the pixels of MNIST's training images, with 255 as 1.
MNIST_MEAN = 0.1307
MNIST_STD = 0.3081


class DigitNet(nn.Module):
    """Two convolutions and one linear layer, exactly as the report draws them.

    scaled scans float32 [N, 1, 28, 28] → conv 5×5, ReLU, max-pool 2 → [N, 10, 12, 12]
    → conv 5×5, ReLU, max-pool 2 → [N, 20, 4, 4] → linear → logits float32 [N, 10].
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.linear = nn.Linear(320, 10)

    def forward(self, scaled: Tensor) -> Tensor:
        """Give the logits float32 [N, 10] of scaled scans float32 [N, 1, 28, 28]."""
        features = F.max_pool2d(F.relu(self.conv1(scaled)), 2)
        features = F.max_pool2d(F.relu(self.conv2(features)), 2)
        logits: Tensor = self.linear(features.flatten(1))
        return logits


class ScanNet(nn.Module):
    """A network behind its scaling: scans uint8 [N, 28, 28] → logits float32 [N, 10].

    This is what is exported, so that nobody who uses a bundle can scale wrongly.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, scans: Tensor) -> Tensor:
        """Give the logits float32 [N, 10] of normalised scans uint8 [N, 28, 28]."""
        logits: Tensor = self.network(scale(scans))
        return logits


def scale(scans: Tensor) -> Tensor:
    """Scale scans uint8 [N, 28, 28] to float32 [N, 1, 28, 28] of MNIST's mean 0 and deviation 1."""
    return standardize(unit(scans))


def unit(scans: Tensor) -> Tensor:
    """Give scans uint8 [N, 28, 28] as float32 [N, 1, 28, 28], full ink being 1."""
    return scans.unsqueeze(1).to(torch.float32) / 255.0


def standardize(images: Tensor) -> Tensor:
    """Bring images float32 [N, 1, 28, 28], full ink being 1, to MNIST's mean 0 and deviation 1."""
    return (images - MNIST_MEAN) / MNIST_STD
