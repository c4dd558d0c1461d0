"""Many drawn scans: normalized, to train on, or as PNGs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.labelled import png
from digitrec.datasets.synthetic.negatives import JUNK, variant
from digitrec.datasets.synthetic.pen import any_hand, write
from digitrec.datasets.synthetic.strokes import Strokes
from digitrec.normalize.scan import normalize
from digitrec.storage.files import check_is_free, replacing

Scan = NDArray[np.uint8]
JUNK_FOLDER = "not-a-digit"


def draw_digit(digit: int, rng: Generator) -> Scan:
    """Draw a digit in any of its variants, in any hand: uint8 [H, W], dark on white."""
    return _written(variant(digit, rng), rng)


def draw_junk_scan(rng: Generator, kind: str | None = None) -> Scan:
    """Draw what is no digit, of a kind of `JUNK` or of any: uint8 [H, W], dark on white."""
    if kind is None:
        kind = str(rng.choice(list(JUNK), p=[one.share for one in JUNK.values()]))
    return _written(JUNK[kind].strokes, rng)


def _written(strokes: Callable[[Generator], Strokes], rng: Generator) -> Scan:
    return write(strokes(rng), any_hand(rng), rng)


def draw_digits(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw digits as the normalizer sees them: images uint8 [N, 28, 28] and labels uint8 [N].

    All ten are equally frequent; the same seed gives the same digits.
    """
    rng = np.random.default_rng([seed, 0])
    labels = (np.arange(count) % 10).astype(np.uint8)
    return _normalized([draw_digit(int(label), rng) for label in labels]), labels


def draw_junk(count: int, seed: int) -> NDArray[np.uint8]:
    """Draw what is no digit as the normalizer sees it: uint8 [N, 28, 28]."""
    rng = np.random.default_rng([seed, 1])
    return _normalized([draw_junk_scan(rng) for _ in range(count)])


def _normalized(scans: Sequence[Scan]) -> NDArray[np.uint8]:
    return np.array([normalize(scan) for scan in scans], np.uint8).reshape(-1, 28, 28)


def write_drawn(
    out: Path,
    count: int,
    junk: int,
    seed: int,
    advance: Callable[[int], None] = lambda count: None,
) -> None:
    """Write drawn scans as PNGs: `out/7/00017.png`, and junk as `out/not-a-digit/00000.png`.

    Args:
        out: a folder that is new or empty.
        count: of digits.
        junk: how many scans beside them show no digit.
        seed: the same one gives the same scans.
        advance: told of each scan.

    Raises:
        InputError: `out` holds something already.
    """
    check_is_free(out)
    digits, others = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    for k in range(count):
        _save(draw_digit(k % 10, digits), out / str(k % 10) / f"{k:05d}.png")
        advance(1)
    for k in range(junk):
        _save(draw_junk_scan(others), out / JUNK_FOLDER / f"{k:05d}.png")
        advance(1)


def _save(scan: Scan, path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(png(scan))
