"""Certified thresholds: that the sequence stops in time, and how often a budget is broken."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from digitrec.budget.bounds import least_count
from digitrec.budget.certify import COVERAGES, THRESHOLDS, certify, counted, start_for, starts_of
from tests.conftest import skip_or_fail

Numbers = NDArray[np.float64]


def drawn(count: int, rng: np.random.Generator) -> tuple[Numbers, NDArray[np.bool_]]:
    """Draw scores, and whether each answer is right, of a model whose error rate is known."""
    scores = rng.beta(6, 0.4, count)
    return scores, rng.random(count) >= error_at(scores)


def error_at(scores: Numbers) -> Numbers:
    return 0.4 * (1 - scores) + 0.0002


MANY, _ = drawn(400_000, np.random.default_rng(9))
MANY.sort()
GRID = np.quantile(MANY, np.linspace(0, 0.999, 400))
ERRORS = np.cumsum(error_at(MANY)[::-1])[::-1] / np.arange(len(MANY), 0, -1)


def true_error(threshold: float) -> float:
    return float(ERRORS[min(np.searchsorted(MANY, threshold), len(MANY) - 1)])


def test_thresholds_count_what_they_accept() -> None:
    scores, right = np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, True, False, True])
    counts, wrong = counted(scores, right, np.array([0.9, 0.5, 0.0]))
    assert counts.tolist() == [1, 3, 4]
    assert wrong.tolist() == [0, 1, 2]


def test_the_sequence_ends_before_the_first_threshold_that_fails() -> None:
    scores = np.linspace(0, 1, 10_000)
    right = np.ones(10_000, bool)
    right[5_000:5_100] = False
    found = certify(scores, right, np.linspace(0, 1, 101), [0.6], 0.01, 0.95)
    assert found is not None
    assert found.wrong / found.accepted < 0.01
    assert found.bound <= 0.01
    # Below the faulty stretch the share would be within the budget again: too late.
    assert found.threshold > 0.5
    assert certify(scores, right, np.linspace(0, 1, 101), [0.0], 0.02, 0.95) is not None


def test_too_few_labels_certify_nothing() -> None:
    scores, right = np.ones(298), np.ones(298, bool)
    assert certify(scores, right, np.array([0.5]), [0.5], 0.01, 0.95) is None
    one_more = certify(np.ones(299), np.ones(299, bool), np.array([0.5]), [0.5], 0.01, 0.95)
    assert one_more is not None
    assert one_more.bound == pytest.approx(0.01, abs=5e-5)


def test_a_sequence_begins_as_strictly_as_the_labels_allow() -> None:
    scores = np.random.default_rng(0).random(20_000)
    starts = starts_of(scores)
    reached = [float((scores >= start).mean()) for start in starts]
    assert reached == pytest.approx(COVERAGES, abs=1e-3)
    assert starts[-1] == 0  # anything
    assert start_for(starts, 10_000, 0.001, 0.95) == starts[0]
    # Of 410 labels 98 % are as many as a budget of 1 % should have, and 95 % are not.
    assert start_for(starts, 385, 0.01, 0.95) == starts[3]
    # Too few for any: with all of them it may do.
    assert start_for(starts, 300, 0.01, 0.95) == starts[-1]
    assert least_count(0, 0.01, 0.95) == 299
    refused = np.where(scores < 0.9, -1.0, scores)  # what no confidence would accept
    assert min(starts_of(refused)) == 0


def test_thresholds_go_from_nearly_certain_to_anything() -> None:
    assert (np.diff(THRESHOLDS) < 0).all()
    assert (THRESHOLDS[0], THRESHOLDS[-1]) == (pytest.approx(1 - 1e-7), 0)


@pytest.mark.parametrize("seed", range(12))
def test_policies_are_those_of_mapie(seed: int) -> None:
    """An independent program's, on the same answers."""
    try:
        from mapie.risk_control.fwer_control import FWERFixedSequenceTesting, control_fwer
        from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value
    except ImportError:
        skip_or_fail("mapie is not installed: pip install '.[dev]'")
    rng = np.random.default_rng(seed)
    count, budget = int(rng.choice([1_000, 3_000, 10_000])), float(rng.choice([0.01, 0.005]))
    scores = 1 - 10 ** rng.uniform(-6, -0.2, count)
    right = rng.random(count) > (1 - scores) * rng.choice([0.03, 0.1, 0.3])
    start = float(np.quantile(scores, 0.15))
    order = np.append(start, THRESHOLDS[start > THRESHOLDS])
    counts, wrong = counted(scores, right, order)
    # Its count is rounded up, from a share: one that is a little lower gives the count again.
    theirs = compute_hoeffding_bentkus_p_value(
        wrong / counts * (1 - 1e-12), counts.astype(float), budget, binary=True
    ).ravel()
    passed = control_fwer(theirs, 0.05, FWERFixedSequenceTesting(n_starts=1))
    found = certify(scores, right, THRESHOLDS, [start], budget, 0.95)
    assert (found is not None) == bool(len(passed))
    if found is not None:
        assert found.threshold == order[max(passed)]


@pytest.mark.slow
@pytest.mark.parametrize("budget", [0.01, 0.005, 0.002])
@pytest.mark.parametrize("count", [1_000, 5_000, 20_000])
def test_policies_break_their_budget_as_seldom_as_they_say(budget: float, count: int) -> None:
    rng = np.random.default_rng([count, int(budget * 1e4)])
    draws, broken, naive = 2_000, 0, 0
    starts = [float(np.quantile(MANY, share)) for share in (0.75, 0.4)]
    for _ in range(draws):
        scores, right = drawn(count, rng)
        found = certify(scores, right, GRID, starts, budget, 0.95)
        broken += found is not None and true_error(found.threshold) > budget
        counts, wrong = counted(scores, right, GRID)
        fits = wrong <= budget * counts
        naive += bool(fits.any()) and true_error(float(GRID[fits][0])) > budget
    allowed = 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)
    print(
        f"budget {budget}, {count} labels: {broken / draws:.3f} broken, naive {naive / draws:.3f}"
    )
    assert broken / draws <= allowed
    assert naive / draws > 0.4  # what the certificate is for
