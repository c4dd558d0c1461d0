"""Printed lines of a box along the sides of a scan, and how to be rid of them."""

import numpy as np
from numba.extending import register_jitable

from digitrec.normalize.arrays import BLANK, LINES, MIN_SIDE, Counts, Figures, Image
from digitrec.normalize.histogram import median

# A printed line lies in this outer share of a side, covers so much of it, and is at most so thick
# and so much out of line, all as shares.
ZONE, LENGTH, THICKNESS, SLANT = 0.25, 0.85, 0.09, 0.1
# So many pixels of paper are hardly any.
HARDLY = 1
# What may be left without lines.
NOTHING, SCRAPS, DIGIT = range(3)


@register_jitable
def without_lines(mask: Image, counts: Counts, figures: Figures) -> Image:
    """Erase the printed lines of a box along the sides, unless they are the digit's own bars."""
    height, width = mask.shape
    if min(height, width) < MIN_SIDE or not _may_be_lines(mask):
        return mask
    cleared = mask.copy()
    found = np.zeros(4, np.int32)
    firsts = np.empty(max(height, width), np.int32)
    runs = np.empty(max(height, width), np.int32)
    for side in range(4):
        found[side] = _line_along(mask, side, firsts, runs, counts[0])
        if found[side]:
            _erase(cleared, side, firsts, runs, found[side])
    lines = (found > 0).sum()
    if lines == 0:
        return mask
    left = _left_of(cleared, found)
    if left == DIGIT or (left == NOTHING and lines > 2):
        figures[LINES], figures[BLANK] = lines, left == NOTHING
        return cleared
    return mask


@register_jitable
def _erase(mask: Image, side: int, firsts: Counts, runs: Counts, thickness: int) -> None:
    """Erase a line, and what lies between it and its side; of what crosses it no more than that."""
    for k in range(mask.shape[1] if side < 2 else mask.shape[0]):
        if firsts[k] >= 0:
            for depth in range(firsts[k] + min(runs[k], thickness + 1)):
                _unmark(mask, side, k, depth)


@register_jitable
def _may_be_lines(mask: Image) -> bool:
    """Tell quickly whether a side has ink along nearly all of it."""
    height, width = mask.shape
    down, across = int(height * ZONE), int(width * ZONE)
    columns = np.zeros((2, width), np.uint8)
    for y in range(down):
        for x in range(width):
            columns[0, x] |= mask[y, x]
            columns[1, x] |= mask[height - 1 - y, x]
    top, bottom, left, right = 0, 0, 0, 0
    for x in range(width):
        top += columns[0, x]
        bottom += columns[1, x]
    for y in range(height):
        near, far = np.uint8(0), np.uint8(0)
        for x in range(across):
            near |= mask[y, x]
            far |= mask[y, width - 1 - x]
        left += near
        right += far
    return max(top, bottom) >= LENGTH * width or max(left, right) >= LENGTH * height


@register_jitable
def _line_along(mask: Image, side: int, firsts: Counts, runs: Counts, counts: Counts) -> int:
    """Find a printed line along a side: its thickness, 0 for none, and where it lies.

    `firsts` gets the depth at which it begins for each place along the side, or -1.
    """
    length = mask.shape[1] if side < 2 else mask.shape[0]
    depth = mask.shape[0] if side < 2 else mask.shape[1]
    zone, seen = int(depth * ZONE), 0
    for k in range(length):
        firsts[k] = -1
        for d in range(zone):
            if _marked(mask, side, k, d):
                firsts[k] = d
                seen += 1
                break
    if seen < LENGTH * length:
        return 0
    for k in range(length):
        run = max(firsts[k], 0)
        while run < depth and _marked(mask, side, k, run):
            run += 1
        runs[k] = run - firsts[k]
    third = max(length // 3, 1)
    begin = _middle(firsts, 0, third, counts)
    end = _middle(firsts, length - third, length, counts)
    thickness = _middle(runs, 0, length, counts)
    if thickness > max(2.0, depth * THICKNESS) or abs(end - begin) > depth * SLANT:
        return 0
    inliers = 0
    for k in range(length):
        straight = begin + (end - begin) * (k - third / 2) / max(length - third, 1)
        inliers += _settle(firsts, runs, k, straight, 1 + 0.015 * depth, thickness)
    return thickness if inliers >= 0.8 * length else 0


@register_jitable
def _settle(
    firsts: Counts, runs: Counts, k: int, straight: float, slack: float, thickness: int
) -> int:
    """Say where a straight line begins at k, or -1 for nowhere; give 1 if what is there is its."""
    if firsts[k] >= 0 and abs(firsts[k] - straight) <= slack:
        return 1
    if 0 <= firsts[k] < straight:
        # What crosses the line here, such as another one, lies outside the box up to here.
        firsts[k], runs[k] = int(straight), thickness + 1
    else:
        firsts[k] = -1
    return 0


@register_jitable
def _marked(mask: Image, side: int, k: int, depth: int) -> int:
    """Look at the pixel `depth` below side 0 (top), 1 (bottom), 2 (left) or 3 (right), at k."""
    if side == 0:
        return mask[depth, k]
    if side == 1:
        return mask[mask.shape[0] - 1 - depth, k]
    if side == 2:
        return mask[k, depth]
    return mask[k, mask.shape[1] - 1 - depth]


@register_jitable
def _unmark(mask: Image, side: int, k: int, depth: int) -> None:
    if side == 0:
        mask[depth, k] = 0
    elif side == 1:
        mask[mask.shape[0] - 1 - depth, k] = 0
    elif side == 2:
        mask[k, depth] = 0
    else:
        mask[k, mask.shape[1] - 1 - depth] = 0


@register_jitable
def _middle(values: Counts, first: int, last: int, counts: Counts) -> int:
    """Return the median of values[first:last] that are not negative."""
    counts[:] = 0
    for k in range(first, last):
        if values[k] >= 0:
            counts[min(values[k], 255)] += 1
    return median(counts)


@register_jitable
def _left_of(mask: Image, found: Counts) -> int:
    """Tell what is left without lines: NOTHING, a DIGIT, or SCRAPS: no lines were these, then.

    A tightly cropped 7 loses its bar like a line; what is left then reaches the other sides.
    """
    height, width = mask.shape
    area, top, bottom = 0, height, -1
    left, right = width, -1
    for y in range(height):
        row = 0
        for x in range(width):
            if mask[y, x]:
                row += 1
                left, right = min(left, x), max(right, x)
        if row:
            area += row
            top, bottom = min(top, y), y
    if area < 0.004 * height * width:
        return NOTHING
    near_y, near_x = 0.06 * height, 0.06 * width
    reaches_y = (top < near_y and not found[0]) + (bottom >= height - near_y and not found[1])
    reaches_x = (left < near_x and not found[2]) + (right >= width - near_x and not found[3])
    if reaches_y and reaches_x:
        return SCRAPS
    # So does what a lone line would leave of a 7 or a 9 with hardly any paper around.
    if (found > 0).sum() == 1 and _spans(found, top, left, height - 1 - bottom, width - 1 - right):
        return SCRAPS
    return DIGIT if bottom - top >= 0.25 * height else SCRAPS


@register_jitable
def _spans(found: Counts, top: int, left: int, bottom: int, right: int) -> bool:
    """Return whether ink reaches, but for so many pixels, the side opposite to the line found."""
    if found[0] or found[1]:
        return (bottom if found[0] else top) <= HARDLY
    return (right if found[2] else left) <= HARDLY
