import numpy as np

from digitrec.datasets.examples import PER_DIGIT, _examples, nearest
from digitrec.datasets.labelled import calibration_indices


def test_the_examples_are_training_images_with_their_labels(
    mnist_train: tuple[np.ndarray, np.ndarray],
) -> None:
    images, labels = mnist_train
    known = {image.tobytes(): k for k, image in enumerate(images)}
    examples = _examples()[0]
    assert len(examples) == 10 * PER_DIGIT
    places = [known[example.tobytes()] for example in examples]
    assert len(set(places)) == len(places)
    assert labels[places].tolist() == sorted(list(range(10)) * PER_DIGIT)
    assert not set(places) & set(calibration_indices(images))


def test_the_nearest_example_has_mostly_the_same_label(
    mnist_test: tuple[np.ndarray, np.ndarray],
) -> None:
    images, labels = mnist_test
    right = [nearest(image)[0].label == label for image, label in zip(images, labels, strict=True)]
    assert np.mean(right[:1000]) > 0.85


def test_an_example_is_nearest_to_itself() -> None:
    example = _examples()[0][123]
    first, second, *_ = nearest(example)
    assert np.array_equal(first.image, example)
    assert not np.array_equal(second.image, example)
