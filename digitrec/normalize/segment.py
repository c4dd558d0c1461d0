"""Pixels of one scan → its ink: the first half of the normalizer.

Ink is what lies above Otsu's threshold, with the soft edge around it. That is so where a digit
stands alone on its paper; what is found here tells `scan.is_plain` whether it does.
"""

import numpy as np
from numba.extending import register_jitable

from digitrec.normalize.arrays import (
    BLANK,
    CONTRAST,
    FIGURES,
    FRAME,
    INVERTED,
    LEVEL,
    Counts,
    Figures,
    Image,
)
from digitrec.normalize.background import darkness, roughness_of, strength_of
from digitrec.normalize.colours import to_grey
from digitrec.normalize.components import is_frame, runs_of, soft_ink
from digitrec.normalize.histogram import count_levels, median, otsu
from digitrec.normalize.jit import compiled

# Ink must stand out from the paper by so many of 255 grey levels, and by so many times the
# roughness of the paper; else the scan is blank.
MIN_CONTRAST, MIN_ROUGHNESS = 14.0, 4.0
# The paper's texture reaches so many times its roughness.
TEXTURE = 5.0
# In a scan at least as large as MNIST's, what is smaller than this is dirt in an empty cell.
MIN_DIGIT, MIN_DIGIT_SIDE = 5, 28


@register_jitable
def _full_level(ink: Image, counts: Counts) -> int:
    """Return the strength of full ink: the median over pixels above a third of the fullest."""
    count_levels(ink, counts)
    fullest = 255
    while counts[0, fullest] == 0:
        fullest -= 1
    for value in range(fullest // 3 + 1):
        counts[0, value] = 0
    return median(counts[0])


@register_jitable
def _above(strength: Image, threshold: int) -> Image:
    """Mark what is stronger than the threshold with 1."""
    mask = np.empty(strength.shape, np.uint8)
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            mask[y, x] = strength[y, x] > threshold
    return mask


@register_jitable
def _stands_out(contrast: float, roughness: float) -> bool:
    return contrast >= max(MIN_CONTRAST, MIN_ROUGHNESS * roughness)


@compiled("Tuple((uint8[:,::1], float64[::1]))(uint8[:,:,::1])")
def find_ink(pixels: Image) -> tuple[Image, Figures]:
    """Find the ink of one scan.

    Args:
        pixels: uint8 [H, W, C], grey (C = 1), RGB or RGBA, C-contiguous and writeable.

    Returns:
        The ink uint8 [h, w], cropped, 0 for paper ([1, 1] where the scan is blank), and figures
        float64 [FIGURES], at the places that `arrays` names.
    """
    figures = np.zeros(FIGURES)
    counts = np.empty((4, 256), np.int32)
    grey, light_ink = to_grey(pixels, counts)
    dark = darkness(grey, counts, figures)
    strength = strength_of(dark, figures)
    threshold, contrast = otsu(strength, counts)
    roughness = roughness_of(dark, threshold, counts)
    figures[CONTRAST] = contrast
    if light_ink:
        figures[INVERTED] = 1 - figures[INVERTED]
    if _stands_out(contrast, roughness):
        texture = min(threshold / 3, TEXTURE * roughness)
        ink = soft_ink(strength, runs_of(_above(strength, threshold)), texture, figures)
        if max(ink.shape) >= MIN_DIGIT or min(strength.shape) < MIN_DIGIT_SIDE:
            figures[LEVEL] = _full_level(ink, counts)
            figures[FRAME] = is_frame(ink)
            return ink, figures
    figures[BLANK] = 1
    return np.zeros((1, 1), np.uint8), figures
