"""Scans of our own drawing, by writers, and what becomes of a scan that is sent again."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.labelled import png
from digitrec.datasets.synthetic.sets import draw_digit
from digitrec.registry.removal import Forgotten, find, remove
from digitrec.storage.folder import Folder

Scan = NDArray[np.uint8]
# Makes an image file of a scan again.
Way = Callable[[Scan, Generator], bytes]


def drawn(count: int, seed: int, side: int = 64) -> list[tuple[Scan, int]]:
    """Draw digits as grey scans of dark ink on light paper, with some paper around them."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        ink = 255 - draw_digit(k % 10, rng)
        large = np.asarray(cv2.resize(ink, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
        ink = np.pad(large, side // 8)
        found.append((np.asarray(240 - ink.astype(int) * 200 // 255, np.uint8), k % 10))
    return found


def again(scan: Scan, rng: Generator) -> bytes:
    """Make a copy of a scan, such as somebody sends a second time: an image file's content."""
    return WAYS[int(rng.integers(len(WAYS)))](scan, rng)


def _same(scan: Scan, rng: Generator) -> bytes:
    return png(scan)


def _jpeg(scan: Scan, rng: Generator) -> bytes:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))]
    return cv2.imencode(".jpg", scan, quality)[1].tobytes()


def _resized(scan: Scan, rng: Generator) -> bytes:
    factor = rng.uniform(0.6, 2)
    size = [int(side * factor) for side in scan.shape[::-1]]
    return png(np.asarray(cv2.resize(scan, size, interpolation=cv2.INTER_AREA), np.uint8))


def _colours(scan: Scan, rng: Generator) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(scan, cv2.COLOR_GRAY2BGR))[1].tobytes()


def _cropped(scan: Scan, rng: Generator) -> bytes:
    top, bottom, left, right = rng.integers(0, 4, 4)
    return png(scan[top : len(scan) - bottom, left : len(scan) - right])


def _turned(scan: Scan, rng: Generator) -> bytes:
    size = scan.shape[::-1]
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), rng.uniform(-1, 1), 1)
    return png(np.asarray(cv2.warpAffine(scan, turn, size, borderValue=240), np.uint8))


def _paler(scan: Scan, rng: Generator) -> bytes:
    return png(np.asarray(scan * rng.uniform(0.75, 0.95) + rng.uniform(0, 10), np.uint8))


WAYS: tuple[Way, ...] = (_same, _jpeg, _resized, _colours, _cropped, _turned, _paler)


def write_table(table: Path, rows: Sequence[Sequence[object]], *names: str) -> Path:
    """Write a table of corrections; without names it has path, label and group."""
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([names or ("path", "label", "group"), *rows])
    return table


def forget(folder: Folder, names: Sequence[str]) -> Forgotten:
    """Take scans out of a registry's data, as `digitrec models forget` does."""
    found = find(folder, names)
    remove(folder, found.removed)
    return found
