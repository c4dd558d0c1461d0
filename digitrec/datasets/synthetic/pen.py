"""A pen: from strokes to a scan of them, in somebody's hand."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.synthetic.strokes import Line, Stroke, curve, shaken

FINE = 4  # bits behind the point that OpenCV's drawing takes
MARGIN = 0.15
LEAST = 36  # pixels: what has fewer is drawn so high and then scanned coarsely


@dataclass(frozen=True, kw_only=True, slots=True)
class Hand:
    """How somebody writes, in shares of a digit's height but where it says else."""

    height: float  # of a digit, in pixels of the scan
    width: float  # of a digit
    pen: float  # the width of strokes
    slant: float  # to the right at the top
    turn: float  # radians
    shake: float  # deviation of every corner from where it should be
    bend: float  # deviation of the curvature of straight lines
    softness: float  # pixels over which the ink's edge fades


def any_hand(rng: Generator, thinnest: float = 0.04) -> Hand:
    """Draw a hand at random, its pen as wide as a share of a digit's height at least."""
    return Hand(
        height=rng.uniform(36, 100) if rng.random() < 0.7 else rng.uniform(8, 24),
        width=rng.uniform(0.4, 1.15),
        pen=np.exp(rng.uniform(np.log(thinnest), np.log(0.2))),
        slant=rng.normal(0.08, 0.18),
        turn=rng.normal(0, 0.07),
        shake=rng.uniform(0.01, 0.045),
        bend=rng.uniform(0, 0.06),
        softness=rng.uniform(0.4, 1.3),
    )


def write(strokes: list[Stroke], hand: Hand, rng: Generator) -> NDArray[np.uint8]:
    """Write strokes: uint8 [H, W], dark ink on white paper, with paper all around."""
    height = max(hand.height, LEAST)
    lines = [curve(shaken(stroke, hand.shake, rng)) for stroke in strokes]
    lines = [line * height for line in _placed(lines, hand, rng)]
    low = np.min([line.min(axis=0) for line in lines], axis=0)
    high = np.max([line.max(axis=0) for line in lines], axis=0)
    pen = max(1.0, hand.pen * height)
    margin = MARGIN * height + pen
    size = np.ceil(high - low + 2 * margin).astype(int)
    ink = np.zeros(size[::-1], np.uint8)
    for line in lines:
        points = np.rint((line - low + margin) * 2**FINE).astype(np.int32)
        cv2.polylines(ink, [points], False, 255, round(pen), cv2.LINE_AA, shift=FINE)
    scan = 255 - np.asarray(cv2.GaussianBlur(ink, (0, 0), hand.softness), np.uint8)
    if hand.height >= LEAST:
        return scan
    shrunk = np.maximum(np.rint(size * (hand.height / LEAST)), 1).astype(int)
    return np.asarray(cv2.resize(scan, shrunk.tolist(), interpolation=cv2.INTER_AREA), np.uint8)


def _placed(lines: list[Line], hand: Hand, rng: Generator) -> list[Line]:
    """Bring lines from the box of 1 by 1 to that of a hand: bent, slanted, turned and wide."""
    bends = rng.normal(0, hand.bend, 4)
    cos, sin = np.cos(hand.turn), np.sin(hand.turn)
    form = np.array([[cos, -sin], [sin, cos]]) @ np.array([[hand.width, -hand.slant], [0, 1]])
    placed = []
    for line in lines:
        x, y = line.T - 0.5
        bent = np.stack(
            [
                x + bends[0] * 4 * y * y + bends[1] * x * y * 2,
                y + bends[2] * 4 * x * x + bends[3] * x * y * 2,
            ],
            1,
        )
        placed.append(bent @ form.T)
    return placed
