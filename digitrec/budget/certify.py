"""Certified thresholds: the lowest score from which answers are wrong within a budget, for sure.

Thresholds are tested from strict to loose, each against the hypothesis that more than the budget is
wrong above it, until one can't be rejected: fixed-sequence testing, by which no threshold pays for
the others (Angelopoulos et al., "Learn then Test", 2021). The thresholds and where the sequence
begins must not depend on the labels that certify.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitrec.budget.bounds import least_count, p_values, upper_bound

# Confidences that are tried as thresholds: fifty a decade of doubt, and any at all.
THRESHOLDS = np.append(1 - np.logspace(-7, 0, 351)[:-1], 0.0)
# Where a sequence may begin: at the confidence that such a share of digits reach.
COVERAGES = (0.85, 0.9, 0.95, 0.98, 1.0)
# A sequence begins where so many times the least count of labelled scans is expected.
ROOM = 1.25


@dataclass(frozen=True, slots=True)
class Certified:
    """A threshold above which at most a budget is wrong, and what says so."""

    threshold: float
    start: float  # the first threshold that was tested
    accepted: int  # of the labelled scans
    wrong: int  # of these
    bound: float  # on the share of wrong ones, with the certainty that was asked for


def starts_of(scores: NDArray[np.floating]) -> list[float]:
    """Return the scores that shares `COVERAGES` of some answers reach, which certify nothing."""
    return [
        0.0 if share == 1 else max(0.0, float(np.quantile(scores, 1 - share)))
        for share in COVERAGES
    ]


def start_for(starts: Sequence[float], labelled: int, budget: float, certainty: float) -> float:
    """Choose where a sequence begins: as strictly as the number of labels leaves room for.

    Of 10,000 labels and a budget of 0.001 a sequence from 30 % coverage comes to an end in 84 of
    100 draws, one from 85 % in all: the start decides what labels are worth.

    Args:
        starts: by coverage, as `starts_of` gives them.
        labelled: how many scans are labelled.
        budget: the share of wrong answers.
        certainty: with which it is kept.
    """
    least = ROOM * least_count(0, budget, certainty)
    for share, start in zip(COVERAGES, starts, strict=True):
        if share * labelled >= least:
            return start
    return starts[-1]


def certify(
    scores: NDArray[np.floating],
    is_right: NDArray[np.bool_],
    thresholds: NDArray[np.floating],
    starts: Sequence[float],
    budget: float,
    certainty: float,
) -> Certified | None:
    """Find the lowest threshold that keeps a budget.

    Args:
        scores: float [N], the higher the surer, of answers that were drawn at random.
        is_right: bool [N].
        thresholds: float [K], those to be tried; an answer is accepted from its threshold on.
        starts: thresholds that the sequence begins at; several of them share the chance of error.
        budget: the largest share of wrong answers among those that are accepted.
        certainty: with which that is kept, such as 0.95.

    Returns:
        None where the first thresholds can't be certified already.
    """
    share = (1 - certainty) / len(starts)
    ends = [
        (end, start)
        for start in starts
        if (end := _last_rejected(scores, is_right, thresholds, start, budget, share)) is not None
    ]
    if not ends:
        return None
    threshold, start = min(ends)
    accepted = scores >= threshold
    count, wrong = int(accepted.sum()), int((accepted & ~is_right).sum())
    return Certified(threshold, start, count, wrong, upper_bound(wrong, count, 1 - share))


def _last_rejected(
    scores: NDArray[np.floating],
    is_right: NDArray[np.bool_],
    thresholds: NDArray[np.floating],
    start: float,
    budget: float,
    error: float,
) -> float | None:
    """Return the last threshold of a sequence, from strict to loose, before one fails."""
    order = np.unique(np.append(thresholds[thresholds < start], start))[::-1]
    counts, wrong = counted(scores, is_right, order)
    passed = p_values(wrong, counts, budget) <= error
    if not passed[0]:
        return None
    end = len(order) if passed.all() else int(np.argmin(passed))
    return float(order[end - 1])


def counted(
    scores: NDArray[np.floating], is_right: NDArray[np.bool_], thresholds: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the answers that thresholds accept, and the wrong ones of them: int64 [K] each."""
    every, wrong = np.sort(scores), np.sort(scores[~is_right])
    return (
        len(every) - np.searchsorted(every, thresholds, "left"),
        len(wrong) - np.searchsorted(wrong, thresholds, "left"),
    )
