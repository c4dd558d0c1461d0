"""MNIST's digits as other scanners, pens and papers would show them: what the panel measures on.

In the manner of MNIST-C (Mu and Gilmer, "MNIST-C: a robustness benchmark for computer vision",
2019), but made of what befalls scans of forms. An `exact` corruption presents the same digit
otherwise, and normalizing must undo it; a `hard` one changes the digit or what is around it, as
far as a person still reads it with ease; a `cut` one is cut out as forms, faxes and phones deliver
it (see `cut_outs.py`). The scans of a seed are the same in every run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.cut_outs import CUT_OUTS
from digitrec.datasets.paper import (
    Corrupted,
    Grey,
    MadeScans,
    any_size,
    bent,
    clouds,
    coloured,
    ellipse,
    grain,
    on_paper,
    scaled,
    shown,
    sign,
    to_bytes,
    written,
)
from digitrec.normalize.arrays import SIDE

THICK_SIDE = 84
THIN_SIDE = 112
CELL_SIDE = 95
WHITE, BLACK = 255.0, 0.0


@dataclass(frozen=True, slots=True)
class Corruption:
    """One way in which a digit may be presented."""

    name: str  # as in `mnist:NAME`
    kind: Literal["exact", "hard", "cut"]
    words: str  # what it looks like, for people
    # An MNIST image, uint8 [28, 28] with bright ink on black, → a scan of it.
    apply: Callable[[Grey, Generator], Corrupted]


class CorruptedImages(MadeScans):
    """The scans that a corruption makes of images uint8 [N, 28, 28], each made when asked for."""

    def __init__(self, images: Grey, corruption: Corruption, seed: int = 0) -> None:
        super().__init__(len(images), corruption.name.encode(), seed)
        self._images, self._corruption = images, corruption

    def make(self, k: int, rng: Generator) -> Corrupted:
        """Make a scan of image `k`."""
        return self._corruption.apply(self._images[k], rng)


# ---- Exact: the same digit, presented otherwise ----


def _inverted(ink: Grey, rng: Generator) -> Corrupted:
    return 255 - ink


def _blue_ink(ink: Grey, rng: Generator) -> Corrupted:
    return coloured(ink, (252, 252, 250), (35, 60, 165))


def _red_ink(ink: Grey, rng: Generator) -> Corrupted:
    return coloured(ink, (250, 238, 208), (190, 30, 45))


def _chalk(ink: Grey, rng: Generator) -> Corrupted:
    return coloured(ink, (38, 92, 66), (228, 232, 222))


def _shifted(ink: Grey, rng: Generator) -> Corrupted:
    height, width = rng.integers(SIDE + 8, 2 * SIDE, 2, endpoint=True)
    canvas = np.zeros((height, width), np.uint8)
    top, left = rng.integers(0, (height - SIDE + 1, width - SIDE + 1))
    canvas[top : top + SIDE, left : left + SIDE] = ink
    return canvas


def _padded(ink: Grey, rng: Generator) -> Corrupted:
    margin = int(rng.integers(28, 56))
    return 255 - np.pad(ink, margin)


def _rescaled(ink: Grey, rng: Generator) -> Corrupted:
    factor = rng.choice((1.5, 2, 3))
    return scaled(ink, int(factor * SIDE), int(rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC))))


def _sixteen_bit(ink: Grey, rng: Generator) -> Corrupted:
    return cv2.imencode(".png", (255 - ink).astype(np.uint16) * 257)[1].tobytes()


def _transparent(ink: Grey, rng: Generator) -> Corrupted:
    """Black ink on no paper: who drops the transparency sees black alone."""
    return np.dstack([np.zeros((*ink.shape, 3), np.uint8), ink])


# ---- Hard: another hand, pen, paper or scanner ----


def _rotated(ink: Grey, rng: Generator) -> Corrupted:
    ink, _ = any_size(ink, rng)
    angle = np.radians(sign(rng) * rng.uniform(15, 25))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return to_bytes(on_paper(bent(ink, turn, len(ink) // 14), rng))


def _sheared(ink: Grey, rng: Generator) -> Corrupted:
    ink, _ = any_size(ink, rng)
    slant = np.array([[1, sign(rng) * rng.uniform(0.25, 0.45)], [0, 1]])
    return to_bytes(on_paper(bent(ink, slant, len(ink) // 7), rng))


def _thin(ink: Grey, rng: Generator) -> Corrupted:
    """Wear the stroke down to its middle line, then draw that with a pen of 3 to 5 pixels."""
    stroke = (scaled(ink, THIN_SIDE) > 100).astype(np.uint8)
    line = np.zeros_like(stroke)
    while stroke.any():
        # What opening would remove has worn down to its middle.
        line |= stroke - np.asarray(cv2.morphologyEx(stroke, cv2.MORPH_OPEN, ellipse(3)), np.uint8)
        stroke = np.asarray(cv2.erode(stroke, ellipse(3), borderValue=0), np.uint8)
    joined = cv2.morphologyEx(line * 255, cv2.MORPH_CLOSE, ellipse(7), borderValue=0)
    drawn = cv2.dilate(joined, ellipse(int(rng.integers(2, 5))))
    return to_bytes(on_paper(np.asarray(cv2.GaussianBlur(drawn, (0, 0), 0.7), np.uint8), rng))


def _thick(ink: Grey, rng: Generator) -> Corrupted:
    drawn = cv2.dilate(written(ink, THICK_SIDE), ellipse(int(rng.choice((5, 7)))))
    return to_bytes(on_paper(np.asarray(drawn, np.uint8), rng))


def _faint(ink: Grey, rng: Generator) -> Corrupted:
    ink, _ = any_size(ink, rng)
    paper = rng.uniform(205, 250)
    levels = shown(ink, paper, paper * rng.uniform(0.75, 0.85))
    return to_bytes(levels + grain(ink.shape, 2, rng))


def _blurred(ink: Grey, rng: Generator) -> Corrupted:
    ink, factor = any_size(ink, rng)
    levels = on_paper(np.pad(ink, len(ink) // 7), rng)
    blurred = cv2.GaussianBlur(levels, (0, 0), factor * rng.uniform(0.8, 1.4))
    return to_bytes(np.asarray(blurred, np.float32))


def _noisy(ink: Grey, rng: Generator) -> Corrupted:
    ink, _ = any_size(ink, rng)
    return to_bytes(on_paper(ink, rng) + grain(ink.shape, rng.uniform(15, 35), rng))


def _jpeg(ink: Grey, rng: Generator) -> Corrupted:
    ink, _ = any_size(ink, rng)
    pixels = to_bytes(on_paper(ink, rng))
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 30, endpoint=True))]
    return cv2.imencode(".jpg", pixels, quality)[1].tobytes()


def _uneven_light(ink: Grey, rng: Generator) -> Corrupted:
    """Half of them fade from one side to the other, half have a shadow with a soft edge."""
    ink, _ = any_size(ink, rng)
    across = np.linspace(-1, 1, len(ink), dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    place = across * np.float32(np.cos(angle)) + across[:, None] * np.float32(np.sin(angle))
    if rng.random() < 0.5:
        place = np.tanh(8 * (place - rng.uniform(-0.5, 0.5)))
    darkest = rng.uniform(0.45, 0.65)
    light = (1 + darkest) / 2 - (1 - darkest) / 2 * np.clip(place, -1, 1)
    return to_bytes(on_paper(ink, rng) * light.astype(np.float32))


def _rough_paper(ink: Grey, rng: Generator) -> Corrupted:
    """Stains and grain of a cream-coloured paper."""
    ink, factor = any_size(ink, rng)
    paper = 8 * clouds(ink.shape, 5, rng) + cv2.GaussianBlur(
        grain(ink.shape, 9 * factor**0.5, rng), (0, 0), 0.5 * factor**0.5
    )
    levels = shown(ink, rng.uniform(195, 230), rng.uniform(40, 90)) + paper
    cream = np.array((1.06, 1.0, 0.86), np.float32)
    return to_bytes(levels[:, :, None] * cream)


def _box_lines(ink: Grey, rng: Generator) -> Corrupted:
    """A cell of a form, cut out with some of its printed lines."""
    move = rng.integers(-5, 5, 2, endpoint=True)
    ink = np.roll(written(ink, CELL_SIDE), move, (0, 1))
    levels = shown(ink, WHITE, rng.uniform(15, 90))
    sides = rng.choice(4, int(rng.integers(1, 4, endpoint=True)), replace=False)
    printed = _cell_lines(sides, int(rng.integers(1, 3, endpoint=True)), rng)
    return to_bytes(np.minimum(levels, shown(printed, WHITE, rng.uniform(20, 150))))


def _cell_lines(sides: NDArray[np.int64], width: int, rng: Generator) -> Grey:
    """Draw lines along sides (0 to 3: top, right, bottom, left): uint8 [95, 95], 255 for ink."""
    canvas = np.zeros((CELL_SIDE, CELL_SIDE), np.uint8)
    lean = CELL_SIDE * np.tan(np.radians(rng.choice((0, 1)) * rng.uniform(-2, 2)))
    for side in sides:
        away = rng.uniform(1, 7)
        line = np.zeros_like(canvas)
        start, end = (-1, away - lean / 2), (CELL_SIDE, away + lean / 2)
        points = [(round(16 * along), round(16 * across)) for along, across in (start, end)]
        cv2.line(line, points[0], points[1], 255, width, cv2.LINE_AA, shift=4)
        canvas = np.maximum(canvas, np.rot90(line, -int(side)))
    return canvas


def _specks(ink: Grey, rng: Generator) -> Corrupted:
    """Dust and drops, here and there a crumb as wide as a stroke."""
    ink, factor = any_size(ink, rng)
    levels = on_paper(ink, rng)
    for _ in range(int(rng.integers(3, 9, endpoint=True))):
        centre = [round(16 * place) for place in rng.uniform(0, len(ink), 2)]
        radius = round(16 * factor * rng.uniform(0.3, 0.9))
        cv2.circle(levels, centre, radius, rng.uniform(20, 150), -1, cv2.LINE_AA, shift=4)
    return to_bytes(levels)


def _neighbour(ink: Grey, rng: Generator) -> Corrupted:
    """At one side the border cuts through another digit: here a turned one, by the same hand."""
    ink = written(ink, CELL_SIDE)
    turned = np.rot90(ink, int(rng.integers(1, 3, endpoint=True)))
    columns = np.flatnonzero(turned.any(axis=0))
    depth = int(rng.integers(4, 12, endpoint=True))
    other = np.zeros_like(ink)
    other[:, :depth] = turned[:, columns[-1] + 1 - depth : columns[-1] + 1]
    other = np.roll(other, int(rng.integers(-20, 20)), axis=0)
    # Left or right three times in four, as in a row of digits; else above or below.
    quarter_turns = int(rng.choice((0, 1, 2, 3), p=(0.375, 0.125, 0.375, 0.125)))
    return to_bytes(on_paper(np.maximum(ink, np.rot90(other, quarter_turns)), rng))


CORRUPTIONS = {
    corruption.name: corruption
    for corruption in (
        Corruption("inverted", "exact", "dark ink on white", _inverted),
        Corruption("blue-ink", "exact", "blue ink on white", _blue_ink),
        Corruption("red-ink", "exact", "red ink on cream", _red_ink),
        Corruption("chalk", "exact", "chalk on a green board", _chalk),
        Corruption("shifted", "exact", "off the centre", _shifted),
        Corruption("padded", "exact", "small on a large paper", _padded),
        Corruption("rescaled", "exact", "1.5 to 3 times as large", _rescaled),
        Corruption("sixteen-bit", "exact", "a PNG of 16 bits", _sixteen_bit),
        Corruption("transparent", "exact", "ink on no paper", _transparent),
        Corruption("rotated", "hard", "turned by 15 to 25°", _rotated),
        Corruption("sheared", "hard", "slanted", _sheared),
        Corruption("thin", "hard", "a fine pen", _thin),
        Corruption("thick", "hard", "a broad pen", _thick),
        Corruption("faint", "hard", "ink 15 to 25 % darker than paper", _faint),
        Corruption("blurred", "hard", "out of focus", _blurred),
        Corruption("noisy", "hard", "a noisy camera", _noisy),
        Corruption("jpeg", "hard", "JPEG of quality 15 to 30", _jpeg),
        Corruption("uneven-light", "hard", "fading light or a shadow", _uneven_light),
        Corruption("rough-paper", "hard", "stained, grainy paper", _rough_paper),
        Corruption("box-lines", "hard", "a form's printed lines", _box_lines),
        Corruption("specks", "hard", "dust and drops", _specks),
        Corruption("neighbour", "hard", "part of another digit", _neighbour),
        *(Corruption(name, "cut", words, apply) for name, words, apply in CUT_OUTS),
    )
}
