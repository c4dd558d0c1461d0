from dataclasses import replace

import numpy as np
import pytest

from digitrec.datasets.labelled import calibration_indices, validation_indices
from digitrec.training.data import (
    NOT_A_DIGIT,
    described,
    joined,
    measuring_set,
    strengths,
    training_parts,
)
from digitrec.training.recipes import REPORT

Mnist = tuple[np.ndarray, np.ndarray]


def test_the_parts_held_out_are_disjoint(mnist_train: Mnist) -> None:
    images, _ = mnist_train
    calibration, validation = calibration_indices(images), validation_indices(images)
    assert (len(set(calibration)), len(set(validation))) == (10_000, 5_000)
    assert not set(calibration) & set(validation)


@pytest.mark.parametrize(
    ("hold_out", "count"),
    [("nothing", 60_000), ("calibration", 50_000), ("validation", 45_000)],
)
def test_what_is_held_out_is_not_trained_on(hold_out: str, count: int, mnist_train: Mnist) -> None:
    images, labels = mnist_train
    parts = training_parts(replace(REPORT, hold_out=hold_out), None)
    assert list(parts) == ["mnist:train"]
    kept, kept_labels = parts["mnist:train"]
    assert len(kept) == len(kept_labels) == count
    out: list[int] = []
    if hold_out != "nothing":
        out += calibration_indices(images)
    if hold_out == "validation":
        out += validation_indices(images)
    assert np.array_equal(kept, np.delete(images, out, axis=0))
    assert np.array_equal(kept_labels, np.delete(labels, out))


def test_drawn_digits_and_junk_are_parts_of_their_own(mnist_train: Mnist) -> None:
    recipe = replace(REPORT, drawn=30, junk=12, seed=3)
    parts = training_parts(recipe, None)
    assert {name: len(labels) for name, (_, labels) in parts.items()} == {
        "mnist:train": 60_000, "drawn": 30, "junk": 12,
    }  # fmt: skip
    assert np.bincount(parts["drawn"][1]).tolist() == [3] * 10
    assert NOT_A_DIGIT == 10
    assert set(parts["junk"][1].tolist()) == {10}
    images, labels = joined(parts)
    assert (images.shape, images.dtype) == ((60_042, 28, 28), np.uint8)
    assert labels.dtype == np.uint8
    assert np.array_equal(images[-12:], parts["junk"][0])
    assert np.array_equal(labels[:60_000], mnist_train[1])
    limits = strengths(parts, replace(recipe, drawn_strength=0.25))
    assert limits.dtype == np.float32
    assert limits.tolist() == [1.0] * 60_000 + [0.25] * 42
    # The card tells another seed's drawn digits from these.
    card = described(parts)
    other = described(training_parts(replace(recipe, seed=4), None))
    assert [part["images"] for part in card.values()] == [60_000, 30, 12]
    assert card["mnist:train"] == other["mnist:train"]
    assert card["drawn"] != other["drawn"]
    assert card["junk"] != other["junk"]


@pytest.mark.parametrize("hold_out", ["nothing", "calibration"])
def test_epochs_are_measured_on_the_test_set(hold_out: str, mnist_test: Mnist) -> None:
    name, (images, labels) = measuring_set(replace(REPORT, hold_out=hold_out), None)
    assert name == "mnist:test"
    assert np.array_equal(images, mnist_test[0])
    assert np.array_equal(labels, mnist_test[1])


def test_a_run_to_choose_by_never_sees_the_test_set(mnist_train: Mnist) -> None:
    name, (images, labels) = measuring_set(replace(REPORT, hold_out="validation"), None)
    chosen = validation_indices(mnist_train[0])
    assert name == "mnist:validation"
    assert np.array_equal(images, mnist_train[0][chosen])
    assert np.array_equal(labels, mnist_train[1][chosen])


def test_coarse_scans_are_of_images_that_it_trains_on_anyway(mnist_train: Mnist) -> None:
    recipe = replace(REPORT, coarse=200, hold_out="validation", drawn_strength=0.25)
    parts = training_parts(recipe, None)
    (images, labels), (whole, whole_labels) = parts["mnist:train, coarse"], parts["mnist:train"]
    assert (images.shape, images.dtype) == ((200, 28, 28), np.uint8)
    # Shrunk and read again, a scan is still most like the image that it was made of.
    flat = whole.reshape(len(whole), -1).astype(np.float32)
    scale = np.linalg.norm(flat, axis=1)
    nearest = [int((flat @ one / scale).argmax()) for one in images.reshape(200, -1)]
    assert (whole_labels[nearest] == labels).mean() > 0.85
    assert len(set(nearest)) > 120
    # What is coarse is MNIST's still: it is changed in full.
    assert strengths(parts, recipe).tolist() == [1.0] * 45_200
