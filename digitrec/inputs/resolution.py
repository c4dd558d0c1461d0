"""What a file says of its pixels' shape; pixels that are not square made square.

A fax has twice as many dots across as down: shown dot by dot, its digits are half as high.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

X_RESOLUTION, Y_RESOLUTION = 282, 283
# As good as square; and what no scanner does is taken for a mistake.
NEARLY_SQUARE, MOST = 1.1, 4.0
# The coarser side is enlarged, up to so many pixels; else the finer one is shrunk.
ENLARGED_UP_TO = 2**22


def height_of_pixels(image: Any) -> float:
    """Return how many times as high as wide the pixels of a file are, as it says.

    Args:
        image: as Pillow opened it, of a PNG, JPEG, TIFF or BMP; of others nothing is known.

    Returns:
        1 where they are nearly square, or nothing credible is said.
    """
    try:
        across, down = (float(dots) for dots in _resolution(image))
        ratio = across / down
    except (ArithmeticError, TypeError, ValueError):
        return 1.0
    credible = across > 0 and 1 / MOST <= ratio <= MOST
    return ratio if credible and max(ratio, 1 / ratio) > NEARLY_SQUARE else 1.0


def _resolution(image: Any) -> Any:
    """Return dots across and down, in any unit; the same where nothing is said."""
    if image.format == "TIFF":
        tags = image.tag_v2
        return tags.get(X_RESOLUTION, 1), tags.get(Y_RESOLUTION, 1)
    # A JPEG and a PNG without a unit say the ratio alone.
    for name in ("jfif_density", "aspect", "dpi"):
        if name in image.info:
            return image.info[name]
    return 1, 1


def made_square(pixels: NDArray[np.uint8], ratio: float) -> NDArray[np.uint8]:
    """Resize pixels [H, W(, C)] that are `ratio` times as high as wide, so that they are square."""
    height, width = pixels.shape[:2]
    if height * width * max(ratio, 1 / ratio) <= ENLARGED_UP_TO:
        height, width = (
            (round(height * ratio), width) if ratio > 1 else (height, round(width / ratio))
        )
        method = cv2.INTER_LINEAR
    else:
        height, width = (
            (height, round(width / ratio)) if ratio > 1 else (round(height * ratio), width)
        )
        method = cv2.INTER_AREA
    size = max(width, 1), max(height, 1)
    return np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8)
