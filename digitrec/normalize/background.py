"""Grey → how much each pixel stands out from the paper.

Paper is what most of the border shows, in even light or on a slope of it.
"""

import math

import numpy as np
from numba.extending import register_jitable

from digitrec.normalize.arrays import (
    INVERTED,
    LARGE,
    MIN_SIDE,
    SLOPE,
    Counts,
    Figures,
    Image,
    Signed,
)
from digitrec.normalize.histogram import border_median, count_sides, median

# A slope of light: the medians of the sides differ by so much, and two by two agree so well.
MIN_SLOPE, MAX_SLOPE, MAX_DISAGREEMENT = 4, 120, 16


@register_jitable
def darkness(grey: Image, counts: Counts, figures: Figures) -> Signed:
    """Return how much darker than the paper each pixel is: int16 [H, W], else negative."""
    height, width = grey.shape
    count_sides(grey, counts)
    top, bottom = median(counts[0]), median(counts[1])
    left, right = median(counts[2]), median(counts[3])
    apart = max(top, bottom, left, right) - min(top, bottom, left, right)
    middle, down, across = float(border_median(counts)), 0.0, 0.0
    # A stroke along a whole side makes its median differ from what the other three agree on.
    if (
        min(height, width) >= MIN_SIDE
        and MIN_SLOPE <= apart <= MAX_SLOPE
        and abs(top + bottom - left - right) <= MAX_DISAGREEMENT
    ):
        middle = (top + bottom + left + right) / 4
        down, across = (bottom - top) / (height - 1), (right - left) / (width - 1)
        figures[SLOPE] = apart
    dark = np.empty((height, width), np.int16)
    for y in range(height):
        start = middle + down * (y - (height - 1) / 2) - across * (width - 1) / 2 + 0.5
        if across == 0.0:
            level = np.int16(math.floor(start))
            for x in range(width):
                dark[y, x] = level - np.int16(grey[y, x])
        else:
            for x in range(width):
                dark[y, x] = np.int16(math.floor(start + across * x)) - np.int16(grey[y, x])
    return dark


@register_jitable
def strength_of(dark: Signed, figures: Figures) -> Image:
    """Return the distance from the paper, uint8 [H, W], on the side where most of it is."""
    height, width = dark.shape
    balance = 0.0
    for y in range(height):
        row = np.int32(0)
        for x in range(width):
            value = np.int32(dark[y, x])
            row += value * abs(value)
        balance += row
    sign = np.int16(1 if balance >= 0 else -1)
    figures[INVERTED] = balance < 0
    strength = np.empty((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            strength[y, x] = min(max(np.int16(dark[y, x] * sign), np.int16(0)), np.int16(255))
    return strength


@register_jitable
def roughness_of(dark: Signed, threshold: int, counts: Counts) -> int:
    """Return the median deviation from the median of what is paper by a threshold."""
    height, width = dark.shape
    counts[:, :] = 0
    # Of a large scan every other row tells as much.
    for y in range(0, height, 1 if height * width < LARGE else 2):
        for x in range(width):
            value = np.int32(dark[y, x])
            if value >= 0:
                counts[x & 1, min(value, 255)] += 1
            else:
                counts[2 + (x & 1), min(-value, 255)] += 1
    total = 0
    for value in range(threshold + 1):
        total += counts[0, value] + counts[1, value] + counts[2, value] + counts[3, value]
    level, seen = -threshold - 1, 0
    while 2 * seen < total:
        level += 1
        seen += _count_at(counts, level)
    roughness, seen = 0, _count_at(counts, level)
    while 2 * seen < total:
        roughness += 1
        for value in (level - roughness, level + roughness):
            if abs(value) <= threshold:
                seen += _count_at(counts, value)
    return roughness


@register_jitable
def _count_at(counts: Counts, value: int) -> int:
    if value >= 0:
        return counts[0, value] + counts[1, value]
    return counts[2, -value] + counts[3, -value]
