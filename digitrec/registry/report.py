"""The page of a retraining: what came in, what it gave, the gate line by line, how to undo it.

One HTML file that shows itself: its pictures are in it, and it asks no network for anything.
"""

import base64
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from digitrec.datasets.answers import NO_DIGIT
from digitrec.datasets.labelled import png
from digitrec.evaluation.scores import Measured
from digitrec.model.bundle import Bundle
from digitrec.plots.drift import drift_picture
from digitrec.plots.training import curves
from digitrec.registry.additions import Added
from digitrec.registry.gate import Evidence, Pair, Verdict, corrupted, is_right
from digitrec.registry.pool import Corrections
from digitrec.registry.runs import series
from digitrec.registry.store import Registry
from digitrec.storage.folder import open_folder
from digitrec.training.epoch_log import parse_records
from digitrec.training.run_folder import LOG
from digitrec.version import __version__

SHOWN = 24  # mistakes of each kind and set
SCALE = 2  # pixels of the page for each of a normalized scan


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a report tells of."""

    registry: Registry
    champion: Bundle
    challenger: Bundle
    corrections: Corrections
    added: Added
    new: int  # corrections that came or went since the last challenger was judged
    evidence: Evidence
    verdict: Verdict
    runs: Mapping[str, str]  # network → the run folder of its training
    promoted: bool


@dataclass(frozen=True, slots=True)
class _Mistake:
    """A scan that one of the two reads wrong."""

    picture: str  # a data URI
    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class _Row:
    """A set in the table: what each bundle scored on it."""

    name: str
    scans: int
    right: tuple[float, float]  # shares
    accepted: tuple[float, float]
    wrong: tuple[int, int]  # accepted, and read wrong
    worse: int
    better: int


def page(told: Told) -> str:
    """Write the page, as HTML."""
    environment = Environment(
        loader=PackageLoader("digitrec.registry", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    with tempfile.TemporaryDirectory(prefix="digitrec-") as folder:
        pictures = dict(_pictures(told, Path(folder)))
    pairs = [told.evidence.mnist, *told.evidence.golden]
    return environment.get_template("report.html").render(
        told=told,
        version=__version__,
        labels=_counts(told.corrections),
        rows=[_row(pair) for pair in [*pairs, *told.evidence.suite, told.evidence.empty]],
        pictures=pictures,
        mistakes={
            pair.name: {"mended": list(_changed(pair, 1)), "made": list(_changed(pair, -1))}
            for pair in [*pairs, corrupted(told.evidence.suite)]
        },
    )


def _counts(corrections: Corrections) -> list[tuple[str, int, int]]:
    """Count the corrections by what they show: name, those trained on, golden ones."""
    names = _names(corrections.labels, corrections.blank)
    sides = [Counter(names[some]) for some in (~corrections.golden, corrections.golden)]
    return [(str(name), sides[0][name], sides[1][name]) for name in sorted(set(names.tolist()))]


def _names(labels: NDArray[np.uint8], blank: NDArray[np.bool_]) -> NDArray[np.str_]:
    without = np.where(blank, "blank", "not a digit")
    return np.asarray(np.where(labels == NO_DIGIT, without, labels.astype(str)))


def _row(pair: Pair) -> _Row:
    both = pair.champion, pair.challenger
    worse, better = pair.discordant
    before, after = (float(is_right(one).mean()) for one in both)
    accepted = [float(one.accepted.mean()) for one in both]
    wrong = [int((one.accepted & ~is_right(one)).sum()) for one in both]
    return _Row(
        pair.name,
        len(pair.champion.labels),
        (before, after),
        (accepted[0], accepted[1]),
        (wrong[0], wrong[1]),
        worse,
        better,
    )


def _changed(pair: Pair, sign: int) -> Iterator[_Mistake]:
    """Yield scans that became right (1) or wrong (-1), the most certain mistakes first."""
    before, after = pair.right
    rows = np.flatnonzero(after.astype(int) - before == sign)
    mistaken = pair.champion if sign > 0 else pair.challenger
    order = rows[np.argsort(-mistaken.confidences[rows], kind="stable")]
    for row in order[:SHOWN].tolist():
        label = int(pair.champion.labels[row])
        yield _Mistake(
            _picture(mistaken.scans[row]),
            "no digit" if label == NO_DIGIT else str(label),
            _answer(pair.champion, row),
            _answer(pair.challenger, row),
        )


def _answer(measured: Measured, row: int) -> str:
    """Write what was read: the digit, with a question mark where a person would be asked."""
    digit = int(measured.answers[row])
    what = "nothing" if digit == NO_DIGIT else str(digit)
    return what if measured.accepted[row] or digit == NO_DIGIT else f"{what}?"


def _picture(scan: NDArray[np.uint8]) -> str:
    large = cv2.resize(scan, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_NEAREST)
    return _uri(png(np.asarray(255 - large, np.uint8)))


def _uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _pictures(told: Told, folder: Path) -> Iterator[tuple[str, Any]]:
    """Draw the curves of each network's training, and the registry's runs over time."""
    training = {}
    for network, run in told.runs.items():
        records = parse_records(open_folder(run).read(LOG).decode())
        curves(records, folder / network, "MNIST's test set")
        training[network] = [
            _uri((folder / network / name).read_bytes()) for name in ("loss.png", "accuracy.png")
        ]
    yield "training", training
    over_time = series(told.registry)
    if over_time.runs or over_time.audits:
        drift_picture(over_time, folder / "drift.png")
        yield "drift", _uri((folder / "drift.png").read_bytes())
    else:
        yield "drift", None
