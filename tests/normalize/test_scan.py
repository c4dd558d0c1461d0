"""What holds for any pixels, and for the same digit presented otherwise."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitrec.inputs.decode import decode
from digitrec.model.engine import Engine
from digitrec.normalize.scan import Normalized, inspect, normalize
from tests.drawing import Pixels, digit, shown
from tests.normalize.any_pixels import CHANNELS, CONTENTS, pixels_of
from tests.small_mnist.make import Digits

AXIS = np.arange(28) + 0.5
CREAM, BLUE, RED = (250, 238, 208), (35, 60, 165), (190, 30, 45)
Mnist = tuple[np.ndarray, np.ndarray]


def drawn_three() -> Pixels:
    return shown(digit(3))


def assert_as_mnist(scan: Pixels) -> None:
    rows, columns = np.flatnonzero(scan.any(1)), np.flatnonzero(scan.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert scan.max() >= 250
    for axis in (0, 1):
        assert 14 <= scan.sum(1 - axis) @ AXIS / scan.sum() < 15


def difference(scan: Pixels, other: Pixels) -> float:
    """Give the mean difference in grey levels, of the best of the places one pixel apart."""
    moves = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return min(
        float(np.abs(np.roll(scan, move, (0, 1)).astype(int) - other).mean()) for move in moves
    )


def assert_normalized(pixels: Pixels) -> Normalized:
    """Hold one result to all that it promises for any pixels."""
    before = pixels.copy()
    found = inspect(pixels)
    assert np.array_equal(pixels, before)
    assert found.image.shape == (28, 28)
    assert found.image.dtype == np.uint8
    assert found.blank == (not found.image.any())
    assert found.blank or found.image.max() == 255 or found.done
    assert np.array_equal(normalize(found.image), found.image)
    left, top, width, height = found.box
    assert min(left, top) >= 0
    # Of a large scan the box is as exact as the pixels of what it is shrunk to.
    slack = found.scale if found.scale > 1 else 0
    assert left + width <= pixels.shape[1] + slack
    assert top + height <= pixels.shape[0] + slack
    assert all(found.notes)
    return found


# ---- Any pixels ----

sides = st.one_of(st.integers(1, 60), st.sampled_from([1, 2, 12, 28, 255, 256, 257, 300]))


@settings(max_examples=800, deadline=None)
@given(
    st.sampled_from(list(CONTENTS)), sides, sides, st.sampled_from(CHANNELS), st.integers(0, 2**32)
)
def test_any_content_of_any_size_keeps_the_promises(
    content: str, height: int, width: int, channels: int, seed: int
) -> None:
    assert_normalized(pixels_of(content, height, width, channels, seed))


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)),
        arrays.arrays(np.uint8, st.tuples(st.integers(1, 16), st.integers(1, 16), st.just(3))),
        arrays.arrays(np.uint8, st.tuples(st.integers(1, 16), st.integers(1, 16), st.just(4))),
    )
)
def test_any_few_pixels_keep_the_promises(pixels: Pixels) -> None:
    assert_normalized(pixels)


@pytest.mark.parametrize("shape", [(40, 13), (42, 15)])
def test_a_checked_area_keeps_the_promises(shape: tuple[int, int]) -> None:
    checked = np.indices(shape).sum(axis=0) % 2 == 0
    assert_normalized(np.pad(checked * np.uint8(255), 5))


def test_a_dithered_digit_in_broad_strokes_is_read(engine: Engine) -> None:
    bayer = np.tile([[32, 160], [224, 96]], (40, 30))
    dithered = (shown(digit(3, 80, 60, pen=12), 255, 128) > bayer) * np.uint8(255)
    assert engine.answers(assert_normalized(dithered).image[None]).probabilities.argmax() == 3


def test_ink_that_reaches_a_corner_of_the_result_is_normalized_once() -> None:
    """A ray from a heavy blob, whose centre of mass brings its end into the corner of 28×28."""
    scan = np.zeros((40, 40), np.uint8)
    cv2.line(scan, (0, 0), (39, 39), 255, 1)
    scan[22:, 22:] = 255
    found = assert_normalized(np.pad(scan, 10))
    assert found.image[0, 0] > 0
    assert np.array_equal(normalize(found.image), found.image)


def test_read_only_and_scattered_arrays_are_taken() -> None:
    three = drawn_three()
    expected = normalize(three)
    fixed = three.copy()
    fixed.flags.writeable = False
    assert np.array_equal(normalize(fixed), expected)
    assert np.array_equal(normalize(np.asfortranarray(three)), expected)
    wide = np.repeat(np.repeat(three, 2, axis=0), 2, axis=1)
    assert np.array_equal(normalize(wide[::2, ::2]), expected)
    assert np.array_equal(normalize(three[::-1, ::-1][::-1, ::-1]), expected)
    colour = np.dstack([three, three, three])
    fixed = np.asfortranarray(colour)[:, :, ::-1]
    fixed.flags.writeable = False
    assert np.array_equal(normalize(fixed), expected)


# ---- The same digit, presented otherwise ----


@pytest.mark.parametrize("which", range(10))
def test_a_drawn_digit_has_mnists_proportions(which: int) -> None:
    assert_as_mnist(normalize(shown(digit(which))))


def test_mnist_passes_unchanged(mnist_test: Mnist) -> None:
    images, _ = mnist_test
    changed = [k for k, image in enumerate(images) if not np.array_equal(normalize(image), image)]
    assert len(changed) <= 3  # the three whose longer side is not 20
    assert_as_mnist(normalize(np.pad(255 - images[0], 20, constant_values=255)))


def test_dark_on_light_is_as_light_on_dark(mnist_test: Mnist) -> None:
    for image in mnist_test[0][:500]:
        embedded = np.pad(image, 9)
        dark = normalize(255 - embedded)
        assert np.array_equal(normalize(embedded), dark)
        assert_as_mnist(dark)


def test_inverted_mnist_is_nearly_itself(mnist_test: Mnist, engine: Engine) -> None:
    """Paper must be found, the edge of strokes cut, and some of the strokes are thinned."""
    images, _ = mnist_test
    inverted = np.stack([normalize(255 - image) for image in images[:1000]])
    apart = [difference(*pair) for pair in zip(inverted, images, strict=False)]
    assert np.median(apart) < 2
    assert np.percentile(apart, 99) < 16
    read, wanted = (
        engine.answers(some).probabilities.argmax(axis=1) for some in (inverted, images[:1000])
    )
    assert (read == wanted).mean() > 0.99


def test_padding_does_not_matter(mnist_test: Mnist, engine: Engine) -> None:
    """Only where the paper ends the reach of soft edges grows, and far parts are no longer cut."""
    images = mnist_test[0][:500]
    near, far = (
        np.stack([normalize(np.pad(255 - image, widths, constant_values=255)) for image in images])
        for widths in (4, ((30, 4), (9, 40)))
    )
    assert (near == far).all(axis=(1, 2)).mean() > 0.97
    read, wanted = (engine.answers(some).probabilities.argmax(axis=1) for some in (near, far))
    assert (read == wanted).mean() > 0.995


@pytest.mark.parametrize("height", [24, 32, 56, 95, 250, 400, 900])
def test_size_hardly_matters(height: int, engine: Engine) -> None:
    for which in range(10):
        wanted = normalize(shown(digit(which, 160, 120, pen=16)))
        scan = normalize(shown(digit(which, height, height * 3 // 4, pen=max(1, height // 10))))
        assert difference(scan, wanted) < (20 if height < 80 else 10)
        assert engine.answers(scan[None]).probabilities.argmax() == which


@pytest.mark.parametrize("pen", [1, 2, 5, 12, 20, 35])
def test_a_pens_width_hardly_matters(pen: int, engine: Engine) -> None:
    scans = np.stack([normalize(shown(digit(which, 200, 150, pen=pen))) for which in range(10)])
    assert engine.answers(scans).probabilities.argmax(axis=1).tolist() == list(range(10))


def as_file(pixels: np.ndarray) -> Pixels:
    """Write a PNG of any depth, and read it."""
    return decode(cv2.imencode(".png", pixels)[1].tobytes()).pixels


EXACTLY: dict[str, Callable[[Pixels], Pixels]] = {
    "RGB": lambda ink: np.dstack([shown(ink)] * 3),
    "opaque": lambda ink: np.dstack([*[shown(ink)] * 3, np.full_like(ink, 255)]),
    "transparent": lambda ink: np.dstack([*[np.zeros_like(ink)] * 3, ink]),
    "white on nothing": lambda ink: np.dstack([*[np.full_like(ink, 255)] * 3, ink]),
    "16 bits": lambda ink: as_file(shown(ink).astype(np.uint16) * 257),
    "16 bits, RGB": lambda ink: as_file(np.dstack([shown(ink).astype(np.uint16) * 257] * 3)),
}


@pytest.mark.parametrize("form", EXACTLY)
def test_depth_channels_and_transparency_do_not_matter(form: str, small_test: Digits) -> None:
    for ink in (digit(3), digit(8, 60, 60), *small_test[0][:50]):
        assert np.array_equal(normalize(EXACTLY[form](ink)), normalize(shown(ink)))


@pytest.mark.parametrize(
    ("paper", "pen"), [(255, BLUE), (CREAM, RED), (CREAM, BLUE), (BLUE, CREAM)]
)
def test_a_pens_colour_hardly_matters(
    paper: int | tuple[int, int, int], pen: tuple[int, int, int], small_test: Digits
) -> None:
    inks = [
        *(digit(which) for which in range(10)),
        *(np.pad(ink, 4) for ink in small_test[0]),
    ]
    apart = [
        float(np.abs(normalize(shown(ink, paper, pen)).astype(int) - normalize(shown(ink))).mean())
        for ink in inks
    ]
    assert np.median(apart) < 0.3
    assert np.mean(np.array(apart) > 2) < 0.02
