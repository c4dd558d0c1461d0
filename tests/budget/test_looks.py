"""What scans look like, counted; and whether two sets of scans look alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from digitrec.budget.drift import CLOSE, FAR, LEAST, TOLERANCE, UNKNOWN, compare
from digitrec.budget.looks import FEATURES, NO_BIN, added, binned, counted

NAMES = [feature.name for feature in FEATURES]


def bar(width: int) -> NDArray[np.uint8]:
    """A scan with an upright stroke."""
    scan = np.zeros((28, 28), np.uint8)
    scan[4:24, 10 : 10 + width] = 255
    return scan


def looks_of(
    scans: NDArray[np.uint8], confidences: NDArray[np.float32], digit: int = 1
) -> NDArray[np.uint8]:
    count = len(scans)
    return binned(
        np.full(count, digit),
        confidences,
        np.full(count, np.nan, np.float32),
        scans,
        np.full(count, 28),
        np.ones(count, bool),
        np.zeros(count, bool),
    )


def test_a_stroke_is_as_wide_as_it_is() -> None:
    scans = np.stack([bar(1), bar(2), bar(3), bar(4)])
    found = looks_of(scans, np.full(4, 0.99, np.float32))[:, NAMES.index("stroke")]
    cuts = FEATURES[NAMES.index("stroke")].cuts
    # Of a bar of 20 pixels' length its ends count too: it seems a little thinner.
    widths = [2 * 20 * w / (2 * (20 + w)) for w in (1, 2, 3, 4)]
    assert found.tolist() == np.searchsorted(cuts, widths, "right").tolist()


def test_counts_are_of_scans_with_a_digit() -> None:
    found = looks_of(np.stack([bar(2)] * 3), np.array([0.4, 0.97, np.nan], np.float32))
    found[2] = NO_BIN
    counts = counted(found)
    assert sum(counts["confidence"]) == sum(counts["size"]) == 2
    assert sum(counts["digit score"]) == 0  # a bundle that does not know it
    assert counts["confidence"][0] == 1
    assert counts["digit"][1] == 2
    assert added(counts, counts)["digit"][1] == 4
    assert added({}, counts) == counts


@given(st.lists(st.integers(0, 3), max_size=4))
def test_a_run_in_pieces_counts_as_one_in_one_piece(cuts: list[int]) -> None:
    rng = np.random.default_rng(7)
    scans = rng.integers(0, 256, (9, 28, 28), dtype=np.uint8)
    found = looks_of(scans, rng.random(9).astype(np.float32))
    total: dict[str, list[int]] = {}
    for piece in np.split(found, np.cumsum(cuts)):
        total = added(total, counted(piece))
    assert total == counted(found)


def counts(low: int, high: int) -> dict[str, list[int]]:
    """Counts of one feature: so many digits of low and of high confidence."""
    bins = [0] * FEATURES[0].bins
    bins[0], bins[-1] = low, high
    return {"confidence": bins, "digit": [low + high] + 9 * [0]}


def test_alike_is_close_and_otherwise_is_far() -> None:
    there = counts(300, 9_700)
    assert compare(counts(30, 970), there).verdict == CLOSE
    far = compare(counts(80, 920), there)
    assert far.verdict == FAR
    [difference] = far.differences
    assert (difference.feature, difference.here, difference.there) == ("confidence", 0.08, 0.03)
    assert str(difference) == "8.0 % are read with less confidence than 0.5, there 3.0 %"
    assert not far.supports
    assert far.to_json()["differences"][0]["here"] == 0.08


def test_the_distance_is_what_is_sure_of_a_difference() -> None:
    there = counts(3_000, 97_000)
    distances = [
        compare(counts(share, 10_000 - share), there).distance for share in (300, 450, 800)
    ]
    assert distances[0] == 1  # none for sure
    assert 1 < distances[1] < 450 / 300
    assert TOLERANCE < distances[2] < 1.05 * 800 / 300
    assert compare(counts(450, 9_550), there).to_json()["distance"] == distances[1]
    # The fewer scans, the less is sure.
    assert compare(counts(80, 920), there).distance < distances[2]
    assert compare({}, there).distance == 1


def test_of_few_scans_nothing_is_said_but_that_they_are_otherwise() -> None:
    there = counts(300, 9_700)
    assert compare(counts(3, 96), there).verdict == UNKNOWN
    assert compare(counts(30, LEAST - 31), there).verdict == UNKNOWN
    assert compare(counts(60, 39), there).verdict == FAR
    assert compare({}, there).verdict == compare(counts(0, 0), there).verdict == UNKNOWN


@pytest.mark.parametrize("count", [100, 1_000, 10_000])
def test_alarms_are_as_seldom_as_they_are_to_be(count: int) -> None:
    """Of draws from the very same source, however they come."""
    rng = np.random.default_rng(count)
    shares = {feature.name: rng.dirichlet(np.ones(feature.bins)) for feature in FEATURES}
    there = {name: rng.multinomial(10_000, some).tolist() for name, some in shares.items()}
    alarms = sum(
        compare({n: rng.multinomial(count, s).tolist() for n, s in shares.items()}, there).verdict
        == FAR
        for _ in range(200)
    )
    assert alarms <= 200 * 0.01 + 3 * np.sqrt(200 * 0.01)
