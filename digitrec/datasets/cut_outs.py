"""MNIST's digits as forms, faxes and phones deliver them: cut to the ink, or with print around.

Each function makes of an MNIST image, uint8 [28, 28] with bright ink on black, a scan of it; of an
image without ink most make what is around it alone, with which `empty.py` goes on.
"""

import io
from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from digitrec.datasets.paper import (
    Corrupted,
    Grey,
    any_size,
    clouds,
    coloured,
    grain,
    on_paper,
    shown,
    sign,
    to_bytes,
    written,
)
from digitrec.normalize.arrays import SIDE

Levels = NDArray[np.float32]

INK = 64  # what a contour finder takes for ink, of 255
CELL_SIDES = (64, 80, 95, 120)
FAX_DPI = (204, 98)
STRETCHED_SIDES = (16, 20, 24, 32)
# Narrower ones get paper to the left and right: a 1 stretched to a square would be a blot.
NARROWEST = 0.4


# ---- Cut to the ink ----


def _cropped(ink: Grey) -> Grey:
    left, top, width, height = cv2.boundingRect((ink > INK).astype(np.uint8))
    return ink[top : top + height, left : left + width]


def _either_way(ink: Grey, rng: Generator) -> Grey:
    """Light on dark as MNIST is, or dark on light."""
    return ink if rng.random() < 0.5 else 255 - ink


def _tight(ink: Grey, rng: Generator) -> Corrupted:
    return _either_way(_cropped(any_size(ink, rng)[0]), rng)


def _tight_binary(ink: Grey, rng: Generator) -> Corrupted:
    drawn = any_size(ink, rng)[0] > 127
    return _either_way(_cropped(np.where(drawn, np.uint8(255), np.uint8(0))), rng)


def _stretched(ink: Grey, rng: Generator) -> Corrupted:
    drawn = _cropped(written(ink, 95))
    missing = max(round(NARROWEST * drawn.shape[0]) - drawn.shape[1], 0)
    drawn = np.pad(drawn, ((0, 0), (missing // 2, missing - missing // 2)))
    side = int(rng.choice(STRETCHED_SIDES))
    small = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA)
    return _either_way(np.asarray(small, np.uint8), rng)


# ---- Print around it ----


def _cell(ink: Grey, rng: Generator, largest: float = 0.6) -> tuple[Levels, int]:
    """Write a digit about the middle of a cell: levels float32 [side, side], and the side.

    It is 0.4 to `largest` times as high as the cell.
    """
    side = int(rng.choice(CELL_SIDES))
    drawn = written(ink, int(rng.uniform(0.4, largest) * side * SIDE / 20))
    beyond = max(len(drawn) - side, 0) // 2 + 1
    canvas = np.zeros((side + 2 * beyond, side + 2 * beyond), np.uint8)
    middle = (len(canvas) - len(drawn)) // 2
    top, left = middle + rng.integers(-side // 20, side // 20, 2, endpoint=True)
    top, left = (int(np.clip(one, 0, len(canvas) - len(drawn))) for one in (top, left))
    canvas[top : top + len(drawn), left : left + len(drawn)] = drawn
    return on_paper(canvas[beyond:-beyond, beyond:-beyond], rng) + grain(
        (side, side), 1.5, rng
    ), side


def printed(levels: Levels, lines: list[list[float]], width: int, level: float) -> Levels:
    """Draw lines x0, y0, x1, y1, in shares of the side, where what is there is not darker."""
    mask = np.zeros(levels.shape, np.uint8)
    height, across = levels.shape
    for x0, y0, x1, y1 in lines:
        ends = [(round(16 * x * across), round(16 * y * height)) for x, y in ((x0, y0), (x1, y1))]
        cv2.line(mask, ends[0], ends[1], 255, width, cv2.LINE_AA, shift=4)
    return np.minimum(levels, shown(mask, 255, level))


def _line_width(side: int, rng: Generator) -> int:
    return int(rng.integers(1, 1 + side // 40, endpoint=True))


def _box_margin(ink: Grey, rng: Generator) -> Corrupted:
    levels, side = _cell(ink, rng, 0.5)
    margin = rng.uniform(0.06, 0.18)
    left, top = margin + rng.uniform(-0.03, 0.03, 2)
    right, bottom = 1 - margin + rng.uniform(-0.03, 0.03, 2)
    lean = rng.uniform(-0.02, 0.02)
    lines = [
        [left, top, right, top + lean],
        [right, top + lean, right - lean, bottom + lean],
        [right - lean, bottom + lean, left - lean, bottom],
        [left - lean, bottom, left, top],
    ]
    return to_bytes(printed(levels, lines, _line_width(side, rng), rng.uniform(20, 150)))


def _comb(ink: Grey, rng: Generator) -> Corrupted:
    """A base line, and a tooth to the left and right."""
    levels, side = _cell(ink, rng, 0.55)
    left, right = rng.uniform(0.03, 0.12), 1 - rng.uniform(0.03, 0.12)
    base, height = 1 - rng.uniform(0.06, 0.14), rng.uniform(0.15, 0.45)
    lines = [[0, base, 1, base], *([x, base, x, base - height] for x in (left, right))]
    return to_bytes(printed(levels, lines, _line_width(side, rng), rng.uniform(20, 150)))


def _rim(ink: Grey, rng: Generator) -> Corrupted:
    """A grey line right along the border, of one to three sides."""
    ink, factor = any_size(ink, rng)
    levels = on_paper(ink, rng)
    width, level = int(rng.uniform(1, 1 + factor)), rng.uniform(60, 200)
    for turns in rng.choice(4, int(rng.integers(1, 3, endpoint=True)), replace=False):
        side = np.rot90(levels, int(turns))
        side[:width] = np.minimum(side[:width], level)
    return to_bytes(levels)


def _squared(ink: Grey, rng: Generator) -> Corrupted:
    levels, _ = _cell(ink, rng)
    step, across, down = rng.uniform(0.14, 0.3), *rng.uniform(0, 0.14, 2)
    lines = [[x, 0, x, 1] for x in np.arange(across, 1, step)]
    lines += [[0, y, 1, y] for y in np.arange(down, 1, step)]
    return to_bytes(printed(levels, lines, 1, rng.uniform(160, 210)))


def _segments(ink: Grey, rng: Generator) -> Corrupted:
    """The pale guide of seven segments that some forms want digits written along."""
    levels, side = _cell(ink, rng)
    left, right = 0.5 + rng.uniform(0.14, 0.22) * np.array((-1, 1))
    top, bottom = 0.5 + rng.uniform(0.28, 0.36) * np.array((-1, 1))
    gap = 0.03
    lines = [[left + gap, y, right - gap, y] for y in (top, 0.5, bottom)]
    for x in (left, right):
        lines += [[x, top + gap, x, 0.5 - gap], [x, 0.5 + gap, x, bottom - gap]]
    return to_bytes(printed(levels, lines, _line_width(side, rng), rng.uniform(165, 215)))


def _cell_number(ink: Grey, rng: Generator) -> Corrupted:
    """A small printed number in one of the upper corners, as forms number their cells."""
    levels, side = _cell(ink, rng, 0.55)
    mask = np.zeros((side, side), np.uint8)
    place = (2 if rng.random() < 0.5 else round(0.78 * side), round(0.16 * side))
    number = str(rng.integers(1, 99))
    size = 0.0045 * side
    cv2.putText(mask, number, place, cv2.FONT_HERSHEY_SIMPLEX, size, 255, 1, cv2.LINE_AA)
    return to_bytes(np.minimum(levels, shown(mask, 255, rng.uniform(40, 150))))


# ---- Other papers ----


def _hatched(ink: Grey, rng: Generator) -> Corrupted:
    """Security print: fine slanting lines, every second time crossed."""
    levels, _ = _cell(ink, rng)
    step, slope = rng.uniform(0.06, 0.12), sign(rng) * rng.uniform(0.5, 2)
    slopes = (slope, -slope) if rng.random() < 0.5 else (slope,)
    starts = np.arange(-3, 3, step * np.hypot(1, slope))
    lines = [[0, y, 1, y + one] for one in slopes for y in starts]
    return to_bytes(printed(levels, lines, 1, rng.uniform(165, 215)))


def _panel(ink: Grey, rng: Generator) -> Corrupted:
    """A white field in a form's pale colour."""
    levels, side = _cell(ink, rng, 0.5)
    colour = rng.uniform(0.7, 0.95, 3).astype(np.float32)
    tinted = levels[:, :, None] * colour
    ends = (rng.uniform((0.05, 0.05, 0.82, 0.82), (0.18, 0.18, 0.95, 0.95)) * side).astype(int)
    left, top, right, bottom = ends.tolist()
    tinted[top:bottom, left:right] = levels[top:bottom, left:right, None]
    return to_bytes(tinted)


def _desk(ink: Grey, rng: Generator) -> Corrupted:
    """The paper ends within the scan: beyond one side, or two, lies a dark desk."""
    levels, side = _cell(ink, rng, 0.5)
    across, down = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
    dark = rng.uniform(15, 100) + 6 * clouds(levels.shape, 5, rng) + grain(levels.shape, 3, rng)
    first = int(rng.integers(4))
    for turns in range(first, first + int(rng.choice((1, 2), p=(0.7, 0.3)))):
        edge = rng.uniform(0.05, 0.2) + rng.uniform(-0.05, 0.05) * down
        share = np.clip((edge - across) * side + 0.5, 0, 1).astype(np.float32)
        share = np.rot90(share, turns)
        levels = levels * (1 - share) + dark * share
    return to_bytes(levels)


def _pale(ink: Grey, rng: Generator) -> Corrupted:
    """Ink 8 to 20 grey levels darker than paper, over noise of a tenth of that."""
    ink, _ = any_size(ink, rng)
    paper, contrast = rng.uniform(190, 250), rng.uniform(8, 20)
    return to_bytes(shown(ink, paper, paper - contrast) + grain(ink.shape, contrast / 10, rng))


def _fax(ink: Grey, rng: Generator) -> Corrupted:
    """Black and white, of 204 dots an inch across and 98 down, which the TIFF says."""
    levels, side = _cell(ink, rng)
    rows = round(side * FAX_DPI[1] / FAX_DPI[0])
    lower = cv2.resize(levels, (side, rows), interpolation=cv2.INTER_AREA)
    white = lower + 3 * grain(lower.shape, 1, rng) > 160
    white ^= rng.random(lower.shape) < 0.001
    buffer = io.BytesIO()
    Image.fromarray(white).save(buffer, "TIFF", compression="group4", dpi=FAX_DPI)
    return buffer.getvalue()


# ---- What a file says, or does not ----


def _few_bits(ink: Grey, rng: Generator) -> Corrupted:
    """Values of 8, 10 or 12 bits in a file of 16."""
    used = (255 - ink).astype(np.uint16) * np.uint16(rng.choice((1, 4, 16)))
    return cv2.imencode(".png", used)[1].tobytes()


def _flat_alpha(ink: Grey, rng: Generator) -> Corrupted:
    """An alpha that is the same everywhere, most often 0."""
    grey = coloured(ink, (250, 250, 250), (30, 30, 30))
    shown = np.dstack([grey, np.full_like(ink, rng.choice((0, 0, 1, 255)))])
    return cv2.imencode(".png", shown)[1].tobytes()


# Name, what it looks like for people, and what makes it.
CUT_OUTS: tuple[tuple[str, str, Callable[[Grey, Generator], Corrupted]], ...] = (
    ("tight", "cut to the ink", _tight),
    ("tight-binary", "cut to the ink, 1 bit", _tight_binary),
    ("stretched", "cut to the ink, made a square", _stretched),
    ("rim", "grey lines along the border", _rim),
    ("box-margin", "a box with a margin", _box_margin),
    ("comb", "a form's comb", _comb),
    ("squared", "squared paper", _squared),
    ("segments", "a guide of seven segments", _segments),
    ("cell-number", "a printed number beside", _cell_number),
    ("hatched", "security print", _hatched),
    ("panel", "a field in a coloured form", _panel),
    ("desk", "beside a dark desk", _desk),
    ("pale", "ink 8 to 20 levels darker", _pale),
    ("fax", "a fax of 204 × 98 dpi", _fax),
    ("few-bits", "8 to 12 bits in 16", _few_bits),
    ("flat-alpha", "alpha the same everywhere", _flat_alpha),
)
