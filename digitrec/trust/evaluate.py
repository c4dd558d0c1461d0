"""What a bundle scores on a labelled set: accuracy, confusion, and where it was wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitrec.model.engine import Engine
from digitrec.reading import BLANK, ERROR, read_scans
from digitrec.scans.labelled import LabelledSet

CHUNK = 1000
NO_DIGIT = 10  # the confusion matrix's last column: blank or error


@dataclass(frozen=True, slots=True)
class Measured:
    """The readings of a labelled set of N scans, beside its labels."""

    name: str
    labels: NDArray[np.uint8]  # [N]
    answers: NDArray[np.int8]  # [N]: the digit read, 10 where there is none
    confidences: NDArray[np.float32]  # [N], 0 where there is no digit
    probabilities: NDArray[np.float32]  # [N, 10], of rows with a digit
    scans: NDArray[np.uint8]  # [N, 28, 28], normalised
    blanks: int
    errors: int

    @property
    def accuracy(self) -> float:
        """Share of the scans that was read right; a blank or an error is not."""
        return float((self.answers == self.labels).mean())

    def confusion(self) -> NDArray[np.int64]:
        """Count answers by label: int64 [10, 11], the last column for no digit."""
        counts = np.zeros((10, 11), np.int64)
        np.add.at(counts, (self.labels, self.answers), 1)
        return counts

    def mistakes(self) -> NDArray[np.int64]:
        """Give the indices of the wrong digits, the most confident first."""
        wrong = np.flatnonzero((self.answers != self.labels) & (self.answers != NO_DIGIT))
        return wrong[np.argsort(-self.confidences[wrong], kind="stable")]

    def scores(self) -> dict[str, Any]:
        """Give the set's entry in a scorecard. `nll` is nats a scan, over those with a digit."""
        has_digit = self.answers != NO_DIGIT
        right = self.probabilities[has_digit, self.labels[has_digit]]
        return {
            "images": len(self.labels),
            "accuracy": round(self.accuracy, 6),
            "nll": round(float(-np.log(np.maximum(right, 1e-12)).mean()), 6)
            if right.size
            else None,
            "blank": self.blanks,
            "error": self.errors,
        }


def measure(
    engine: Engine, labelled: LabelledSet, advance: Callable[[int], None] = lambda count: None
) -> Measured:
    """Read a labelled set as `classify` would; `advance` is told of every chunk's size."""
    chunks = []
    for start in range(0, len(labelled.scans), CHUNK):
        chunks.append(read_scans(labelled.scans[start : start + CHUNK], engine))
        advance(len(chunks[-1]))
    has_digit = np.concatenate([chunk.has_digit for chunk in chunks])
    decisions = np.concatenate([chunk.decisions for chunk in chunks])
    return Measured(
        name=labelled.name,
        labels=labelled.labels,
        answers=np.where(has_digit, np.concatenate([chunk.digits for chunk in chunks]), NO_DIGIT),
        confidences=has_digit * np.concatenate([chunk.confidences for chunk in chunks]),
        probabilities=np.concatenate([chunk.probabilities for chunk in chunks]),
        scans=np.concatenate([chunk.scans for chunk in chunks]),
        blanks=int((decisions == BLANK).sum()),
        errors=int((decisions == ERROR).sum()),
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
        f"{wrong:,} wrong (of them {measured.blanks} blank, {measured.errors} unreadable)",
        "",
        "label  read as 0     1     2     3     4     5     6     7     8     9  none"
        "   recall  precision",
    ]
    for digit, row in enumerate(counts):
        cells = "".join(f"{count:>6}" for count in row)
        shares = f"{100 * recall[digit]:5.1f} %    {100 * precision[digit]:5.1f} %"
        lines.append(f"{digit:>5}    {cells}  {shares}")
    return "\n".join(lines)
