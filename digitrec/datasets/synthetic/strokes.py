"""Strokes: lines through a few corners, rounded into curves, in a box of 1 by 1."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

# A corner (x to the right, y down); one named twice stays a corner where others are rounded.
Corner = tuple[float, float]
Stroke = list[Corner]
Strokes = list[Stroke]
# A line of points float64 [N, 2].
Line = NDArray[np.float64]

ROUNDS = 3


def curve(corners: Line) -> Line:
    """Round a line's corners float64 [N, 2] by cutting each of them three times.

    The limit is a quadratic B-spline (Chaikin, "An algorithm for high-speed curve generation",
    1974).
    """
    points = corners
    for _ in range(ROUNDS):
        cut = np.empty((2 * len(points), 2))
        cut[0], cut[-1] = points[0], points[-1]
        cut[1:-1:2] = points[:-1] * 0.75 + points[1:] * 0.25
        cut[2::2] = points[:-1] * 0.25 + points[1:] * 0.75
        points = cut
    return points


def shaken(stroke: Stroke, sigma: float, rng: Generator) -> Line:
    """Move each corner at random by a deviation of `sigma`; one named twice moves as one."""
    corners = np.array(stroke, np.float64)
    steps = rng.normal(0, sigma, corners.shape)
    for k in range(1, len(corners)):
        if stroke[k] == stroke[k - 1]:
            steps[k] = steps[k - 1]
    return corners + steps


def arc(
    x: float, y: float, width: float, height: float, start: float, sweep: float, corners: int = 9
) -> Stroke:
    """Return an arc of an ellipse.

    Args:
        x: of its centre.
        y: of its centre.
        width: of the whole ellipse.
        height: of the whole ellipse.
        start: where it begins, in turns, clockwise from the top.
        sweep: how far it goes, in turns; below 0 against the clock.
        corners: how many.
    """
    angles = 2 * np.pi * (start + sweep * np.linspace(0, 1, corners))
    along = zip(np.sin(angles).tolist(), np.cos(angles).tolist(), strict=True)
    return [(x + width / 2 * a, y - height / 2 * b) for a, b in along]
