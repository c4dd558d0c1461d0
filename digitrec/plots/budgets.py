"""The pictures of a calibration, as PNG: how much can be accepted for how many wrong answers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from digitrec.budget.bounds import upper_bounds
from digitrec.evaluation.budgets import Issued, kept, scores_of
from digitrec.evaluation.scores import Measured
from digitrec.plots.style import NEUTRAL, RIGHT, WRONG, drawing, fix_ticks

LEAST_ERROR = 1e-5  # that the curve shows, a share
LEAST_LEFT = 0.1  # likewise of what is left to look at, in %
DOUBT = (1e-6, 1.0)


def coverage(measured: Measured, issued: Sequence[Issued], path: Path) -> None:
    """Draw the error among the accepted against what is left to look at, and what was certified."""
    scores = scores_of(measured)
    order = np.argsort(-scores, kind="stable")[: int((scores >= 0).sum())]
    count = np.arange(1, len(order) + 1)
    wrong = np.cumsum(~measured.right[order])
    left = np.maximum(100 * (1 - count / len(scores)), LEAST_LEFT)
    bound = upper_bounds(wrong, count, 0.95)
    with drawing(path, 7.2, 5) as figure:
        axes = figure.add_subplot(
            title=f"{measured.name}: what can go through without a look",
            xlabel="left to look at, in % of the scans (logarithmic)",
            ylabel="wrong among the accepted, in % (logarithmic)",
            xscale="log",
            yscale="log",
        )
        axes.plot(left, 100 * np.maximum(wrong / count, LEAST_ERROR), color=NEUTRAL, label="seen")
        axes.plot(
            left, 100 * bound, color=NEUTRAL, linestyle=":", label="95 % bound, at each by itself"
        )
        for k, one in enumerate(kept(issued)):
            place = max(100 * (1 - one.accepted / one.scans), LEAST_LEFT)
            axes.axhline(100 * one.budget, color=f"C{k}", linewidth=0.6)
            axes.plot(
                place,
                100 * one.bound,
                marker="o",
                color=f"C{k}",
                linestyle="none",
                label=f"certified: at most {100 * one.budget:g} % wrong, {place:.2f} % to look at "
                f"({one.wrong} of {one.accepted:,} were wrong)",
            )
        for axis, ticks in (
            (axes.xaxis, (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)),
            (axes.yaxis, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)),
        ):
            fix_ticks(axis, ticks, ticks)
        axes.set_xlim(60, max(LEAST_LEFT, left.min(initial=100) / 1.5))
        axes.set_ylim(0.008, 6)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="upper left")


def confidences(measured: Measured, issued: Sequence[Issued], path: Path) -> None:
    """Draw how many digits are read how surely, right and wrong, and where thresholds lie."""
    scores = scores_of(measured)
    doubt = np.clip(1 - scores[scores >= 0], *DOUBT)
    right = measured.right[scores >= 0]
    edges = np.logspace(np.log10(DOUBT[0]), 0, 49).tolist()
    with drawing(path, 7.2, 4.4) as figure:
        axes = figure.add_subplot(
            title=f"{measured.name}: how surely digits were read",
            xlabel="confidence, in % (logarithmic in the doubt)",
            ylabel="digits",
            xscale="log",
            yscale="log",
        )
        axes.hist(doubt[right], edges, color=RIGHT, alpha=0.6, label="right")
        axes.hist(doubt[~right], edges, color=WRONG, label="wrong")
        for one in kept(issued):
            if isinstance(least := one.policy.min_confidence, float):
                place = float(np.clip(1 - least, *DOUBT))
                axes.axvline(place, color=NEUTRAL, linewidth=0.8)
                axes.text(
                    place, 1, f" {100 * one.budget:g} %", rotation=90, fontsize=8, va="bottom"
                )
        ticks = [0.0, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999]
        fix_ticks(axes.xaxis, [1 - tick for tick in ticks], [100 * tick for tick in ticks])
        axes.set_xlim(DOUBT[1], DOUBT[0])
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left")
