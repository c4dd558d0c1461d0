"""The ink network: which pixels of a scan are handwriting, and whether any are."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST_DEVIATION = 0.02  # of a scan with 255 as 1: an even paper's noise stays noise
# A difference to the mean around, so many pixels wide, counts up to this: faint ink as much as any.
AROUND, FAINT = 8, 0.05
# Channels at 32×32, 16×16, 8×8 and 4×4 pixels on the way down, and on the way up again.
DOWN, UP = (16, 32, 64, 96), (48, 32, 16)


class InkNet(nn.Module):
    """A U-Net of separable convolutions: 61,717 parameters, two tenths of a millisecond a scan.

    scans uint8 [N, 64, 64], each brought to mean 0 and deviation 1, and what is faint in it made
    strong: [2, 64, 64] → conv 5×5 of stride 2, at [16, 32, 32] → three max-pools by 2, to
    [96, 4, 4] → three times twice as large again, beside what was there on the way down → four
    channels at 32×32, which are the pixels of 64×64.

    After Ronneberger et al., "U-Net" (2015), Howard et al., "MobileNets" (2017), and Shi et al.,
    "Real-time single image … super-resolution" (2016), for the last step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Sequential(_conv(2, DOWN[0], 5, stride=2), _Residual(DOWN[0]))
        self.down2 = _level(DOWN[0], DOWN[1], 2)
        self.down3 = _level(DOWN[1], DOWN[2], 2)
        self.down4 = _level(DOWN[2], DOWN[3], 2)
        self.up3 = _level(DOWN[3] + DOWN[2], UP[0], 0)
        self.up2 = _level(UP[0] + DOWN[1], UP[1], 1)
        self.up1 = _level(UP[1] + DOWN[0], UP[2], 1)
        self.marks = nn.Conv2d(UP[2], 4, kernel_size=1)
        self.written = nn.Linear(DOWN[3], 1)

    def forward(self, scans: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits that pixels are handwriting, and that there is any.

        Args:
            scans: uint8 [N, 64, 64], of either polarity.

        Returns:
            float32 [N, 64, 64] and float32 [N].
        """
        at32 = self.down1(_seen(scans))
        at16 = self.down2(F.max_pool2d(at32, 2))
        at8 = self.down3(F.max_pool2d(at16, 2))
        at4 = self.down4(F.max_pool2d(at8, 2))
        up8 = self.up3(torch.cat([_doubled(at4), at8], 1))
        up16 = self.up2(torch.cat([_doubled(up8), at16], 1))
        up32 = self.up1(torch.cat([_doubled(up16), at32], 1))
        marks = F.pixel_shuffle(self.marks(up32), 2).squeeze(1)
        return marks, self.written(at4.amax(dim=(2, 3))).squeeze(1)


class _Residual(nn.Module):
    """A separable convolution 3×3 that is added to what goes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.across = _norm_conv(channels, channels, 3, groups=channels)
        self.through = _norm_conv(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return features float32 [N, C, H, W] of the same shape."""
        changed: Tensor = self.through(self.across(features))
        return F.relu(features + changed)


def _level(channels: int, out: int, residuals: int) -> nn.Sequential:
    """Return a separable convolution 3×3 and what follows it at the same size."""
    across = _norm_conv(channels, channels, 3, groups=channels)
    return nn.Sequential(
        across, _conv(channels, out, 1), *(_Residual(out) for _ in range(residuals))
    )


def _conv(channels: int, out: int, side: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_norm_conv(channels, out, side, stride=stride), nn.ReLU())


def _norm_conv(
    channels: int, out: int, side: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    # What reads exports folds the normalization into the convolution.
    conv = nn.Conv2d(channels, out, side, stride, side // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out))


def _seen(scans: Tensor) -> Tensor:
    """Return scans uint8 [N, 64, 64] in two ways: float32 [N, 2, 64, 64].

    Brought to mean 0 and deviation 1, and as the difference to the mean around, up to a limit:
    beside a dark desk faint ink would be next to nothing in the first.
    """
    light = scans.unsqueeze(1).to(torch.float32) / 255.0
    mean = light.mean((2, 3), keepdim=True)
    deviation = light.std((2, 3), keepdim=True)
    around = F.interpolate(F.avg_pool2d(light, AROUND), scale_factor=float(AROUND), mode="nearest")
    detail = ((light - around) / FAINT).clamp(-1, 1)
    return torch.cat([(light - mean) / (deviation + LEAST_DEVIATION), detail], 1)


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2.0, mode="nearest")
