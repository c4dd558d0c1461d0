"""Two ways of answering the same questions: which is worse, by how much at most, and for sure.

Only the questions on which the two differ tell them apart, so that much smaller differences are
seen than between two shares of different questions.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from digitrec.budget.bounds import upper_bound

# Up to so many units all ways of flipping their signs are counted; of more so many are drawn.
ALL_FLIPS, DRAWN_FLIPS = 14, 20_000


def discordant(
    before: NDArray[np.bool_], after: NDArray[np.bool_], units: ArrayLike | None = None
) -> tuple[int, int]:
    """Count what became worse and what became better.

    Args:
        before: bool [N], which answers were right before.
        after: bool [N], and which are now.
        units: [N], what stands or falls together, such as the image of which scans are made: one
            that has become worse more often than better counts as one that is worse; None: each
            answer counts by itself.
    """
    change = after.astype(np.int64) - before
    if units is not None:
        _, numbers = np.unique(np.asarray(units), return_inverse=True)
        change = np.bincount(numbers, change)
    return int((change < 0).sum()), int((change > 0).sum())


def p_worse(worse: int, better: int) -> float:
    """Return how likely so many worse ones are, or more, if both ways were equally good.

    One-sided and exact (McNemar, "Note on the sampling error of the difference between correlated
    proportions", 1947, with the binomial distribution itself).

    Args:
        worse: answers that were right before and are wrong now.
        better: answers that were wrong before and are right now.
    """
    return float(special.betainc(worse, better + 1, 0.5)) if worse else 1.0


def worse_by_at_most(worse: int, better: int, count: int, certainty: float) -> float:
    """Return by how much more of all answers are wrong now, at most: a share, 0 to 1 or below 0.

    Given how many answers differ, the share of them that became worse is bounded exactly.

    Args:
        worse: answers that were right before and are wrong now.
        better: answers that were wrong before and are right now.
        count: all answers.
        certainty: such as 0.95.
    """
    differ = worse + better
    return (2 * upper_bound(worse, differ, certainty) - 1) * differ / count if differ else 0.0


def p_no_gain(gains: NDArray[np.float64], seed: int = 0) -> float:
    """Return how likely so large a mean gain is if gains and losses were equally likely.

    One-sided: the sign of each unit's gain is flipped at random (Fisher, "The design of
    experiments", 1935). Of n units no p-value is below 2^-n.

    Args:
        gains: float64 [N], by unit: what stands or falls together counts once.
        seed: of the flips that are drawn where there are too many to count.
    """
    count = len(gains)
    if count <= ALL_FLIPS:
        flips = 1 - 2 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)
        # What rounding alone tells apart is equal.
        return float((flips @ gains >= gains.sum() - 1e-9 * np.abs(gains).sum()).mean())
    rng = np.random.default_rng(seed)
    reached = 0
    for _ in range(DRAWN_FLIPS // 100):
        flips = rng.integers(0, 2, (100, count), np.int8) * 2 - 1
        reached += int((flips @ gains >= gains.sum()).sum())
    return (reached + 1) / (DRAWN_FLIPS + 1)
