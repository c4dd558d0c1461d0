"""Grey, RGB or RGBA → grey in which ink differs most from paper.

A scan in colour becomes grey along the line from the paper's colour to the ink's, so that a blue or
red pen counts as much as a black one.
"""

import numpy as np
from numba.extending import register_jitable

from digitrec.normalize.arrays import LARGE, Counts, Figures, Image
from digitrec.normalize.histogram import border_median, count_sides
from digitrec.normalize.jit import compiled


@register_jitable
def _over_white(pixels: Image) -> Image:
    """Lay RGBA over white paper, in place of its colours."""
    height, width, _ = pixels.shape
    flat = np.empty((height, width, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            alpha = np.int32(pixels[y, x, 3])
            for c in range(3):
                value = np.int32(pixels[y, x, c]) * alpha + 255 * (255 - alpha) + 127
                flat[y, x, c] = value // 255
    return flat


@register_jitable
def _is_opaque(pixels: Image) -> bool:
    if pixels.shape[2] < 4:
        return True
    low = np.uint8(255)
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            low &= pixels[y, x, 3]
    return low == 255


@register_jitable
def _is_colourless(pixels: Image) -> bool:
    if pixels.shape[2] == 1:
        return True
    for y in range(pixels.shape[0]):
        apart = 0
        for x in range(pixels.shape[1]):
            apart |= (pixels[y, x, 0] ^ pixels[y, x, 1]) | (pixels[y, x, 0] ^ pixels[y, x, 2])
        if apart:
            return False
    return True


@register_jitable
def _ink_direction(pixels: Image, counts: Counts) -> Figures:
    """Return how much each channel tells of the ink: float64 [3], their absolute sum 1.

    The mean difference from the paper, each pixel weighted by its difference's square.
    """
    height, width, _ = pixels.shape
    paper = np.empty(3, np.int32)
    for c in range(3):
        count_sides(pixels[:, :, c], counts)
        paper[c] = border_median(counts)
    step = 1 if height * width < LARGE else 2
    away = np.zeros(3)
    for y in range(0, height, step):
        d0, d1, d2 = 0, 0, 0
        for x in range(0, width, step):
            e0 = paper[0] - np.int32(pixels[y, x, 0])
            e1 = paper[1] - np.int32(pixels[y, x, 1])
            e2 = paper[2] - np.int32(pixels[y, x, 2])
            square = e0 * e0 + e1 * e1 + e2 * e2
            d0, d1, d2 = d0 + square * e0, d1 + square * e1, d2 + square * e2
        away[0] += d0
        away[1] += d1
        away[2] += d2
    total = abs(away[0]) + abs(away[1]) + abs(away[2])
    if total == 0.0:
        away[:] = 1.0
        total = 3.0
    return away / total


@register_jitable
def _unmixed(pixels: Image, direction: Figures) -> Image:
    """Bring RGB to grey along a direction: the ink dark, the paper bright."""
    height, width, _ = pixels.shape
    w0, w1 = np.int32(direction[0] * 65536), np.int32(direction[1] * 65536)
    rest = 65536 - abs(w0) - abs(w1)
    w2 = np.int32(rest if direction[2] >= 0 else -rest)
    base = np.int32(32768)
    for w in (w0, w1, w2):
        if w < 0:
            base -= np.int32(255 * w)
    grey = np.empty((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            mixed = w0 * np.int32(pixels[y, x, 0]) + w1 * np.int32(pixels[y, x, 1])
            grey[y, x] = (base + mixed + w2 * np.int32(pixels[y, x, 2])) >> 16
    return grey


@register_jitable
def _first_channel(pixels: Image) -> Image:
    grey = np.empty(pixels.shape[:2], np.uint8)
    for y in range(grey.shape[0]):
        for x in range(grey.shape[1]):
            grey[y, x] = pixels[y, x, 0]
    return grey


@register_jitable
def to_grey(pixels: Image, counts: Counts) -> tuple[Image, bool]:
    """Bring a scan [H, W, C] to grey [H, W].

    What is grey already stays as it is. A scan in colour becomes dark ink on bright paper; the
    second value says that its ink is the brighter of the two.
    """
    if not _is_opaque(pixels):
        pixels = _over_white(pixels)
    if _is_colourless(pixels):
        return _first_channel(pixels), False
    direction = _ink_direction(pixels, counts)
    return _unmixed(pixels, direction), direction.sum() < 0


@compiled("uint8[:,::1](uint8[:,:,::1])")
def grey_of(pixels: Image) -> Image:
    """Bring a scan to grey, ink and paper as far apart as its colours have them.

    Args:
        pixels: uint8 [H, W, C], grey (C = 1), RGB or RGBA, C-contiguous and writeable.

    Returns:
        uint8 [H, W]; of a scan in colour, its ink is dark.
    """
    grey, _ = to_grey(pixels, np.empty((4, 256), np.int32))
    return grey
