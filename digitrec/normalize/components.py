"""The connected pieces of what stands out: which of them are the digit."""

import numpy as np
from numba.extending import register_jitable

from digitrec.normalize.arrays import (
    CUT_OFF,
    LEFT,
    LINES,
    PIECES,
    SPECKS,
    TOP,
    TOUCHES,
    Counts,
    Figures,
    Image,
)

# A piece of less than this share of the main one is a speck.
SPECK_SHARE = 0.04
# What reaches in over the border lies in this outer share of a side.
ZONE = 0.25


@register_jitable
def soft_ink(strength: Image, runs: Counts, texture: float, figures: Figures) -> Image:
    """Cut the digit out with the soft edge of its strokes, 0 elsewhere: uint8 [h, w]."""
    height, width = strength.shape
    kept, top, left, bottom, right = _keep(runs, height, width, figures)
    reach = max(1, int(max(height, width) / 48 + 0.5))
    top, left = max(top - reach, 0), max(left - reach, 0)
    bottom, right = min(bottom + reach, height - 1), min(right + reach, width - 1)
    ink = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    least = np.uint8(min(texture + 1, 255))
    for k in range(len(runs)):
        if kept[k]:
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
def _keep(
    runs: Counts, height: int, width: int, figures: Figures
) -> tuple[Image, int, int, int, int]:
    """Say which runs are the digit's: uint8 [N]; the box of these: top, left, bottom, right."""
    boxes = _boxes_of(runs)
    main = _main_piece(boxes, height, width)
    kept = np.zeros(len(runs), np.uint8)
    top, left, bottom, right = height, width, -1, -1
    for k in range(len(runs)):
        if runs[k, 3] != k:
            kept[k] = kept[runs[k, 3]]
        elif k != main and boxes[k, 0] < SPECK_SHARE * boxes[main, 0]:
            # What printed lines left behind at their corners is no speck.
            figures[SPECKS] += figures[LINES] == 0
        elif k != main and _is_cut_off(boxes[k], boxes[main], height, width):
            figures[CUT_OFF] += 1
        else:
            kept[k] = 1
            figures[PIECES] += 1
            top, left = min(top, boxes[k, 1]), min(left, boxes[k, 2])
            bottom, right = max(bottom, boxes[k, 3]), max(right, boxes[k, 4])
    figures[TOUCHES] = top == 0 or left == 0 or bottom == height - 1 or right == width - 1
    return kept, top, left, bottom, right


@register_jitable
def _boxes_of(runs: Counts) -> Counts:
    """Return each piece's area, top, left, bottom and right at its first run: int32 [N, 5]."""
    boxes = np.zeros((len(runs), 5), np.int32)
    for k in range(len(runs)):
        y, first, end, piece = runs[k, 0], runs[k, 1], runs[k, 2], runs[k, 3]
        if piece == k:
            boxes[k, 1], boxes[k, 2], boxes[k, 3], boxes[k, 4] = y, first, y, end - 1
        boxes[piece, 0] += end - first
        boxes[piece, 2] = min(boxes[piece, 2], first)
        boxes[piece, 3] = y
        boxes[piece, 4] = max(boxes[piece, 4], end - 1)
    return boxes


@register_jitable
def _main_piece(boxes: Counts, height: int, width: int) -> int:
    """Return the largest piece, one near the middle before one at a side."""
    main, most = 0, -1.0
    for k in range(len(boxes)):
        if boxes[k, 0]:
            aside_y = abs((boxes[k, 1] + boxes[k, 3] + 1) / height - 1)
            aside_x = abs((boxes[k, 2] + boxes[k, 4] + 1) / width - 1)
            weight = boxes[k, 0] * max(1 - 0.8 * max(aside_y, aside_x), 0.05)
            if weight > most:
                main, most = k, weight
    return main


@register_jitable
def _is_cut_off(box: Counts, main: Counts, height: int, width: int) -> bool:
    """Return whether a piece reaches in over the border, away from the main one."""
    tall, wide = ZONE * height, ZONE * width
    return (
        (box[1] <= 1 and box[3] < tall and box[3] < main[1] + 0.15 * height)
        or (box[2] <= 1 and box[4] < wide and box[4] < main[2] + 0.15 * width)
        or (box[3] >= height - 2 and box[1] > height - tall and box[1] > main[3] - 0.15 * height)
        or (box[4] >= width - 2 and box[2] > width - wide and box[2] > main[4] - 0.15 * width)
    )


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
