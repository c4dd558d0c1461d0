import os
from pathlib import Path

import numpy as np
import pytest
import torch

import digitrec
from digitrec.datasets.labelled import png
from digitrec.errors import BundleError
from digitrec.model.bundle import save_bundle
from digitrec.model.card import Calibration
from digitrec.model.engine import Engine
from digitrec.model.network import DigitNet
from digitrec.model.policy import Policy
from digitrec.reader import read, read_scans
from tests.small_mnist.make import Digits


@pytest.fixture
def seven(small_test: Digits, tmp_path: Path) -> Path:
    path = tmp_path / "seven.png"
    path.write_bytes(png(small_test[0][0]))
    return path


def test_a_path_its_content_and_its_pixels_are_read_alike(seven: Path, small_test: Digits) -> None:
    readings = digitrec.read([str(seven), seven, seven.read_bytes(), small_test[0][0]])
    assert [reading.digit for reading in readings] == [7, 7, 7, 7]
    for reading in readings:
        assert reading.decision == "accept"
        assert reading.reason is None
        assert (reading.width, reading.height) == (28, 28)
        assert reading.confidence == reading.probabilities.max() > 0.99
        assert reading.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_a_single_scan_is_a_list_of_one(seven: Path) -> None:
    assert [reading.digit for reading in digitrec.read(seven)] == [7]
    assert digitrec.read([]) == []


def test_what_has_no_digit_says_why(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("text")
    os.mkfifo(tmp_path / "pipe.png")
    white = np.full((30, 20, 3), 255, np.uint8)
    missing, text, pipe, folder, blank = digitrec.read(
        [tmp_path / "nowhere.png", tmp_path / "text.png", tmp_path / "pipe.png", tmp_path, white]
    )
    assert missing.reason == "vanished: no such file"
    assert text.reason.startswith("not-an-image: ")
    assert pipe.reason == folder.reason == "unreadable: not a regular file"
    assert {reading.decision for reading in (missing, text, pipe, folder)} == {"error"}
    assert (blank.decision, blank.reason, blank.width, blank.height) == ("blank", None, 20, 30)
    for reading in (missing, blank):
        assert reading.digit is reading.confidence is reading.probabilities is None


def test_a_model_that_is_none_is_refused(seven: Path) -> None:
    with pytest.raises(BundleError, match="is no bundle"):
        digitrec.read(seven, model=str(seven))


@pytest.mark.parametrize(("least", "decision"), [(0.9999, "review"), (0.0001, "accept")])
def test_what_does_not_look_like_a_digit_goes_to_review(
    least: float, decision: str, seven: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = DigitNet()  # untrained: of 11 classes each is about as likely
    folder = tmp_path / "bundle"
    calibration = Calibration(1.0, Policy(min_digit_score=least))
    save_bundle(folder, network, recipe={}, data={}, calibration=calibration)
    white = np.full((30, 20), 255, np.uint8)
    reading, blank, error = digitrec.read([seven, white, b"text"], model=folder)
    assert reading.decision == decision
    if decision == "review":
        assert reading.reason is not None
        assert reading.reason.startswith("not-a-digit: ")
        assert f"{least:.3f} is needed" in reading.reason
    else:
        assert reading.reason is None
    # Its answer is given all the same.
    assert reading.digit == reading.probabilities.argmax()
    assert reading.confidence == reading.probabilities.max()
    assert 0.0001 < reading.digit_score < 0.9999
    # A blank and an error stay what they are.
    assert (blank.decision, blank.reason, blank.digit_score) == ("blank", None, None)
    assert (error.decision, error.digit, error.digit_score) == ("error", None, None)


def test_a_bundle_that_can_not_tell_has_no_digit_score(seven: Path, tmp_path: Path) -> None:
    save_bundle(tmp_path / "bundle", DigitNet(), recipe={}, data={})
    [reading] = digitrec.read(seven, model=tmp_path / "bundle")
    assert (reading.decision, reading.digit_score) == ("accept", None)


ODD = {
    "two channels": np.zeros((5, 5, 2), np.uint8),
    "sixteen bits": np.zeros((5, 5), np.uint16),
    "floats": np.zeros((5, 5)),
    "objects": np.array([[None]]),
    "nothing": np.zeros((0, 5), np.uint8),
    "a line": np.zeros(5, np.uint8),
    "a film": np.zeros((2, 5, 5, 3, 1), np.uint8),
    "a number": 7,
    "none": None,
}


@pytest.mark.parametrize("kind", ODD)
def test_one_odd_scan_is_a_row_and_no_exception(kind: str, small_test: Digits) -> None:
    seven = small_test[0][0]
    first, odd, last = read([seven, ODD[kind], seven])  # type: ignore[list-item]
    assert (first.digit, last.digit) == (7, 7)
    assert (odd.decision, odd.digit, odd.confidence) == ("error", None, None)
    assert odd.reason is not None
    assert odd.reason.startswith("unreadable: a")
    assert "expected uint8 [H, W]" in odd.reason


def test_arrays_whose_meaning_is_clear(small_test: Digits) -> None:
    seven = small_test[0][0]
    mask = np.kron(seven, np.ones((4, 4), np.uint8)) > 127
    assert [one.digit for one in read([seven[:, :, None], mask])] == [7, 7]


def test_scans_may_come_from_a_generator(small_test: Digits) -> None:
    images, labels = small_test
    readings = read(image for image in images[:3])
    assert [one.digit for one in readings] == labels[:3].tolist()
    assert read(iter(())) == []


def test_columns_say_nothing_of_a_row_without_a_digit(engine: Engine, small_test: Digits) -> None:
    white = np.full((9, 9), 255, np.uint8)
    readings = read_scans([white, small_test[0][0], b"text"], engine)
    assert readings.digits.tolist() == [-1, 7, -1]
    for values in (readings.confidences, readings.digit_score):
        assert np.isnan(values).tolist() == [True, False, True]
    assert np.isnan(readings.probabilities).all(axis=1).tolist() == [True, False, True]
