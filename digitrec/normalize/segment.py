"""Pixels of one scan → its ink: the first half of the normalizer.

Ink is what lies above Otsu's threshold, with the soft edge around it; printed lines along the
sides, specks, and what reaches in over the border are not the digit's.
"""

import numpy as np
from numba.extending import register_jitable

from digitrec.normalize.arrays import (
    BLANK,
    CONTRAST,
    FIGURES,
    INVERTED,
    LEVEL,
    LINES,
    MIN_SIDE,
    Counts,
    Figures,
    Image,
)
from digitrec.normalize.background import (
    beside_surroundings,
    darkness,
    frame_level,
    paper_of,
    start_from,
    strength_of,
)
from digitrec.normalize.box_lines import without_lines
from digitrec.normalize.colours import to_grey
from digitrec.normalize.components import runs_of, soft_ink
from digitrec.normalize.histogram import count_levels, median, median_up_to, otsu, share_above
from digitrec.normalize.jit import compiled

# Ink must stand out from the paper by so many of 255 grey levels, and by so many times the
# roughness of the paper; else the scan is blank.
MIN_CONTRAST, MIN_ROUGHNESS = 14.0, 4.0
# The paper's texture reaches so many times its roughness.
TEXTURE = 5.0
# If more than this share of a scan stands out from its border, the border may be a frame. Paper in
# a frame is no fuller than this: there is ink on it.
MAX_INK, FULL = 0.55, 0.97
# The border's median is the paper's level, if that of all that seems to be paper is as near.
MAX_PAPER_ERROR = 4
# If more than this share of the border seems to be ink, the light is uneven: in one stretch, or in
# all on rough paper. A digit that fills the scan reaches the border here and there.
MAX_BORDER_INK = 0.2
# In a scan at least as large as MNIST's, what is smaller than this is dirt in an empty cell.
MIN_DIGIT, MIN_DIGIT_SIDE = 5, 28


@register_jitable
def _border_stretch(mask: Image) -> float:
    """Return the longest stretch of ink along the border, as a share of all of it."""
    height, width = mask.shape
    length = 2 * (height + width) - 4
    longest, run = 0, 0
    for step in range(2 * length):  # twice around: a stretch may lie across where that begins
        place = step % length
        if place < width - 1:
            marked = mask[0, place]
        elif place < width + height - 2:
            marked = mask[place - width + 1, width - 1]
        elif place < 2 * width + height - 3:
            marked = mask[height - 1, 2 * width + height - 3 - place]
        else:
            marked = mask[length - place, 0]
        run = run + 1 if marked else 0
        longest = max(longest, run)
    return min(longest, length) / length


@register_jitable
def _border_share(mask: Image) -> float:
    height, width = mask.shape
    seen = 0
    for x in range(width):
        seen += mask[0, x] + mask[height - 1, x]
    for y in range(height):
        seen += mask[y, 0] + mask[y, width - 1]
    return seen / (2 * (height + width))


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
def _is_framed(mask: Image) -> bool:
    """Return whether what stands out is paper in a frame: with corners, and ink on it."""
    height, width = mask.shape
    top, left, bottom, right, area = height, width, -1, -1, 0
    for y in range(height):
        for x in range(width):
            if mask[y, x]:
                top, bottom, left, right = min(top, y), y, min(left, x), max(right, x)
                area += 1
    down, across = (bottom - top) // 16, (right - left) // 16
    corners = (
        mask[top + down, left + across]
        + mask[top + down, right - across]
        + mask[bottom - down, left + across]
        + mask[bottom - down, right - across]
    )
    return corners == 4 and area < FULL * (bottom - top + 1) * (right - left + 1)


@register_jitable
def _beside_border(
    grey: Image, counts: Counts, figures: Figures
) -> tuple[Image, int, float, float]:
    """Return how much each pixel stands out from what the border shows.

    Returns:
        The strength uint8 [H, W]; Otsu's threshold for it; how far ink and paper are apart; and
        the paper's roughness, the median deviation from its level.
    """
    dark = darkness(grey, counts, figures)
    strength = strength_of(dark, figures)
    threshold, contrast = otsu(strength, counts)
    if share_above(counts[0], threshold) > MAX_INK and (
        figures[INVERTED] or _is_framed(_above(strength, threshold))
    ):
        level, roughness = frame_level(counts[0], threshold, figures), 0
    else:
        level, roughness = paper_of(dark, threshold, counts)
    # What the border shows is not all paper where a box's lines run along it.
    if abs(level) > MAX_PAPER_ERROR:
        start_from(dark, level)
        strength = strength_of(dark, figures)
        threshold, contrast = otsu(strength, counts)
        _, roughness = paper_of(dark, threshold, counts)
    return strength, threshold, contrast, roughness


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
    strength, threshold, contrast, roughness = _beside_border(grey, counts, figures)
    mask = _above(strength, threshold)
    if _stands_out(contrast, roughness):
        mask = without_lines(mask, counts, figures)
    # Ink all along the border, or paper as rough as ink is strong, tell of uneven light.
    if (
        contrast >= MIN_CONTRAST
        and not figures[BLANK]
        and min(mask.shape) >= MIN_SIDE
        and (
            not _stands_out(contrast, roughness)
            or _border_stretch(mask) > MAX_BORDER_INK
            or (not _stands_out(contrast / 2, roughness) and _border_share(mask) > MAX_BORDER_INK)
        )
    ):
        figures[LINES] = 0
        strength = beside_surroundings(grey, figures)
        threshold, contrast = otsu(strength, counts)
        roughness = median_up_to(counts[0], threshold)
        mask = without_lines(_above(strength, threshold), counts, figures)
    figures[CONTRAST] = contrast
    if light_ink:
        figures[INVERTED] = 1 - figures[INVERTED]
    if _stands_out(contrast, roughness) and not figures[BLANK]:
        texture = min(threshold / 3, TEXTURE * roughness)
        ink = soft_ink(strength, runs_of(mask), texture, figures)
        if max(ink.shape) >= MIN_DIGIT or min(strength.shape) < MIN_DIGIT_SIDE:
            figures[LEVEL] = _full_level(ink, counts)
            return ink, figures
    figures[BLANK] = 1
    return np.zeros((1, 1), np.uint8), figures
