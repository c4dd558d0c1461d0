"""How many answers of a finite run are wrong at most, from those of a sample that were looked at.

The sample is drawn one by one without replacement, and the bound holds at all times together: who
looks again and again and stops when satisfied is not deceived.
"""

import math
from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray
from scipy import special

# Of the alternatives that are tested against, the share that nothing at all is wrong.
NONE_WRONG = 0.5
# Numbers of wrong answers are looked at one by one up to the first, then by steps of a share.
EACH, STEP = 2_000, 0.002


def wrong_at_most(draws: NDArray[np.bool_], count: int, certainty: float) -> NDArray[np.int64]:
    """Bound how many of a run's answers are wrong, after each of the answers looked at.

    Each number M of wrong answers is held against the smaller ones: the likelihood of what was
    drawn, averaged over these, is how many times that of M? Under M that is a martingale that
    begins at 1, and comes to 1 / (1 - certainty) only with a probability of 1 - certainty (Ville,
    1939). M is out then. After Waudby-Smith and Ramdas, "Confidence sequences for sampling without
    replacement", 2020, one-sided. Of large runs not every M is looked at: one that is out takes
    those with it down to the next that is not.

    Args:
        draws: bool [n], whether each answer that was looked at is wrong, as they were drawn.
        count: N, how many answers the run has, n at least.
        certainty: with which all bounds hold, such as 0.95.

    Returns:
        int64 [n + 1], the first before anything was looked at: count.
    """
    numbers, weights = _numbers(count)
    at_most = np.empty(len(draws) + 1, np.int64)
    at_most[0], possible = count, np.ones(len(numbers), bool)
    likelihood = np.zeros(len(numbers))  # its logarithm, by how many are wrong in all
    wrong = 0
    for drawn, is_wrong in enumerate(draws.tolist()):
        left = numbers - wrong if is_wrong else count - numbers - (drawn - wrong)
        wrong += is_wrong
        with np.errstate(divide="ignore"):
            likelihood += np.log(np.maximum(left, 0))
        possible &= _evidence(likelihood, weights) < 1 / (1 - certainty)
        at_most[drawn + 1] = _last(numbers, possible, wrong, count)
    return at_most


def answers_needed(wrong: int, count: int, budget: float, certainty: float) -> int | None:
    """Return how many answers, so many of them wrong, bound the share of wrong ones by a budget.

    Args:
        wrong: how many of them are.
        count: N, how many answers the run has.
        budget: the share.
        certainty: of the bound, see `wrong_at_most`.

    Returns:
        None where even all N would not do.
    """
    numbers, weights = _numbers(count)
    if wrong > budget * count:
        return None

    def are_enough(drawn: int) -> bool:
        right = drawn - wrong
        with np.errstate(invalid="ignore"):
            likelihood = _falling(numbers, wrong) + _falling(count - numbers, right)
        possible = _evidence(likelihood, weights) < 1 / (1 - certainty)
        return _last(numbers, possible, wrong, count) <= budget * count

    return bisect_left(range(count), True, lo=min(wrong + 1, count), key=are_enough)


def _numbers(count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the numbers of wrong answers that are looked at, and their weights as alternatives."""
    numbers = np.arange(min(count, EACH) + 1)
    if count > EACH:
        steps = math.ceil(math.log(count / EACH) / STEP)
        far = np.ceil(EACH * np.exp(STEP * np.arange(1, steps))).astype(np.int64)
        numbers = np.unique(np.concatenate([numbers, far[far < count], [count]]))
    weights = np.diff(numbers, prepend=-1) / np.maximum(numbers, 1)  # all sizes alike
    weights[0] = NONE_WRONG * weights[1:].sum() / (1 - NONE_WRONG) if count else 1.0
    return numbers, weights


def _evidence(likelihood: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the evidence against each number, from logarithms of likelihoods."""
    relative = np.exp(likelihood - likelihood.max())
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gained = _before(weights * relative) / (_before(weights) * relative)
    evidence = np.where(relative > 0, gained, np.inf)
    evidence[0] = 0 if relative[0] > 0 else np.inf
    return np.asarray(evidence)


def _last(numbers: NDArray[np.int64], possible: NDArray[np.bool_], wrong: int, count: int) -> int:
    """Return the largest number that is not out, or may lie between two that were looked at."""
    place = int(np.flatnonzero(possible).max(initial=-1))
    if place < 0:
        return wrong
    return int(numbers[place + 1]) - 1 if place + 1 < len(numbers) else count


def _falling(start: NDArray[np.int64], factors: int) -> NDArray[np.float64]:
    """Return the logarithm of start (start - 1) … of so many factors; -inf where one is 0."""
    enough = start >= factors
    safe = np.where(enough, start, factors).astype(np.float64)
    return np.where(
        enough, special.gammaln(safe + 1) - special.gammaln(safe - factors + 1), -np.inf
    )


def _before(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of what comes before each."""
    return np.cumsum(values) - values
