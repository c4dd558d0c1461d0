from pathlib import Path

import numpy as np
import pytest

from digitrec import plots
from digitrec.model.engine import Engine
from digitrec.scans.labelled import LabelledSet, load_labelled, png
from digitrec.trust.evaluate import NO_DIGIT, measure, report


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
    assert (measured.blanks, measured.errors) == (1, 1)
    assert measured.mistakes().tolist() == [0]
    counts = measured.confusion()
    assert counts.sum() == 20
    assert counts[:, NO_DIGIT].tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    scores = measured.scores()
    assert (scores["images"], scores["accuracy"]) == (20, 0.85)
    assert "85.00 % of 20 right, 3 wrong (of them 1 blank, 1 unreadable)" in report(measured)


def test_the_most_confident_mistake_comes_first(engine: Engine) -> None:
    measured = measure(engine, load_labelled("mnist:test"))
    order = measured.confidences[measured.mistakes()]
    assert len(order) > 50
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
