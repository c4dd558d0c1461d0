"""The corruptions: every one a scan that can be read, the same in every run."""

import numpy as np
import pytest

from digitrec.datasets.corruptions import CORRUPTIONS, Corrupted, CorruptedImages
from digitrec.inputs.decode import decode
from digitrec.model.engine import Engine
from digitrec.reader import read_scans
from digitrec.readings import ERROR, Readings
from tests.small_mnist.make import Digits

EXACT = [name for name, one in CORRUPTIONS.items() if one.kind == "exact"]
HARD = [name for name, one in CORRUPTIONS.items() if one.kind == "hard"]
DRAWN_BY_CHANCE = [name for name in CORRUPTIONS if name in {"shifted", "padded", "rescaled", *HARD}]

Mnist = tuple[np.ndarray, np.ndarray]


def content(scan: Corrupted) -> bytes:
    return scan if isinstance(scan, bytes) else scan.tobytes()


def share_right(readings: Readings, labels: np.ndarray) -> float:
    return float((readings.has_digit & (readings.digits == labels)).mean())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_scans_have_pixels_of_a_usual_kind(name: str, small_test: Digits) -> None:
    for scan in CorruptedImages(small_test[0], CORRUPTIONS[name])[:40]:
        pixels = decode(scan).pixels if isinstance(scan, bytes) else scan
        assert pixels.dtype == np.uint8
        assert pixels.shape[2:] in ((), (3,), (4,))
        assert 28 <= min(pixels.shape[:2]) <= max(pixels.shape[:2]) <= 140
        assert pixels.max() - pixels.min() > 15


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_run_makes_the_same(name: str, small_test: Digits) -> None:
    images = small_test[0][:20].copy()
    scans = CorruptedImages(images, CORRUPTIONS[name])
    some = [content(scan) for scan in scans[10:]]
    assert [content(scans[k]) for k in range(10, 20)] == some
    assert [content(scan) for scan in scans][10:] == some
    other_seed = [content(scan) for scan in CorruptedImages(images, CORRUPTIONS[name], seed=1)]
    assert (other_seed[10:] != some) == (name in DRAWN_BY_CHANCE)
    assert np.array_equal(images, small_test[0][:20])


@pytest.mark.parametrize("name", EXACT)
def test_exact_ones_show_the_same_digit(name: str, engine: Engine, mnist_test: Mnist) -> None:
    images, labels = mnist_test[0][:300], mnist_test[1][:300]
    bare = share_right(read_scans(list(images), engine), labels)
    readings = read_scans(CorruptedImages(images, CORRUPTIONS[name])[:], engine)
    assert share_right(readings, labels) >= bare - 0.02


@pytest.mark.parametrize("name", HARD)
def test_hard_ones_can_still_be_read(name: str, engine: Engine, mnist_test: Mnist) -> None:
    """Normalized: the shipped network has learnt from normalized digits alone."""
    images, labels = mnist_test[0][:300], mnist_test[1][:300]
    readings = read_scans(CorruptedImages(images, CORRUPTIONS[name])[:], engine)
    assert ERROR not in readings.decisions
    assert share_right(readings, labels) > 0.93


def test_names_and_words_tell_them_apart() -> None:
    assert len({one.words for one in CORRUPTIONS.values()}) == len(CORRUPTIONS) == 22
    assert all(name == one.name for name, one in CORRUPTIONS.items())
