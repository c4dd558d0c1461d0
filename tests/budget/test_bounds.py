"""Exact bounds on a share of wrong answers."""

import numpy as np
import pytest

from digitrec.budget.bounds import least_count, p_values, upper_bound


def test_the_bound_is_that_of_the_books() -> None:
    # The rule of three, exactly; and Clopper and Pearson's table.
    assert upper_bound(0, 2995, 0.95) == pytest.approx(1 - 0.05 ** (1 / 2995))
    assert upper_bound(1, 10, 0.975) == pytest.approx(0.4450, abs=1e-4)
    assert upper_bound(10, 10, 0.95) == 1


def test_a_bound_within_the_budget_is_a_share_that_is_rejected() -> None:
    counts = np.array([100, 298, 299, 473, 474])
    wrong = np.array([0, 0, 0, 1, 1])
    rejected = p_values(wrong, counts, 0.01) <= 0.05
    within = [upper_bound(*pair, 0.95) <= 0.01 for pair in zip(wrong, counts, strict=True)]
    assert rejected.tolist() == within


@pytest.mark.parametrize(
    ("wrong", "budget", "count"),
    [(0, 0.01, 299), (0, 0.001, 2995), (0, 0.0001, 29956), (1, 0.01, 473)],
)
def test_how_many_are_needed(wrong: int, budget: float, count: int) -> None:
    assert least_count(wrong, budget, 0.95) == count
    assert upper_bound(wrong, count, 0.95) <= budget < upper_bound(wrong, count - 1, 0.95)
