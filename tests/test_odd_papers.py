"""What is read where more than a digit lies on the paper, and where none does: the whole path."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from digitrec.model.engine import Engine
from digitrec.model.policy import ACCEPT, REVIEW
from digitrec.normalize.scan import normalize
from digitrec.reader import read_scans
from digitrec.readings import BLANK, NO_DIGIT, Readings
from tests.drawing import Pixels, box_lines, darkened, digit, grain, shown, under_light
from tests.normalize.test_notes import with_bar
from tests.normalize.test_scan import Mnist, difference

BOARD, CHALK = (38, 92, 66), (228, 232, 222)
ALL = range(10)


def in_a_box(which: int) -> Pixels:
    return digit(which, 95, 95, pen=6)


def ruled(which: int, sides: str) -> Pixels:
    return darkened(shown(in_a_box(which)), box_lines(95, 95, sides), 80)


def specked(which: int, count: int) -> Pixels:
    scan = shown(digit(which))
    for x, y in ((70, 10), (8, 100), (75, 110))[:count]:
        scan[y : y + 2, x : x + 2] = 0
    return scan


def with_a_neighbour(which: int) -> Pixels:
    other = np.zeros((120, 90), np.uint8)
    cv2.line(other, (0, 30), (8, 70), 255, 5)
    return darkened(shown(digit(which)), other)


def in_a_shadow(which: int) -> Pixels:
    across, down = np.meshgrid(np.linspace(-1, 1, 90), np.linspace(-1, 1, 120))
    return under_light(shown(digit(which), 240, 30), 0.75 - 0.25 * np.tanh(9 * across + down))


def on_a_desk(which: int) -> Pixels:
    scan = np.pad(shown(digit(which), 245, 40), ((4, 4), (16, 0)), constant_values=245)
    scan[:, :12] = 30
    return scan


# What a digit lies among, and the digit alone.
PAPERS: dict[str, tuple[Callable[[int], Pixels], Callable[[int], Pixels]]] = {
    "a line": (lambda which: ruled(which, "b"), in_a_box),
    "two lines": (lambda which: ruled(which, "lr"), in_a_box),
    "a box": (lambda which: ruled(which, "trbl"), in_a_box),
    "a speck": (lambda which: specked(which, 1), digit),
    "three specks": (lambda which: specked(which, 3), digit),
    "a neighbour": (with_a_neighbour, digit),
    "a shadow": (in_a_shadow, digit),
    "a desk": (on_a_desk, digit),
    "pencil": (lambda which: shown(digit(which), 235, 195), digit),
    "chalk": (lambda which: shown(digit(which), BOARD, CHALK), digit),
}


def none_is_wrong(readings: Readings, labels: np.ndarray) -> bool:
    """Say whether all that was accepted is right."""
    return bool((readings.digits == labels)[readings.decisions == ACCEPT].all())


# ---- A digit among other things ----


@pytest.mark.parametrize("name", PAPERS)
def test_a_digit_among_other_things_is_read(engine: Engine, name: str) -> None:
    readings = read_scans([PAPERS[name][0](which) for which in ALL], engine)
    assert none_is_wrong(readings, np.array(ALL))
    # With a neighbour's stroke the 1 is a 7; a pale 0 may be a printed oval: a person shall see.
    least = {"a neighbour": 8, "pencil": 9}.get(name, 10)
    assert (readings.decisions == ACCEPT).sum() >= least
    assert not (readings.decisions == BLANK).any()


@pytest.mark.parametrize("name", PAPERS)
def test_what_a_digit_lies_among_does_not_move_it(engine: Engine, name: str) -> None:
    paper, ink = PAPERS[name]
    readings = read_scans([paper(which) for which in ALL], engine)
    apart = [difference(readings.scans[k], normalize(shown(ink(k)))) for k in ALL]
    # Strokes' edges are a little other ones by marks than by levels: 45 is between two digits.
    assert max(apart) < 12


@pytest.mark.parametrize("which", ALL)
def test_digits_are_not_as_alike_as_that(which: int) -> None:
    own, *others = (normalize(shown(digit((which + k) % 10))) for k in ALL)
    assert min(difference(own, other) for other in others) > 20


# ---- No digit ----


def assert_blank(scans: list[Pixels], engine: Engine, share: float = 1.0) -> None:
    """So many are blank; of the others a person must say, since nothing on them is a digit."""
    readings = read_scans(scans, engine)
    assert not (readings.decisions == ACCEPT).any()
    assert (readings.decisions == BLANK).mean() >= share


@pytest.mark.parametrize(
    ("side", "away", "thickness"), [(56, 3, 2), (80, 4, 1), (95, 5, 2), (120, 7, 3), (200, 8, 2)]
)
def test_an_empty_box_is_blank(engine: Engine, side: int, away: int, thickness: int) -> None:
    box = np.full((side, side), 250, np.uint8)
    corners = (away, away), (side - 1 - away, side - 1 - away)
    cv2.rectangle(box, *corners, 60, thickness)
    assert_blank([box], engine)


@pytest.mark.parametrize(("away", "thickness"), [(4, 2), (6, 3)])
def test_an_empty_box_whose_lines_go_on_is_blank(engine: Engine, away: int, thickness: int) -> None:
    crossed = box_lines(80, 80, "trbl", thickness=thickness, away=away)
    assert_blank([shown(crossed, 250, 60)], engine)


@pytest.mark.parametrize("sigma", [3, 8, 12, 16, 20])
@pytest.mark.parametrize("side", [28, 60, 120, 300])
def test_rough_paper_is_nearly_always_blank(engine: Engine, sigma: float, side: int) -> None:
    papers = [
        grain(np.full((side, side + seed % 7), level, np.uint8), sigma, seed)
        for seed, level in enumerate([100, 128, 170, 200] * 20)
    ]
    # In some of the smallest noise may be a faint stroke, which a person says.
    assert_blank(papers, engine, {28: 0.5, 60: 0.85}.get(side, 0.98))


def test_rough_paper_in_too_bright_light_is_blank(engine: Engine) -> None:
    papers = [grain(np.full((200, 200), 255, np.uint8), 16, seed) for seed in range(20)]
    assert_blank(papers, engine, 0.9)


def test_specks_are_no_digits(engine: Engine) -> None:
    """What isn't blank is hardly it: that something is written is far from likely."""
    specks = [
        with_bar(side, side, (side // 2, side // 3, speck, speck))
        for side in (28, 70, 300)
        for speck in (1, 2, 4)
    ]
    readings = read_scans(specks, engine)
    assert (readings.digits == NO_DIGIT).all()
    assert set(readings.decisions) <= {BLANK, REVIEW}
    assert (readings.decisions == BLANK).sum() >= 2


@pytest.mark.parametrize("gap", [0.1, 0.4, 1.0])
def test_several_digits_apart_are_not_read_as_one_of_them(engine: Engine, gap: float) -> None:
    away = round(90 * gap)
    scans = [
        shown(np.hstack([np.pad(digit((which + k) % 10), ((0, 0), (0, away))) for k in range(3)]))
        for which in ALL
    ]
    assert (read_scans(scans, engine).decisions == REVIEW).all()


# ---- Tight crops ----


def test_a_tight_seven_is_read(engine: Engine) -> None:
    """Its bar is no printed line."""
    sizes = [(28, 20), (40, 30), (60, 44), (120, 90)]
    sevens = [
        shown(digit(7, height, width, pen=height // 10, margin=margin))
        for height, width in sizes
        for margin in (0.03, 0.06)
    ]
    readings = read_scans(sevens, engine)
    assert readings.digits.tolist() == [7] * len(sevens)
    assert (readings.decisions == ACCEPT).all()


@pytest.mark.parametrize(("height", "width"), [(28, 8), (60, 20), (120, 40), (200, 50)])
def test_a_tight_bar_is_a_one_if_it_is_anything(engine: Engine, height: int, width: int) -> None:
    """A bar with straight edges may be print: a person says."""
    bars = [
        with_bar(height, width, (width // 3, margin, width // 3, height - 2 * margin))
        for margin in (0, 1, 2)
    ]
    readings = read_scans(bars, engine)
    assert readings.digits.tolist() == [1] * len(bars)
    assert not (readings.decisions == BLANK).any()


def test_tight_crops_are_read_as_others_are(engine: Engine, mnist_test: Mnist) -> None:
    """MNIST's digits cut out with one pixel around."""
    crops = []
    for image in mnist_test[0][:1000]:
        rows, columns = np.flatnonzero((image > 60).any(1)), np.flatnonzero((image > 60).any(0))
        crops.append(255 - image[rows[0] - 1 : rows[-1] + 2, columns[0] - 1 : columns[-1] + 2])
    readings = read_scans(crops, engine)
    assert (readings.digits == mnist_test[1][:1000]).mean() > 0.99
    assert not (readings.decisions == BLANK).any()


# ---- What people cut out ----


def case(folder: Path) -> tuple[list[Path], np.ndarray]:
    """Give a kind's scans, and the digit that each shows."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return files, np.array([int(file.parent.name) for file in files])


@pytest.mark.parametrize(
    ("kind", "count", "wrong"),
    [
        ("print/box-with-margin", 40, 2),
        ("print/comb", 40, 2),
        ("print/dark-desk-left", 40, 2),
        ("print/hatched", 40, 2),
        ("tight/binary-16x16", 40, 3),
        ("tight/dark-on-light", 40, 3),
        ("tight/light-on-dark", 40, 3),
        ("fax-204x98", 10, 0),
    ],
)
def test_digits_as_people_cut_them_out_are_read(
    engine: Engine, cases: Path, kind: str, count: int, wrong: int
) -> None:
    files, labels = case(cases / kind)
    readings = read_scans(files, engine)
    assert len(files) == count
    assert (readings.digits != labels).sum() <= wrong
    assert not (readings.decisions == BLANK).any()


def test_faint_digits_are_not_blank(engine: Engine, cases: Path) -> None:
    files, labels = case(cases / "faint")
    readings = read_scans(files, engine)
    assert len(files) == 40
    assert not (readings.decisions == BLANK).any()
    assert none_is_wrong(readings, labels)


def test_empty_fields_are_not_digits(engine: Engine, cases: Path) -> None:
    files = sorted(file for file in (cases / "empty").rglob("*") if file.is_file())
    readings = read_scans(files, engine)
    assert len(files) == 24
    assert not (readings.decisions == ACCEPT).any()
    assert (readings.decisions == BLANK).sum() >= 20
