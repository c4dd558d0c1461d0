"""Figures of scans whose readings are written by hand or simulated."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.stats import binomtest

from digitrec.evaluation.intervals import share_interval
from digitrec.evaluation.labelled_set import report
from digitrec.evaluation.scores import NO_DIGIT, Measured
from digitrec.plots.labelled_set import mistakes
from digitrec.plots.style import WRONG


@pytest.fixture
def by_hand() -> Measured:
    """Ten scans: confidences, which are right, and one without a digit."""
    confidences = np.array([0.99, 0.98, 0.97, 0.96, 0.95, 0.55, 0.54, 0.41, 0.39, 0], np.float32)
    answers = np.array([1, 1, 1, 2, 1, 1, 2, 1, 2, NO_DIGIT], np.int8)
    probabilities = np.zeros((10, 10), np.float32)
    probabilities[np.arange(9), answers[:9]] = confidences[:9]
    probabilities[answers == 2, 1] = 0.01
    return Measured(
        name="by hand",
        labels=np.ones(10, np.uint8),
        answers=answers,
        confidences=confidences,
        probabilities=probabilities,
        digit_score=np.full(10, np.nan, np.float32),
        scans=np.zeros((10, 28, 28), np.uint8),
        decisions=np.array([*["accept"] * 7, "review", "review", "blank"], object),
        reasons=np.array([*[None] * 7, "not-a-digit: x", "low-confidence: x", None], object),
        looks=np.zeros((10, 0), np.uint8),
    )


def test_error_among_the_most_confident(by_hand: Measured) -> None:
    wrong = [0, 0, 0, 1, 1, 1, 2, 2, 3, 4]  # among the first 1, 2, … 10
    assert by_hand.error_curve() == pytest.approx([n / (k + 1) for k, n in enumerate(wrong)])
    assert by_hand.error_at(0.3) == 0
    assert by_hand.error_at(0.9) == 3 / 9
    assert by_hand.error_at(1) == 1 - by_hand.accuracy
    scores = by_hand.scores()["error_at_coverage"]
    assert scores == {"0.9": pytest.approx(1 / 3, abs=1e-6), "0.95": 0.4, "0.99": 0.4}


def test_calibration_error_and_likelihood(by_hand: Measured) -> None:
    # Bins of 1/15: 0.99 to 0.95 (4 of 5 right), 0.55 and 0.54 (1 of 2), 0.41 (1 of 1) and 0.39
    # (0 of 1).
    gaps = [abs(4.85 - 4), abs(1.09 - 1), abs(0.41 - 1), abs(0.39 - 0)]
    assert by_hand.ece() == pytest.approx(sum(gaps) / 9, abs=1e-6)
    right = [0.99, 0.98, 0.97, 0.01, 0.95, 0.55, 0.01, 0.41, 0.01]
    assert by_hand.nll() == pytest.approx(-np.log(right).mean(), abs=1e-6)
    assert "wrong among the most confident: 33.33 % of 90 %, 40.00 % of 95 %" in report(by_hand)


def simulated(confidences: np.ndarray, right: np.ndarray) -> Measured:
    """Scans read with these confidences, of which these were right."""
    count = len(right)
    return Measured(
        name="simulated",
        labels=np.where(right, 1, 2).astype(np.uint8),
        answers=np.ones(count, np.int8),
        confidences=confidences.astype(np.float32),
        probabilities=np.zeros((count, 10), np.float32),
        digit_score=np.full(count, np.nan, np.float32),
        scans=np.zeros((count, 28, 28), np.uint8),
        decisions=np.full(count, "accept", object),
        reasons=np.full(count, None, object),
        looks=np.zeros((count, 0), np.uint8),
    )


def by_chance(count: int, overconfident: float) -> Measured:
    rng = np.random.default_rng(1)
    confidences = rng.uniform(0.5, 1, count)
    return simulated(confidences, rng.random(count) < confidences - overconfident)


def test_the_calibration_errors_interval_holds_the_known_error() -> None:
    low, high = by_chance(20_000, 0.1).ece_interval()
    assert low < 0.1 < high
    assert high - low < 0.03
    fewer_low, fewer_high = by_chance(500, 0.1).ece_interval()
    assert fewer_high - fewer_low > 3 * (high - low)


def test_the_interval_of_a_perfect_calibration_is_near_0() -> None:
    """Not at 0, as the estimate is never below it: the fewer scans, the further away."""
    few, many = by_chance(500, 0), by_chance(20_000, 0)
    assert many.ece_interval()[1] < 0.02 < few.ece_interval()[1] < 0.15
    assert all(0 < some.ece_interval()[0] < some.ece_interval()[1] for some in (few, many))
    assert many.ece_interval() == many.ece_interval()
    low, high = many.scores()["ece_interval"]
    assert f"(95 % of resamples: {low:.4f} to {high:.4f})" in report(many)


def test_reliability_has_bins_of_equally_many() -> None:
    measured = by_chance(1000, 0)
    confidence, accuracy, low, high = measured.reliability(bins=4)
    order = np.argsort(measured.confidences)
    for k, some in enumerate(np.split(order, 4)):
        assert confidence[k] == pytest.approx(measured.confidences[some].mean(), abs=1e-6)
        assert accuracy[k] == (measured.labels[some] == 1).mean()
    assert (low < accuracy).all()
    assert (accuracy < high).all()
    assert (np.diff(confidence) > 0).all()


def test_reliability_has_exact_intervals(by_hand: Measured) -> None:
    for hits in (8, 10):
        right = np.arange(10) < hits
        found = simulated(np.full(10, 0.9), right).reliability(1)
        exact = binomtest(hits, 10).proportion_ci(0.95, "exact")
        expected = [0.9, hits / 10, exact.low, exact.high]
        assert found[:, 0] == pytest.approx(expected, abs=1e-6)
    # The scan without a digit is in no bin; more bins than scans leave none empty.
    assert by_hand.reliability(3)[1].tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert by_hand.reliability(20).shape == (4, 9)


def test_each_bin_of_reliability_is_by_its_own_writers() -> None:
    """Of 200 digits of a bin, those by the first of its ten writers are all read wrong."""
    writers = np.repeat([f"writer {k}" for k in range(20)], 20).astype(object)
    right = ~np.isin(writers, ["writer 0", "writer 10"])
    alone = simulated(np.linspace(0.5, 0.9, 400), right)
    by_writer = replace(alone, groups=writers)
    _, accuracy, low, high = by_writer.reliability(2)
    assert accuracy.tolist() == [0.9, 0.9]
    for k, some in enumerate((slice(0, 200), slice(200, 400))):
        assert (low[k], high[k]) == share_interval(right[some], writers[some])
    _, _, alone_low, alone_high = alone.reliability(2)
    assert (low < alone_low - 0.1).all()
    assert (high > alone_high + 0.03).all()


def test_decisions_are_kept_and_the_accepted_are_measured(by_hand: Measured) -> None:
    scores = by_hand.scores()
    assert by_hand.decisions.tolist() == [*["accept"] * 7, "review", "review", "blank"]
    assert [scores[name] for name in ("accept", "review", "blank", "error")] == [7, 2, 1, 0]
    assert scores["reviews"] == {"low-confidence": 1, "not-a-digit": 1}
    assert (by_hand.coverage, scores["coverage"]) == (7 / 9, 0.777778)  # a blank is no digit
    assert (scores["accepted_wrong"], by_hand.accepted_error) == (2, 2 / 7)  # of 4 wrong in all
    exact = binomtest(2, 7).proportion_ci(0.95, "exact")
    assert scores["accepted_error_interval"] == pytest.approx([exact.low, exact.high], abs=1e-6)
    exact = binomtest(6, 10).proportion_ci(0.95, "exact")
    assert scores["accuracy_interval"] == pytest.approx([exact.low, exact.high], abs=1e-6)
    said = report(by_hand)
    assert "7 accepted, 2 to review: low-confidence 1, not-a-digit 1 (coverage 77.78 %)" in said
    assert "wrong among the accepted: 2 of 7, 28.57 % (95 %: 3.67 to 70.96 %)" in said


def test_nothing_accepted_has_no_error(by_hand: Measured) -> None:
    none = replace(by_hand, decisions=np.full(10, "error", object))
    scores = none.scores()
    assert (scores["coverage"], scores["accepted_error"]) == (None, None)
    assert scores["accepted_error_interval"] is None
    assert "wrong among the accepted" not in report(none)


def frames(picture: Path) -> list[int]:
    """Give where the frames around accepted mistakes begin, in tenths of the picture's width."""
    pixels = cv2.imread(str(picture))[:, :, ::-1]
    red = np.all(pixels == [int(WRONG[k : k + 2], 16) for k in (1, 3, 5)], axis=2)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
    frames = [box for box in boxes[1:] if min(box[2], box[3]) > 50]
    return sorted(int(10 * box[0] / red.shape[1]) for box in frames)


def test_the_picture_of_mistakes_shows_the_accepted_first_and_framed(
    by_hand: Measured, tmp_path: Path
) -> None:
    # Of its three wrong digits the surest two are accepted; then the least sure one alone; then
    # none is wrong.
    last = by_hand.decisions.copy()
    last[by_hand.mistakes()] = ["review", "review", "accept"]
    right = replace(by_hand, labels=by_hand.answers.astype(np.uint8))
    for measured, places in (
        (by_hand, [0, 1]),
        (replace(by_hand, decisions=last), [0]),
        (right, []),
    ):
        mistakes(measured, tmp_path / "mistakes.png")
        assert frames(tmp_path / "mistakes.png") == places


def test_the_picture_of_mistakes_has_room_for_the_accepted_before_all_others(
    tmp_path: Path,
) -> None:
    """Of 60 mistakes 10 have no room; the 12 accepted ones, the least sure, are all there."""
    wrong = simulated(np.linspace(0.9, 0.5, 60), np.zeros(60, bool))
    wrong.decisions[:48] = "review"
    mistakes(wrong, tmp_path / "mistakes.png")
    assert frames(tmp_path / "mistakes.png") == sorted([*range(10), 0, 1])
