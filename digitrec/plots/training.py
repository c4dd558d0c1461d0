"""The pictures of a training run, as PNG: its curves, and samples of what it is trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from digitrec.evaluation.scores import NO_DIGIT
from digitrec.plots.style import drawing, finish_curve, show_scan

if TYPE_CHECKING:
    from digitrec.training.epoch_log import EpochRecord

SAMPLES = 16  # of each digit


def curves(records: "Sequence[EpochRecord]", folder: Path, measured_on: str) -> None:
    """Draw `loss.png` and `accuracy.png` over the epochs (the report's figures 3 and 4)."""
    epochs = [record.epoch for record in records]
    marker = "." if len(epochs) < 40 else ""
    with drawing(folder / "loss.png", 7, 4.2) as figure:
        axes = figure.add_subplot(title="Loss (cross-entropy)", xlabel="epoch", ylabel="nats")
        for name, field in (("training", "train_loss"), (measured_on, "test_loss")):
            losses = [getattr(record, field) for record in records]
            axes.plot(epochs, losses, marker=marker, label=f"{name}: {losses[-1]:.4f} at the end")
        finish_curve(axes)
    with drawing(folder / "accuracy.png", 7, 4.2) as figure:
        accuracies = [100 * record.test_accuracy for record in records]
        axes = figure.add_subplot(title=f"Accuracy on {measured_on}", xlabel="epoch", ylabel="%")
        label = f"{accuracies[-1]:.2f} % at the end, {max(accuracies):.2f} % at best"
        axes.plot(epochs, accuracies, marker=marker, color="C1", label=label)
        finish_curve(axes)


def samples(images: NDArray[np.uint8], labels: NDArray[np.uint8], path: Path, name: str) -> None:
    """Draw samples of what a run is trained on (figure 1), a row for each digit.

    Args:
        images: uint8 [N, 28, 28].
        labels: uint8 [N], 10 for what is no digit: such images fill all rows.
        path: of the picture.
        name: of the set.
    """
    digits = labels.max(initial=0) < NO_DIGIT
    mosaic = np.zeros((10, 28, SAMPLES, 28), np.uint8)
    for row in range(10):
        some = images[labels == row] if digits else images[row::10]
        some = some[:SAMPLES]
        mosaic[row, :, : len(some)] = some.transpose(1, 0, 2)
    with drawing(path, 9, 6) as figure:
        image = mosaic.reshape(10 * 28, SAMPLES * 28)
        show_scan(figure.add_subplot(title=f"Samples of the training set: {name}"), image)
