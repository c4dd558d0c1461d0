"""The networks: DigitNet, the report's, of 8,490 parameters, and LargeNet, of 162,954."""

import copy
from typing import TypeVar

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

    With `batch_norm` the convolutions' outputs are normalized while it is trained; `folded` then
    gives the report's network again.
    """

    def __init__(self, *, batch_norm: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.norm1 = _norm(10, batch_norm)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.norm2 = _norm(20, batch_norm)
        self.linear = nn.Linear(320, 10)

    def forward(self, scaled: Tensor) -> Tensor:
        """Return the logits float32 [N, 10] of scaled scans float32 [N, 1, 28, 28]."""
        features = _pooled(self.norm1(self.conv1(scaled)))
        features = _pooled(self.norm2(self.conv2(features)))
        logits: Tensor = self.linear(features.flatten(1))
        return logits


class LargeNet(nn.Module):
    """Five convolutions and one linear layer: 162,954 parameters, each used many times a scan.

    scaled scans float32 [N, 1, 28, 28] → conv 5×5, ReLU, max-pool 2 → [N, 16, 12, 12]
    → two convs 3×3, ReLU → [N, 64, 12, 12] → max-pool 2 → two convs 3×3, ReLU → [N, 96, 6, 6]
    → each channel's highest value → [N, 96] → linear → logits float32 [N, 10].
    """

    def __init__(self, *, batch_norm: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=5)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.conv4 = nn.Conv2d(64, 96, kernel_size=3, padding=1)
        self.conv5 = nn.Conv2d(96, 96, kernel_size=3, padding=1)
        self.norm1 = _norm(16, batch_norm)
        self.norm2 = _norm(32, batch_norm)
        self.norm3 = _norm(64, batch_norm)
        self.norm4 = _norm(96, batch_norm)
        self.norm5 = _norm(96, batch_norm)
        self.linear = nn.Linear(96, 10)

    def forward(self, scaled: Tensor) -> Tensor:
        """Return the logits float32 [N, 10] of scaled scans float32 [N, 1, 28, 28]."""
        features = _pooled(self.norm1(self.conv1(scaled)))
        features = F.relu(self.norm2(self.conv2(features)))
        features = _pooled(self.norm3(self.conv3(features)))
        features = F.relu(self.norm4(self.conv4(features)))
        features = self.norm5(self.conv5(features)).amax(dim=(2, 3))
        logits: Tensor = self.linear(F.relu(features))
        return logits


Network = TypeVar("Network", bound=nn.Module)
# What `--network` names.
NETWORKS: dict[str, type[DigitNet] | type[LargeNet]] = {"small": DigitNet, "large": LargeNet}


def folded(network: Network) -> Network:
    """Return the same function with batch normalization folded into the convolutions.

    In evaluation it is a factor and a summand for each channel (Ioffe and Szegedy, "Batch
    normalization", 2015): 8,490 parameters say the same. `norm1` follows `conv1`, and so on.
    """
    plain = copy.deepcopy(network).eval()
    for name, norm in list(plain.named_children()):
        if isinstance(norm, nn.BatchNorm2d):
            conv = name.replace("norm", "conv")
            setattr(plain, conv, fuse_conv_bn_eval(getattr(plain, conv), norm))
            setattr(plain, name, nn.Identity())
    return plain


def _pooled(features: Tensor) -> Tensor:
    """Return the ReLU's values, max-pooled by 2, the ReLU coming last.

    The values and gradients are those of the usual order; a step takes a tenth less.
    """
    return F.relu(F.max_pool2d(features, 2))


def _norm(channels: int, batch_norm: bool) -> nn.Module:
    return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()


class ScanNet(nn.Module):
    """A network behind its scaling: scans uint8 [N, 28, 28] → logits float32 [N, 10].

    This is what is exported, so that nobody who uses a bundle can scale wrongly.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, scans: Tensor) -> Tensor:
        """Return the logits float32 [N, 10] of normalized scans uint8 [N, 28, 28]."""
        logits: Tensor = self.network(scale(scans))
        return logits


def scale(scans: Tensor) -> Tensor:
    """Scale scans uint8 [N, 28, 28] to float32 [N, 1, 28, 28] of MNIST's mean 0 and deviation 1."""
    return standardize(unit(scans))


def unit(scans: Tensor) -> Tensor:
    """Return scans uint8 [N, 28, 28] as float32 [N, 1, 28, 28], full ink being 1."""
    return scans.unsqueeze(1).to(torch.float32) / 255.0


def standardize(images: Tensor) -> Tensor:
    """Bring images float32 [N, 1, 28, 28], full ink being 1, to MNIST's mean 0 and deviation 1."""
    return (images - MNIST_MEAN) / MNIST_STD
