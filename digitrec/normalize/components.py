"""What stands out, cut out with its soft edge, and of how many pieces it is."""

import numpy as np
from numba.extending import register_jitable

from digitrec.normalize.arrays import LEFT, PIECES, TOP, TOUCHES, Counts, Figures, Image

# A frame has ink in its four corners, the first share of its sides long; a part of one has it in
# three, the second share long.
CORNERS, THREE_CORNERS = 0.125, 0.06


@register_jitable
def soft_ink(strength: Image, runs: Counts, texture: float, figures: Figures) -> Image:
    """Cut the digit out with the soft edge of its strokes, 0 elsewhere: uint8 [h, w]."""
    height, width = strength.shape
    top, left, bottom, right = _measure(runs, height, width, figures)
    reach = max(1, int(max(height, width) / 48 + 0.5))
    top, left = max(top - reach, 0), max(left - reach, 0)
    bottom, right = min(bottom + reach, height - 1), min(right + reach, width - 1)
    ink = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    least = np.uint8(min(texture + 1, 255))
    for k in range(len(runs)):
        first, end = max(runs[k, 1] - reach, 0), min(runs[k, 2] + reach, width)
        for y in range(max(runs[k, 0] - reach, 0), min(runs[k, 0] + reach + 1, height)):
            source, target = strength[y, first:end], ink[y - top, first - left : end - left]
            for x in range(end - first):
                target[x] = source[x] if source[x] >= least else np.uint8(0)
    first, end, begin, edge = box_of(ink)
    figures[TOP], figures[LEFT] = top + first, left + begin
    return ink[first:end, begin:edge].copy()


@register_jitable
def runs_of(mask: Image) -> Counts:
    """Return the runs of marked pixels, row by row: int32 [N, 4] of y, first x, end x, piece.

    Runs that touch, also at corners, have the same piece: the number of its first run.
    """
    height, width = mask.shape
    runs = np.empty((height * ((width + 1) // 2), 4), np.int32)
    count, above, above_end = 0, 0, 0
    for y in range(height):
        begin, x = count, 0
        while x < width:
            if mask[y, x] == 0:
                x += 1
                continue
            first = x
            while x < width and mask[y, x]:
                x += 1
            runs[count, 0], runs[count, 1], runs[count, 2], runs[count, 3] = y, first, x, count
            while above < above_end and runs[above, 2] < first:
                above += 1
            k = above
            while k < above_end and runs[k, 1] <= x:
                _join(runs, k, count)
                k += 1
            count += 1
        above, above_end = begin, count
    for k in range(count):  # a run's piece comes before it, and is settled already
        runs[k, 3] = runs[runs[k, 3], 3]
    return runs[:count]


@register_jitable
def _join(runs: Counts, one: int, other: int) -> None:
    while runs[one, 3] != one:
        one = runs[one, 3]
    while runs[other, 3] != other:
        other = runs[other, 3]
    runs[max(one, other), 3] = min(one, other)


@register_jitable
def _measure(runs: Counts, height: int, width: int, figures: Figures) -> tuple[int, int, int, int]:
    """Count the pieces; give the box of all: top, left, bottom, right."""
    top, left, bottom, right = height, width, -1, -1
    for k in range(len(runs)):
        figures[PIECES] += runs[k, 3] == k
        top, left = min(top, runs[k, 0]), min(left, runs[k, 1])
        bottom, right = max(bottom, runs[k, 0]), max(right, runs[k, 2] - 1)
    figures[TOUCHES] = top == 0 or left == 0 or bottom == height - 1 or right == width - 1
    return top, left, bottom, right


@register_jitable
def is_frame(ink: Image) -> bool:
    """Say whether cropped ink [h, w] is a frame, or a part of one, by its corners."""
    return _inked_corners(ink, CORNERS) == 4 or _inked_corners(ink, THREE_CORNERS) == 3


@register_jitable
def _inked_corners(ink: Image, share: float) -> int:
    """Count the corners that have ink, each a share of the sides long."""
    height, width = ink.shape
    rows, columns = max(1, int(share * height)), max(1, int(share * width))
    count = 0
    for top in (0, height - rows):
        for left in (0, width - columns):
            inked = np.uint8(0)
            for y in range(top, top + rows):
                for x in range(left, left + columns):
                    inked |= ink[y, x]
            count += inked > 0
    return count


@register_jitable
def box_of(ink: Image) -> tuple[int, int, int, int]:
    """Return where there is ink: first and end row, first and end column."""
    height, width = ink.shape
    columns = np.zeros(width, np.uint8)
    first, last = height, 0
    for y in range(height):
        row = np.uint8(0)
        for x in range(width):
            row |= ink[y, x]
            columns[x] |= ink[y, x]
        if row:
            first, last = min(first, y), y
    begin, end = 0, width - 1
    while begin < end and columns[begin] == 0:
        begin += 1
    while end > begin and columns[end] == 0:
        end -= 1
    return first, last + 1, begin, end + 1
