"""Drawn digits and junk: strokes, pens, sets, and `digitrec data draw`."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.cli import main
from digitrec.datasets.labelled import load_labelled
from digitrec.datasets.synthetic.digits import DIGIT_STYLES
from digitrec.datasets.synthetic.letters import LETTERS, SIGNS
from digitrec.datasets.synthetic.negatives import JUNK
from digitrec.datasets.synthetic.pen import any_hand, write
from digitrec.datasets.synthetic.printed import FONTS, LIKE_DIGITS, plotted, printed
from digitrec.datasets.synthetic.sets import JUNK_FOLDER, draw_digits, draw_junk, draw_junk_scan
from digitrec.datasets.synthetic.strokes import Stroke, Strokes, arc, curve, shaken
from digitrec.normalize.scan import normalize

VARIANTS = {
    f"{digit}: {variant.__name__}": variant
    for digit, variants in enumerate(DIGIT_STYLES)
    for variant in variants
}
corners = st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=2, max_size=20)


def assert_a_scan(scan: NDArray[np.uint8]) -> None:
    assert scan.dtype == np.uint8
    # Only the border of a coarse one has a little of the ink's soft edge.
    white = 255 if max(scan.shape) > 45 else 235
    assert (scan[[0, -1]] >= white).all()
    assert (scan[:, [0, -1]] >= white).all()
    assert normalize(scan).any()


# ---- Strokes ----


@given(corners)
def test_a_curve_keeps_its_ends_and_stays_within_its_corners(stroke: Stroke) -> None:
    points = np.array(stroke)
    line = curve(points)
    assert line[[0, -1]].tolist() == points[[0, -1]].tolist()
    # Within the convex hull: in no direction beyond the corners.
    turns = np.linspace(0, np.pi, 24)
    directions = np.stack([np.cos(turns), np.sin(turns)])
    assert ((line @ directions).max(0) <= (points @ directions).max(0) + 1e-9).all()
    assert ((line @ directions).min(0) >= (points @ directions).min(0) - 1e-9).all()


def test_a_curve_cuts_a_corner_but_not_a_doubled_one() -> None:
    def nearest(stroke: Stroke) -> float:
        return float(np.linalg.norm(curve(np.array(stroke)) - (1.0, 0.0), axis=1).min())

    assert nearest([(0, 0), (1, 0), (1, 1)]) > 0.15
    assert nearest([(0, 0), (1, 0), (1, 0), (1, 1)]) == pytest.approx(0, abs=1e-12)


def test_arcs_go_clockwise_from_the_top() -> None:
    quarters = [(0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5), (0.5, 0)]
    assert np.array(arc(0.5, 0.5, 1, 1, 0, 1, 5)) == pytest.approx(np.array(quarters), abs=1e-12)
    against = np.array(arc(0.5, 0.5, 1, 1, 0, -1, 5))
    assert against == pytest.approx(np.array(quarters[::-1]), abs=1e-12)
    [right, bottom] = arc(2, 3, 4, 2, 0.25, 0.25, 2)
    assert right == pytest.approx((4, 3))
    assert bottom == pytest.approx((2, 4))


@given(st.integers(0, 2**32), st.floats(0.001, 1))
def test_a_doubled_corner_is_shaken_as_one(seed: int, sigma: float) -> None:
    stroke: Stroke = [(0, 0), (0.5, 0), (0.5, 0), (0.5, 0), (1, 1)]
    moved = shaken(stroke, sigma, np.random.default_rng(seed))
    assert moved[1].tolist() == moved[2].tolist() == moved[3].tolist()
    steps = moved - np.array(stroke)
    assert len({tuple(step) for step in steps.round(12)}) == 3


def test_corners_are_shaken_by_the_deviation_asked_for() -> None:
    stroke: Stroke = [(k, -k) for k in range(20_000)]
    steps = shaken(stroke, 0.03, np.random.default_rng(0)) - np.array(stroke)
    assert steps.std() == pytest.approx(0.03, rel=0.02)
    assert abs(steps.mean()) < 0.001


# ---- Scans ----


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_of_a_digit_gives_a_scan(name: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(25):
        assert_a_scan(write(VARIANTS[name](rng), any_hand(rng), rng))


def test_every_letter_and_sign_gives_a_scan() -> None:
    rng = np.random.default_rng(2)
    drawn = [variant for variants in LETTERS.values() for variant in variants]
    for strokes in [*drawn, *SIGNS.values()]:
        for _ in range(5):
            assert_a_scan(write(strokes, any_hand(rng), rng))


@pytest.mark.parametrize("kind", JUNK)
def test_every_kind_of_junk_gives_a_scan(kind: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        assert_a_scan(draw_junk_scan(rng, kind))


def test_variants_of_a_digit_differ_each_time() -> None:
    def same_twice(draw: Callable[[Generator], Strokes]) -> bool:
        rng = np.random.default_rng(0)
        return draw(rng) == draw(rng)

    assert not [name for name, draw in VARIANTS.items() if same_twice(draw)]


def test_a_hand_has_its_height_and_its_pen() -> None:
    rng = np.random.default_rng(0)
    hand = replace(
        any_hand(rng), height=80, pen=0.1, slant=0, turn=0, shake=0, bend=0, softness=0.4
    )
    ink = 255 - write([[(0.5, 0), (0.5, 1)]], hand, rng)
    rows, columns = np.flatnonzero(ink.max(1) > 127), np.flatnonzero(ink.max(0) > 127)
    assert np.ptp(columns) + 1 == pytest.approx(8, abs=1)
    assert np.ptp(rows) + 1 == pytest.approx(80 + 8, abs=2)
    small = 255 - write([[(0.5, 0), (0.5, 1)]], replace(hand, height=10), rng)
    rows = np.flatnonzero(small.max(1) > 127)
    assert np.ptp(rows) + 1 == pytest.approx(10 + 1, abs=1)
    slanted = 255 - write([[(0.5, 0), (0.5, 1)]], replace(hand, slant=0.5), rng)
    where = np.arange(slanted.shape[1])
    upper, lower = slanted[20:30].sum(0), slanted[-30:-20].sum(0)
    assert upper @ where / upper.sum() > lower @ where / lower.sum() + 10


def test_junk_comes_in_its_shares() -> None:
    assert sum(kind.share for kind in JUNK.values()) == pytest.approx(1)
    assert all(kind.share > 0 for kind in JUNK.values())


def test_no_letter_is_shaped_like_a_digit() -> None:
    assert not set(LETTERS) & set(LIKE_DIGITS)
    assert all(len(letter) == 1 and letter.isalpha() for letter in LETTERS)
    assert len(LETTERS) > 30


# ---- Sets ----


def test_a_seed_gives_its_scans_again_and_another_others() -> None:
    images, labels = draw_digits(40, 7)
    again, _ = draw_digits(40, 7)
    other, _ = draw_digits(40, 8)
    assert np.array_equal(images, again)
    assert not (images == other).all(axis=(1, 2)).any()
    assert np.bincount(labels).tolist() == [4] * 10
    assert (images.shape, images.dtype, labels.dtype) == ((40, 28, 28), np.uint8, np.uint8)
    junk = draw_junk(20, 7)
    assert np.array_equal(junk, draw_junk(20, 7))
    assert not (junk == draw_junk(20, 8)).all(axis=(1, 2)).any()
    assert not (junk == images[:20]).all(axis=(1, 2)).any()


def test_a_set_may_be_empty() -> None:
    images, labels = draw_digits(0, 0)
    assert images.shape == draw_junk(0, 0).shape == (0, 28, 28)
    assert labels.shape == (0,)


def test_every_letter_is_printed_in_every_font() -> None:
    scans = printed()
    assert len(scans) == len(FONTS) * len(LETTERS)
    for scan in scans:
        assert_a_scan(scan)
    assert len({scan.tobytes() for scan in scans}) == len(scans)
    assert len(printed(LIKE_DIGITS)) == len(FONTS) * len(LIKE_DIGITS)


def test_as_many_letters_are_plotted_as_asked_for() -> None:
    count = 5 * len(LETTERS) + 3
    scans = plotted(count, seed=1)
    assert len(scans) == count
    for scan in scans:
        assert_a_scan(scan)
    assert all(map(np.array_equal, scans, plotted(count, seed=1)))
    assert not any(map(np.array_equal, scans, plotted(count, seed=2)))
    assert not any(np.array_equal(*pair) for pair in pairwise(scans))


# ---- `digitrec data draw` ----


def test_scans_are_drawn_into_class_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drawn"
    command = ["data", "draw", "--count", "23", "--junk", "4", "--quiet", "--out"]
    assert main([*command, str(out)]) == 0
    assert f"23 digits in {out}/0" in capsys.readouterr().out
    folders = {folder.name: len(list(folder.glob("*.png"))) for folder in out.iterdir()}
    per_digit = {str(digit): 3 if digit < 3 else 2 for digit in range(10)}
    assert folders == per_digit | {JUNK_FOLDER: 4}
    assert len([path for path in out.rglob("*") if path.is_file()]) == 27
    labelled = load_labelled(str(out))
    assert np.bincount(labelled.labels).tolist() == list(per_digit.values())
    # They are the scans that training sees, before the normalizer.
    images, _ = draw_digits(23, 0)
    for k, image in enumerate(images):
        scan = cv2.imread(str(out / str(k % 10) / f"{k:05d}.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(normalize(scan), image)
    # Another seed, other scans.
    assert main([*command, str(tmp_path / "other"), "--seed", "1"]) == 0
    first, other = (tmp_path / name / "0/00000.png" for name in ("drawn", "other"))
    assert first.read_bytes() != other.read_bytes()


@pytest.mark.parametrize("name", ["count", "junk", "seed"])
def test_a_negative_number_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "draw", "--out", str(tmp_path / "new"), f"--{name}", "-1"]) == 2
    out, err = capsys.readouterr()
    assert f"--{name} must be 0 or more, not -1" in err
    assert err.count("\n") == 1
    assert not out
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_something_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "mine.txt"):
        assert main(["data", "draw", "--out", str(out), "--count", "10", "--quiet"]) == 2
        said, err = capsys.readouterr()
        assert f"{out} holds something already: choose another --out" in err
        assert err.count("\n") == 1
        assert not said
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
