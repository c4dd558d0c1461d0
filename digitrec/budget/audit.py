"""How many answers of a finite run are wrong at most, from those of a sample that were looked at.

The sample is drawn one by one without replacement, and the bound holds at all times together: who
looks again and again and stops when satisfied is not deceived.
"""

import numpy as np
from numpy.typing import NDArray

# Of the alternatives that are tested against, the share that nothing at all is wrong.
NONE_WRONG = 0.5


def wrong_at_most(draws: NDArray[np.bool_], count: int, certainty: float) -> NDArray[np.int64]:
    """Bound how many of a run's answers are wrong, after each of the answers looked at.

    Each number M of wrong answers is held against the smaller ones: the likelihood of what was
    drawn, averaged over these, is how many times that of M? Under M that is a martingale that
    begins at 1, and comes to 1 / (1 - certainty) only with a probability of 1 - certainty (Ville,
    1939). M is out then. After Waudby-Smith and Ramdas, "Confidence sequences for sampling without
    replacement", 2020, one-sided.

    Args:
        draws: bool [n], whether each answer that was looked at is wrong, as they were drawn.
        count: N, how many answers the run has, n at least.
        certainty: with which all bounds hold, such as 0.95.

    Returns:
        int64 [n + 1], the first before anything was looked at: count.
    """
    numbers = np.arange(count + 1)
    weights = 1.0 / np.maximum(numbers, 1)  # of alternatives: all sizes alike
    weights[0] = NONE_WRONG * weights[1:].sum() / (1 - NONE_WRONG)
    at_most = np.empty(len(draws) + 1, np.int64)
    at_most[0], possible = count, numbers > -1
    likelihood = np.zeros(count + 1)  # its logarithm, by how many are wrong in all
    wrong = 0
    for drawn, is_wrong in enumerate(draws.tolist()):
        left = numbers - wrong if is_wrong else count - numbers - (drawn - wrong)
        wrong += is_wrong
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            likelihood += np.log(np.maximum(left, 0))
            relative = np.exp(likelihood - likelihood.max())
            gained = _before(weights * relative) / (_before(weights) * relative)
        evidence = np.where(relative > 0, gained, np.inf)
        evidence[0] = 0 if wrong == 0 else np.inf
        possible &= evidence < 1 / (1 - certainty)
        at_most[drawn + 1] = np.flatnonzero(possible).max(initial=wrong)
    return at_most


def _before(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of what comes before each."""
    return np.cumsum(values) - values
