from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digitrec.datasets.labelled import LabelledSet, load_labelled, png
from digitrec.evaluation.labelled_set import measure, measure_each, report
from digitrec.evaluation.scores import NO_DIGIT
from digitrec.model.engine import Engine
from digitrec.normalize.plain_resize import plain_resize
from digitrec.normalize.scan import normalize
from digitrec.plots.labelled_set import confusion, mistakes, predictions
from tests.small_mnist.make import Digits


@pytest.fixture(scope="module")
def known(small_test: Digits) -> LabelledSet:
    """20 digits, of which the first has a wrong label, then a blank and a text file."""
    images, labels = small_test
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


def test_a_set_without_any_digit_has_scores(engine: Engine) -> None:
    measured = measure(engine, LabelledSet("none", [b"text"], np.array([3], np.uint8)))
    scores = measured.scores()
    assert (scores["accuracy"], scores["nll"], scores["ece"], scores["error"]) == (0, None, None, 1)
    assert scores["ece_interval"] is None
    assert measured.reliability().shape == (4, 0)
    assert scores["error_at_coverage"] == {"0.9": 1.0, "0.95": 1.0, "0.99": 1.0}
    assert "NLL none nats, ECE none" in report(measured)


def test_another_normalizer_is_measured_beside(engine: Engine, known: LabelledSet) -> None:
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


@pytest.mark.mnist
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
    confusion(measured, tmp_path / "confusion.png")
    mistakes(measured, tmp_path / "mistakes.png")
    predictions(measured, tmp_path / "predictions.png")
    for name in ("confusion", "mistakes", "predictions"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.mnist
def test_mnists_accepted_digits(engine: Engine) -> None:
    """Where any confidence will do: of 28 wrong digits one does not look like a digit."""
    scores = measure(engine, load_labelled("mnist:test")).scores()
    assert (scores["accept"], scores["review"], scores["accepted_wrong"]) == (9_905, 95, 27)
    low, high = scores["accepted_error_interval"]
    assert (low, high) == (pytest.approx(0.0018, abs=1e-4), pytest.approx(0.0040, abs=1e-4))


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
