"""A sheet: the light that comes from a paper, on which print and handwriting leave less of it."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

# Float32 [H, W]: grey from 0 (black) to 255, or how much of each pixel is covered, 0 to 1.
Plane = NDArray[np.float32]
Point = tuple[float, float]
Line = tuple[Point, Point]

FINE = 4  # bits behind the point that OpenCV's drawing takes
LEAST_PRINT = 8.0  # grey levels between a paper and what is printed on it


@dataclass(slots=True)
class Sheet:
    """A paper as light: `grey` float32 [H, W], 0 black to 255; `paper` is its grey on average."""

    grey: Plane
    paper: float

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.grey.shape[0])

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.grey.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def side(self) -> float:
        """The shorter side in pixels: what strokes and distances are measured by."""
        return float(min(self.grey.shape))

    def places(self) -> tuple[Plane, Plane]:
        """Return y and x of every pixel: float32 [H, 1] and [1, W], 0 to 1."""
        y = (np.arange(self.height, dtype=np.float32) + np.float32(0.5)) / np.float32(self.height)
        x = (np.arange(self.width, dtype=np.float32) + np.float32(0.5)) / np.float32(self.width)
        return y[:, None].astype(np.float32), x[None, :].astype(np.float32)

    def towards(self, angle: float) -> NDArray[np.float64]:
        """Return how far every pixel is from the middle in a direction, in shares of the sides."""
        y, x = self.places()
        return np.asarray(np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5), np.float64)

    def lay(self, cover: Plane, grey: float) -> None:
        """Print `grey` where `cover` says; what is darker already stays as it is."""
        self.grey += cover * (np.minimum(self.grey, np.float32(grey)) - self.grey)

    def write(self, cover: Plane, contrast: float) -> None:
        """Write with ink that is so much darker than the paper: what is below shines through."""
        self.grey *= 1 - cover * np.float32(contrast / self.paper)

    def paint(self, cover: Plane, grey: float) -> None:
        """Put something that hides what is below: a desk, a panel."""
        self.grey += cover * (np.float32(grey) - self.grey)

    def print_grey(self, rng: Generator, pale: float = 0.35) -> float:
        """Draw the grey of one print: a share `pale` of them hardly darker than the paper."""
        most = max(self.paper - 5, LEAST_PRINT + 1)
        if rng.random() < pale:
            return self.paper - rng.uniform(LEAST_PRINT, min(70.0, most))
        return self.paper - rng.uniform(min(40.0, most - 1), most)


def drawn_lines(shape: tuple[int, int], lines: Iterable[Line], width: float) -> Plane:
    """Draw straight lines [(x, y), (x, y)] in pixels, `width` wide: cover float32 `shape`."""
    return drawn_paths(shape, [np.array(line) for line in lines], width)


def drawn_paths(
    shape: tuple[int, int],
    paths: Iterable[NDArray[np.float64]],
    width: float,
    *,
    closed: bool = False,
) -> Plane:
    """Draw lines through points float [N, 2] (x, y) in pixels: cover float32 `shape`.

    They are drawn twice as large and with whole pixels: what is thinner than one gets paler.
    """
    ink = np.zeros((2 * shape[0], 2 * shape[1]), np.uint8)
    pen = max(1, round(2 * width))
    for path in paths:
        points = np.rint(path * 2 * 2**FINE).astype(np.int32)
        cv2.polylines(ink, [points], closed, 255, pen, cv2.LINE_AA, shift=FINE)
    return halved(ink) * np.float32(min(1.0, 2 * width / pen))


def filled(shape: tuple[int, int], corners: NDArray[np.float64]) -> Plane:
    """Fill a polygon of corners float [N, 2] (x, y) in pixels: cover float32 `shape`."""
    ink = np.zeros((2 * shape[0], 2 * shape[1]), np.uint8)
    points = np.rint(corners * 2 * 2**FINE).astype(np.int32)
    cv2.fillPoly(ink, [points], 255, cv2.LINE_AA, shift=FINE)
    return halved(ink)


def halved(ink: NDArray[np.uint8]) -> Plane:
    """Bring ink uint8 [2H, 2W] to the cover float32 [H, W]."""
    size = (ink.shape[1] // 2, ink.shape[0] // 2)
    cover = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cover, np.float32) / np.float32(255)


def line_width(sheet: Sheet, rng: Generator) -> float:
    """Draw the width of a printed line in pixels, from a hair's to a bold one's."""
    share = np.exp(rng.uniform(np.log(0.006), np.log(0.04)))
    return float(max(0.4, share * sheet.side))


def box_corners(sheet: Sheet, margins: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """Return corners float64 [4, 2] at margins (left, top, right, bottom) in shares of the sides.

    A little turned, as scans are.
    """
    left, top, right, bottom = margins
    corners = np.array([[left, top], [1 - right, top], [1 - right, 1 - bottom], [left, 1 - bottom]])
    corners = corners * [sheet.width, sheet.height]
    turn = rng.normal(0, 0.015)
    middle = corners.mean(axis=0)
    turned = (corners - middle) @ np.array([[1, turn], [-turn, 1]]) + middle
    shaken: NDArray[np.float64] = turned + rng.normal(0, 0.004 * sheet.side, turned.shape)
    return shaken
