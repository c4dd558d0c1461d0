"""What lies under the place to write on: tints, panels, hatching, dots, security print."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.synthetic.sheet import (
    Plane,
    Sheet,
    box_corners,
    drawn_paths,
    filled,
    line_width,
)


def _inside(sheet: Sheet, rng: Generator) -> Plane:
    """Return where a field's background is: everywhere, or in a box of any margin."""
    if rng.random() < 0.5:
        return np.ones(sheet.shape, np.float32)
    return filled(sheet.shape, box_corners(sheet, rng.uniform(-0.05, 0.25, 4), rng))


def _pale(sheet: Sheet, rng: Generator, least: float = 5.0) -> float:
    """Return a grey that is a little darker than the paper."""
    return sheet.paper - rng.uniform(least, max(least + 1, 0.35 * sheet.paper))


def _waves(sheet: Sheet, rng: Generator, bent: float) -> Plane:
    """Return parallel waves of a random direction and distance: float32 [H, W], -1 to 1."""
    y, x = sheet.places()
    y, x = y * sheet.height, x * sheet.width
    step = max(1.6, rng.uniform(0.02, 0.12) * sheet.side)
    angle = rng.uniform(0, np.pi)
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    bow = bent * np.sin(across * (2 * np.pi / (sheet.side * rng.uniform(0.2, 1.0))))
    return np.asarray(np.sin(2 * np.pi / step * along + bow + rng.uniform(0, 6)), np.float32)


def panel(sheet: Sheet, rng: Generator) -> None:
    """A field of another grey, darker or lighter, at any margin."""
    cover = filled(sheet.shape, box_corners(sheet, rng.uniform(-0.06, 0.25, 4), rng))
    lighter = min(255.0, sheet.paper + rng.uniform(8, 60))
    sheet.paint(cover, lighter if rng.random() < 0.3 else _pale(sheet, rng))


def hatching(sheet: Sheet, rng: Generator) -> None:
    """Parallel straight strokes, pale and near each other."""
    cover = (_waves(sheet, rng, 0) > rng.uniform(-0.3, 0.85)).astype(np.float32)
    sheet.lay(cover * _inside(sheet, rng), _pale(sheet, rng))


def crossed_waves(sheet: Sheet, rng: Generator) -> None:
    """Two sets of soft waves across each other, as woven."""
    sharp = rng.uniform(0.5, 3)
    cover = _waves(sheet, rng, rng.uniform(0, 2)) + _waves(sheet, rng, rng.uniform(0, 2))
    cover = np.clip(0.5 + 0.5 * sharp * cover, 0, 1).astype(np.float32)
    sheet.lay(cover * _inside(sheet, rng), _pale(sheet, rng))


def wavy_lines(sheet: Sheet, rng: Generator) -> None:
    """Wavy lines of a cheque or a ticket."""
    cover = (_waves(sheet, rng, rng.uniform(1, 8)) > rng.uniform(0, 0.9)).astype(np.float32)
    sheet.lay(cover * _inside(sheet, rng), _pale(sheet, rng))


def rosette(sheet: Sheet, rng: Generator) -> None:
    """A guilloche: a line that winds round a centre many times, as on money."""
    angles = np.linspace(0, 2 * np.pi * int(rng.integers(5, 12)), 500)
    petals = rng.integers(3, 14) + rng.choice([0.2, 0.25, 1 / 3])
    radii = rng.uniform(0.15, 0.5) + rng.uniform(0.1, 0.4) * np.sin(petals * angles)
    middle = rng.uniform(0.1, 0.9, 2) * [sheet.width, sheet.height]
    path = middle + sheet.side * radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    cover = drawn_paths(sheet.shape, [path], 0.6 * line_width(sheet, rng))
    sheet.lay(cover, _pale(sheet, rng))


def seal(sheet: Sheet, rng: Generator) -> None:
    """A rubber stamp: two rings or more, letters between them, and lines or a star within."""
    radius = rng.uniform(0.2, 0.6) * sheet.side
    middle = rng.uniform(0.0, 1.0, 2) * [sheet.width, sheet.height]
    angles = np.linspace(0, 2 * np.pi, 64)
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    inner = radius * rng.uniform(0.55, 0.8)
    paths = [middle + radius * circle, middle + inner * circle]
    if rng.random() < 0.4:
        paths.append(middle + radius * rng.uniform(0.88, 0.95) * circle)
    # From afar letters are short strokes.
    for angle in np.linspace(0, 2 * np.pi, int(rng.integers(8, 30)), endpoint=False):
        ends = np.array([angle + rng.normal(0, 0.05), angle + rng.normal(0, 0.15)])
        reach = np.array([rng.uniform(0.2, 0.4), rng.uniform(0.6, 0.8)])[:, None]
        out = inner + (radius - inner) * reach
        paths.append(middle + out * np.stack([np.cos(ends), np.sin(ends)], 1))
    paths += _within_seal(middle, inner, rng)
    sheet.lay(
        drawn_paths(sheet.shape, paths, 0.7 * line_width(sheet, rng)),
        sheet.print_grey(rng, pale=0.6),
    )


def _within_seal(
    middle: NDArray[np.float64], radius: float, rng: Generator
) -> list[NDArray[np.float64]]:
    """Return a star, or the lines of a date: paths float64 [N, 2]."""
    if rng.random() < 0.5:
        points = int(rng.integers(5, 9))
        turns = np.arange(points + 1) * (points // 2) * 2 * np.pi / points + rng.uniform(0, 6)
        star = np.stack([np.cos(turns), np.sin(turns)], 1)
        return [middle + 0.8 * radius * star]
    lines = np.linspace(-0.5, 0.5, int(rng.integers(2, 5))) * radius
    half = np.array([[-0.7 * radius, 0], [0.7 * radius, 0]])
    return [middle + half + [0, line] for line in lines]


def dots(sheet: Sheet, rng: Generator) -> None:
    """A tint made of printed dots."""
    y, x = sheet.places()
    step = max(1.7, rng.uniform(0.015, 0.1) * sheet.side)
    angle = rng.choice([0.0, np.pi / 4, rng.uniform(0, np.pi)])
    y, x = y * sheet.height / step, x * sheet.width / step
    one = np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y))
    other = np.sin(2 * np.pi * (np.cos(angle) * y - np.sin(angle) * x))
    cover = (one * other > rng.uniform(0.0, 0.7)).astype(np.float32)
    sheet.lay(cover * _inside(sheet, rng), _pale(sheet, rng))


def speckled_tint(sheet: Sheet, rng: Generator) -> None:
    """A tint made of grains at random."""
    cover = (rng.random(sheet.shape) < rng.uniform(0.05, 0.5)).astype(np.float32)
    sheet.lay(cover * _inside(sheet, rng), _pale(sheet, rng))


def stripes(sheet: Sheet, rng: Generator) -> None:
    """Broad stripes of two greys, as lists have them."""
    upright = rng.random() < 0.3
    place = sheet.places()[int(upright)]
    step = rng.uniform(0.3, 1.2)
    cover = ((place / step + rng.uniform(0, 1)) % 1 < 0.5).astype(np.float32)
    sheet.lay(np.broadcast_to(cover, sheet.shape), _pale(sheet, rng))


def shading(sheet: Sheet, rng: Generator) -> None:
    """A printed gradient."""
    y, x = sheet.places()
    angle = rng.uniform(0, 2 * np.pi)
    cover = np.clip(0.5 + np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5), 0, 1)
    sheet.lay(cover.astype(np.float32), _pale(sheet, rng))


def watermark(sheet: Sheet, rng: Generator) -> None:
    """Large soft letters, hardly darker than the paper."""
    ink = np.zeros(sheet.shape, np.uint8)
    words = str(rng.choice(["COPY", "DRAFT", "VOID", "SPECIMEN"]))
    place = (rng.uniform(-0.5, 0.2) * sheet.width, rng.uniform(0.6, 1.1) * sheet.height)
    scale, pen = sheet.side * rng.uniform(0.02, 0.05), max(1, round(0.14 * sheet.side))
    at = (round(place[0]), round(place[1]))
    cv2.putText(ink, words, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, pen, cv2.LINE_AA)
    soft = cv2.GaussianBlur(ink, (0, 0), max(0.6, 0.03 * sheet.side))
    sheet.lay(np.asarray(soft, np.float32) / np.float32(255), sheet.paper - rng.uniform(4, 22))
