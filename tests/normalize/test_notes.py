"""What the quick path tells about a scan: the notes, the digit's box, and that there is nothing.

It takes for ink all that stands out. Where more than a digit does: `test_odd_papers.py`.
"""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from digitrec.normalize.scan import inspect, is_plain, normalize
from tests.drawing import Pixels, box_lines, darkened, digit, grain, shown, under_light
from tests.normalize.test_scan import difference

Box = tuple[int, int, int, int]  # left, top, width, height


def ruled(sides: str) -> Pixels:
    return darkened(shown(digit(2, 95, 95, pen=6)), box_lines(95, 95, sides), 80)


def specked(count: int) -> Pixels:
    scan = shown(digit(2))
    for x, y in ((70, 10), (8, 100), (75, 110))[:count]:
        scan[y : y + 2, x : x + 2] = 0
    return scan


def with_a_neighbour() -> Pixels:
    other = np.zeros((120, 90), np.uint8)
    cv2.line(other, (0, 30), (8, 70), 255, 5)
    return darkened(shown(digit(2)), other)


def broken() -> Pixels:
    scan = shown(digit(5))
    scan[50:56] = 255
    return scan


def empty_box() -> Pixels:
    return darkened(np.full((95, 95), 255, np.uint8), box_lines(95, 95, "tblr"), 80)


def dust() -> Pixels:
    scan = np.full((95, 95), 255, np.uint8)
    scan[40:43, 50:53] = 0
    return scan


def lit(darkest: float, which: int = 2) -> Pixels:
    return under_light(shown(digit(which), 240, 30), np.linspace(darkest, 1, 120)[:, None])


# ---- Notes ----

NOTES: dict[str, tuple[Callable[[], Pixels], list[str]]] = {
    "nothing odd": (lambda: shown(digit(2)), []),
    "light ink": (lambda: shown(digit(2), 0, 255), ["light on dark"]),
    "chalk": (lambda: shown(digit(2), (38, 92, 66), (228, 232, 222)), ["light on dark"]),
    "pencil": (lambda: shown(digit(2), 235, 195), ["faint: "]),
    "not so faint": (lambda: shown(digit(2), 235, 165), []),
    "shade": (lambda: lit(0.6), ["uneven light: "]),
    "hardly a shade": (lambda: lit(0.95), []),
    "a line": (lambda: ruled("b"), ["touches the border", "in pieces: 2", "strokes thickened "]),
    "a speck": (lambda: specked(1), ["in pieces: 2"]),
    "three specks": (lambda: specked(3), ["in pieces: 4"]),
    "neighbour": (with_a_neighbour, ["touches the border", "in pieces: 2"]),
    "cut at the right": (lambda: shown(digit(2))[:, :70], ["touches the border"]),
    "cut at the top": (lambda: shown(digit(2))[26:], ["touches the border"]),
    "broken": (broken, ["in pieces: 2"]),
    "fine pen": (lambda: shown(digit(2, pen=2)), ["strokes thickened 1.9 times"]),
    "broad pen": (lambda: shown(digit(2, pen=16)), ["strokes thinned to 67 %"]),
    "empty": (lambda: shown(digit(2), 240, 235), ["nothing stands out enough: "]),
    "empty, light": (lambda: shown(digit(2), 5, 10), ["nothing stands out enough: "]),
    "empty box": (empty_box, ["touches the border", "strokes thickened "]),
    "dust alone": (dust, ["nothing larger than a speck"]),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTES)
def test_notes_tell_what_was_odd(name: str) -> None:
    scan, beginnings = NOTES[name][0](), NOTES[name][1]
    notes = inspect(scan).notes
    assert len(notes) == len(beginnings), notes
    for note, beginning in zip(notes, beginnings, strict=True):
        assert note.startswith(beginning)


def test_numbers_in_notes_are_right() -> None:
    (faint,) = inspect(shown(digit(2), 235, 195)).notes
    # Soft edges count as ink, which brings the mean down.
    assert faint in [f"faint: {level} of 255" for level in range(34, 41)]
    (uneven,) = inspect(lit(0.6)).notes
    assert uneven in [f"uneven light: {level} of 255" for level in range(90, 99)]  # 0.4 of 240


def test_what_is_normalized_already_has_no_notes() -> None:
    found = inspect(normalize(lit(0.6)))
    assert found.done
    assert found.notes == []


@pytest.mark.parametrize("which", range(10))
def test_a_slope_of_light_leaves_the_digit_as_it_is(which: int) -> None:
    assert difference(normalize(lit(0.6, which)), normalize(shown(digit(which)))) < 2.5


# ---- What stands alone ----

# Which need a closer look, as far as a scan tells: all in which ink may be something else.
ODD = [
    "pencil", "shade", "a line", "a speck", "three specks", "neighbour", "cut at the right",
    "cut at the top", "broken", "empty", "empty, light", "empty box", "dust alone",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in NOTES if name not in ODD])
def test_a_digit_alone_on_its_paper_is_plain(name: str) -> None:
    scan = NOTES[name][0]()
    assert is_plain(inspect(scan), scan)


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_not_plain(name: str) -> None:
    scan = NOTES[name][0]()
    assert not is_plain(inspect(scan), scan)


# ---- Box ----


def with_bar(height: int, width: int, box: Box) -> Pixels:
    scan = np.full((height, width), 250, np.uint8)
    left, top, wide, tall = box
    scan[top : top + tall, left : left + wide] = 20
    return scan


@pytest.mark.parametrize(
    ("height", "width", "box"),
    [(120, 90, (30, 60, 8, 41)), (28, 28, (9, 4, 5, 18)), (256, 256, (3, 5, 30, 90))],
)
def test_the_box_is_exact(height: int, width: int, box: Box) -> None:
    assert inspect(with_bar(height, width, box)).box == box


@pytest.mark.parametrize("box", [(166, 350, 8, 41), (600, 20, 12, 60), (31, 700, 60, 50)])
def test_a_small_digit_on_a_large_paper_is_cut_out_of_it(box: Box) -> None:
    """It would hardly be seen when the scan is shrunk; so its place is exact all the same."""
    found = inspect(with_bar(800, 1000, box))
    assert found.box == box
    assert found.scale == 1
    assert found.ink.shape == (box[3], box[2])


def test_a_small_digit_on_a_large_paper_is_as_it_is_alone() -> None:
    alone = shown(digit(2))
    page = np.full((800, 1000), 255, np.uint8)
    page[500:620, 300:390] = alone
    found, wanted = inspect(page), inspect(alone)
    assert np.array_equal(found.image, wanted.image)
    assert found.box == (wanted.left + 300, wanted.top + 500, *wanted.box[2:])


@pytest.mark.parametrize("factor", [2, 3.3, 12])
def test_the_box_of_a_large_scan_is_as_exact_as_what_it_is_shrunk_to(factor: float) -> None:
    height, width = round(250 * factor), round(200 * factor)
    box = (round(40 * factor), round(30 * factor), round(30 * factor), round(180 * factor))
    found = inspect(with_bar(height, width, box))
    assert found.scale == pytest.approx(height / 256)
    assert max(found.ink.shape) <= 256
    assert np.abs(np.subtract(found.box, box)).max() <= 2 * found.scale


# ---- Nothing ----


@pytest.mark.parametrize("level", [0, 7, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (12, 12), (28, 28), (40, 30, 3), (300, 400)])
def test_uniform_paper_is_blank(level: int, shape: tuple[int, ...]) -> None:
    found = inspect(np.full(shape, level, np.uint8))
    assert found.blank
    assert not found.image.any()


@pytest.mark.parametrize("transparency", [0, 100, 255])
def test_nothing_but_transparency_is_blank(transparency: int) -> None:
    assert inspect(np.full((40, 30, 4), transparency, np.uint8)).blank


@pytest.mark.parametrize("sigma", [3, 5, 8])
@pytest.mark.parametrize("side", [20, 28, 60, 120, 300])
def test_grainy_paper_is_blank(sigma: float, side: int) -> None:
    for seed, level in enumerate([40, 128, 200, 230, 255] * 10):
        paper = np.full((side, side + seed % 7), level, np.uint8)
        assert inspect(grain(paper, sigma, seed)).blank


def test_an_even_paper_needs_no_look() -> None:
    for level in (0, 128, 255):
        paper = np.full((60, 40), level, np.uint8)
        assert is_plain(inspect(paper), paper)


@pytest.mark.parametrize("side", [28, 70, 300])
@pytest.mark.parametrize("speck", [1, 2, 4])
def test_a_lone_speck_is_blank(side: int, speck: int) -> None:
    assert inspect(with_bar(side, side, (side // 2, side // 3, speck, speck))).blank


def test_a_lone_point_is_not() -> None:
    """As large as a pen's dot: an accident for a person to see."""
    assert not inspect(with_bar(70, 70, (40, 30, 8, 8))).blank


# ---- Tight crops ----


@pytest.mark.parametrize(("height", "width"), [(28, 20), (40, 30), (60, 44), (120, 90)])
@pytest.mark.parametrize("margin", [0.03, 0.06])
def test_a_tight_seven_is_as_one_with_paper_around(height: int, width: int, margin: float) -> None:
    seven = shown(digit(7, height, width, pen=height // 10, margin=margin))
    wanted = normalize(np.pad(seven, 20, constant_values=255))
    assert np.abs(normalize(seven).astype(int) - wanted).mean() < 3


@pytest.mark.parametrize(("height", "width"), [(28, 8), (60, 20), (120, 40), (200, 50)])
@pytest.mark.parametrize("margin", [0, 1, 2])
def test_a_tight_one_is_ink(height: int, width: int, margin: int) -> None:
    box = (width // 3, margin, width // 3, height - 2 * margin)
    found = inspect(with_bar(height, width, box))
    assert (found.blank, found.inverted) == (False, False)
    assert found.box == box


@pytest.mark.parametrize(("height", "width"), [(60, 10), (120, 20)])
def test_a_one_that_fills_its_crop_is_ink(height: int, width: int) -> None:
    one = with_bar(height, width, (2, 2, width - 4, height - 4))
    found = inspect(one)
    assert not found.blank
    assert found.box == (2, 2, width - 4, height - 4)
