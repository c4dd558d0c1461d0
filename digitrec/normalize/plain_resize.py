"""What most programs do with a scan before a digit network: the yardstick for `normalize`."""

import cv2
import numpy as np
from numpy.typing import NDArray

from digitrec.normalize.arrays import SIDE


def plain_resize(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make a scan grey, invert it if its border is bright, and resize it.

    Args:
        pixels: uint8 [H, W] (grey), [H, W, 3] (RGB) or [H, W, 4] (RGBA, whose last channel is
            dropped).

    Returns:
        uint8 [28, 28]; whatever is around the digit stays, and so does its place.
    """
    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels[:, :, :3], cv2.COLOR_RGB2GRAY)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    dark_ink = border.mean() > 127
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(255 - small if dark_ink else small, np.uint8)
