"""A registry's runs over time: what people had to look at, how strange scans were, and audits."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from numpy.typing import NDArray

from digitrec.budget.drift import TOLERANCE
from digitrec.plots.style import NEUTRAL, RIGHT, WRONG, drawing

if TYPE_CHECKING:
    from digitrec.registry.runs import AuditFigures, RunFigures, Series

MANY = 60  # from so many points on they are not marked


def drift_picture(series: "Series", path: Path) -> None:
    """Draw three panels over time, on one page: review, the input check, audits.

    Args:
        series: of a registry.
        path: of the picture, a PNG.
    """
    with rc_context({"date.converter": "concise"}), drawing(path, 8, 7.5) as figure:
        review, check, audits = figure.subplots(3, 1, sharex=True)
        _review(review, series.runs)
        _check(check, series.runs)
        _audits(audits, series.audits)
        for axes in (review, check, audits):
            axes.grid(alpha=0.3)
        _mark_models(review, series.runs)
        audits.set_xlabel("time, UTC")


def _times(figures: "Sequence[RunFigures | AuditFigures]") -> NDArray[np.datetime64]:
    """Return when N runs were finished, or audits made, in UTC: datetime64[s] [N]."""
    times = (datetime.fromisoformat(one.time).astimezone(UTC) for one in figures)
    return np.array([time.replace(tzinfo=None) for time in times], "datetime64[s]")


def _review(axes: Axes, runs: "Sequence[RunFigures]") -> None:
    known = [run for run in runs if run.review_share is not None]
    shares = [100 * (run.review_share or 0) for run in known]
    axes.plot(_times(known), shares, color=NEUTRAL, marker=_marker(known))
    axes.set(title="Left to review, of the digits read", ylabel="%")
    axes.set_ylim(bottom=0)


def _check(axes: Axes, runs: "Sequence[RunFigures]") -> None:
    known = [run for run in runs if run.distance is not None]
    distances = [run.distance or 1 for run in known]
    axes.plot(_times(known), distances, color=NEUTRAL, marker=_marker(known))
    axes.axhline(TOLERANCE, color=WRONG, linestyle="--", label="above: the budget is not supported")
    axes.set(
        title="How far scans look from those of the error budget's claim",
        ylabel="factor of odds, for sure",
    )
    axes.set_ylim(bottom=0.95)
    axes.legend(loc="upper left")


def _audits(axes: Axes, audits: "Sequence[AuditFigures]") -> None:
    times = _times(audits)
    for name, colour, marker in (("bound", WRONG, "v"), ("observed", RIGHT, "o")):
        shares = [100 * getattr(audit, name) for audit in audits]
        label = {"bound": "wrong at most", "observed": "wrong, of the answered"}[name]
        axes.plot(times, shares, color=colour, marker=marker, label=label)
    axes.set(title="What audits found", ylabel="%")
    axes.set_ylim(bottom=0)
    if audits:
        axes.legend(loc="upper left")
    else:
        axes.text(0.5, 0.5, "no audit yet", transform=axes.transAxes, ha="center", color=NEUTRAL)


def _mark_models(axes: Axes, runs: "Sequence[RunFigures]") -> None:
    """Mark where another bundle began to read."""
    last = None
    for time, run in zip(_times(runs), runs, strict=True):
        if run.model_id != last:
            axes.axvline(time, color=NEUTRAL, alpha=0.4, linewidth=0.8)
            axes.annotate(
                run.model_id, (time, 1), xycoords=("data", "axes fraction"), xytext=(3, -9),
                textcoords="offset points", fontsize=7, color=NEUTRAL,
            )  # fmt: skip
            last = run.model_id


def _marker(points: "Sequence[RunFigures]") -> str:
    return "o" if len(points) < MANY else ""
