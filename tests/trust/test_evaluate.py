from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from digitrec import plots
from digitrec.model.engine import Engine
from digitrec.scans.labelled import LabelledSet, load_labelled, png
from digitrec.scans.normalize import normalize
from digitrec.trust.evaluate import NO_DIGIT, Measured, measure, measure_each, report
from digitrec.trust.intervals import share_interval
from digitrec.trust.plain import plain_resize


@pytest.fixture(scope="module")
def known(mnist_test: tuple[np.ndarray, np.ndarray]) -> LabelledSet:
    """20 digits, of which the first has a wrong label, then a blank and a text file."""
    images, labels = mnist_test
    scans = [png(image) for image in images[:18]]
    wrong = labels[:18].copy()
    wrong[0] = (wrong[0] + 1) % 10
    blank = png(np.zeros((28, 28), np.uint8))
    return LabelledSet("known", [*scans, blank, b"text"], np.concatenate([wrong, [4, 5]]))


def test_counts_add_up_and_no_digit_is_wrong(engine: Engine, known: LabelledSet) -> None:
    told: list[int] = []
    measured = measure(engine, known, told.append)
    assert sum(told) == 20
    assert measured.accuracy == 17 / 20
    assert measured.answers[18:].tolist() == [NO_DIGIT, NO_DIGIT]
    assert (measured.count("blank"), measured.count("error")) == (1, 1)
    assert measured.mistakes().tolist() == [0]
    counts = measured.confusion()
    assert counts.sum() == 20
    assert counts[:, NO_DIGIT].tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    scores = measured.scores()
    assert (scores["images"], scores["accuracy"]) == (20, 0.85)
    assert "85.00 % of 20 right, 3 wrong (of them 1 blank, 1 unreadable)" in report(measured)


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


def test_a_set_without_any_digit_has_scores(engine: Engine) -> None:
    measured = measure(engine, LabelledSet("none", [b"text"], np.array([3], np.uint8)))
    scores = measured.scores()
    assert (scores["accuracy"], scores["nll"], scores["ece"], scores["error"]) == (0, None, None, 1)
    assert scores["ece_interval"] is None
    assert measured.reliability().shape == (4, 0)
    assert scores["error_at_coverage"] == {"0.9": 1.0, "0.95": 1.0, "0.99": 1.0}
    assert "NLL none nats, ECE none" in report(measured)


def test_another_normaliser_is_measured_beside(engine: Engine, known: LabelledSet) -> None:
    ways = [(engine, normalize), (engine, plain_resize)]
    normalized, plain = measure_each(ways, known)
    assert normalized.scores() == measure(engine, known).scores()
    assert plain.scores() == measure(engine, known, normalizer=plain_resize).scores()
    assert (plain.count("blank"), plain.count("error")) == (1, 1)


def test_plain_resize_does_what_its_name_says() -> None:
    bright, dark = np.full((56, 56), 255, np.uint8), np.zeros((56, 56), np.uint8)
    bright[20:24, 20:24], dark[20:24, 20:24] = 0, 255
    expected = np.zeros((28, 28), np.uint8)
    expected[10:12, 10:12] = 255
    transparent = np.dstack([bright, bright, bright, np.zeros_like(bright)])
    for pixels in (bright, dark, np.dstack(3 * [bright]), transparent):
        assert np.array_equal(plain_resize(pixels), expected)


def test_the_most_confident_mistake_comes_first(engine: Engine) -> None:
    measured = measure(engine, load_labelled("mnist:test"))
    order = measured.confidences[measured.mistakes()]
    assert len(order) > 20
    assert (np.diff(order) <= 0).all()


def test_the_same_digits_by_folder_table_and_memory(engine: Engine, real_digits: Path) -> None:
    by_folder = measure(engine, load_labelled(str(real_digits)))
    by_table = measure(engine, load_labelled(str(real_digits / "truth.csv")))
    assert len(by_folder.labels) == len(by_table.labels) == 300
    assert by_folder.accuracy == by_table.accuracy
    assert by_folder.accuracy > 0.7


def test_pictures_are_drawn(engine: Engine, known: LabelledSet, tmp_path: Path) -> None:
    measured = measure(engine, known)
    plots.confusion(measured, tmp_path / "confusion.png")
    plots.mistakes(measured, tmp_path / "mistakes.png")
    plots.predictions(measured, tmp_path / "predictions.png")
    for name in ("confusion", "mistakes", "predictions"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 3


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


def test_mnists_accepted_digits(engine: Engine) -> None:
    """Of 29 wrong digits the policy sends seven to review."""
    scores = measure(engine, load_labelled("mnist:test")).scores()
    assert (scores["accept"], scores["review"], scores["accepted_wrong"]) == (9_903, 97, 22)
    low, high = scores["accepted_error_interval"]
    assert (low, high) == (pytest.approx(0.0014, abs=1e-4), pytest.approx(0.0034, abs=1e-4))


def test_a_tables_writers_widen_the_intervals(engine: Engine, real_digits: Path) -> None:
    by_writer = measure(engine, load_labelled(str(real_digits / "truth.csv")))
    assert by_writer.groups is not None
    assert len(by_writer.groups) == 300
    assert by_writer.scores()["writers"] == 10
    alone = replace(by_writer, groups=None)
    for name in ("accuracy_interval", "accepted_error_interval"):
        (low, high), (alone_low, alone_high) = by_writer.scores()[name], alone.scores()[name]
        assert low <= alone_low
        assert high > alone_high
    assert "for digits by 10 writers" in report(by_writer)
    assert load_labelled(str(real_digits)).groups is None
