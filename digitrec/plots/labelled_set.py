"""The pictures of one labelled set, as PNG: predictions, mistakes, confusion, reliability."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from digitrec.evaluation.scores import NO_DIGIT, Measured
from digitrec.model.policy import ACCEPT
from digitrec.plots.style import NEUTRAL, RIGHT, WRONG, drawing, fix_ticks, show_scan

MISTAKES = 50  # that their picture has room for
LEAST_DOUBT = 5e-5  # that the reliability diagram shows


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
    """Draw mistakes: what was read, how surely, what is right, and what was decided.

    The accepted ones come first and are framed, as nothing warns of them; of these and of the rest
    the most confident come first.
    """
    wrong = measured.mistakes()
    accepted = measured.accepted[wrong]
    chosen = wrong[np.argsort(~accepted, kind="stable")][:MISTAKES]
    rows = max(1, math.ceil(len(chosen) / 10))
    with drawing(path, 9, 0.7 + 1.35 * rows) as figure:
        figure.suptitle(
            f"{measured.name}: {len(chosen)} of {len(wrong):,} mistakes\n"
            f"{int(accepted.sum()):,} were accepted (framed): nothing warns of them"
        )
        for axes, k in _gallery(figure, measured, chosen.tolist(), rows):
            _mark(axes, str(measured.decisions[k]))


def accepted_mistakes(measured: Measured, path: Path) -> None:
    """Draw the mistakes that are accepted, the surest first: what was read, and what the label is.

    Some of them are the labels' own.
    """
    wrong = [k for k in measured.mistakes().tolist() if measured.accepted[k]]
    chosen = wrong[:MISTAKES]
    rows = max(1, math.ceil(len(chosen) / 10))
    with drawing(path, 9, 0.9 + 1.35 * rows) as figure:
        figure.suptitle(
            f"{measured.name}: {len(chosen)} of {len(wrong):,} mistakes that no digit score warns "
            "of, the surest first\nabove each what was read, how surely, and its label"
        )
        _gallery(figure, measured, chosen, rows)


def _gallery(
    figure: Figure, measured: Measured, chosen: Sequence[int], rows: int
) -> list[tuple[Axes, int]]:
    """Draw the chosen scans, ten in a row, and what was read above each; give where each is."""
    for axes in (grid := figure.subplots(rows, 10)).flat:
        axes.axis("off")
    places = list(zip(grid.flat, chosen, strict=False))
    for axes, k in places:
        answer, label = int(measured.answers[k]), int(measured.labels[k])
        show_scan(axes, measured.scans[k])
        read = "none" if answer == NO_DIGIT else f"{answer}  {100 * measured.confidences[k]:.0f} %"
        title = read if answer == label else f"{read}\nis {label}"
        axes.set_title(title, fontsize=8, color=RIGHT if answer == label else WRONG)
    return places


def _mark(axes: Axes, decision: str) -> None:
    """Write below a scan what was decided, and frame it where it was accepted."""
    word, colour = ("accepted", WRONG) if decision == ACCEPT else (decision, NEUTRAL)
    axes.text(
        0.5, -0.06, word, transform=axes.transAxes, fontsize=8, color=colour, ha="center", va="top"
    )
    if decision == ACCEPT:
        axes.add_patch(
            Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, color=WRONG, linewidth=3)
        )


def confusion(measured: Measured, path: Path) -> None:
    """Draw the confusion matrix: rows are labels, columns what was read."""
    counts = measured.confusion()
    errors = counts.copy()
    errors[np.arange(10), np.arange(10)] = 0
    with drawing(path, 7, 6.4) as figure:
        axes = figure.add_subplot(
            title=f"{measured.name}: {100 * measured.accuracy:.2f} % of {len(measured.labels):,}"
            f"{_accepted(measured)}",
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


def _accepted(measured: Measured) -> str:
    """Say in a title's second line what is accepted, and wrong of that."""
    coverage, error = measured.coverage, measured.accepted_error
    if coverage is None or error is None:
        return ""
    return f"\n{100 * coverage:.2f} % accepted, {100 * error:.2f} % of them wrong"


def reliability(measured: Measured, path: Path) -> None:
    """Draw how often answers are right against how sure they are, and how many are so sure.

    The bins hold as many scans each, so that all of them can be seen: most digits are read with
    more confidence than 0.99, and the axes are logarithmic in the doubt.
    """
    confidence, accuracy, low, high = measured.reliability()
    doubt, wrong = (np.maximum(1 - shares, LEAST_DOUBT) for shares in (confidence, accuracy))
    bars = np.maximum(np.abs(1 - np.array([high, low]) - wrong), 0)
    ece = measured.ece()
    with drawing(path, 6.4, 5.4) as figure:
        axes = figure.add_subplot(
            title=f"{measured.name}: ECE {'none' if ece is None else f'{100 * ece:.2f} %'}",
            xlabel="confidence, in % (logarithmic in the doubt)",
            ylabel="right among them, in %",
            xscale="log",
            yscale="log",
        )
        axes.plot([LEAST_DOUBT, 1], [LEAST_DOUBT, 1], color=NEUTRAL, linewidth=0.8)
        axes.errorbar(doubt, wrong, bars, fmt="o", color="C0", capsize=2)
        ticks = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999]
        for axis in (axes.xaxis, axes.yaxis):
            fix_ticks(axis, [1 - tick for tick in ticks], [100 * tick for tick in ticks])
        axes.set_xlim(1, LEAST_DOUBT)
        axes.set_ylim(1, LEAST_DOUBT)
        axes.grid(alpha=0.3)
