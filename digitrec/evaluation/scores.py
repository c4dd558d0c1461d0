"""What a labelled set that was read scored: accuracy, confusion, mistakes, calibration."""

from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitrec.evaluation.intervals import count_writers, share_interval
from digitrec.model.policy import ACCEPT, REVIEW
from digitrec.readings import BLANK, ERROR

NO_DIGIT = 10  # the confusion matrix's last column: blank or error
BINS = 15  # of the calibration error, as in Guo et al., 2017
RESAMPLES = 200  # for the calibration error's interval
COVERAGES = (0.9, 0.95, 0.99)  # shares of the scans at which the error is given


@dataclass(frozen=True, slots=True)
class Measured:
    """The readings of a labelled set of N scans, beside its labels."""

    name: str
    labels: NDArray[np.uint8]  # [N]
    answers: NDArray[np.int8]  # [N]: the digit read, 10 where there is none
    confidences: NDArray[np.float32]  # [N], 0 where there is no digit
    probabilities: NDArray[np.float32]  # [N, 10], of rows with a digit
    digit_score: NDArray[np.float32]  # [N], NaN where the bundle does not know it
    scans: NDArray[np.uint8]  # [N, 28, 28], normalized
    decisions: NDArray[np.object_]  # [N]: accept, review, blank or error
    reasons: NDArray[np.object_]  # [N]: of review and error a code, `: ` and words; else None
    looks: NDArray[np.uint8]  # [N, features], see digitrec.budget.looks
    groups: NDArray[np.object_] | None = None  # see LabelledSet

    def only(self, which: NDArray[np.intp]) -> "Measured":
        """Return some of the scans alone, by their indices."""
        columns: dict[str, Any] = {
            item.name: values[which]
            for item in fields(self)
            if isinstance(values := getattr(self, item.name), np.ndarray)
        }
        return replace(self, **columns)

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Which scans are accepted without a look: bool [N]."""
        return np.asarray(self.decisions == ACCEPT)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which scans were read right, whatever was decided: bool [N]."""
        return np.asarray(self.answers == self.labels)

    @property
    def coverage(self) -> float | None:
        """Share of the digits that is accepted: of those and the ones for review."""
        accepted, reviewed = self.count(ACCEPT), self.count(REVIEW)
        return accepted / (accepted + reviewed) if accepted + reviewed else None

    @property
    def accepted_error(self) -> float | None:
        """Share of the accepted scans that was read wrong."""
        wrong = ~self.right[self.accepted]
        return float(wrong.mean()) if len(wrong) else None

    def count(self, decision: str) -> int:
        """Count the scans of which this was decided."""
        return int((self.decisions == decision).sum())

    def reviews(self) -> dict[str, int]:
        """Count the scans for review by the code of their reason."""
        codes = [str(why).split(":")[0] for why in self.reasons[self.decisions == REVIEW]]
        return dict(sorted(Counter(codes).items()))

    def interval(
        self, hits: NDArray[np.bool_], among: NDArray[np.bool_] | NDArray[np.int64]
    ) -> tuple[float, float] | None:
        """Return the exact 95 % interval of a share, by writer where they are known.

        Args:
            hits: bool [N], what is counted.
            among: the scans of which it is a share: bool [N], or their indices.

        Returns:
            The lower and upper bound, shares; None among nothing.
        """
        groups = None if self.groups is None else self.groups[among]
        return share_interval(hits[among], groups)

    @property
    def accuracy(self) -> float:
        """Share of the scans that was read right; a blank or an error is not."""
        return float(self.right.mean())

    def confusion(self) -> NDArray[np.int64]:
        """Count answers by label: int64 [10, 11], the last column for no digit."""
        counts = np.zeros((10, 11), np.int64)
        np.add.at(counts, (self.labels, self.answers), 1)
        return counts

    def mistakes(self) -> NDArray[np.int64]:
        """Return the indices of the wrong digits, the most confident first."""
        wrong = np.flatnonzero((self.answers != self.labels) & (self.answers != NO_DIGIT))
        return wrong[np.argsort(-self.confidences[wrong], kind="stable")]

    def error_curve(self) -> NDArray[np.float64]:
        """Return the error rate among the k most confident scans, for k from 1 to N: float64 [N].

        A scan without a digit comes last and counts as wrong: the last value is 1 - accuracy.
        """
        wrong = (self.answers != self.labels)[np.argsort(-self.confidences, kind="stable")]
        return np.cumsum(wrong) / np.arange(1, len(wrong) + 1)

    def error_at(self, coverage: float) -> float:
        """Return the error rate among the most confident share `coverage` of all scans."""
        curve = self.error_curve()
        return float(curve[max(1, round(coverage * len(curve))) - 1])

    def nll(self) -> float | None:
        """Return the negative log-likelihood of the labels, in nats a scan with a digit."""
        has_digit = self.answers != NO_DIGIT
        right = self.probabilities[has_digit, self.labels[has_digit]]
        return float(-np.log(np.maximum(right, 1e-12)).mean()) if right.size else None

    def ece(self) -> float | None:
        """Return the expected calibration error of the scans with a digit.

        It is the mean distance between confidence and accuracy over bins of equal width, each
        weighted by its scans (Guo et al., "On calibration of modern neural networks", 2017).
        """
        has_digit = self.answers != NO_DIGIT
        if not has_digit.any():
            return None
        confidences = self.confidences[has_digit].astype(np.float64)
        return _ece(confidences, (self.answers == self.labels)[has_digit])

    def ece_interval(self) -> tuple[float, float] | None:
        """Return the middle 95 % of the calibration error over resamples of the scans.

        The error's estimate is never below 0 and so grows as the scans get fewer: of a few
        hundred, even a perfect calibration shows some percent.
        """
        has_digit = np.flatnonzero(self.answers != NO_DIGIT)
        if not len(has_digit):
            return None
        confidences = self.confidences[has_digit].astype(np.float64)
        right = (self.answers == self.labels)[has_digit]
        rng = np.random.default_rng(0)
        errors = []
        for _ in range(RESAMPLES):
            chosen = rng.integers(len(right), size=len(right))
            errors.append(_ece(confidences[chosen], right[chosen]))
        low, high = np.quantile(errors, [0.025, 0.975])
        return float(low), float(high)

    def reliability(self, bins: int = 10) -> NDArray[np.float64]:
        """Return confidence and accuracy of the scans with a digit, in bins of equally many.

        Returns:
            float64 [4, bins]: mean confidence, accuracy, and the accuracy's exact 95 % interval,
            by writer where they are known; fewer bins where there are fewer scans.
        """
        has_digit = np.flatnonzero(self.answers != NO_DIGIT)
        order = has_digit[np.argsort(self.confidences[has_digit], kind="stable")]
        rows = []
        for some in np.array_split(order, bins):
            if interval := self.interval(self.right, some):
                confidence, right = self.confidences[some].mean(), self.right[some].mean()
                rows.append([confidence, right, *interval])
        return np.array(rows, np.float64).reshape(-1, 4).T

    def scores(self) -> dict[str, Any]:
        """Return the set's entry in a scorecard."""
        nll, ece, interval = self.nll(), self.ece(), self.ece_interval()
        return {
            "images": len(self.labels),
            "accuracy": round(self.accuracy, 6),
            "accuracy_interval": _rounded(self.interval(self.right, self.decisions != "")),
            **self._decided(),
            "nll": None if nll is None else round(nll, 6),
            "ece": None if ece is None else round(ece, 6),
            "ece_interval": _rounded(interval),
            "error_at_coverage": {
                str(coverage): round(self.error_at(coverage), 6) for coverage in COVERAGES
            },
        }

    def _decided(self) -> dict[str, Any]:
        """Return what was decided, and how much of what is accepted is wrong, for a scorecard."""
        coverage, error = self.coverage, self.accepted_error
        asked = self.accepted | (self.decisions == REVIEW)
        return {
            **{name: self.count(name) for name in (ACCEPT, REVIEW, BLANK, ERROR)},
            "reviews": self.reviews(),
            "coverage": None if coverage is None else round(coverage, 6),
            "coverage_interval": _rounded(self.interval(self.accepted, asked)),
            "accepted_wrong": int((~self.right & self.accepted).sum()),
            "accepted_error": None if error is None else round(error, 6),
            "accepted_error_interval": _rounded(self.interval(~self.right, self.accepted)),
            "writers": None if self.groups is None else count_writers(self.groups),
        }


def _rounded(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [round(bound, 6) for bound in interval]


def _ece(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    bins = np.clip(np.ceil(BINS * confidences).astype(int) - 1, 0, BINS - 1)
    return float(np.abs(np.bincount(bins, confidences - right)).sum() / len(right))
