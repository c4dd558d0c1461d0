"""Papers with print and dirt, what scanners make of them, and samples for the ink network."""

import dataclasses

import cv2
import numpy as np
import pytest

from digitrec.datasets.synthetic import ink_samples, papers
from digitrec.datasets.synthetic.ink_samples import apart, draw_samples, draw_written
from digitrec.datasets.synthetic.papers import HELD_BACK, KINDS, TRAINED, draw_paper
from digitrec.datasets.synthetic.scanner import Scanned
from digitrec.datasets.synthetic.sets import draw_digits
from digitrec.normalize.squared import INK_SIDE, squared, squared_place

SHAPES = ((64, 64), (12, 90), (130, 20))
IMAGES = draw_digits(40, 0)[0]
BAR = np.full((40, 12), 255, np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_on_papers_of_any_shape(kind: str) -> None:
    shown = 0
    for shape in SHAPES:
        for seed in range(6):
            plain = draw_paper(shape, (), np.random.default_rng(seed)).grey
            printed = draw_paper(shape, (kind,), np.random.default_rng(seed)).grey
            assert printed.shape == shape
            assert printed.dtype == np.float32
            assert np.isfinite(printed).all()
            shown += np.abs(printed - plain).max() > 1
    assert shown >= 7  # a hole, a hair or small text may lie beyond the border


def test_a_paper_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    one, same, other = (
        draw_paper((50, 60), TRAINED, np.random.default_rng(seed)).grey for seed in (1, 1, 2)
    )
    assert (one == same).all()
    assert (one != other).any()


def test_a_quarter_of_the_kinds_of_every_family_is_kept_from_training() -> None:
    assert set(HELD_BACK) <= set(KINDS)
    assert len(HELD_BACK) >= len(KINDS) / 4
    assert not set(HELD_BACK) & set(TRAINED)
    families = {one.family for one in KINDS.values()}
    assert {KINDS[kind].family for kind in HELD_BACK} == families


def test_samples_are_drawn_of_the_kinds_that_are_named_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a kind that is held back was drawn")

    refusing = {kind: dataclasses.replace(KINDS[kind], draw=never) for kind in HELD_BACK}
    monkeypatch.setattr(papers, "KINDS", {**KINDS, **refusing})
    draw_samples(60, [0], IMAGES, TRAINED)
    with pytest.raises(AssertionError, match="held back"):
        draw_samples(60, [0], IMAGES, HELD_BACK)


def test_samples_are_a_function_of_their_seed() -> None:
    one, same, other = (draw_samples(8, [0, step], IMAGES, TRAINED) for step in (3, 3, 4))
    assert (one.scans == same.scans).all()
    assert (one.marks == same.marks).all()
    assert (one.scans != other.scans).any()


def test_a_quarter_or_so_of_the_samples_is_empty_and_the_rest_is_marked() -> None:
    samples = draw_samples(300, [0], IMAGES, TRAINED)
    assert samples.scans.shape == samples.marks.shape == (300, INK_SIDE, INK_SIDE)
    empty = ~samples.marks.any((1, 2))
    assert 0.2 < empty.mean() < 0.36
    assert samples.marks[~empty].mean() > 0.03


def test_several_things_stand_apart_in_a_row_or_a_column() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        ink = apart([BAR] * 3, rng)
        assert cv2.connectedComponents((ink > 0).astype(np.uint8))[0] == 4  # one is the paper
        assert ink.any(0)[[0, -1]].all()
        assert ink.any(1)[[0, -1]].all()


def test_scans_differ_where_they_are_marked() -> None:
    seen = 0
    for seed in range(80):
        scanned = draw_written(BAR, (), np.random.default_rng(seed))
        inside, outside = scanned.cover > 0.9, scanned.cover < 0.1
        if not outside.any() or not inside.any():
            continue
        seen += abs(scanned.scan[inside].mean() - scanned.scan[outside].mean()) > 3
    assert seen > 70  # shadows hide a few means


def test_nothing_is_written_where_nobody_could_see_it() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        cover = np.zeros((40, 40), np.float32)
        cover[10:30, 2:8] = 1
        sheet, contrast = ink_samples._paper_for(cover, ("desk", "speckled-tint"), rng)
        assert (sheet.grey[10:30, 2:8] > 0.5 * sheet.paper).mean() > 0.7
        assert contrast >= 6


def test_what_shows_in_the_scan_is_seen_and_what_hardly_differs_is_not() -> None:
    cover = np.zeros((64, 64), np.float32)
    cover[12:52, 28:36] = 1
    for away, seen in ((60, True), (5, True), (2, False), (0, False)):
        scan = np.where(cover > 0, 200 - away, 200).astype(np.uint8)
        assert ink_samples._is_seen(Scanned(scan, cover)) is seen
    dot = np.where(np.indices((64, 64)).sum(0) < 3, np.float32(1), np.float32(0))
    assert not ink_samples._is_seen(Scanned(np.where(dot > 0, 0, 200).astype(np.uint8), dot))


def test_ink_lets_what_is_below_shine_through() -> None:
    sheet = draw_paper((20, 20), (), np.random.default_rng(0))
    sheet.grey[:, :10] = 0.5 * sheet.paper
    before = sheet.grey.copy()
    sheet.write(np.ones((20, 20), np.float32), 0.4 * sheet.paper)
    assert sheet.grey == pytest.approx(0.6 * before, rel=1e-5)


def test_a_scan_is_squared_whole_and_its_border_goes_on() -> None:
    scan = np.tile(np.linspace(40, 200, 30).astype(np.uint8)[:, None], (1, 10))
    place, square = squared_place(scan.shape), squared(scan)
    assert square.shape == (INK_SIDE, INK_SIDE)
    assert (place.top, place.height) == (0, INK_SIDE)
    assert place.width == round(INK_SIDE / 3)
    assert (square == square[:, :1]).all()
    tall = squared(scan.T)
    assert (tall[: squared_place(scan.T.shape).top] == tall[squared_place(scan.T.shape).top]).all()
