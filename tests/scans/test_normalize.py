import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitrec.scans.normalize import normalize

AXIS = np.arange(28) + 0.5


def drawn_three() -> np.ndarray:
    """Dark ink on white paper, 120×90."""
    paper = np.full((120, 90), 255, np.uint8)
    points = np.array([[22, 25], [50, 15], [65, 35], [45, 55], [68, 80], [45, 105], [20, 95]])
    cv2.polylines(paper, [points], isClosed=False, color=0, thickness=9, lineType=cv2.LINE_AA)
    return paper


def assert_as_mnist(scan: np.ndarray) -> None:
    rows, columns = np.flatnonzero(scan.any(1)), np.flatnonzero(scan.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert scan.max() >= 250
    for axis in (0, 1):
        assert 14 <= scan.sum(1 - axis) @ AXIS / scan.sum() < 15


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=60)),
        arrays.arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30), st.just(3))),
        arrays.arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30), st.just(4))),
    )
)
def test_any_pixels_give_a_scan(pixels: np.ndarray) -> None:
    before = pixels.copy()
    scan = normalize(pixels)
    assert scan.shape == (28, 28)
    assert scan.dtype == np.uint8
    assert np.array_equal(pixels, before)


def test_a_drawn_digit_has_mnists_proportions() -> None:
    assert_as_mnist(normalize(drawn_three()))


def test_polarity_padding_colour_and_alpha_do_not_matter() -> None:
    three = drawn_three()
    expected = normalize(three)
    assert np.array_equal(normalize(255 - three), expected)
    assert np.array_equal(
        normalize(np.pad(three, ((40, 3), (9, 31)), constant_values=255)), expected
    )
    assert np.array_equal(normalize(np.dstack([three] * 3)), expected)
    opaque = np.dstack([three] * 3 + [np.full_like(three, 255)])
    assert np.array_equal(normalize(opaque), expected)


def test_ink_in_the_alpha_channel_alone_counts() -> None:
    three = drawn_three()
    black = np.zeros_like(three)
    assert np.array_equal(normalize(np.dstack([black] * 3 + [255 - three])), normalize(three))


@pytest.mark.parametrize("factor", [0.5, 2.0, 8.0])
def test_scale_matters_by_one_pixel_of_place_at_most(factor: float) -> None:
    three = drawn_three()
    resized = cv2.resize(three, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    scan, expected = normalize(resized).astype(int), normalize(three)
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    assert min(np.abs(np.roll(scan, s, axis=(0, 1)) - expected).mean() for s in shifts) < 4


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((40, 30), 255, np.uint8),
        np.zeros((28, 28), np.uint8),
        np.full((1, 1), 7, np.uint8),
        np.random.default_rng(0).normal(230, 3, (60, 60)).astype(np.uint8),
    ],
    ids=["white", "black", "one pixel", "rough paper"],
)
def test_blank_paper_is_all_zero(pixels: np.ndarray) -> None:
    assert not normalize(pixels).any()


def test_a_speck_does_not_widen_the_box() -> None:
    specked = drawn_three()
    specked[3:5, 3:5] = 0
    assert np.abs(normalize(specked).astype(int) - normalize(drawn_three())).mean() < 1


def test_mnist_passes_unchanged(mnist_test: tuple[np.ndarray, np.ndarray]) -> None:
    images, _ = mnist_test
    changed = [k for k, image in enumerate(images) if not np.array_equal(normalize(image), image)]
    assert len(changed) <= 3  # the three whose longer side is not 20
    assert_as_mnist(normalize(np.pad(255 - images[0], 20, constant_values=255)))
