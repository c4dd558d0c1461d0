"""Bounds on a finite run's errors that hold at all times together."""

import math

import numpy as np
import pytest

from digitrec.budget.audit import wrong_at_most


def test_a_bound_from_the_first_answers_on() -> None:
    at_most = wrong_at_most(np.zeros(300, bool), 5_000, 0.95)
    assert at_most[0] == 5_000
    assert (np.diff(at_most) <= 0).all()
    assert at_most[-1] == 50  # 1 % of the run
    whole = wrong_at_most(np.array([True, False, False, True]), 4, 0.95)
    assert whole[-1] == 2


@pytest.mark.slow
@pytest.mark.parametrize("count", [500, 5_000])
@pytest.mark.parametrize("share", [0.002, 0.01, 0.05])
def test_who_looks_again_and_again_is_not_deceived(count: int, share: float) -> None:
    rng = np.random.default_rng([count, int(share * 1000)])
    run = np.arange(count) < round(share * count)
    deceived = sum(
        bool((wrong_at_most(rng.permutation(run)[:120], count, 0.95) < run.sum()).any())
        for _ in range(300)
    )
    assert deceived / 300 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
