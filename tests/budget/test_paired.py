"""Two ways of answering the same questions: exact tests, and how often they are wrong."""

import numpy as np
import pytest
from scipy import stats

from digitrec.budget.paired import discordant, p_no_gain, p_worse, worse_by_at_most


@pytest.mark.parametrize(("worse", "better"), [(0, 0), (0, 7), (5, 0), (5, 1), (12, 9), (300, 260)])
def test_the_p_value_is_the_binomial_tests(worse: int, better: int) -> None:
    expected = 1.0
    if worse + better:
        expected = stats.binomtest(worse, worse + better, alternative="greater").pvalue
    assert p_worse(worse, better) == pytest.approx(expected)


def test_what_hangs_together_counts_once() -> None:
    before = np.array([1, 1, 1, 1, 0, 1], bool)
    after = np.array([0, 0, 0, 1, 1, 1], bool)
    assert discordant(before, after) == (3, 1)
    # All of unit 0 became worse; unit 1 is as it was: one worse, one better.
    assert discordant(before, after, [0, 0, 1, 1, 1, 2]) == (1, 0)


def test_no_difference_is_none_and_a_small_one_is_bounded() -> None:
    assert worse_by_at_most(0, 0, 10_000, 0.95) == 0
    # Of 30 that differ 15 to 15 nobody knows which way: at most 0.1 points of 10,000.
    assert worse_by_at_most(15, 15, 10_000, 0.95) == pytest.approx(0.0010, abs=2e-4)
    assert worse_by_at_most(2, 30, 10_000, 0.95) < 0


def test_the_bound_holds_as_often_as_it_says() -> None:
    rng, true, broken = np.random.default_rng(1), 0.002, 0
    for _ in range(2000):
        worse, better, _ = rng.multinomial(5_000, [0.004, 0.004 - true, 1 - 0.008 + true])
        broken += worse_by_at_most(int(worse), int(better), 5_000, 0.95) < true
    assert broken / 2000 < 0.06


def test_few_units_are_counted_and_many_are_drawn() -> None:
    assert p_no_gain(np.ones(7)) == 1 / 128
    assert p_no_gain(np.array([])) == 1
    assert p_no_gain(-np.ones(40)) == 1
    assert p_no_gain(np.full(40, 0.1)) < 1e-4
    # One great loss outweighs many small gains.
    assert p_no_gain(np.array([*np.full(30, 0.1), -10])) > 0.4


@pytest.mark.parametrize("count", [10, 60])
def test_no_gain_is_seldom_called_one(count: int) -> None:
    rng = np.random.default_rng(2)
    found = [p_no_gain(rng.standard_t(3, count), seed) for seed in range(300)]
    assert np.mean(np.array(found) < 0.05) < 0.09
