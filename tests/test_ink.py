"""What a closer look finds: with the shipped ink network, on papers of our own drawing."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from digitrec.ink import look_at
from digitrec.model.engine import Engine, InkEngine
from digitrec.model.policy import MAX_BLANK, MIN_WRITTEN
from digitrec.normalize.scan import normalize
from digitrec.normalize.squared import squared
from tests.drawing import Pixels, box_lines, darkened, digit, shown
from tests.normalize.test_scan import difference
from tests.small_mnist.make import Digits

SIDE = 95
ALL = range(10)


@pytest.fixture(scope="module")
def ink(engine: Engine) -> InkEngine:
    return engine.ink


def in_a_box(ink: Pixels) -> Pixels:
    return darkened(shown(ink, 245, 30), box_lines(SIDE, SIDE, "trbl"), 80)


def on_a_comb(ink: Pixels) -> Pixels:
    comb = np.zeros_like(ink)
    cv2.line(comb, (0, 88), (SIDE, 88), 255, 2)
    for x in (4, 90):
        cv2.line(comb, (x, 60), (x, 88), 255, 2)
    return darkened(shown(ink, 245, 30), comb, 80)


def beside_a_desk(ink: Pixels) -> Pixels:
    scan = shown(ink, 245, 30)
    scan[:, :10] = 40
    return scan


FIELDS: dict[str, Callable[[Pixels], Pixels]] = {
    "box": in_a_box,
    "comb": on_a_comb,
    "desk": beside_a_desk,
}


def on_a_page(which: int, height: int, side: int = 250) -> Pixels:
    """Draw a small digit on a large, clean page."""
    ink = np.zeros((side, side), np.uint8)
    width = height * 3 // 4
    small = digit(which, height, width, pen=max(1, height / 10), margin=0.02)
    ink[side // 3 :, side // 2 :][:height, :width] = small
    return shown(ink, 240, 30)


# ---- Fields ----


@pytest.mark.parametrize("field", FIELDS)
def test_a_digit_is_found_in_its_field(ink: InkEngine, field: str) -> None:
    inks = [digit(which, SIDE, SIDE, pen=6, margin=0.22) for which in ALL]
    looks = look_at([FIELDS[field](one) for one in inks], ink)
    for look, one in zip(looks, inks, strict=True):
        assert look.written > MIN_WRITTEN
        assert look.found is not None
        assert np.abs(np.subtract(look.found.box, cv2.boundingRect(one))).max() <= 3
        assert difference(look.image, normalize(shown(one))) < 12
        assert not look.found.inverted
        assert look.shown == (0, 0, SIDE, SIDE)


@pytest.mark.parametrize("field", FIELDS)
def test_in_an_empty_field_nothing_is_found(ink: InkEngine, field: str) -> None:
    [look] = look_at([FIELDS[field](np.zeros((SIDE, SIDE), np.uint8))], ink)
    assert look.written <= MAX_BLANK
    assert look.found is None
    assert not look.image.any()


def test_scans_of_all_sizes_are_looked_at_together_as_one_by_one(ink: InkEngine) -> None:
    scans = [shown(digit(k, 40 + 20 * k, 90, pen=6)) for k in ALL]
    for look, scan in zip(look_at(scans, ink), scans, strict=True):
        [alone] = look_at([scan], ink)
        assert look.shown == alone.shown
        assert look.written == pytest.approx(alone.written, abs=1e-5)
        np.testing.assert_allclose(look.image, alone.image, atol=2)
    assert look_at([], ink) == []


# ---- Small digits ----


@pytest.mark.parametrize("height", [20, 40])
def test_a_small_digit_on_a_page_is_looked_at_twice(ink: InkEngine, height: int) -> None:
    pages = [on_a_page(which, height) for which in ALL]
    looks = look_at(pages, ink)
    for page, look in zip(pages, looks, strict=True):
        left, top, width, height = look.shown
        assert max(width, height) < 120
        box = cv2.boundingRect((page < 200).astype(np.uint8))
        assert left <= box[0]
        assert top <= box[1]
        assert look.found is not None
        assert np.abs(np.subtract(look.found.box, box)).max() <= 3
    # That the part alone looks written does not count: on a page it may be a page's number.
    first = ink.look(np.stack([squared(page) for page in pages])).written
    assert all(look.written <= one + 1e-5 for look, one in zip(looks, first, strict=True))


def test_a_large_digit_is_looked_at_once(ink: InkEngine) -> None:
    [look] = look_at([shown(digit(3, 250, 200, pen=20))], ink)
    assert look.shown == (0, 0, 200, 250)


def test_a_small_field_with_a_small_number_is_empty(ink: InkEngine) -> None:
    """As forms number their fields: print of such a size is not looked at twice."""
    field = np.full((SIDE, SIDE), 245, np.uint8)
    cv2.putText(field, "4", (6, 14), cv2.FONT_HERSHEY_PLAIN, 0.8, 90, 1, cv2.LINE_AA)
    [look] = look_at([field], ink)
    assert look.found is None
    assert look.written <= MAX_BLANK


# ---- Light and dark ----


def tight_crops(digits: Digits) -> list[Pixels]:
    """Cut digits out without any paper around: light ink."""
    crops = []
    for image in digits[0]:
        rows, columns = np.flatnonzero((image > 60).any(1)), np.flatnonzero((image > 60).any(0))
        crops.append(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return crops


def inverted(scans: list[Pixels], ink: InkEngine, light: bool | None) -> list[bool]:
    looks = look_at(scans, ink, light=light)
    return [look.found is not None and look.found.inverted for look in looks]


def test_who_knows_the_ink_has_it_in_tight_crops(ink: InkEngine, small_test: Digits) -> None:
    light = tight_crops(small_test)
    dark = [255 - crop for crop in light]
    assert all(inverted(light, ink, light=True))
    assert not any(inverted(dark, ink, light=False))


def test_a_crop_that_shows_no_paper_is_read_as_it_is_said(ink: InkEngine) -> None:
    """Of a bold digit cut out tightly, ink and paper may be either."""
    crops = [shown(digit(which, 40, 26, pen=9, margin=0), 20, 235) for which in ALL]
    said = {light: inverted(crops, ink, light) for light in (True, False)}
    assert sum(said[True]) >= 9
    assert sum(said[False]) <= 2


def test_where_paper_is_seen_nothing_said_changes_it(ink: InkEngine) -> None:
    scans = [shown(digit(which), 245, 30) for which in ALL]
    assert not any(inverted(scans, ink, light=True))


def test_the_box_of_a_crop_with_paper_put_around_lies_in_the_crop(ink: InkEngine) -> None:
    crops = [shown(digit(which, 40, 26, pen=9, margin=0), 20, 235) for which in ALL]
    for crop, look in zip(crops, look_at(crops, ink, light=False), strict=True):
        assert look.found is not None
        left, top, width, height = look.found.box
        assert min(left, top) >= 0
        assert left + width <= crop.shape[1] + 8
        assert top + height <= crop.shape[0] + 8


@pytest.mark.parametrize(
    ("paper", "pen", "lighter"),
    [((38, 92, 66), (228, 232, 222), True), ((250, 238, 208), (35, 60, 165), False)],
)
def test_a_scan_in_colour_is_light_or_dark_by_its_own_pixels(
    ink: InkEngine, paper: tuple[int, int, int], pen: tuple[int, int, int], lighter: bool
) -> None:
    scans = [shown(digit(which), paper, pen) for which in ALL]
    assert inverted(scans, ink, None) == [lighter] * 10
    seen = [np.dstack([scan, np.full(scan.shape[:2], 255, np.uint8)]) for scan in scans]
    assert inverted(seen, ink, None) == [lighter] * 10


def test_ink_on_nothing_is_dark(ink: InkEngine) -> None:
    clear = [np.dstack([*[np.full((120, 90), 255, np.uint8)] * 3, digit(which)]) for which in ALL]
    assert not any(inverted(clear, ink, None))
