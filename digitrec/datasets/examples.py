"""200 images of MNIST that the package ships, to show beside a scan what it looks like."""

import functools
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

PER_DIGIT = 20
# A row for each digit from 0 to 9; `tests/make_examples.py` chose them.
EXAMPLES = Path(__file__).parent.parent / "assets" / "examples.png"
# Strokes that lie beside each other should count as near: the images are compared out of focus.
SOFTNESS = 1.0


class Example(NamedTuple):
    """An image of MNIST: uint8 [28, 28], and the digit that it shows."""

    image: NDArray[np.uint8]
    label: int


def nearest(scan: NDArray[np.uint8], count: int = 5) -> list[Example]:
    """Return the examples most like a normalized scan uint8 [28, 28], the most alike first."""
    images, points = _examples()
    distances = np.square(points - softened(scan[None])).sum(axis=1)
    return [Example(images[k], int(k) // PER_DIGIT) for k in np.argsort(distances)[:count]]


def softened(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images uint8 [N, 28, 28] out of focus, as points float32 [N, 784]."""
    soft = [cv2.GaussianBlur(image.astype(np.float32), (0, 0), SOFTNESS) for image in images]
    return np.array(soft, np.float32).reshape(len(images), -1)


@functools.cache
def _examples() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    mosaic = np.asarray(cv2.imread(str(EXAMPLES), cv2.IMREAD_GRAYSCALE), np.uint8)
    images = mosaic.reshape(10, 28, PER_DIGIT, 28).swapaxes(1, 2).reshape(-1, 28, 28)
    return images, softened(images)
