"""Pixels of any size → 28×28 uint8, bright ink on black, the way MNIST was made.

MNIST's digits were cropped to their ink, shrunk with anti-aliasing until the longer side had 20
pixels, and put into 28×28 so that their centre of mass lies at the centre (Yadav and Bottou,
"Cold case: the lost MNIST digits", 2019). The same is done here to a scan, in these steps:

1. transparent pixels show white paper; colours become grey along the line from paper to ink
2. a slope of light over the paper is taken away; what stands out on one side of it is ink
3. ink must stand out enough and be more than dirt, else the scan is blank
   (up to here `segment.py`)
4. strokes thinner or thicker than MNIST's are brought into its range
5. the longer side becomes 20 pixels, the centre of mass the centre, full ink 255 (`render.py`)

A scan that is like that already passes unchanged.

That is the quick path. It takes for ink all that stands out, be it print, dirt or desk: `is_plain`
says where a digit stands alone on its paper; else `marks.py` goes by what the ink network marks.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from digitrec.normalize.arrays import SIDE
from digitrec.runtime.interrupt import interrupt_waits
from digitrec.storage.cache import is_complete, one_compiles, say_complete, usable_folder

# Goes into every bundle's card: a new number where the output for some scan changes.
NORMALIZER_VERSION = "3"

# Larger scans are shrunk to this first: time grows with the pixels. If the digit is only a small
# part of one, so that it has less than DIGIT_SIDE then, it is cut out of the scan as it was.
WORKING_SIDE, DIGIT_SIDE = 256, 80
# Worth a note: ink up to this contrast, light from this slope on, and strokes changed by more.
FAINT, SLOPING, CHANGED = 50.0, 20.0, 0.05
# Where no two pixels of a scan differ by so many grey levels, it is blank for sure.
NOTHING = 3
# Ink as near to the border as this share of a side may be print that goes on beyond it; what is
# smaller than the second may be print beside which nobody wrote, what is larger than the third a
# frame around nothing.
NEAR, SMALL, BIG = 0.02, 0.35, 0.85
# A line is so many times as long as wide, and this share of the scan.
LINE, LONG = 4.0, 0.75
# Fewer pixels than this tell the ink network nothing that the quick path does not know.
TINY = 12


class Normalized(NamedTuple):
    """A normalized scan, and how it came about."""

    image: NDArray[np.uint8]  # [28, 28], 255 the fullest ink; all zero where the scan is blank
    ink: NDArray[np.uint8]  # [h, w], what was taken for ink, cropped; 0 is paper
    scale: float = 1.0  # pixels of the scan for one of `ink`
    left: int = 0  # where the ink's box begins, in pixels of the scan
    top: int = 0
    done: bool = False  # the scan was normalized already
    blank: bool = False
    inverted: bool = False  # light ink on dark paper
    touches: bool = False  # the digit reaches the border: some of it may be missing
    width: float = 0.0  # of its strokes, in pixels where its longer side has 20
    factor: float = 1.0  # by which strokes were thickened
    contrast: float = 255.0  # grey levels between ink and paper
    slope: float = 0.0  # grey levels between the paper's lightest and darkest place
    pieces: float = 1  # of how many the digit consists
    frame: float = 0  # 1: it has the corners of a frame, or of a part of one
    marked: bool = False  # the ink network says where the ink is, not the quick path

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The ink's box in the scan: left, top, width, height in pixels."""
        height, width = self.ink.shape
        return self.left, self.top, int(width * self.scale), int(height * self.scale)

    @property
    def _why_blank(self) -> str:
        if self.marked:
            return "nothing is marked as handwriting"
        if self.pieces:
            return "nothing larger than a speck"
        return f"nothing stands out enough: {self.contrast:.0f} of 255"

    @property
    def notes(self) -> list[str]:
        """What was odd about the scan, in words; the beginning of each is stable."""
        if self.done:
            return []
        notes = [
            (self.blank, self._why_blank),
            (self.marked and not self.blank, "looked at closely"),
            (self.inverted and not self.blank, "light on dark"),
            (self.contrast < FAINT and not self.blank, f"faint: {self.contrast:.0f} of 255"),
            (self.slope >= SLOPING, f"uneven light: {self.slope:.0f} of 255"),
            (self.touches and not self.blank, "touches the border"),
            (self.pieces > 1 and not self.blank, f"in pieces: {self.pieces:.0f}"),
            (self.factor > 1 + CHANGED, f"strokes thickened {self.factor:.1f} times"),
            (self.factor < 1 - CHANGED, f"strokes thinned to {100 * self.factor:.0f} %"),
        ]
        return [words for true, words in notes if true]

    @property
    def words(self) -> str | None:
        """The notes in one line; None where nothing was odd."""
        return "; ".join(self.notes) or None


def nothing_marked() -> Normalized:
    """Return what is told of a scan in which the ink network marks nothing."""
    empty = np.zeros((SIDE, SIDE), np.uint8)
    return Normalized(empty, empty[:1, :1], blank=True, marked=True)


def normalize(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Normalize one scan.

    Args:
        pixels: uint8 [H, W] (grey), [H, W, 3] (RGB) or [H, W, 4] (RGBA), any H and W from 1.
            The border tells the paper's colour, so that bright ink on dark paper does as well.

    Returns:
        uint8 [28, 28], 255 the fullest ink. All zero where the scan is blank. A scan that is
        normalized already comes back unchanged.
    """
    return inspect(pixels).image


def is_plain(found: Normalized, pixels: NDArray[np.uint8]) -> bool:
    """Say whether the quick path can't be mistaken about what is ink, as far as a scan tells.

    Args:
        found: what `inspect` found in them.
        pixels: the scan, as `normalize` takes it.
    """
    height, width = pixels.shape[:2]
    if found.done or (max(height, width) < TINY and not found.blank):
        return True
    if found.blank:
        seen = at_working_size(pixels)
        return bool(np.ptp(seen.reshape(seen.shape[0] * seen.shape[1], -1), axis=0).max() < NOTHING)
    odd = found.touches or found.pieces > 1 or found.slope >= SLOPING or found.contrast < FAINT
    return not odd and _stands_free(found, (height, width)) and not found.frame


def _stands_free(found: Normalized, shape: tuple[int, int]) -> bool:
    """Say whether ink is away from the border, and neither a line across nor lost in the scan."""
    left, top, width, height = found.box
    tall, wide = shape
    near = NEAR * max(shape)
    if left < near or top < near or left + width > wide - near or top + height > tall - near:
        return False
    if height < SMALL * tall or height > BIG * tall or width > BIG * wide:
        return False
    across = width > LINE * height and width > LONG * wide
    return not across and not (height > LINE * width and height > LONG * tall)


def inspect(pixels: NDArray[np.uint8], small: NDArray[np.uint8] | None = None) -> Normalized:
    """Normalize one scan, see `normalize`, and tell what was found on the way.

    Args:
        pixels: as `normalize` takes them.
        small: the same `at_working_size`, where it is at hand.
    """
    longer = max(pixels.shape[:2])
    if longer <= WORKING_SIDE:
        return _normalized(pixels)
    scale = longer / WORKING_SIDE
    found = _normalized(at_working_size(pixels) if small is None else small)
    if found.blank or max(found.ink.shape) >= DIGIT_SIDE:
        return found._replace(scale=scale, left=int(found.left * scale), top=int(found.top * scale))
    left, top, crop = _around(pixels, found, scale)
    closer = inspect(crop)
    return closer._replace(left=closer.left + left, top=closer.top + top)


def _around(
    pixels: NDArray[np.uint8], found: Normalized, scale: float
) -> tuple[int, int, NDArray[np.uint8]]:
    """Cut the digit out of a large scan, with paper all around."""
    height, width = found.ink.shape
    margin = max(height, width) // 4 + 3
    left, top = (round(max(place - margin, 0) * scale) for place in (found.left, found.top))
    right = round((found.left + width + margin) * scale)
    bottom = round((found.top + height + margin) * scale)
    return left, top, pixels[top:bottom, left:right]


def _normalized(pixels: NDArray[np.uint8]) -> Normalized:
    find_ink, render, is_mnist_like, _ = load()
    flags = pixels.flags
    # What image files give may be read-only, or a part of a larger array.
    if not (flags.c_contiguous and flags.writeable):
        pixels = pixels.copy()
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if is_mnist_like(pixels):
        grey = pixels[:, :, 0].copy()
        x, y, columns, rows = cv2.boundingRect(grey)
        ink = grey[y : y + rows, x : x + columns]
        return Normalized(grey, ink, 1.0, x, y, done=True)
    ink, figures = find_ink(pixels)
    blank, left, top, level, inverted, touches, *counted = figures.tolist()
    if not blank:
        image, (width, factor) = render(ink, level)
    elif pixels.shape[2] == 4 and not pixels[:, :, 3].all():
        # White ink that white paper would hide.
        return _normalized(255 - pixels[:, :, 3])
    else:
        image, width, factor = np.zeros((SIDE, SIDE), np.uint8), 0.0, 1.0
    return Normalized(
        image, ink, 1.0, int(left), int(top), False, bool(blank), bool(inverted), bool(touches),
        width, factor, *counted,
    )  # fmt: skip


def at_working_size(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink a large scan to what is looked at closely; a smaller one stays as it is."""
    longer = max(pixels.shape[:2])
    return pixels if longer <= WORKING_SIDE else _shrunk(pixels, longer / WORKING_SIDE)


def is_grey(pixels: NDArray[np.uint8]) -> bool:
    """Say whether pixels have no colour, so that `grey` leaves light light and dark dark."""
    if pixels.ndim == 2:
        return True
    first = pixels[:, :, 0]
    return bool((pixels[:, :, 1] == first).all() and (pixels[:, :, 2] == first).all())


def grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring pixels as `normalize` takes them to grey uint8 [H, W], as far apart as their colours.

    White ink that white paper would hide is dark in it.
    """
    if pixels.ndim == 2:
        return pixels
    _, _, _, grey_of = load()
    pixels = np.ascontiguousarray(pixels)
    shades: NDArray[np.uint8] = grey_of(pixels if pixels.flags.writeable else pixels.copy())
    if pixels.shape[2] == 4 and shades.min() == shades.max():
        return np.asarray(255 - pixels[:, :, 3])
    return shades


def _shrunk(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    # Rounded down, so that nothing found in it lies outside of the scan.
    height, width = (max(1, int(side / scale)) for side in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def prepare() -> None:
    """Have machine code for this CPU made where there is none, so that no other process need wait.

    It is loaded only where that must be: 0.8 s saved.
    """
    folder = usable_folder()
    if folder is None or not is_complete(folder):
        load()


@functools.cache
def load() -> tuple[Callable[..., Any], ...]:
    """Load the machine code, which happens on first use; where there is none, it is made.

    Of processes that begin together, one makes it and the others wait for that. Numba takes 0.3 s
    to import: too much for a command that normalizes nothing.
    """
    folder = usable_folder()
    if folder is None or is_complete(folder):
        return _functions()
    with one_compiles(folder):
        functions = _functions()
        if not is_complete(folder):
            say_complete(folder)
    return functions


def _functions() -> tuple[Callable[..., Any], ...]:
    # Of an import that was interrupted, as when Ray cancels a task, modules stay behind by which
    # the next one in this process fails.
    with interrupt_waits():
        importlib.import_module("numba.core.caching")
    from digitrec.normalize.colours import grey_of
    from digitrec.normalize.render import is_mnist_like, render
    from digitrec.normalize.segment import find_ink

    return find_ink, render, is_mnist_like, grey_of


if __name__ == "__main__":  # what a set-up runs, so that nobody waits later
    load()
