"""Exact bounds on a share of wrong answers, from how many were seen among how many."""

import math
from bisect import bisect_left

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special


def upper_bound(wrong: float, count: float, certainty: float) -> float:
    """Return what the true share of wrong answers is below, with a certainty.

    One-sided and exact (Clopper and Pearson, "The use of confidence or fiducial limits", 1934).

    Args:
        wrong: how many of them were; no whole number where they are counted by what they tell.
        count: how many answers were looked at, drawn at random; likewise.
        certainty: such as 0.95.
    """
    return float(upper_bounds(wrong, count, certainty))


def upper_bounds(hits: ArrayLike, count: ArrayLike, certainty: float) -> NDArray[np.float64]:
    """Return what true shares are below, each with a certainty, as `upper_bound`: float64 [K].

    Args:
        hits: [K], what was counted.
        count: [K] or one for all, of how many.
        certainty: of each bound.
    """
    hits, count = np.asarray(hits), np.asarray(count)
    with np.errstate(invalid="ignore"):
        inverse = special.betaincinv(hits + 1, count - hits, certainty)
    return np.asarray(np.where(hits >= count, 1.0, inverse))


def lower_bounds(hits: ArrayLike, count: ArrayLike, certainty: float) -> NDArray[np.float64]:
    """Return what true shares are above, each with a certainty; see `upper_bounds`."""
    hits, count = np.asarray(hits), np.asarray(count)
    with np.errstate(invalid="ignore"):
        inverse = special.betaincinv(hits, count - hits + 1, 1 - certainty)
    return np.asarray(np.where(hits <= 0, 0.0, inverse))


def p_values(
    wrong: NDArray[np.integer], count: NDArray[np.integer], budget: float
) -> NDArray[np.float64]:
    """Return how likely so few were wrong if the share of wrong answers were the budget: float64.

    Args:
        wrong: int [K].
        count: int [K], of how many each; of none the p-value is 1.
        budget: the share.
    """
    return np.asarray(special.betaincc(wrong + 1, np.maximum(count - wrong, 0), budget))


def least_count(wrong: int, budget: float, certainty: float) -> int:
    """Return how many answers, so many of them wrong, bound the share by a budget.

    None of 2,995 bound it by 0.001 with a certainty of 0.95.
    """

    def is_enough(count: int) -> bool:
        return upper_bound(wrong, count, certainty) <= budget

    high = wrong + max(1, math.ceil((wrong + 1) / budget))
    while not is_enough(high):
        high *= 2
    return bisect_left(range(high), True, lo=wrong + 1, key=is_enough)
