"""The pictures of training and of one labelled set, as PNG; the panel's are in plots_panel."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from digitrec.files import replacing
from digitrec.trust.evaluate import NO_DIGIT, Measured

if TYPE_CHECKING:
    from digitrec.training.epoch_log import EpochRecord

RIGHT, WRONG, NEUTRAL = "#2a7a3b", "#c0272d", "#444444"


@contextmanager
def drawing(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Give a figure of so many inches, and save it when the block ends well."""
    figure = Figure(figsize=(width, height), layout="constrained")
    yield figure
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def curves(records: "Sequence[EpochRecord]", folder: Path) -> None:
    """Draw `loss.png` and `accuracy.png` over the epochs (the report's figures 3 and 4)."""
    epochs = [record.epoch for record in records]
    marker = "." if len(epochs) < 40 else ""
    with drawing(folder / "loss.png", 7, 4.2) as figure:
        axes = figure.add_subplot(title="Loss (cross-entropy)", xlabel="epoch", ylabel="nats")
        for name in ("train", "test"):
            losses = [getattr(record, f"{name}_loss") for record in records]
            axes.plot(epochs, losses, marker=marker, label=f"{name}: {losses[-1]:.4f} at the end")
        _finish_curve(axes)
    with drawing(folder / "accuracy.png", 7, 4.2) as figure:
        accuracies = [100 * record.test_accuracy for record in records]
        axes = figure.add_subplot(title="Accuracy on the test set", xlabel="epoch", ylabel="%")
        label = f"{accuracies[-1]:.2f} % at the end, {max(accuracies):.2f} % at best"
        axes.plot(epochs, accuracies, marker=marker, color="C1", label=label)
        _finish_curve(axes)


def _finish_curve(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()


def samples(images: NDArray[np.uint8], labels: NDArray[np.uint8], path: Path) -> None:
    """Draw ten samples of each digit (figure 1): images uint8 [N, 28, 28], labels uint8 [N]."""
    mosaic = np.zeros((10, 28, 10, 28), np.uint8)
    for digit in range(10):
        some = images[labels == digit][:10]
        mosaic[digit, :, : len(some)] = some.transpose(1, 0, 2)
    with drawing(path, 6, 6.3) as figure:
        _scan(figure.add_subplot(title="Samples of the training set"), mosaic.reshape(280, 280))


def predictions(measured: Measured, path: Path) -> None:
    """Draw sample predictions, the wrong ones marked (figure 5)."""
    wrong = measured.mistakes()
    chosen = [*range(min(40, len(measured.labels))), *wrong[:10]]
    with drawing(path, 9, 6) as figure:
        figure.suptitle(
            f"{measured.name}: the first 40 scans, and in the last row the most confident "
            f"of {len(wrong)} mistakes"
        )
        _gallery(figure, measured, chosen, rows=5)


def mistakes(measured: Measured, path: Path) -> None:
    """Draw the most confident mistakes: what was read, how surely, and what is right."""
    wrong = measured.mistakes()
    with drawing(path, 9, 6) as figure:
        figure.suptitle(f"{measured.name}: {min(50, len(wrong))} of {len(wrong)} mistakes")
        _gallery(figure, measured, [int(k) for k in wrong[:50]], rows=5)


def _gallery(figure: Figure, measured: Measured, chosen: Sequence[int], rows: int) -> None:
    for axes in (grid := figure.subplots(rows, 10)).flat:
        axes.axis("off")
    for axes, k in zip(grid.flat, chosen, strict=False):
        answer, label = int(measured.answers[k]), int(measured.labels[k])
        _scan(axes, measured.scans[k])
        read = "none" if answer == NO_DIGIT else f"{answer}  {100 * measured.confidences[k]:.0f} %"
        title = read if answer == label else f"{read}\nis {label}"
        axes.set_title(title, fontsize=8, color=RIGHT if answer == label else WRONG)


def _scan(axes: Axes, image: NDArray[np.uint8]) -> None:
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
    axes.axis("off")


def confusion(measured: Measured, path: Path) -> None:
    """Draw the confusion matrix: rows are labels, columns what was read."""
    counts = measured.confusion()
    errors = counts.copy()
    errors[np.arange(10), np.arange(10)] = 0
    with drawing(path, 7, 6.4) as figure:
        axes = figure.add_subplot(
            title=f"{measured.name}: {100 * measured.accuracy:.2f} % of {len(measured.labels):,}",
            xlabel="read as",
            ylabel="label",
            xticks=range(11),
            xticklabels=[*map(str, range(10)), "none"],
            yticks=range(10),
        )
        # Only the mistakes are shaded: beside the diagonal they would all look white.
        axes.imshow(errors, cmap="Reds", vmin=0, vmax=2 * max(1, int(errors.max())))
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = RIGHT if row == column else NEUTRAL
                axes.text(column, row, str(count), ha="center", va="center", color=colour)
