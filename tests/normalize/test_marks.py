"""Marks of handwriting → 28×28: which count, where they lie, and what is ink within them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from digitrec.normalize.marks import LEAST_HEIGHT, PALE, box_of_marks, from_marks
from digitrec.normalize.scan import Normalized, normalize
from digitrec.normalize.squared import INK_SIDE, squared_cover
from tests.drawing import BLACK, WHITE, Pixels, box_lines, darkened, digit, grain, shown
from tests.normalize.any_pixels import CONTENTS, pixels_of
from tests.normalize.test_scan import difference

Chance = NDArray[np.float32]


def chance_of(ink: Pixels) -> Chance:
    """Mark what is ink, as a network that is never wrong would."""
    return squared_cover(ink.astype(np.float32) / 255)


def marked(*boxes: tuple[int, int, int, int], chance: float = 0.99) -> Chance:
    """Mark boxes of left, top, width and height in the square."""
    marks = np.zeros((INK_SIDE, INK_SIDE), np.float32)
    for left, top, width, height in boxes:
        marks[top : top + height, left : left + width] = chance
    return marks


def as_grey(marks: Chance, paper: int = 240, pen: int = 30) -> Pixels:
    """Show in a scan of the square's size what is marked."""
    return shown((marks > 0).astype(np.uint8) * 255, paper, pen)


def found_in(grey: Pixels, chance: Chance) -> Normalized:
    found = from_marks(grey, chance)
    assert found is not None
    return found


# ---- What is marked ----


@pytest.mark.parametrize("which", range(10))
@pytest.mark.parametrize(("paper", "pen"), [(240, 30), (30, 240)])
def test_a_digit_that_is_marked_is_as_the_quick_path_has_it(
    which: int, paper: int, pen: int
) -> None:
    ink = digit(which)
    found = found_in(shown(ink, paper, pen), chance_of(ink))
    assert difference(found.image, normalize(shown(ink, paper, pen))) < 9
    assert (found.inverted, found.marked, found.blank) == (pen > paper, True, False)
    assert found.contrast == pytest.approx(210, abs=10)


def test_what_is_not_marked_is_no_ink() -> None:
    ink = digit(3, 95, 95, pen=6)
    alone = shown(ink, 240, 30)
    boxed = darkened(alone, box_lines(95, 95, "trbl"), 80)
    boxed[45:60, 2:6] = 0
    found, wanted = (found_in(scan, chance_of(ink)) for scan in (boxed, alone))
    assert np.abs(found.image.astype(int) - wanted.image).mean() < 0.5
    assert found.box == wanted.box


def test_nothing_marked_is_nothing() -> None:
    grey = shown(digit(3))
    assert from_marks(grey, np.zeros((INK_SIDE, INK_SIDE), np.float32)) is None
    assert from_marks(grey, np.full((INK_SIDE, INK_SIDE), 0.49, np.float32)) is None


def test_marks_on_an_even_paper_are_ink_by_themselves() -> None:
    """A network may see what one grey level shows; then the marks alone tell the strokes."""
    ink = digit(3)
    found = found_in(np.full(ink.shape, 200, np.uint8), chance_of(ink))
    assert difference(found.image, normalize(shown(ink))) < 20
    assert found.contrast == 0


def test_marks_beside_a_narrow_scan_are_none() -> None:
    """The square repeats the scan's border there."""
    marks = marked((2, 10, 6, 40))
    assert from_marks(shown(digit(1, 120, 30)), marks) is None


# ---- Pieces ----


@pytest.mark.parametrize(
    ("end", "is_neighbours"),
    [
        ((0, 10, 5, 20), True),
        ((59, 30, 5, 20), True),
        ((25, 0, 14, 4), True),
        ((25, 60, 14, 4), True),
        ((0, 5, 60, 4), False),  # it reaches over the digit: a 5's or a 7's top
        ((4, 10, 5, 20), False),  # whole: a second digit
    ],
)
def test_the_end_of_a_neighbours_stroke_is_left_out(
    end: tuple[int, int, int, int], is_neighbours: bool
) -> None:
    own = (28, 12, 8, 40)
    marks = marked(own, end)
    box = found_in(as_grey(marks), marks).box
    assert (box == own) is is_neighbours


def test_where_the_border_cuts_the_digit_the_rest_of_it_is_no_neighbour() -> None:
    marks = marked((28, 12, 8, 52), (25, 0, 14, 4))
    assert found_in(as_grey(marks), marks).box == (25, 0, 14, 64)


def test_a_second_piece_belongs_to_the_digit_if_it_is_large_enough() -> None:
    stroke, half, dot = (10, 10, 6, 40), (40, 20, 6, 20), (40, 20, 4, 4)
    for second, belongs in ((half, True), (dot, False)):
        marks = marked(stroke, second)
        box = found_in(as_grey(marks), marks).box
        assert (box[0] + box[2] > 40) == belongs


@pytest.mark.parametrize(
    ("box", "is_digit"),
    [
        ((30, 30, 2, LEAST_HEIGHT), True),
        ((30, 30, 20, LEAST_HEIGHT - 1), False),  # a line, however long
        ((30, 30, 1, LEAST_HEIGHT), False),  # too few pixels
        ((30, 30, 1, 16), True),
        ((30, 30, 3, 3), False),
    ],
)
def test_what_is_smaller_than_a_digit_is_none(
    box: tuple[int, int, int, int], is_digit: bool
) -> None:
    marks = marked(box)
    assert (from_marks(as_grey(marks), marks) is not None) == is_digit


def test_two_halves_of_a_digit_are_high_enough_together() -> None:
    halves = (20, 20, 12, 5), (20, 30, 12, 5)
    assert from_marks(as_grey(marked(halves[0])), marked(halves[0])) is None
    assert from_marks(as_grey(marked(*halves)), marked(*halves)) is not None


# ---- Place ----


@pytest.mark.parametrize("shape", [(64, 64), (120, 90), (90, 200), (256, 40), (20, 28)])
def test_the_box_is_where_the_ink_is(shape: tuple[int, int]) -> None:
    height, width = shape
    ink = np.zeros(shape, np.uint8)
    # Of a side that gives a high enough mark in the square.
    top, left, tall, wide = height // 4, width // 4, height // 2, max(3, width // 4)
    ink[top : top + tall, left : left + wide] = 255
    if tall * INK_SIDE < LEAST_HEIGHT * max(shape):
        pytest.fail("too low a stroke to be found")
    found = found_in(shown(ink, 240, 30), chance_of(ink))
    apart = np.subtract(found.box, (left, top, wide, tall))
    assert np.abs(apart).max() <= max(shape) / INK_SIDE + 1
    place = box_of_marks(chance_of(ink), shape)
    assert place is not None
    assert np.abs(np.subtract(place, (left, top, wide, tall))).max() <= 2 * max(shape) / INK_SIDE


def test_where_nothing_is_marked_there_is_no_box() -> None:
    assert box_of_marks(marked(), (40, 40)) is None
    # For a closer look the least mark counts.
    assert box_of_marks(marked((32, 32, 1, 1)), (640, 640)) == (320, 320, 10, 10)


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom", "none"])
def test_a_digit_touches_the_side_that_it_reaches(side: str) -> None:
    places = {"left": (0, 20), "top": (24, 0), "right": (48, 20), "bottom": (24, 40)}
    left, top = places.get(side, (24, 20))
    marks = marked((left, top, 16, 24))
    assert found_in(as_grey(marks), marks).touches == (side != "none")


# ---- Ink ----


def test_soft_edges_of_strokes_stay() -> None:
    """The marks are coarser than a large scan's pixels; between them its own levels say."""
    ink = digit(8, 240, 180, pen=14)
    found = found_in(shown(ink, WHITE, BLACK), chance_of(ink))
    left, top, width, height = found.box
    own = ink[top : top + height, left : left + width]
    assert np.abs(found.ink.astype(int) - own).mean() < 12
    assert ((found.ink > 60) & (found.ink < 200)).any()


@pytest.mark.parametrize("step", [2, 6, 15, 30])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_faintest_ink_is_read_by_its_marks(step: int, sign: int) -> None:
    ink = digit(5)
    paper = 120
    scan = grain(shown(ink, paper, paper + sign * step), 1.5)
    found = found_in(scan, chance_of(ink))
    assert difference(found.image, normalize(shown(ink))) < 14
    assert found.contrast == pytest.approx(step, abs=2)
    assert found.contrast < PALE
    assert found.inverted == (sign > 0)
    assert any(note.startswith("faint: ") for note in found.notes)


def test_a_shadow_over_half_the_digit_does_not_hide_the_other() -> None:
    ink = digit(0)
    scan = shown(ink, 240, 20)
    scan[60:] = scan[60:] * 0.7
    found = found_in(scan, chance_of(ink))
    assert difference(found.image, normalize(shown(ink))) < 14


# ---- Anything ----

sides = st.one_of(st.integers(1, 80), st.sampled_from([1, 2, 63, 64, 65, 256]))


@st.composite
def chances(draw: st.DrawFn) -> Chance:
    """Draw a map of chances: noise, some of it sure, boxes, or one value everywhere."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["noise", "sure", "boxes", "even", "one"]))
    if kind == "noise":
        return rng.random((INK_SIDE, INK_SIDE), np.float32)
    if kind == "sure":
        return (rng.random((INK_SIDE, INK_SIDE)) < rng.random()).astype(np.float32)
    if kind == "boxes":
        sizes = rng.integers(1, INK_SIDE, (rng.integers(1, 5), 4)).tolist()
        return marked(*map(tuple, sizes), chance=float(rng.uniform(0.4, 1)))
    if kind == "even":
        return np.full((INK_SIDE, INK_SIDE), rng.choice([0, 0.5, 0.51, 1]), np.float32)
    one = np.zeros((INK_SIDE, INK_SIDE), np.float32)
    one[tuple(rng.integers(0, INK_SIDE, 2))] = 1
    return one


@settings(max_examples=300)
@given(st.sampled_from(list(CONTENTS)), sides, sides, chances(), st.integers(0, 2**32))
def test_any_marks_on_any_scan_give_nothing_or_a_normalized_one(
    content: str, height: int, width: int, chance: Chance, seed: int
) -> None:
    grey = pixels_of(content, height, width, 1, seed)
    before = grey.copy(), chance.copy()
    found = from_marks(grey, chance)
    assert np.array_equal(grey, before[0])
    assert np.array_equal(chance, before[1])
    if found is None:
        return
    assert (found.image.shape, found.image.dtype) == ((28, 28), np.uint8)
    assert found.image.max() == 255
    assert np.array_equal(normalize(found.image), found.image)
    left, top, wide, tall = found.box
    assert min(left, top) >= 0
    assert left + wide <= grey.shape[1]
    assert top + tall <= grey.shape[0]
    assert min(wide, tall) >= 1
    assert 0 <= found.contrast <= 255
    assert found.notes[0] == "looked at closely"
