"""Ink, and the paper under it: what scans that show MNIST's digits otherwise are made with."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import overload

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.normalize.arrays import SIDE

# A scan as it comes: uint8 [H, W], [H, W, 3] (RGB) or [H, W, 4] (RGBA), or an image file's content.
Corrupted = NDArray[np.uint8] | bytes
Grey = NDArray[np.uint8]
Colour = tuple[int, int, int]

SIDES = (28, 40, 56, 95)  # of most hard scans: 1 to 3.4 times MNIST's


class MadeScans(ABC, Sequence[Corrupted]):
    """Scans of a kind, each made when asked for; those of a seed are the same in every run."""

    def __init__(self, count: int, name: bytes, seed: int) -> None:
        self._count, self._seed = count, (seed, zlib.crc32(name))

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Corrupted: ...
    @overload
    def __getitem__(self, index: slice) -> list[Corrupted]: ...
    def __getitem__(self, index: int | slice) -> Corrupted | list[Corrupted]:
        chosen = range(len(self))[index]
        return self._scan(chosen) if isinstance(chosen, int) else [self._scan(k) for k in chosen]

    def _scan(self, k: int) -> Corrupted:
        return self.make(k, np.random.default_rng([*self._seed, k]))

    @abstractmethod
    def make(self, k: int, rng: Generator) -> Corrupted:
        """Make scan `k`."""


def scaled(ink: Grey, side: int, method: int = cv2.INTER_CUBIC) -> Grey:
    """Resize ink to a square: uint8 [side, side]."""
    return np.asarray(cv2.resize(ink, (side, side), interpolation=method), np.uint8)


def written(ink: Grey, side: int) -> Grey:
    """Scale ink up as a pen would have drawn it: with an edge as sharp as at 28×28."""
    if side == SIDE:
        return ink
    sharp = (scaled(ink, side).astype(np.float32) - 128) * max(0.75 * side / SIDE, 1) + 128
    return to_bytes(cv2.GaussianBlur(np.clip(sharp, 0, 255), (0, 0), 0.6))


def any_size(ink: Grey, rng: Generator) -> tuple[Grey, float]:
    """Return ink at one of the usual sizes, and how many times MNIST's that is."""
    side = int(rng.choice(SIDES))
    return written(ink, side), side / SIDE


def shown(ink: Grey, paper: float, pen: float) -> NDArray[np.float32]:
    """Lay ink [H, W] in the grey level `pen` on paper of the level `paper`: float32 [H, W]."""
    return np.float32(paper) + ink.astype(np.float32) * np.float32((pen - paper) / 255)


def on_paper(ink: Grey, rng: Generator) -> NDArray[np.float32]:
    """Lay ink on paper, both as light or dark as is usual: float32 [H, W]."""
    return shown(ink, rng.uniform(228, 252), rng.uniform(15, 75))


def coloured(ink: Grey, paper: Colour, pen: Colour) -> NDArray[np.uint8]:
    """Lay ink [H, W] of one colour on paper of another: uint8 [H, W, 3]."""
    channels = [shown(ink, *levels) for levels in zip(paper, pen, strict=True)]
    return to_bytes(np.stack(channels, axis=2))


def to_bytes(levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round levels of grey to uint8 of the same shape."""
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def grain(shape: tuple[int, ...], sigma: float, rng: Generator) -> NDArray[np.float32]:
    """Return noise that no pixel shares with its neighbours: float32 of a shape."""
    return np.float32(sigma) * rng.standard_normal(shape, np.float32)


def clouds(shape: tuple[int, ...], cells: int, rng: Generator) -> NDArray[np.float32]:
    """Return a smooth random field of about -2 to 2: float32 [H, W]."""
    coarse = rng.standard_normal((cells, cells), np.float32)
    return np.asarray(
        cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32
    )


def bent(ink: Grey, matrix: NDArray[np.float64], margin: int) -> Grey:
    """Apply a linear map [2, 2] about the centre, on a canvas wider by a margin on all sides."""
    side = ink.shape[0] + 2 * margin
    centre_in, centre_out = (ink.shape[0] - 1) / 2, (side - 1) / 2
    shift = centre_out - matrix @ [centre_in, centre_in]
    warped = cv2.warpAffine(
        ink, np.column_stack([matrix, shift]), (side, side), flags=cv2.INTER_CUBIC
    )
    return np.asarray(warped, np.uint8)


def ellipse(size: int) -> NDArray[np.uint8]:
    """Return the round pen of so many pixels, for OpenCV's morphology."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def sign(rng: Generator) -> int:
    """Return -1 or 1."""
    return int(rng.choice((-1, 1)))
