"""Scans without a digit: the same in every run, and nothing written on any."""

import numpy as np
import pytest

from digitrec.datasets.corruptions import Corrupted
from digitrec.datasets.empty import EMPTY, EMPTY_SCANS, EmptyScans, load_empty
from digitrec.datasets.labelled import load_labelled
from digitrec.errors import InputError
from digitrec.inputs.decode import decode


def content(scan: Corrupted) -> bytes:
    return scan if isinstance(scan, bytes) else scan.tobytes()


@pytest.mark.parametrize("name", EMPTY)
def test_every_run_draws_the_same_and_no_two_alike(name: str) -> None:
    scans = [content(scan) for scan in EmptyScans(EMPTY[name])[:10]]
    assert [content(EmptyScans(EMPTY[name])[k]) for k in range(10)] == scans
    assert len(set(scans)) > 7
    assert [content(scan) for scan in EmptyScans(EMPTY[name], seed=1)[:10]] != scans


@pytest.mark.parametrize("name", EMPTY)
def test_scans_have_pixels_of_a_usual_kind(name: str) -> None:
    for scan in EmptyScans(EMPTY[name], 20):
        pixels = decode(scan).pixels if isinstance(scan, bytes) else scan
        assert pixels.dtype == np.uint8
        assert pixels.shape[2:] in ((), (3,))
        assert 28 <= min(pixels.shape[:2]) <= max(pixels.shape[:2]) <= 121


def test_a_lone_line_goes_from_border_to_border() -> None:
    for scan in EmptyScans(EMPTY["lone-line"], 30):
        pixels = np.asarray(scan).astype(int)
        paper = np.median(pixels)
        across = [(line < paper - 25).any() for line in pixels]
        down = [(line < paper - 25).any() for line in pixels.T]
        assert all(across) or all(down)


def test_the_name_says_the_kind() -> None:
    empty = load_empty("empty:comb")
    assert (empty.name, len(empty.scans)) == ("empty:comb", EMPTY_SCANS)
    assert len({one.words for one in EMPTY.values()}) == len(EMPTY)
    assert all(name == one.name for name, one in EMPTY.items())
    with pytest.raises(InputError, match="no set desert: expected one of paper, "):
        load_empty("empty:desert")


def test_who_wants_labels_is_told_that_there_are_none() -> None:
    with pytest.raises(InputError, match="empty:comb shows no digits, so it has no labels"):
        load_labelled("empty:comb")
