"""When a digit is accepted without a look: a bundle's rule, as plain functions on scores."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ACCEPT, REVIEW = "accept", "review"
# Why a digit goes to review: codes that stay what they are.
LOW_CONFIDENCE, NOT_A_DIGIT, UNCLEAR = "low-confidence", "not-a-digit", "unclear"

# Where the ink network's word alone counts; chosen on papers drawn for its training.
MAX_BLANK, MIN_WRITTEN = 0.025, 0.98


class Decided(NamedTuple):
    """What becomes of N digits."""

    decisions: NDArray[np.object_]  # [N]: accept or review
    reasons: NDArray[np.object_]  # [N]: of review a code, then `: ` and words; else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """From where on a digit is accepted; what has less goes to review.

    Raises:
        ValueError: a setting is not from 0 to 1, or what is blank is written too.
    """

    max_error: float | None = None  # the error budget it keeps, a share; None: it claims none
    min_confidence: float | None = None  # None: any will do
    min_digit_score: float | None = None  # None: any will do, the bundle may not know it
    # Of a scan that was looked at closely, the probability that anything is written there: up to
    # the first it is blank, between the two a person looks at it.
    max_blank: float = MAX_BLANK
    min_written: float = MIN_WRITTEN

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {value}")
        if self.max_blank > self.min_written:
            raise ValueError(
                f"max_blank must be at most min_written, {self.min_written}, not {self.max_blank}"
            )

    @property
    def id(self) -> str:
        """The first 12 hex digits of a SHA-256 of its settings."""
        return short_hash({name: _number(value) for name, value in asdict(self).items()})

    def accepted(
        self, confidences: NDArray[np.floating], digit_score: NDArray[np.floating]
    ) -> NDArray[np.bool_]:
        """Tell which digits are accepted, if they are written for sure: bool [N]; see `decide`."""
        return self._is_sure(confidences) & self._is_digit(digit_score)

    def decide(
        self,
        confidences: NDArray[np.floating],
        digit_score: NDArray[np.floating],
        written: NDArray[np.floating] | None = None,
    ) -> Decided:
        """Decide what becomes of N digits.

        Args:
            confidences: float [N], the probability that the digit is right.
            digit_score: float [N], how much the scan looks like one digit; NaN where the bundle
                does not know, which is no reason for a review.
            written: float [N], the probability that anything is written there; NaN where nothing
                asked for a closer look. None: nowhere.
        """
        decisions = np.full(len(confidences), ACCEPT, object)
        reasons = np.full(len(confidences), None, object)
        for k in np.flatnonzero(~self._is_sure(confidences)):
            decisions[k] = REVIEW
            reasons[k] = (
                f"{LOW_CONFIDENCE}: its confidence is {confidences[k]:.3f}, "
                f"{self.min_confidence:.3f} is needed"
            )
        # What is no digit is first of all that, however sure the digits are told apart.
        for k in np.flatnonzero(~self._is_digit(digit_score)):
            decisions[k] = REVIEW
            reasons[k] = (
                f"{NOT_A_DIGIT}: its digit score is {digit_score[k]:.3f}, "
                f"{self.min_digit_score:.3f} is needed"
            )
        # Nor does it matter what digit it is like while it may be none at all.
        if written is None:
            return Decided(decisions, reasons)
        for k in np.flatnonzero(written < self.min_written):
            decisions[k] = REVIEW
            reasons[k] = (
                f"{UNCLEAR}: that anything is written there is {written[k]:.3f} likely, "
                f"{self.min_written:.3f} is needed"
            )
        return Decided(decisions, reasons)

    def _is_sure(self, confidences: NDArray[np.floating]) -> NDArray[np.bool_]:
        if self.min_confidence is None:
            return np.ones(len(confidences), bool)
        return np.asarray(confidences >= self.min_confidence)

    def _is_digit(self, digit_score: NDArray[np.floating]) -> NDArray[np.bool_]:
        if self.min_digit_score is None:
            return np.ones(len(digit_score), bool)
        return np.asarray((digit_score >= self.min_digit_score) | np.isnan(digit_score))


def short_hash(content: Any) -> str:
    """Return the first 12 hex digits of a SHA-256 of what JSON can write."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)  # JSON reads 0.0 as it was written, or as 0
