"""What scans look like, as counts: they add up over the parts of a run, and can be compared.

Of each scan on which a digit was read some features are put into bins. A run in pieces, or on many
machines, so has the same counts as one in one piece.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = Mapping[str, list[int]]  # by feature, of its bins
NO_BIN = 255  # of a scan without a digit, and of a feature that is not known of it
SIDE = 28
PIXELS = SIDE * SIDE


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that scans are compared by."""

    name: str
    words: str  # what is said of the scans below a cut, `{}`, or of a kind
    cuts: tuple[float, ...]  # between bins: bin k holds what is from cut k - 1 on and below cut k
    # Each bin is a kind of its own, such as a digit; else they are in order, and shares of scans
    # are compared that are below a cut.
    kinds: bool = False

    @property
    def bins(self) -> int:
        """How many bins it has."""
        return len(self.cuts) + 1


# By doubt, since nearly all confidences are close to 1.
DOUBTS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999)
FEATURES = (
    Feature("confidence", "read with less confidence than {}", DOUBTS),
    Feature("digit score", "of a digit score below {}", DOUBTS),
    Feature("digit", "read as {}", tuple(range(1, 10)), kinds=True),
    Feature("ink", "with ink on less than {} of the scan", tuple(n / 100 for n in range(4, 31, 2))),
    Feature(
        "stroke", "with strokes thinner than {} of 28 pixels", tuple(n / 5 for n in range(5, 26))
    ),
    Feature(
        "size",
        "of less than {} pixels",
        (8, 12, 16, 20, 24, 28, 29, 32, 40, 48, 64, 96, 128, 192, 256),
    ),
    Feature("light", "with ink darker than paper", (1,)),
    Feature("looked", "plain, with nothing beside a digit", (1,)),
)


def binned(
    digits: NDArray[np.integer],
    confidences: NDArray[np.floating],
    digit_score: NDArray[np.floating],
    scans: NDArray[np.uint8],
    sides: NDArray[np.integer],
    light: NDArray[np.bool_],
    looked: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Put N scans' features into bins.

    Args:
        digits: int [N], 0 to 9; below 0 where there is none.
        confidences: float [N].
        digit_score: float [N], NaN where it is not known.
        scans: uint8 [N, 28, 28], normalized.
        sides: int [N], the longer side of each scan before that, in pixels.
        light: bool [N], the ink is lighter than the paper.
        looked: bool [N], the scan was looked at closely.

    Returns:
        uint8 [N, number of `FEATURES`], `NO_BIN` where there is none.
    """
    ink, stroke = _ink_and_stroke(scans)
    columns = (confidences, digit_score, digits, ink, stroke, sides, light, looked)
    found = np.empty((len(digits), len(FEATURES)), np.uint8)
    for k, (feature, values) in enumerate(zip(FEATURES, columns, strict=True)):
        found[:, k] = np.searchsorted(feature.cuts, values, "right")
        found[np.isnan(values), k] = NO_BIN
    found[digits < 0] = NO_BIN
    return found


def _ink_and_stroke(
    scans: NDArray[np.uint8],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of ink and the mean width of strokes of scans: float64 [N] each.

    A stroke of width w and length l has the area w l and an outline of 2 l: what brightness
    changes by from pixel to pixel, down and to the right, adds up to it.
    """
    flat = np.ascontiguousarray(scans).reshape(-1, PIXELS)  # quicker to add up than rows of rows
    area = flat.sum(axis=1, dtype=np.uint32)
    # Of a row's last pixel and the next one's first, both on the margin, nothing is added mostly.
    outline = _steps(flat, SIDE) + _steps(flat, 1)
    return area / (255.0 * PIXELS), 2 * area / np.maximum(outline, 1)


def _steps(flat: NDArray[np.uint8], by: int) -> NDArray[np.uint32]:
    """Return how far each pixel is from the one so many before, in sum: uint32 [N]."""
    before, after = flat[:, :-by], flat[:, by:]
    steps = np.maximum(before, after)
    steps -= np.minimum(before, after)
    return np.asarray(steps.sum(axis=1, dtype=np.uint32))


def counted(found: NDArray[np.uint8]) -> dict[str, list[int]]:
    """Count the scans in each bin, as `binned` gives them."""
    return {
        feature.name: np.bincount(found[:, k], minlength=NO_BIN + 1)[: feature.bins].tolist()
        for k, feature in enumerate(FEATURES)
    }


def added(one: Counts, other: Counts) -> dict[str, list[int]]:
    """Add counts up; what has none yet is `{}`."""
    names = dict.fromkeys([*one, *other])
    return {
        name: np.sum([some[name] for some in (one, other) if name in some], axis=0).tolist()
        for name in names
    }
