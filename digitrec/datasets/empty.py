"""Scans without a digit: bare paper, and the print that is left where nobody wrote."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from digitrec.datasets.corruptions import CORRUPTIONS
from digitrec.datasets.cut_outs import CELL_SIDES, Levels, printed
from digitrec.datasets.paper import SIDES, Corrupted, MadeScans, clouds, grain, to_bytes
from digitrec.errors import InputError
from digitrec.normalize.arrays import SIDE

EMPTY_SCANS = 1000  # of each kind
NO_INK = np.zeros((SIDE, SIDE), np.uint8)


@dataclass(frozen=True, slots=True)
class EmptyKind:
    """One way in which a scan may show no digit."""

    name: str  # as in `empty:NAME`
    words: str  # what it looks like, for people
    draw: Callable[[Generator], Corrupted]


class EmptyScans(MadeScans):
    """Scans of a kind, each made when asked for."""

    def __init__(self, kind: EmptyKind, count: int = EMPTY_SCANS, seed: int = 0) -> None:
        super().__init__(count, b"empty " + kind.name.encode(), seed)
        self._kind = kind

    def make(self, k: int, rng: Generator) -> Corrupted:
        """Make scan `k`: nothing but chance tells it from others."""
        return self._kind.draw(rng)


@dataclass(frozen=True, slots=True)
class EmptySet:
    """Scans that show no digit, so that there are no labels."""

    name: str
    scans: Sequence[Corrupted]


def load_empty(source: str) -> EmptySet:
    """Load `empty:NAME`, 1,000 scans of a kind of `EMPTY`.

    Raises:
        InputError: there is no such kind.
    """
    name = source.removeprefix("empty:")
    if name not in EMPTY:
        raise InputError(f"empty has no set {name}: expected one of {', '.join(EMPTY)}")
    return EmptySet(source, EmptyScans(EMPTY[name]))


def _bare(rng: Generator) -> Levels:
    """Paper of the light, size and grain that are usual: float32 [side, side]."""
    side = int(rng.choice((*SIDES, *CELL_SIDES)))
    shape = side, side
    return rng.uniform(200, 252) + clouds(shape, 3, rng) + grain(shape, rng.uniform(0, 4), rng)


def _paper(rng: Generator) -> Corrupted:
    return to_bytes(_bare(rng))


def _dark_paper(rng: Generator) -> Corrupted:
    return to_bytes(255 - _bare(rng))


def _tint(rng: Generator) -> Corrupted:
    """The colour of a form, all over."""
    return to_bytes(_bare(rng)[:, :, None] * rng.uniform(0.6, 1, 3).astype(np.float32))


def _lone_line(rng: Generator) -> Corrupted:
    """One printed line from border to border, anywhere, upright or lying."""
    place, lean = rng.uniform(0.08, 0.92), rng.uniform(-0.03, 0.03)
    levels = _bare(rng)
    width = int(rng.integers(1, 1 + len(levels) // 28, endpoint=True))
    lying = printed(levels, [[-0.1, place, 1.1, place + lean]], width, rng.uniform(20, 150))
    return to_bytes(lying if rng.random() < 0.5 else np.ascontiguousarray(lying.T))


def _crease(rng: Generator) -> Corrupted:
    """A fold of the paper: a soft line, light beside dark."""
    levels = _bare(rng)
    side = len(levels)
    angle, away = rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3)
    across, down = np.meshgrid(np.linspace(-0.5, 0.5, side), np.linspace(-0.5, 0.5, side))
    beside = (across * np.cos(angle) + down * np.sin(angle) - away) / rng.uniform(0.02, 0.06)
    fold = beside * np.exp(-(beside**2)) * rng.uniform(30, 90)
    return to_bytes(levels + fold.astype(np.float32))


def _smudge(rng: Generator) -> Corrupted:
    """What was rubbed out, or a thumb left: a soft grey patch."""
    levels = _bare(rng)
    side = len(levels)
    mask = np.zeros_like(levels)
    centre = [round(one) for one in rng.uniform(0.3 * side, 0.7 * side, 2)]
    axes = [round(one) for one in rng.uniform(0.1 * side, 0.3 * side, 2)]
    cv2.ellipse(mask, centre, axes, rng.uniform(0, 180), 0, 360, 1.0, -1)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.06 * side), np.float32)
    return to_bytes(levels - rng.uniform(10, 50) * soft * (1 + 0.15 * clouds(mask.shape, 8, rng)))


def _around(name: str) -> Callable[[Generator], Corrupted]:
    """Return what draws a corruption of no digit: what is around it alone."""
    return lambda rng: CORRUPTIONS[name].apply(NO_INK, rng)


EMPTY = {
    kind.name: kind
    for kind in (
        EmptyKind("paper", "bare paper", _paper),
        EmptyKind("dark-paper", "bare dark paper", _dark_paper),
        EmptyKind("tint", "a form's colour", _tint),
        EmptyKind("shadow", "fading light or a shadow", _around("uneven-light")),
        EmptyKind("crease", "a fold", _crease),
        EmptyKind("smudge", "something rubbed out", _smudge),
        EmptyKind("dirt", "dust and drops", _around("specks")),
        EmptyKind("fax", "a fax of 204 × 98 dpi", _around("fax")),
        EmptyKind("lone-line", "a printed line", _lone_line),
        EmptyKind("rim", "grey lines along the border", _around("rim")),
        EmptyKind("box-lines", "a form's printed lines", _around("box-lines")),
        EmptyKind("box-margin", "a box with a margin", _around("box-margin")),
        EmptyKind("comb", "a form's comb", _around("comb")),
        EmptyKind("squared", "squared paper", _around("squared")),
        EmptyKind("segments", "a guide of seven segments", _around("segments")),
        EmptyKind("cell-number", "a printed number", _around("cell-number")),
        EmptyKind("hatched", "security print", _around("hatched")),
        EmptyKind("panel", "a field in a coloured form", _around("panel")),
        EmptyKind("desk", "beside a dark desk", _around("desk")),
    )
}
