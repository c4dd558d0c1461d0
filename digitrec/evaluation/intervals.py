"""How far a share that was counted may be from the true one: exact intervals, also by writer."""

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95


def share_interval(
    hits: NDArray[np.bool_], groups: NDArray[np.object_] | None = None
) -> tuple[float, float] | None:
    """Return the exact 95 % interval of a share (Clopper and Pearson, 1934).

    What one writer wrote is alike, so that N digits by few writers tell less than N digits by N.
    Where writers are known, the interval is that of as many digits as would vary so much if each
    were by another: N over the design effect, corrected for few writers (Korn and Graubard,
    "Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data", 1998). Where all hit or none, nothing tells how alike they are, and each
    writer counts as one digit.

    Args:
        hits: bool [N], what is counted.
        groups: [N], who wrote each, None where nobody knows, which counts as a writer of its own;
            None: each is by another.

    Returns:
        The lower and upper bound, shares; None of nothing.
    """
    if not len(hits):
        return None
    from digitrec.budget.bounds import lower_bounds, upper_bound

    share = float(hits.mean())
    count = float(len(hits)) if groups is None else _effective(hits, groups)
    found, certainty = share * count, (1 + LEVEL) / 2
    return float(lower_bounds(found, count, certainty)), upper_bound(found, count, certainty)


def count_writers(groups: NDArray[np.object_]) -> int:
    """Count who wrote some digits, [N]: each where it is None, which nobody knows, is another."""
    return int(_numbered(groups).max(initial=-1)) + 1


def _effective(hits: NDArray[np.bool_], groups: NDArray[np.object_]) -> float:
    """Return how many digits, each by another writer, tell as much."""
    from scipy.stats import t

    of_group = _numbered(groups)
    writers, count, share = int(of_group.max()) + 1, len(hits), float(hits.mean())
    if writers == count:
        return float(count)
    residuals = np.bincount(of_group, hits - share)
    variance = writers / max(writers - 1, 1) * float((residuals**2).sum()) / count**2
    if share in (0, 1) or writers == 1 or variance == 0:
        return float(writers)
    high = 1 - (1 - LEVEL) / 2
    few = (t.ppf(high, count - 1) / t.ppf(high, writers - 1)) ** 2
    return float(np.clip(share * (1 - share) / variance * few, 1, count))


def _numbered(groups: NDArray[np.object_]) -> NDArray[np.int64]:
    """Number the writers from 0 on: int64 [N]."""
    known = np.array([one is not None for one in groups], bool)
    names, of_known = np.unique(groups[known].astype(str), return_inverse=True)
    numbers = np.empty(len(groups), np.int64)
    numbers[known] = of_known
    numbers[~known] = len(names) + np.arange(np.count_nonzero(~known))
    return numbers
