"""Exact bounds on a share of wrong answers, from how many were seen among how many."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special


def upper_bound(wrong: float, count: float, certainty: float) -> float:
    """Return what the true share of wrong answers is below, with a certainty.

    One-sided and exact (Clopper and Pearson, "The use of confidence or fiducial limits", 1934).

    Args:
        wrong: how many of them were; no whole number where they are counted by what they tell.
        count: how many answers were looked at, drawn at random; likewise.
        certainty: such as 0.95.
    """
    if wrong >= count:
        return 1.0
    return float(special.betaincinv(wrong + 1, count - wrong, certainty))


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
    low, high = wrong, wrong + max(1, math.ceil((wrong + 1) / budget))
    while upper_bound(wrong, high, certainty) > budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if upper_bound(wrong, middle, certainty) > budget:
            low = middle
        else:
            high = middle
    return high
