"""Whether scans look like those that a claim was certified on: a comparison of their counts.

Shares are compared that are below the cuts of a feature, or of a kind. Each share is known from
counts to an interval; two are different where the intervals do not meet, though the true shares may
differ by a little: no two sets of scans are of one and the same source in all. All intervals hold
together with a probability of 1 - rate, so that like scans are seldom called different.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitrec.budget.bounds import lower_bounds, upper_bounds
from digitrec.budget.looks import FEATURES, Counts, Feature

CLOSE, FAR, UNKNOWN = "close", "far", "unknown"
RATE = 0.01  # of false alarms: like scans that are called far
# The factor by which the odds of two shares may differ: as between like sets, such as the two
# halves of MNIST, which other people wrote.
TOLERANCE = 1.25
# Scans of fewer digits are never called close: too little would be seen of them.
LEAST = 1_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A share of scans that is another than it was where the claim was certified."""

    feature: str
    words: str  # of which scans it is the share
    here: float
    there: float

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{_percent(self.here)} are {self.words}, there {_percent(self.there)}"


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of comparing scans with those of a claim."""

    verdict: str  # close, far or unknown
    digits: int  # scans with a digit that were compared
    differences: tuple[Difference, ...]  # of each feature the greatest, the greatest first
    rate: float = RATE
    # The greatest factor by which the odds of a share differ for sure; 1: none does for sure. What
    # is above the tolerance is called different.
    distance: float = 1.0

    @property
    def supports(self) -> bool:
        """Whether the claim is supported: nothing speaks against it, and enough was seen."""
        return self.verdict == CLOSE

    def to_json(self) -> dict[str, Any]:
        """Return it as `_run.json` has it."""
        return {**asdict(self), "differences": [asdict(one) for one in self.differences]}


def compare(here: Counts, there: Counts, rate: float = RATE) -> Compared:
    """Compare the counts of scans' features with those of a reference.

    Args:
        here: by feature, how many scans are in each of its bins; see `looks`.
        there: the same of the reference.
        rate: how often scans like the reference's may be called far.
    """
    compared = [
        (feature, *_shares(here[feature.name], feature), *_shares(there[feature.name], feature))
        for feature in FEATURES
        if feature.name in here and feature.name in there
    ]
    tests = sum(len(below) for _, below, *_ in compared)
    found: list[tuple[float, Difference]] = []
    greatest = -math.log(TOLERANCE)
    for feature, below, count, below_there, count_there in compared:
        # Two sides of two intervals for each of the tests.
        tail = rate / (4 * max(tests, 1))
        gaps = _gaps(below, count, below_there, count_there, tail)
        worst = int(np.argmax(gaps))
        greatest = max(greatest, float(gaps[worst]))
        if gaps[worst] > 0:
            shares = below[worst] / max(count, 1), below_there[worst] / max(count_there, 1)
            words = feature.words.format(_edge(feature, worst))
            found.append((float(gaps[worst]), Difference(feature.name, words, *shares)))
    digits = int(sum(here.get("digit", ())))
    differences = tuple(one for _, one in sorted(found, key=lambda pair: -pair[0]))
    verdict = FAR if differences else CLOSE if digits >= LEAST else UNKNOWN
    return Compared(verdict, digits, differences, rate, TOLERANCE * math.exp(greatest))


def _shares(counts: list[int], feature: Feature) -> tuple[NDArray[np.int64], int]:
    """Return how many scans are below each cut, or of each kind, and of how many."""
    known = np.asarray(counts, np.int64)
    return (known if feature.kinds else np.cumsum(known)[:-1]), int(known.sum())


def _edge(feature: Feature, place: int) -> float:
    return place if feature.kinds else feature.cuts[place]


def _gaps(
    here: NDArray[np.int64],
    count: int,
    there: NDArray[np.int64],
    count_there: int,
    tail: float,
) -> NDArray[np.float64]:
    """Return by how much the odds of shares differ for sure, beyond the tolerance: logarithms."""
    above = _log_odds(lower_bounds(here, count, 1 - tail))
    above -= _log_odds(upper_bounds(there, count_there, 1 - tail))
    below = _log_odds(lower_bounds(there, count_there, 1 - tail))
    below -= _log_odds(upper_bounds(here, count, 1 - tail))
    return np.asarray(np.maximum(above, below) - np.log(TOLERANCE))


def _log_odds(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(shares) - np.log1p(-shares))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 or share == 0 else f"{100 * share:.3f} %"
