"""Digits as a pen would draw them, on any paper: the tests' own scans, like nobody's data."""

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Level = int | tuple[int, int, int]

WHITE, BLACK = 255, 0
FINE = 4  # bits behind the point that OpenCV's drawing takes
# The corners of each digit's strokes in a box of 1 by 1, x to the right and y down.
STROKES: dict[int, list[list[tuple[float, float]]]] = {
    0: [[(0.5, 0), (0.1, 0.1), (0, 0.5), (0.1, 0.9), (0.5, 1), (0.9, 0.9), (1, 0.5), (0.9, 0.1),
         (0.5, 0)]],
    1: [[(0.3, 0.2), (0.55, 0), (0.5, 1)]],
    2: [[(0.05, 0.25), (0.2, 0), (0.8, 0), (0.95, 0.35), (0.5, 0.7), (0, 1), (0, 1), (1, 0.97)]],
    3: [[(0, 0.1), (0.5, 0), (0.95, 0.1), (0.9, 0.4), (0.4, 0.48), (0.4, 0.48), (1, 0.55),
         (1, 0.9), (0.5, 1), (0, 0.9)]],
    4: [[(0.45, 0), (0, 0.65), (0, 0.65), (1, 0.6)], [(0.75, 0.35), (0.7, 1)]],
    5: [[(0.9, 0), (0.15, 0), (0.15, 0), (0.1, 0.45), (0.1, 0.45), (0.7, 0.4), (1, 0.7), (0.7, 1),
         (0, 0.95)]],
    6: [[(0.8, 0), (0.2, 0.3), (0, 0.7), (0.2, 1), (0.8, 1), (0.95, 0.7), (0.6, 0.5), (0.1, 0.65)]],
    7: [[(0, 0.03), (1, 0), (1, 0), (0.6, 0.5), (0.4, 1)]],
    8: [[(0.5, 0.45), (0.05, 0.3), (0.2, 0), (0.8, 0), (0.95, 0.3), (0.5, 0.45), (0, 0.7),
         (0.1, 1), (0.9, 1), (1, 0.7), (0.5, 0.45)]],
    9: [[(0.95, 0.15), (0.5, 0), (0.05, 0.2), (0.2, 0.5), (0.7, 0.45), (0.95, 0.15),
         (0.95, 0.15), (0.85, 0.6), (0.7, 1)]],
}  # fmt: skip


def curve(corners: list[tuple[float, float]]) -> NDArray[np.float64]:
    """Round a line's corners by cutting each three times; a corner named twice stays one."""
    points = np.array(corners)
    for _ in range(3):
        near, far = points[:-1] * 0.75 + points[1:] * 0.25, points[:-1] * 0.25 + points[1:] * 0.75
        cut = np.stack([near, far], axis=1).reshape(-1, 2)
        points = np.concatenate([points[:1], cut, points[-1:]])
    return points


def digit(
    which: int,
    height: int = 120,
    width: int = 90,
    pen: float = 9,
    margin: float = 0.2,
) -> Pixels:
    """Draw a digit's ink: uint8 [height, width], 255 where there is ink, with soft edges.

    Args:
        which: the digit.
        height: of the scan in pixels.
        width: of the scan.
        pen: the strokes' width.
        margin: what is free on each side, a share of the shorter one.
    """
    ink = np.zeros((height, width), np.uint8)
    free = margin * min(height, width) + pen / 2
    extent = np.array([width - 1, height - 1]) - 2 * free
    for corners in STROKES[which]:
        points = np.rint((free + curve(corners) * extent) * 2**FINE).astype(np.int32)
        cv2.polylines(ink, [points], False, 255, max(1, round(pen)), cv2.LINE_AA, shift=FINE)
    return ink


def shown(ink: Pixels, paper: Level = WHITE, pen: Level = BLACK) -> Pixels:
    """Show ink of one grey level or colour on paper of another: [H, W], or [H, W, 3] in colour."""
    share = ink[..., None] / 255
    mixed = np.rint(np.atleast_1d(paper) * (1 - share) + np.atleast_1d(pen) * share)
    pixels = mixed.astype(np.uint8)
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def darkened(pixels: Pixels, ink: Pixels, pen: int = BLACK) -> Pixels:
    """Lay further ink over a grey scan."""
    return np.minimum(pixels, shown(ink, WHITE, pen))


def box_lines(
    height: int, width: int, sides: str, thickness: int = 2, away: int = 4, lean: float = 0
) -> Pixels:
    """Draw the ink of a form's printed box.

    Args:
        height: of the scan in pixels.
        width: of the scan.
        sides: some of the letters t, r, b and l.
        thickness: of the lines.
        away: from the sides.
        lean: by how many pixels a line comes nearer from its one end to the other.
    """
    ink = np.zeros((height, width), np.uint8)
    for turns, side in enumerate("trbl"):
        if side in sides:
            along = np.rot90(np.zeros_like(ink), turns).copy()
            end = (along.shape[1], round((away + lean) * 2**FINE))
            start = (-1, round(away * 2**FINE))
            points = [np.array([start, (end[0] * 2**FINE, end[1])], np.int32)]
            cv2.polylines(along, points, False, 255, thickness, cv2.LINE_AA, shift=FINE)
            ink = np.maximum(ink, np.rot90(along, -turns))
    return ink


def grain(pixels: Pixels, sigma: float, seed: int = 0) -> Pixels:
    """Add a camera's noise."""
    noise = np.random.default_rng(seed).normal(0, sigma, pixels.shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def under_light(pixels: Pixels, light: NDArray[np.float64]) -> Pixels:
    """Show a scan under light from 0 to 1 at each place: float64 [H, W], or what broadcasts."""
    return np.rint(pixels * (light if pixels.ndim == 2 else light[..., None])).astype(np.uint8)
