"""DigitNet, the report's network: 8,490 parameters."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Mean and standard deviation of the pixels of MNIST's training images, with 255 as 1.
MNIST_MEAN = 0.1307
MNIST_STD = 0.3081


class DigitNet(nn.Module):
    """Two convolutions and one linear layer, exactly as the report draws them.

    scaled scans float32 [N, 1, 28, 28] → conv 5×5, ReLU, max-pool 2 → [N, 10, 12, 12]
    → conv 5×5, ReLU, max-pool 2 → [N, 20, 4, 4] → linear → logits float32 [N, 10].

    With `batch_norm` the convolutions' outputs are normalised while it is trained; `folded` then
    gives the report's network again.
    """

    def __init__(self, *, batch_norm: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.norm1 = nn.BatchNorm2d(10) if batch_norm else nn.Identity()
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.norm2 = nn.BatchNorm2d(20) if batch_norm else nn.Identity()
        self.linear = nn.Linear(320, 10)

    def forward(self, scaled: Tensor) -> Tensor:
        """Give the logits float32 [N, 10] of scaled scans float32 [N, 1, 28, 28]."""
        features = F.max_pool2d(F.relu(self.norm1(self.conv1(scaled))), 2)
        features = F.max_pool2d(F.relu(self.norm2(self.conv2(features))), 2)
        logits: Tensor = self.linear(features.flatten(1))
        return logits


def folded(network: DigitNet) -> DigitNet:
    """Give the same function without batch normalisation, which becomes a part of the convolutions.

    In evaluation it is a factor and a summand for each channel (Ioffe and Szegedy, "Batch
    normalization", 2015): 8,490 parameters say the same.
    """
    plain = DigitNet().eval()
    plain.load_state_dict(network.state_dict(), strict=False)
    if isinstance(network.norm1, nn.BatchNorm2d) and isinstance(network.norm2, nn.BatchNorm2d):
        network.eval()
        plain.conv1 = fuse_conv_bn_eval(network.conv1, network.norm1)
        plain.conv2 = fuse_conv_bn_eval(network.conv2, network.norm2)
    return plain


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
