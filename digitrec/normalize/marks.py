"""What the ink network marks → 28×28: which marks are the digit's, and the ink within them.

The network says of each pixel of a square of 64×64 how likely it is handwriting. Of the scan's own
pixels there, ink is what differs from the paper beside the strokes, so that their soft edges stay.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from digitrec.normalize.arrays import Image, Soft
from digitrec.normalize.scan import Normalized, load
from digitrec.normalize.squared import within

# From this probability on a pixel of the square is marked.
MARK = 0.5
# A piece of less than this share of the largest one is no part of the digit.
PIECE = 0.1
# A piece at the border is a neighbour's, if it has less than this share of the largest one's area.
NEIGHBOUR = 0.5
# In pixels of the square: less than this is no digit.
LEAST_PIXELS, LEAST_HEIGHT = 16, 9
# Strokes' soft edges reach as far as marks are this likely, and paper begins below `PAPER`.
EDGE, PAPER = 0.3, 0.1
# Grey levels between ink and paper, below which marks say better than the levels what is ink.
PALE = 40.0
# Weaker ink than this share of the full one is the paper's texture.
TEXTURE = 0.15


def from_marks(grey: Image, chance: Soft) -> Normalized | None:
    """Bring the ink of what is marked to 28×28.

    Args:
        grey: the scan, uint8 [H, W].
        chance: that a pixel of the square is handwriting, 0 to 1: float32 [64, 64].

    Returns:
        The normalized scan, or None where nothing that is marked is large enough for a digit.
    """
    inner = within(chance, (grey.shape[0], grey.shape[1]))
    kept = _kept(inner)
    if kept is None:
        return None
    own = cv2.copyTo(inner, cv2.dilate(kept, np.ones((3, 3), np.uint8)))
    size = (grey.shape[1], grey.shape[0])
    way = cv2.INTER_AREA if grey.size < own.size else cv2.INTER_LINEAR
    fine = np.asarray(cv2.resize(own, size, interpolation=way), np.float32)
    x, y, width, height = cv2.boundingRect((fine > PAPER).astype(np.uint8))
    if not width:
        return None
    reach = 3
    top, left = max(y - reach, 0), max(x - reach, 0)
    part = np.s_[top : y + height + reach, left : x + width + reach]
    strength, step = _strength(grey[part], fine[part])
    inner_x, inner_y, columns, rows = cv2.boundingRect(strength)
    if not columns:
        return None
    ink = np.ascontiguousarray(strength[inner_y : inner_y + rows, inner_x : inner_x + columns])
    _, render, _, _ = load()
    full = ink[ink > ink.max() // 3]
    image, (width_of, factor) = render(ink, _median(full))
    return Normalized(
        image,
        ink,
        left=left + inner_x,
        top=top + inner_y,
        inverted=step < 0,
        touches=_touches(left + inner_x, top + inner_y, ink, grey),
        width=width_of,
        factor=factor,
        contrast=abs(step),
        marked=True,
    )


def _median(values: Image) -> float:
    """Return the median of uint8 [N], the upper one of two; NumPy's own is four times slower."""
    middle = len(values) // 2
    return float(np.partition(values, middle)[middle])


def _touches(left: int, top: int, ink: Image, grey: Image) -> bool:
    bottom, right = top + ink.shape[0], left + ink.shape[1]
    return left == 0 or top == 0 or bottom == grey.shape[0] or right == grey.shape[1]


def box_of_marks(chance: Soft, shape: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return where what is marked lies in a scan of a shape: left, top, width, height in pixels.

    None: nothing is marked. However little it is, it counts: the scan may be large.
    """
    inner = within(chance, shape)
    x, y, width, height = cv2.boundingRect((inner > MARK).astype(np.uint8))
    if not width:
        return None
    across, down = shape[1] / inner.shape[1], shape[0] / inner.shape[0]
    left, top = int(x * across), int(y * down)
    right, bottom = math.ceil((x + width) * across), math.ceil((y + height) * down)
    return left, top, min(right, shape[1]) - left, min(bottom, shape[0]) - top


def _kept(chance: Soft) -> Image | None:
    """Mark the pixels of the pieces that make a digit, uint8 [h, w]; None: there are none."""
    marked = (chance > MARK).astype(np.uint8)
    # With numbers of 16 bits, which are enough for a square, in half the time.
    count, pieces, table, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        marked, 8, cv2.CV_16U, cv2.CCL_DEFAULT
    )
    if count < 2:
        return None
    stats = np.asarray(table, np.int32)
    areas = stats[:, cv2.CC_STAT_AREA]
    areas[0] = 0  # the paper's
    large = (areas >= PIECE * areas.max()) & ~_is_neighbours(stats, marked.shape)
    top = stats[large, cv2.CC_STAT_TOP]
    bottom = top + stats[large, cv2.CC_STAT_HEIGHT]
    if areas[large].sum() < LEAST_PIXELS or bottom.max() - top.min() < LEAST_HEIGHT:
        return None
    return marked if large[1:].all() else np.asarray(large.astype(np.uint8)[pieces])


def _is_neighbours(stats: NDArray[np.int32], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Say which pieces are the ends of a neighbour's strokes, which reach in over a side: bool [N].

    The border cuts them, and they lie wholly beyond the largest piece, which it cuts nowhere: where
    a scan is cut to its ink, these are parts of the digit itself.
    """
    own = int(stats[:, cv2.CC_STAT_AREA].argmax())
    beyond, cut = np.zeros(len(stats), bool), np.zeros(len(stats), bool)
    for begin, length, side in (
        (cv2.CC_STAT_LEFT, cv2.CC_STAT_WIDTH, shape[1]),
        (cv2.CC_STAT_TOP, cv2.CC_STAT_HEIGHT, shape[0]),
    ):
        first, end = stats[:, begin], stats[:, begin] + stats[:, length]
        beyond |= (first == 0) & (end <= first[own])
        beyond |= (end == side) & (first >= end[own])
        cut |= (first == 0) | (end == side)
    area = stats[:, cv2.CC_STAT_AREA]
    return np.asarray(beyond & (area < NEIGHBOUR * area[own]) & ~cut[own])


def _strength(grey: Image, fine: Soft) -> tuple[Image, float]:
    """Return the ink's strength uint8 [h, w], and how many grey levels ink is darker than paper."""
    inside = _median(grey[fine > min(0.6, 0.9 * float(fine.max()))])
    near = cv2.dilate((fine > EDGE).astype(np.uint8), np.ones((5, 5), np.uint8))
    ring = grey[(near > 0) & (fine < PAPER)]
    outside = _median(ring) if ring.size else 255.0 * (inside < 128)
    step = outside - inside
    by_level = (outside - grey) / np.float32(step if abs(step) > 1 else 1)
    by_mark = np.minimum(2 * fine, 1)
    sure = min(abs(step) / PALE, 1.0)
    ink = np.clip(by_level, 0, 1) * by_mark
    if sure < 1:
        ink = sure * ink + (1 - sure) * np.clip(4 * fine - 1.5, 0, 1)
    ink[ink < TEXTURE] = 0
    return np.rint(255 * ink).astype(np.uint8), step
