"""What forms have printed to write into or beside: boxes, combs, lines, grids, guides, numbers."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.synthetic.sheet import (
    Line,
    Sheet,
    box_corners,
    drawn_lines,
    drawn_paths,
    halved,
    line_width,
)

# The sides of a box by its corners: top, right, bottom, left.
SIDES = ((0, 1), (1, 2), (2, 3), (3, 0))
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX_SMALL)


def _margins(rng: Generator) -> NDArray[np.float64]:
    """Draw a box's margins (left, top, right, bottom): alike, or each its own, or cut off."""
    if rng.random() < 0.6:
        return rng.uniform(-0.02, 0.2) + rng.normal(0, 0.015, 4)
    return rng.uniform(-0.04, 0.24, 4)


def _sides(corners: NDArray[np.float64], which: list[int]) -> list[Line]:
    points = [(float(x), float(y)) for x, y in corners]
    return [(points[a], points[b]) for a, b in (SIDES[side] for side in which)]


def box(sheet: Sheet, rng: Generator) -> None:
    """A box at any margin; now and then a side of it is missing."""
    which = [side for side in range(4) if rng.random() < 0.96]
    lines = _sides(box_corners(sheet, _margins(rng), rng), which)
    sheet.lay(drawn_lines(sheet.shape, lines, line_width(sheet, rng)), sheet.print_grey(rng))


def rounded_box(sheet: Sheet, rng: Generator) -> None:
    """A box with round corners."""
    corners = box_corners(sheet, _margins(rng), rng)
    radius = rng.uniform(0.05, 0.3)
    path = []
    for k in range(4):
        before, corner, after = corners[k - 1], corners[k], corners[(k + 1) % 4]
        for t in np.linspace(0, 1, 6)[:, None]:
            start, end = corner + radius * (before - corner), corner + radius * (after - corner)
            path.append((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    cover = drawn_paths(sheet.shape, [np.stack(path)], line_width(sheet, rng), closed=True)
    sheet.lay(cover, sheet.print_grey(rng))


def double_box(sheet: Sheet, rng: Generator) -> None:
    """Two boxes, one in the other."""
    margins, grey = _margins(rng), sheet.print_grey(rng)
    for inwards in (0.0, rng.uniform(0.03, 0.08)):
        corners = box_corners(sheet, margins + inwards, rng)
        lines = _sides(corners, [0, 1, 2, 3])
        sheet.lay(drawn_lines(sheet.shape, lines, line_width(sheet, rng)), grey)


def half_frame(sheet: Sheet, rng: Generator) -> None:
    """Two or three sides of a box, as cuts of a table leave them."""
    count = int(rng.integers(2, 4))
    first = int(rng.integers(4))
    which = [(first + k) % 4 for k in range(count)]
    lines = _sides(box_corners(sheet, _margins(rng), rng), which)
    sheet.lay(drawn_lines(sheet.shape, lines, line_width(sheet, rng)), sheet.print_grey(rng))


def corner_marks(sheet: Sheet, rng: Generator) -> None:
    """The corners of a box and nothing between them."""
    corners, length = box_corners(sheet, _margins(rng), rng), rng.uniform(0.1, 0.3)
    lines: list[Line] = []
    for a, b in SIDES:
        for start, end in ((corners[a], corners[b]), (corners[b], corners[a])):
            stop = start + length * (end - start)
            lines.append(((start[0], start[1]), (stop[0], stop[1])))
    sheet.lay(drawn_lines(sheet.shape, lines, line_width(sheet, rng)), sheet.print_grey(rng))


def comb(sheet: Sheet, rng: Generator) -> None:
    """A line at the foot with teeth at its ends, and now and then one between."""
    foot = sheet.height * rng.uniform(0.8, 1.0)
    tooth = sheet.height * rng.uniform(0.06, 0.5)
    left, right = np.array([rng.uniform(-0.05, 0.15), rng.uniform(0.85, 1.05)]) * sheet.width
    at = [left, right]
    if rng.random() < 0.2:
        at.append(left + rng.uniform(0.2, 0.8) * (right - left))
    lines: list[Line] = [((x, foot), (x + rng.normal(0, 0.5), foot - tooth)) for x in at]
    if rng.random() < 0.85:
        lines.append(((left, foot), (right, foot + rng.normal(0, 0.5))))
    sheet.lay(drawn_lines(sheet.shape, lines, line_width(sheet, rng)), sheet.print_grey(rng))


def _across(sheet: Sheet, place: float, upright: bool, rng: Generator) -> Line:
    """Return a line from border to border, at a share of the other side, a little slanting."""
    slant = rng.normal(0, 0.02) * sheet.side
    if upright:
        x = place * sheet.width
        return (x - slant, -2.0), (x + slant, sheet.height + 2.0)
    y = place * sheet.height
    return (-2.0, y - slant), (sheet.width + 2.0, y + slant)


def lines_across(sheet: Sheet, rng: Generator) -> None:
    """One to three lines from border to border."""
    for _ in range(int(rng.integers(1, 4))):
        line = _across(sheet, rng.uniform(0, 1), rng.random() < 0.55, rng)
        cover = drawn_lines(sheet.shape, [line], line_width(sheet, rng))
        sheet.lay(cover, sheet.print_grey(rng))


def base_line(sheet: Sheet, rng: Generator) -> None:
    """A short level line to write on, low in the scan."""
    y = sheet.height * rng.uniform(0.78, 0.98)
    left, right = sheet.width * rng.uniform(0.0, 0.25), sheet.width * rng.uniform(0.75, 1.0)
    line = (left, y), (right, y + rng.normal(0, 0.01) * sheet.side)
    cover = drawn_lines(sheet.shape, [line], line_width(sheet, rng))
    sheet.lay(cover, sheet.print_grey(rng))


def dashed_lines(sheet: Sheet, rng: Generator) -> None:
    """Lines of dashes or dots from border to border."""
    dash, gap = rng.uniform(0.01, 0.12, 2) * sheet.side
    lines: list[Line] = []
    for _ in range(int(rng.integers(1, 4))):
        start, end = map(np.array, _across(sheet, rng.uniform(0, 1), rng.random() < 0.5, rng))
        length = float(np.hypot(*(end - start)))
        for along in np.arange(0, length, dash + gap + 2):
            a, b = (start + (end - start) * (one / length) for one in (along, along + dash))
            lines.append(((a[0], a[1]), (b[0], b[1])))
    sheet.lay(drawn_lines(sheet.shape, lines, line_width(sheet, rng)), sheet.print_grey(rng))


def ruled(sheet: Sheet, rng: Generator) -> None:
    """Writing paper's parallel lines."""
    _grid(sheet, rng, [rng.random() < 0.3])


def squared(sheet: Sheet, rng: Generator) -> None:
    """Squared paper."""
    _grid(sheet, rng, [False, True])


def _grid(sheet: Sheet, rng: Generator, directions: list[bool]) -> None:
    step = rng.uniform(0.1, 0.4)
    begin = rng.uniform(0, step)
    lines = [
        _across(sheet, place, upright, rng)
        for upright in directions
        for place in np.arange(begin, 1, step)
    ]
    width = 0.7 * line_width(sheet, rng)
    sheet.lay(drawn_lines(sheet.shape, lines, width), sheet.print_grey(rng, pale=0.6))


def table_cross(sheet: Sheet, rng: Generator) -> None:
    """A corner where the lines of a table meet, near the scan's border."""
    grey, width = sheet.print_grey(rng), line_width(sheet, rng)
    for upright in (False, True):
        place = rng.uniform(0.02, 0.16)
        line = _across(sheet, place if rng.random() < 0.5 else 1 - place, upright, rng)
        sheet.lay(drawn_lines(sheet.shape, [line], width), grey)


def oval(sheet: Sheet, rng: Generator) -> None:
    """A circle or an oval round the place to write on."""
    angles = np.linspace(0, 2 * np.pi, 48)
    radii = rng.uniform(0.46, 0.6, 2) * [sheet.width, sheet.height]
    middle = (0.5 + rng.normal(0, 0.03, 2)) * [sheet.width, sheet.height]
    path = middle + np.stack([np.cos(angles), np.sin(angles)], 1) * radii
    cover = drawn_paths(sheet.shape, [path], line_width(sheet, rng))
    sheet.lay(cover, sheet.print_grey(rng, pale=0.6))


def seven_segments(sheet: Sheet, rng: Generator) -> None:
    """The pale guide of a calculator's eight, as lines or as dots at its corners."""
    left, top = rng.uniform(0.15, 0.32, 2) * [sheet.width, sheet.height]
    right, foot = sheet.width - left, sheet.height - top
    middle = (top + foot) / 2
    corners = [(x, y) for y in (top, middle, foot) for x in (left, right)]
    if rng.random() < 0.6:
        order = ((0, 1), (2, 3), (4, 5), (0, 2), (2, 4), (1, 3), (3, 5))
        lines: list[Line] = [(corners[a], corners[b]) for a, b in order]
        width = line_width(sheet, rng)
    else:
        lines, width = [(one, one) for one in corners], 2.5 * line_width(sheet, rng)
    grey = sheet.paper - rng.uniform(8, max(9.0, 0.3 * sheet.paper))
    sheet.lay(drawn_lines(sheet.shape, lines, width), grey)


def _text(sheet: Sheet, words: str, at: NDArray[np.float64], high: float, rng: Generator) -> None:
    """Print words so many pixels high, beginning at (x, y), the foot of the first letter."""
    ink = np.zeros((2 * sheet.height, 2 * sheet.width), np.uint8)
    font = FONTS[rng.integers(len(FONTS))]
    place = np.rint(2 * at).astype(int).tolist()
    cv2.putText(ink, words, place, font, high / 10.5, 255, 1, cv2.LINE_AA)
    sheet.lay(halved(ink), sheet.print_grey(rng))


def cell_number(sheet: Sheet, rng: Generator) -> None:
    """A small number in a corner."""
    high = rng.uniform(0.1, 0.2) * sheet.side
    words = str(rng.integers(1, 100))
    x = rng.uniform(0.01, 0.1) if rng.random() < 0.6 else rng.uniform(0.75, 0.95)
    y = rng.uniform(0.03, 0.1) if rng.random() < 0.7 else rng.uniform(0.78, 0.85)
    at = np.array([x * sheet.width, y * sheet.height + high])
    _text(sheet, words, at, high, rng)


def rim_text(sheet: Sheet, rng: Generator) -> None:
    """A line of small text along the top or the foot, mostly cut off."""
    high = rng.uniform(0.1, 0.24) * sheet.side
    words = "".join(rng.choice(list("abcdeghilmnoprstuABENRST 0123456789.:"), 14))
    y = rng.uniform(-0.05, 0.04) * sheet.height + high
    if rng.random() < 0.6:
        y = rng.uniform(0.96, 1.08) * sheet.height
    _text(sheet, words, np.array([rng.uniform(-0.8, 0.1) * sheet.width, y]), high, rng)


def printed_point(sheet: Sheet, rng: Generator) -> None:
    """A printed point or comma between two cells, at the foot and near a side."""
    at = np.array([rng.choice([0.05, 0.95]), 0.9]) + rng.normal(0, 0.03, 2)
    at = at * [sheet.width, sheet.height]
    radius = rng.uniform(0.02, 0.045) * sheet.side
    tail = rng.uniform(0, 3) * radius * np.array([-0.4, 1.0])
    path = np.stack([at, at + tail * (rng.random() < 0.5)])
    sheet.lay(drawn_paths(sheet.shape, [path], 2 * radius), sheet.print_grey(rng))
