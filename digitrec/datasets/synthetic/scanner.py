"""What scanners, phones and programs make of a paper: noise, blur, JPEG, two levels, polarity."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.synthetic.sheet import Plane

Scan = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scan uint8 [H, W], and how much of each pixel handwriting covers, float32 [H, W]."""

    scan: Scan
    cover: Plane


def scan_paper(grey: Plane, cover: Plane, contrast: float, rng: Generator) -> Scanned:
    """Scan a written paper, in one of the ways in which it is done.

    Args:
        grey: of the paper, float32 [H, W], 0 to 255.
        cover: how much of each pixel handwriting covers, float32 [H, W].
        contrast: between ink and paper in grey levels: noise never hides what is written.
        rng: where all that is random comes from.
    """
    if rng.random() < 0.3:
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.3, 1.0)), np.float32)
    if rng.random() < 0.6:
        noise = rng.uniform(0, min(12.0, 0.3 * contrast))
        grey = grey + rng.normal(0, noise, grey.shape).astype(np.float32)
    scan = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    if rng.random() < 0.25 and contrast > 25:
        scan = _jpeg(scan, rng)
    if rng.random() < 0.15:
        scan = _two_levels(scan, cover, rng)
    if rng.random() < 0.3:
        scan = 255 - scan
    if rng.random() < 0.15:
        scan, cover = _stretched(scan, cover, rng)
    return Scanned(scan, cover)


def _jpeg(scan: Scan, rng: Generator) -> Scan:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", scan, quality)[1], 0), np.uint8)


def _two_levels(scan: Scan, cover: Plane, rng: Generator) -> Scan:
    """Return the scan in black and white, unless that would hide what is written."""
    written, share = cover > max(0.5 * float(cover.max()), 0.05), rng.uniform(0.3, 0.7)
    paper = float(np.median(scan))
    ink = float(scan[written].mean()) if written.any() else paper - rng.uniform(20, 150)
    bits = np.where(scan > share * ink + (1 - share) * paper, np.uint8(255), np.uint8(0))
    if written.any():
        shown = bits[cover < 0.1].mean() - bits[written].mean() if (cover < 0.1).any() else 0
        return bits if shown > 150 else scan
    return bits


def _stretched(scan: Scan, cover: Plane, rng: Generator) -> tuple[Scan, Plane]:
    """Make the pixels higher or wider, as fax and careless programs do."""
    factors = np.array([1.0, rng.uniform(0.45, 1.0)])
    size = np.maximum(np.rint(rng.permutation(factors) * scan.shape[::-1]), 4).astype(int).tolist()
    return (
        np.asarray(cv2.resize(scan, size, interpolation=cv2.INTER_AREA), np.uint8),
        np.asarray(cv2.resize(cover, size, interpolation=cv2.INTER_AREA), np.float32),
    )
