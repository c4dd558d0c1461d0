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

from digitrec.budget.bounds import p_values, upper_bound


@dataclass(frozen=True, slots=True)
class Certified:
    """A threshold above which at most a budget is wrong, and what says so."""

    threshold: float
    start: float  # the first threshold that was tested
    accepted: int  # of the labelled scans
    wrong: int  # of these
    bound: float  # on the share of wrong ones, with the certainty that was asked for


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
