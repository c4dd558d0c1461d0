"""Tens of thousands of scans of every kind, sense and nonsense: 28×28 each, and no exception."""

import random

import numpy as np
import pytest

from digitrec.errors import ScanError
from digitrec.inputs.decode import decode
from digitrec.normalize.scan import inspect
from tests.drawing import Pixels, digit, grain, shown
from tests.faults.test_fuzzed_files import mutated, seeds
from tests.normalize.any_pixels import any_pixels
from tests.normalize.test_scan import assert_normalized

pytestmark = pytest.mark.slow

ARRAYS, FILES, DIGITS = 20_000, 8_000, 2_000
MOST_PIXELS = 1_000_000  # of damaged files: what claims to be larger takes long


def test_any_pixels_are_normalized() -> None:
    blank = 0
    for seed in range(ARRAYS):
        pixels = any_pixels(seed)
        found = assert_normalized(pixels)
        blank += found.blank
        if pixels.min() == pixels.max():
            assert found.blank, seed
    assert 0.1 * ARRAYS < blank < 0.6 * ARRAYS


def test_what_damaged_files_decode_to_is_normalized() -> None:
    chance, files = random.Random(2024), seeds()
    contents, decoded = [content for _, content in files], 0
    for k in range(FILES):
        try:
            pixels = decode(mutated(contents[k % len(files)], contents, chance)).pixels
        except ScanError:
            continue
        if pixels.size <= MOST_PIXELS:
            assert_normalized(pixels)
            decoded += 1
    assert decoded > 1_200  # the others are said to be damaged


def paper_and_digit(seed: int) -> tuple[Pixels, Pixels]:
    """Make rough paper, and the same with a digit that stands out from it."""
    rng = np.random.default_rng(seed)
    height = int(rng.integers(28, 200))
    width = int(rng.integers(max(24, height // 2), height * 3 // 2))
    pen = rng.uniform(0.05, 0.15) * min(height, width)
    ink = digit(int(rng.integers(10)), height, width, pen=pen, margin=rng.uniform(0.15, 0.25))
    light, dark = rng.integers(170, 235), rng.integers(20, 90)
    paper, level = (light, dark) if rng.random() < 0.5 else (dark, light)
    sigma = rng.uniform(0, 6)
    return tuple(  # type: ignore[return-value]
        grain(shown(some, int(paper), int(level)), sigma, seed) for some in (ink * 0, ink)
    )


def test_paper_is_blank_and_a_digit_on_it_is_not() -> None:
    for seed in range(DIGITS):
        paper, written = (inspect(pixels) for pixels in paper_and_digit(seed))
        assert paper.blank, seed
        assert not written.blank, seed
        assert written.image.max() == 255
