"""What comes into a scan from beside the paper, or lies on it: desks, holes, neighbours, hairs."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.synthetic.negatives import any_digit
from digitrec.datasets.synthetic.pen import any_hand, write
from digitrec.datasets.synthetic.sheet import (
    Plane,
    Sheet,
    drawn_lines,
    drawn_paths,
    filled,
    line_width,
)


def _band(sheet: Sheet, side: int, wide: tuple[float, float]) -> Plane:
    """Return a band along a side (left, top, right, bottom), so wide at its two ends."""
    start, end = wide
    corners = np.array([[-1, -1], [start, -1], [end, 2], [-1, 2]], np.float64)
    if side >= 2:
        corners[:, 0] = 1 - corners[:, 0]
    if side % 2:
        corners = corners[:, ::-1]
    # From -1 to 2 in height: the ends' widths are those beyond the sheet, which is near enough.
    return filled(sheet.shape, corners * [sheet.width, sheet.height])


def _wide(rng: Generator) -> tuple[float, float]:
    width = rng.uniform(0.03, 0.3)
    slant = rng.normal(0, 0.04)
    return width - slant, width + slant


def _grain(sheet: Sheet, cover: Plane, rng: Generator) -> None:
    noise = rng.normal(0, rng.uniform(0.5, 9), sheet.shape).astype(np.float32)
    sheet.grey += cover * noise


def desk(sheet: Sheet, rng: Generator) -> None:
    """A dark desk or the scanner's bed beside the paper, along one side or two."""
    grey = rng.uniform(2, 0.6 * sheet.paper)
    first = int(rng.integers(4))
    for side in {first, (first + 1) % 4} if rng.random() < 0.3 else {first}:
        cover = _band(sheet, side, _wide(rng))
        sheet.paint(cover, grey)
        _grain(sheet, cover, rng)


def white_bed(sheet: Sheet, rng: Generator) -> None:
    """A scanner's lid that is lighter than the paper, often with the paper's shadow."""
    side, wide = int(rng.integers(4)), _wide(rng)
    if rng.random() < 0.6:
        edge = rng.uniform(0.01, 0.04)
        sheet.paint(_band(sheet, side, (wide[0] + edge, wide[1] + edge)), 0.6 * sheet.paper)
    sheet.paint(_band(sheet, side, wide), min(255.0, sheet.paper + rng.uniform(5, 60)))


def torn_corner(sheet: Sheet, rng: Generator) -> None:
    """A round or torn corner of the paper, with what is dark behind it."""
    reach = rng.uniform(0.1, 0.4)
    steps = np.linspace(0, 1, 9)[:, None]
    path = (1 - steps) * np.array([reach, 0.0]) + steps * np.array([0.0, rng.uniform(0.1, 0.4)])
    path = path + rng.normal(0, 0.015, path.shape)
    corners = np.concatenate([[[-0.1, -0.1], [reach, -0.1]], path, [[-0.1, path[-1, 1]]]])
    corners = np.where(rng.random(2) < 0.5, corners, 1 - corners)
    cover = filled(sheet.shape, corners * [sheet.width, sheet.height])
    sheet.paint(cover, rng.uniform(2, 0.6 * sheet.paper))
    _grain(sheet, cover, rng)


def punched_hole(sheet: Sheet, rng: Generator) -> None:
    """A hole punched at a side, dark or light, mostly cut by the border."""
    angles = np.linspace(0, 2 * np.pi, 32)
    radius = rng.uniform(0.08, 0.25) * sheet.side
    middle = np.array([rng.choice([0.0, 1.0]) + rng.normal(0, 0.06), rng.uniform(0, 1)])
    if rng.random() < 0.5:
        middle = middle[::-1]
    path = middle * [sheet.width, sheet.height]
    path = path + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    grey = rng.uniform(2, 0.6 * sheet.paper) if rng.random() < 0.75 else 255.0
    sheet.paint(filled(sheet.shape, path), grey)


def staple(sheet: Sheet, rng: Generator) -> None:
    """A short thick dark bar near a corner, at any angle, with its light edge."""
    at = np.where(rng.random(2) < 0.5, 0.08, 0.92) + rng.normal(0, 0.03, 2)
    at = at * [sheet.width, sheet.height]
    angle, length = rng.uniform(0, np.pi), rng.uniform(0.1, 0.3) * sheet.side
    step = length / 2 * np.array([np.cos(angle), np.sin(angle)])
    path, width = np.stack([at - step, at + step]), max(1.0, 0.035 * sheet.side)
    sheet.paint(drawn_paths(sheet.shape, [path + width / 2], width), 255)
    sheet.paint(drawn_paths(sheet.shape, [path], width), rng.uniform(20, 90))


def hair(sheet: Sheet, rng: Generator) -> None:
    """A hair or a scratch: a thin curve from somewhere beyond the border."""
    start = rng.uniform(-0.1, 1.1, 2)
    start[rng.integers(2)] = rng.choice([-0.1, 1.1])
    steps = np.cumsum(rng.normal(0, 0.02, (24, 2)), axis=0) + np.linspace(0, 1, 24)[:, None] * (
        rng.uniform(0.1, 0.9, 2) - start
    )
    path = (start + steps) * [sheet.width, sheet.height]
    cover = drawn_paths(sheet.shape, [path], max(0.4, 0.009 * sheet.side))
    sheet.lay(cover, sheet.print_grey(rng, pale=0.5))


def neighbour_box(sheet: Sheet, rng: Generator) -> None:
    """The side of the neighbouring box, and the gap between the two."""
    place, gap = rng.uniform(0.02, 0.12), rng.uniform(0.03, 0.1)
    upright = rng.random() < 0.7
    length = sheet.width if upright else sheet.height
    far = rng.random() < 0.5
    for at in (place, place + gap):
        along = (1 - at if far else at) * length
        ends = ((along, -2.0), (along, sheet.height + 2.0))
        line = ends if upright else ((-2.0, along), (sheet.width + 2.0, along))
        cover = drawn_lines(sheet.shape, [line], line_width(sheet, rng))
        sheet.lay(cover, sheet.print_grey(rng, pale=0.2))


def neighbour_digit(sheet: Sheet, rng: Generator) -> None:
    """The end of a neighbour's digit that reaches in over a side."""
    scan = 255 - write(any_digit(rng), any_hand(rng), rng)
    ys, xs = np.nonzero(scan > 60)
    if not len(ys):  # one in a million is so pale
        return
    ink = _fitted(scan[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1], sheet, rng)
    cover = np.zeros(sheet.shape, np.float32)
    reach = max(1, round(rng.uniform(0.03, 0.2) * sheet.width))
    top = int(rng.integers(0, sheet.height - ink.shape[0] + 1))
    rows = cover[top : top + ink.shape[0]]
    if rng.random() < 0.5:
        end = ink[:, -reach:]
        rows[:, : end.shape[1]] = end
    else:
        end = ink[:, :reach]
        rows[:, sheet.width - end.shape[1] :] = end
    sheet.lay(cover, sheet.print_grey(rng, pale=0.15))


def _fitted(ink: NDArray[np.uint8], sheet: Sheet, rng: Generator) -> Plane:
    """Bring ink to a height of a half to the whole of a sheet: cover float32."""
    high = max(2, round(rng.uniform(0.5, 1.0) * sheet.height))
    wide = max(2, min(sheet.width, round(ink.shape[1] * high / ink.shape[0])))
    fitted = cv2.resize(ink, (wide, high), interpolation=cv2.INTER_AREA)
    return np.asarray(fitted, np.float32) / np.float32(255)


def show_through(sheet: Sheet, rng: Generator) -> None:
    """Writing on the other side of the paper: mirrored, soft and pale."""
    scan = 255 - write(any_digit(rng), any_hand(rng), rng)[:, ::-1]
    ink = _fitted(np.ascontiguousarray(scan), sheet, rng)
    soft = cv2.GaussianBlur(ink, (0, 0), max(0.7, 0.02 * sheet.side))
    cover = np.zeros(sheet.shape, np.float32)
    cover[: ink.shape[0], : ink.shape[1]] = soft
    cover = np.roll(cover, rng.integers(-5, 20, 2).tolist(), (0, 1))
    sheet.lay(cover, sheet.paper - rng.uniform(1, 5))
