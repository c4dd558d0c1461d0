"""Copies of a scan are told from other scans of the same digit by the same hand."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from digitrec.registry.sides import Pairs, components
from digitrec.registry.similar import near_copies, views_of
from tests.registry.copies import WAYS, Way, drawn


def pairs_of(contents: list[bytes], first: int) -> Pairs:
    return near_copies(views_of(contents), first)


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_found_however_it_was_made(way: Way) -> None:
    rng, scans = np.random.default_rng(1), [scan for scan, _ in drawn(60, seed=11)]
    contents = [cv2.imencode(".png", scan)[1].tobytes() for scan in scans]
    pairs = pairs_of([*contents, *(way(scan, rng) for scan in scans)], 60)
    assert {(k, 60 + k) for k in range(60)} <= set(map(tuple, pairs.tolist()))


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_hardly_a_copy_of_real_scans_is_missed(way: Way, real_digits: Path) -> None:
    rng = np.random.default_rng(2)
    contents = [path.read_bytes() for path in sorted(real_digits.glob("?/*.png"))]
    scans = [
        np.asarray(cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
        for one in contents
    ]
    pairs = pairs_of([*contents, *(way(scan, rng) for scan in scans)], 300)
    found = {(k, 300 + k) for k in range(300)} & set(map(tuple, pairs.tolist()))
    assert len(found) >= 298


@pytest.mark.slow
def test_few_digits_of_the_same_people_are_taken_for_copies(real_digits: Path) -> None:
    contents = [path.read_bytes() for path in sorted(real_digits.glob("?/*.png"))]
    assert len(pairs_of(contents, 0)) <= 4


def test_other_digits_in_the_same_shaded_cell_are_no_copies() -> None:
    shaded = [np.pad(scan // 2 + 60, 10, constant_values=240) for scan, _ in drawn(40, seed=3)]
    pairs = pairs_of([cv2.imencode(".png", scan)[1].tobytes() for scan in shaded], 0)
    assert len(pairs) <= 2


def test_what_is_joined_by_others_is_together() -> None:
    pairs = np.array([[1, 4], [4, 5], [2, 3]], np.intp)
    assert components(6, pairs).tolist() == [0, 1, 2, 2, 1, 1]
    assert components(3, pairs[:0]).tolist() == [0, 1, 2]
