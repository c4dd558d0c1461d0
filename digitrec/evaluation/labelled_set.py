"""Labelled sets read as `classify` would read them, and what came of it in words."""

from collections.abc import Callable, Sequence

import numpy as np

from digitrec.datasets.labelled import LabelledSet
from digitrec.evaluation.intervals import count_writers
from digitrec.evaluation.scores import COVERAGES, NO_DIGIT, Measured
from digitrec.inputs.fetch import contents
from digitrec.model.engine import Engine
from digitrec.model.policy import ACCEPT, REVIEW
from digitrec.pipeline import Normalizer, read_contents
from digitrec.reader import Scan, read_scans
from digitrec.readings import BLANK, ERROR, Readings
from digitrec.storage.uris import Remote

CHUNK = 1000


def measure(
    engine: Engine,
    labelled: LabelledSet,
    advance: Callable[[int], None] = lambda count: None,
    normalizer: Normalizer | None = None,
) -> Measured:
    """Read a labelled set as `classify` would; `advance` is told of every chunk's size."""
    return measure_each([(engine, normalizer)], labelled, advance)[0]


def measure_each(
    ways: Sequence[tuple[Engine, Normalizer | None]],
    labelled: LabelledSet,
    advance: Callable[[int], None] = lambda count: None,
) -> list[Measured]:
    """Read a labelled set in several ways, making each scan only once; see `measure`."""
    chunks: list[list[Readings]] = [[] for _ in ways]
    for start in range(0, len(labelled.scans), CHUNK):
        scans = labelled.scans[start : start + CHUNK]
        for (engine, normalizer), read in zip(ways, chunks, strict=True):
            read.append(_read(scans, labelled.remotes, engine, normalizer))
        advance(len(scans))
    return [_measured(labelled, read) for read in chunks]


def _read(
    scans: Sequence[Scan], remotes: Sequence[Remote], engine: Engine, normalizer: Normalizer | None
) -> Readings:
    """Read scans; those behind URIs ahead of need, from where they lie."""
    paths = [scan for scan in scans if isinstance(scan, str)]
    if len(paths) < len(scans):
        return read_scans(scans, engine, normalizer)
    found = contents(paths, remotes or None)
    return read_contents(found, len(paths), engine, normalizer=normalizer)


def _measured(labelled: LabelledSet, chunks: Sequence[Readings]) -> Measured:
    has_digit = np.concatenate([chunk.has_digit for chunk in chunks])
    return Measured(
        name=labelled.name,
        labels=labelled.labels,
        answers=np.where(has_digit, np.concatenate([chunk.digits for chunk in chunks]), NO_DIGIT),
        confidences=np.where(has_digit, np.concatenate([c.confidences for c in chunks]), 0),
        probabilities=np.concatenate([chunk.probabilities for chunk in chunks]),
        digit_score=np.concatenate([chunk.digit_score for chunk in chunks]),
        scans=np.concatenate([chunk.scans for chunk in chunks]),
        decisions=np.concatenate([chunk.decisions for chunk in chunks]),
        reasons=np.concatenate([chunk.reasons for chunk in chunks]),
        looks=np.concatenate([chunk.looks() for chunk in chunks]),
        groups=labelled.groups,
    )


def report(measured: Measured) -> str:
    """Write accuracy, figures by class and the confusion matrix as text."""
    counts = measured.confusion()
    right = counts.diagonal()
    recall = right / np.maximum(counts.sum(1), 1)
    precision = right / np.maximum(counts[:, :10].sum(0), 1)
    wrong = len(measured.labels) - int(right.sum())
    lines = [
        f"{measured.name}: {100 * measured.accuracy:.2f} % of {len(measured.labels):,} right, "
        f"{wrong:,} wrong (of them {measured.count(BLANK)} blank, {measured.count(ERROR)} "
        f"unreadable){_between(measured.interval(measured.right, measured.decisions != ''))}",
        *_decision_lines(measured),
        _confidence_line(measured),
        "",
        "label  read as 0     1     2     3     4     5     6     7     8     9  none"
        "   recall  precision",
    ]
    for digit, row in enumerate(counts):
        cells = "".join(f"{count:>6}" for count in row)
        shares = f"{100 * recall[digit]:5.1f} %    {100 * precision[digit]:5.1f} %"
        lines.append(f"{digit:>5}    {cells}  {shares}")
    return "\n".join(lines)


def _decision_lines(measured: Measured) -> list[str]:
    """Return what was decided, and how much of what is accepted is wrong."""
    accepted, reviewed = measured.count(ACCEPT), measured.count(REVIEW)
    coverage, error = measured.coverage, measured.accepted_error
    reasons = ", ".join(f"{code} {count:,}" for code, count in measured.reviews().items())
    shares = "" if coverage is None else f" (coverage {100 * coverage:.2f} %)"
    lines = [
        f"{accepted:,} accepted, {reviewed:,} to review{f': {reasons}' if reasons else ''}{shares}"
    ]
    if error is not None:
        wrong = int((~measured.right & measured.accepted).sum())
        between = _between(measured.interval(~measured.right, measured.accepted))
        lines.append(
            f"wrong among the accepted: {wrong:,} of {accepted:,}, {100 * error:.2f} %{between}"
        )
    if measured.groups is not None:
        lines.append(f"the intervals are for digits by {count_writers(measured.groups)} writers")
    return lines


def _between(interval: tuple[float, float] | None) -> str:
    return (
        "" if interval is None else " (95 %: {:.2f} to {:.2f} %)".format(*100 * np.array(interval))
    )


def _confidence_line(measured: Measured) -> str:
    nll, ece = (
        "none" if value is None else f"{value:.4f}" for value in (measured.nll(), measured.ece())
    )
    errors = ", ".join(
        f"{100 * measured.error_at(share):.2f} % of {100 * share:.0f} %" for share in COVERAGES
    )
    if interval := measured.ece_interval():
        ece += " (95 % of resamples: {:.4f} to {:.4f})".format(*interval)
    return f"NLL {nll} nats, ECE {ece}; wrong among the most confident: {errors}"
