"""What the ink network sees of a scan: all of it, in a square of 64×64 pixels."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitrec.normalize.arrays import Image, Soft

INK_SIDE = 64  # of the square


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scan lies in the square: rows and columns of it."""

    top: int
    left: int
    height: int
    width: int


def squared_place(shape: tuple[int, int]) -> Place:
    """Say where a scan of a height and width lies in the square: whole, in the middle."""
    scale = INK_SIDE / max(shape)
    height, width = (max(1, round(side * scale)) for side in shape)
    return Place((INK_SIDE - height) // 2, (INK_SIDE - width) // 2, height, width)


def squared(pixels: Image) -> Image:
    """Bring pixels uint8 [H, W] to [64, 64]: proportions kept, the border's pixels repeated."""
    return np.asarray(_squared(pixels), np.uint8)


def squared_cover(cover: Soft) -> Soft:
    """Bring a cover float32 [H, W] to [64, 64] in the same way."""
    return np.asarray(_squared(cover), np.float32)


def within(square: Soft, shape: tuple[int, int]) -> Soft:
    """Return what of the square, float32 [64, 64], is a scan of a shape, and not beside it."""
    place = squared_place(shape)
    return square[place.top : place.top + place.height, place.left : place.left + place.width]


def _squared(pixels: NDArray[np.uint8] | Soft) -> cv2.typing.MatLike:
    place = squared_place((pixels.shape[0], pixels.shape[1]))
    shrinks = max(pixels.shape) > INK_SIDE
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    inner = cv2.resize(pixels, (place.width, place.height), interpolation=way)
    foot, right = INK_SIDE - place.top - place.height, INK_SIDE - place.left - place.width
    return cv2.copyMakeBorder(inner, place.top, foot, place.left, right, cv2.BORDER_REPLICATE)
