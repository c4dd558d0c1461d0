import numpy as np
import pytest
from scipy.stats import binomtest

from digitrec.evaluation.intervals import count_writers, share_interval


def some(hits: int, count: int) -> np.ndarray:
    return np.arange(count) < hits


@pytest.mark.parametrize(("hits", "count"), [(22, 9882), (0, 300), (300, 300), (1, 1), (3, 7)])
def test_digits_each_by_another_writer_have_the_exact_interval(hits: int, count: int) -> None:
    exact = binomtest(hits, count).proportion_ci(0.95, "exact")
    expected = (pytest.approx(exact.low, abs=1e-9), pytest.approx(exact.high, abs=1e-9))
    assert share_interval(some(hits, count)) == expected
    alone = np.arange(count).astype(object)
    assert share_interval(some(hits, count), alone) == expected


def test_of_nothing_there_is_none() -> None:
    assert share_interval(some(0, 0)) is None
    assert share_interval(some(0, 0), np.zeros(0, object)) is None


def test_writers_whose_digits_are_alike_count_as_one_digit_each() -> None:
    groups = np.repeat(np.arange(10), 30).astype(object)
    alike = groups < 3  # three writers of ten are always misread
    low, high = share_interval(alike, groups)
    one_each = share_interval(some(3, 10))
    assert low <= one_each[0] + 0.05
    assert high >= one_each[1] - 0.05
    # Where none is misread, nothing tells how alike they are.
    assert share_interval(some(0, 300), groups) == share_interval(some(0, 10))
    assert share_interval(some(300, 300), np.full(300, "a", object)) == share_interval(some(1, 1))


def test_a_digit_whose_writer_nobody_knows_is_by_a_writer_of_its_own() -> None:
    hits, unknown = some(4, 40), np.full(40, None, object)
    assert share_interval(hits, unknown) == share_interval(hits)
    partly = unknown.copy()
    partly[:10] = ["a", "b"] * 5
    named = np.array([name or f"only {k}" for k, name in enumerate(partly)], object)
    assert share_interval(hits, partly) == share_interval(hits, named) != share_interval(hits)
    assert [count_writers(groups) for groups in (partly, unknown, unknown[:0])] == [32, 40, 0]


def test_it_holds_the_true_share_as_often_as_it_says() -> None:
    """Ten writers, each with an error rate of their own, mean 10 %."""
    rng, held, naive = np.random.default_rng(0), 0, 0
    groups = np.repeat(np.arange(10), 30).astype(object)
    for _ in range(400):
        rates = rng.beta(1, 9, 10)
        wrong = rng.random(300) < np.repeat(rates, 30)
        low, high = share_interval(wrong, groups)
        held += low <= 0.1 <= high
        low, high = share_interval(wrong)
        naive += low <= 0.1 <= high
    assert held >= 0.93 * 400
    assert naive < 0.85 * 400
