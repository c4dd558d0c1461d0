"""A closer look: what the quick path is not certain of is read by what the ink network marks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from digitrec.model.engine import InkEngine
from digitrec.normalize.arrays import SIDE
from digitrec.normalize.marks import box_of_marks, from_marks
from digitrec.normalize.scan import Normalized, grey, inspect, is_grey
from digitrec.normalize.squared import INK_SIDE, squared

# In pixels of the square: what is smaller is cut out of the scan, and looked at once more.
SMALL = 20
# In pixels: of a scan at least so large, of which the square has half the pixels of a side, that is
# done with what stands out too. In a small one that is print, such as a cell's number.
LARGE = 2 * INK_SIDE
# Of its size there is paper on all sides then.
MARGIN = 0.4
# Where it is known what is paper, so much of a side is put around a scan that shows none.
PAPER_MARGIN = 0.15
# Ink at least so strong is no stroke's soft edge.
FULL = 127


@dataclass(frozen=True, slots=True)
class Look:
    """What a closer look at one scan gave."""

    written: float  # the probability that anything is written there
    found: Normalized | None  # None: nothing that is marked is large enough for a digit
    chance: NDArray[np.float32]  # [64, 64] of the square, that a pixel is handwriting
    shown: tuple[int, int, int, int]  # what the square shows: left, top, width, height in pixels

    @property
    def image(self) -> NDArray[np.uint8]:
        """The normalized scan uint8 [28, 28]; zero where nothing was found."""
        return np.zeros((SIDE, SIDE), np.uint8) if self.found is None else self.found.image


def look_at(
    scans: Sequence[NDArray[np.uint8]], ink: InkEngine, *, light: bool | None = None
) -> list[Look]:
    """Look closely at N scans.

    Args:
        scans: pixels uint8 [H, W], [H, W, 3] or [H, W, 4], of the working size at most.
        ink: the network that marks.
        light: whether ink is lighter than paper, where a scan in grey alone does not tell; None:
            that is not known.
    """
    shades = [grey(pixels) for pixels in scans]
    looks = _looks(shades, [(0, 0, one.shape[1], one.shape[0]) for one in shades], ink)
    closer = {k: box for k, look in enumerate(looks) if (box := _closer(look, shades[k]))}
    again = _looks([shades[k] for k in closer], list(closer.values()), ink)
    for k, look in zip(closer, again, strict=True):
        # What stands alone in it looks written in a small part of a scan: the whole one says.
        written = min(look.written, looks[k].written)
        looks[k] = Look(written, look.found, look.chance, look.shown)
    if light is not None:
        _look_with_paper(scans, shades, looks, ink, light)
    return [_in_own_light(*pair) for pair in zip(scans, looks, strict=True)]


def _in_own_light(pixels: NDArray[np.uint8], look: Look) -> Look:
    """Say whether ink is lighter than paper in a scan in colour, of which `grey` makes it dark."""
    if look.found is None or is_grey(pixels):
        return look
    left, top, width, height = look.found.box
    colours = pixels[top : top + height, left : left + width].astype(np.float32)
    bright = colours[:, :, :3].mean(axis=2)
    if pixels.shape[2] == 4:
        bright = 255 + (bright - 255) * colours[:, :, 3] / 255
    paper = look.found.ink == 0
    lighter = bool(paper.any() and bright[look.found.ink > FULL].mean() > bright[paper].mean())
    return replace(look, found=look.found._replace(inverted=lighter))


def _look_with_paper(
    scans: Sequence[NDArray[np.uint8]],
    shades: Sequence[NDArray[np.uint8]],
    looks: list[Look],
    ink: InkEngine,
    light: bool,
) -> None:
    """Look again, with paper put around, where a look is in doubt what is ink and what is paper."""
    doubtful = [
        k
        for k, look in enumerate(looks)
        if is_grey(scans[k])
        and (look.found is None or (look.found.touches and look.found.inverted != light))
    ]
    margins = [max(2, round(PAPER_MARGIN * max(shades[k].shape))) for k in doubtful]
    around = [
        np.pad(
            shades[k], margin, constant_values=int(np.percentile(shades[k], 10 if light else 90))
        )
        for k, margin in zip(doubtful, margins, strict=True)
    ]
    boxes = [(0, 0, one.shape[1], one.shape[0]) for one in around]
    for k, margin, look in zip(doubtful, margins, _looks(around, boxes, ink), strict=True):
        if look.found is not None and look.found.inverted == light:
            found = look.found
            moved = found._replace(left=max(found.left - margin, 0), top=max(found.top - margin, 0))
            shown = (-margin, -margin, *look.shown[2:])
            looks[k] = Look(look.written, moved, look.chance, shown)


def _looks(
    shades: Sequence[NDArray[np.uint8]],
    boxes: Sequence[tuple[int, int, int, int]],
    ink: InkEngine,
) -> list[Look]:
    """Look at a part of each of N scans in grey."""
    parts = [
        one[top : top + height, left : left + width]
        for one, (left, top, width, height) in zip(shades, boxes, strict=True)
    ]
    squares = np.empty((len(parts), INK_SIDE, INK_SIDE), np.uint8)
    for k, part in enumerate(parts):
        squares[k] = squared(part)
    marks = ink.look(squares)
    looks = []
    for part, box, chance, written in zip(parts, boxes, *marks, strict=True):
        found = from_marks(part, chance)
        if found is not None:
            found = found._replace(left=found.left + box[0], top=found.top + box[1])
        looks.append(Look(float(written), found, chance, box))
    return looks


def _closer(look: Look, shades: NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """Say which part of a scan to look at once more; None: what is marked is large enough."""
    least = SMALL / INK_SIDE * max(shades.shape)
    box = box_of_marks(look.chance, (shades.shape[0], shades.shape[1]))
    if box is not None and max(box[2:]) >= least:
        return None
    # Of what is as small, marks may hold a part only.
    alone = _alone(shades)
    box = alone if alone is not None and max(alone[2:]) < least else box
    if box is None:
        return None
    left, top, width, height = box
    margin = max(round(MARGIN * max(width, height)), 4)
    first_x, first_y = max(left - margin, 0), max(top - margin, 0)
    end_x = min(left + width + margin, shades.shape[1])
    end_y = min(top + height + margin, shades.shape[0])
    return first_x, first_y, end_x - first_x, end_y - first_y


def _alone(shades: NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """Say where the one thing lies that stands out in a scan; None: there is none, or more.

    A digit that is a tenth of a scan may be too small for the square to show what it is.
    """
    if max(shades.shape) < LARGE:
        return None
    found = inspect(shades)
    return None if found.blank or found.touches or found.pieces > 1 else found.box
