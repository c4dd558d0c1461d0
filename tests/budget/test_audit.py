"""Bounds on a finite run's errors that hold at all times together."""

import math

import numpy as np
import pytest

from digitrec.budget.audit import EACH, answers_needed, wrong_at_most


def test_a_bound_from_the_first_answers_on() -> None:
    at_most = wrong_at_most(np.zeros(300, bool), 5_000, 0.95)
    assert at_most[0] == 5_000
    assert (np.diff(at_most) <= 0).all()
    assert at_most[-1] == 50  # 1 % of the run
    whole = wrong_at_most(np.array([True, False, False, True]), 4, 0.95)
    assert whole[-1] == 2


def test_a_large_run_is_bounded_as_one_that_is_looked_at_number_by_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draws = np.random.default_rng(1).random(250) < 0.02
    coarse = wrong_at_most(draws, 20_000, 0.95)
    monkeypatch.setattr("digitrec.budget.audit.EACH", 20_000)
    exact = wrong_at_most(draws, 20_000, 0.95)
    assert (coarse >= exact).all()
    assert (coarse <= 1.01 * exact + 1).all()
    assert EACH < 20_000


@pytest.mark.parametrize("count", [400, 5_000, 1_000_000])
@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_how_many_answers_a_claim_takes(count: int, wrong: int) -> None:
    needed = answers_needed(wrong, count, 0.01, 0.95)
    assert needed is not None
    draws = np.zeros(needed, bool)
    draws[:wrong] = True  # nothing was bounded before these
    at_most = wrong_at_most(draws, count, 0.95)
    assert at_most[-1] <= 0.01 * count < at_most[-2]


def test_a_claim_that_no_answers_carry() -> None:
    assert answers_needed(2, 100, 0.01, 0.95) is None
    assert answers_needed(1, 100, 0.01, 0.95) == 100


@pytest.mark.slow
@pytest.mark.parametrize("count", [500, 5_000, 100_000])
@pytest.mark.parametrize("share", [0.002, 0.01, 0.05])
def test_who_looks_again_and_again_is_not_deceived(count: int, share: float) -> None:
    rng = np.random.default_rng([count, int(share * 1000)])
    run = np.arange(count) < round(share * count)
    deceived = sum(
        bool((wrong_at_most(rng.permutation(run)[:120], count, 0.95) < run.sum()).any())
        for _ in range(300)
    )
    assert deceived / 300 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
