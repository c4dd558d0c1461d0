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
CUT = [name for name, one in CORRUPTIONS.items() if one.kind == "cut"]
TO_THE_INK = {"tight", "tight-binary", "stretched"}
DRAWN_BY_CHANCE = {"shifted", "padded", "rescaled", *HARD, *CUT}

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
        least = 2 if name in TO_THE_INK else 28
        assert least <= min(pixels.shape[:2]) <= max(pixels.shape[:2]) <= 140
        assert pixels.max() - pixels.min() > (8 if name == "pale" else 15)


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


@pytest.mark.parametrize("name", CUT)
def test_of_cut_ones_what_was_written_is_all_there(
    name: str, engine: Engine, mnist_test: Mnist
) -> None:
    """Whoever knew the print, or where the paper lies, would read them: nothing is covered."""
    images, labels = mnist_test[0][:100], mnist_test[1][:100]
    apart = with_paper if name in TO_THE_INK else without_print
    scans = [apart(name, image, k) for k, image in enumerate(images)]
    readings = read_scans(scans, engine)
    assert share_right(readings, labels) >= 0.95


def without_print(name: str, image: np.ndarray, seed: int) -> np.ndarray:
    """Take away what the same scan shows without the digit: dark on white, contrast as it comes."""
    shown = pixels_of(CORRUPTIONS[name].apply(image, np.random.default_rng(seed)))
    empty = pixels_of(CORRUPTIONS[name].apply(np.zeros_like(image), np.random.default_rng(seed)))
    apart = np.abs(empty - shown)
    return np.rint(255 - apart * (255 / apart.max())).astype(np.uint8)


def with_paper(name: str, image: np.ndarray, seed: int) -> np.ndarray:
    """Put paper around a digit that was cut to its ink; half of them are light on dark."""
    slanting = 255 * np.eye(28, dtype=np.uint8)  # of which a corner is paper
    shown, known = (
        pixels_of(CORRUPTIONS[name].apply(one, np.random.default_rng(seed)))
        for one in (image, slanting)
    )
    paper = 0 if known[0, -1] < 128 else 255
    return np.pad(shown, max(shown.shape) // 3, constant_values=paper).astype(np.uint8)


def pixels_of(scan: Corrupted) -> np.ndarray:
    pixels = decode(scan).pixels if isinstance(scan, bytes) else scan
    return (pixels if pixels.ndim == 2 else pixels[:, :, 1]).astype(np.float32)


def test_what_is_cut_to_the_ink_has_ink_at_every_side(mnist_test: Mnist) -> None:
    zeros = mnist_test[0][mnist_test[1] == 0][:40]
    for scan in CorruptedImages(zeros, CORRUPTIONS["tight-binary"]):
        pixels = pixels_of(scan)
        for side in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
            assert set(side.tolist()) == {0, 255}


def test_a_fax_says_its_resolution(mnist_test: Mnist) -> None:
    scan = CorruptedImages(mnist_test[0], CORRUPTIONS["fax"])[0]
    assert isinstance(scan, bytes)
    decoded = decode(scan)
    assert decoded.size[0] == pytest.approx(2 * decoded.size[1], rel=0.06)
    assert decoded.pixels.shape[0] == pytest.approx(decoded.pixels.shape[1], abs=1)


def test_names_and_words_tell_them_apart() -> None:
    assert len({one.words for one in CORRUPTIONS.values()}) == len(CORRUPTIONS) == 38
    assert all(name == one.name for name, one in CORRUPTIONS.items())
