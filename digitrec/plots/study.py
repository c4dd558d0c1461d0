"""The report's figures 6 to 11, of a study's runs."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from digitrec.plots.style import drawing, finish_curve

if TYPE_CHECKING:
    from digitrec.training.epoch_log import EpochRecord

    Records = Mapping[str, Sequence[EpochRecord]]  # by the recipe's name

# Of each figure: its title, what it shows, and the recipes in it.
FIGURES = {
    "figure-6": ("Loss, batch 32, learning rate 0.001", "loss", ["report-batch32-lr1e-3"]),
    "figure-7": ("Loss, batch 128, learning rate 0.001", "loss", ["report-lr1e-3"]),
    "figure-8": (
        "Figures 6 and 7: batch 32 and 128 at 0.001",
        "loss",
        ["report-batch32-lr1e-3", "report-lr1e-3"],
    ),
    "figure-9": ("Loss, batch 128, learning rate 0.000001", "loss", ["report-lr1e-6"]),
    "figure-10": ("Accuracy, batch 128, learning rate 0.000001", "accuracy", ["report-lr1e-6"]),
    "figure-11": ("Accuracy, batch 128, learning rate 0.00001", "accuracy", ["report-lr1e-5"]),
    "all-runs": (
        "Accuracy of all runs",
        "accuracy",
        ["report", "report-batch32-lr1e-3", "report-lr1e-3", "report-lr1e-6", "report-lr1e-5"],
    ),
}


def figures(records: "Records") -> dict[str, Callable[[Path], None]]:
    """Return for each figure, by its file's name, the function that draws it to a path."""
    return {
        name: partial(_draw, {run: records[run] for run in runs}, title, shown)
        for name, (title, shown, runs) in FIGURES.items()
    }


def _draw(records: "Records", title: str, shown: str, path: Path) -> None:
    with drawing(path, 7, 4.2) as figure:
        unit = "nats" if shown == "loss" else "% of mnist:test"
        axes = figure.add_subplot(title=title, xlabel="epoch", ylabel=unit)
        for number, (run, some) in enumerate(records.items()):
            name = f"{run}: " if len(records) > 1 else ""
            (_losses if shown == "loss" else _accuracies)(axes, some, f"C{number}", name)
        finish_curve(axes)


def _losses(axes: Axes, records: "Sequence[EpochRecord]", colour: str, name: str) -> None:
    epochs = [record.epoch for record in records]
    for field, style, words in (
        ("test_loss", "o-", "mnist:test"),
        ("train_loss", ".:", "training"),
    ):
        losses = [getattr(record, field) for record in records]
        label = f"{name}{words}, {losses[-1]:.4f} at the end"
        axes.plot(epochs, losses, style, color=colour, markersize=4, label=label)


def _accuracies(axes: Axes, records: "Sequence[EpochRecord]", colour: str, name: str) -> None:
    epochs = [record.epoch for record in records]
    accuracies = [100 * record.test_accuracy for record in records]
    label = f"{name}{accuracies[-1]:.2f} % at the end"
    axes.plot(epochs, accuracies, "o-", color=colour, markersize=4, label=label)
