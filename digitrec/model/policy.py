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
NOT_SUPPORTED = "not-supported"  # by `classify --strict`: see `digitrec.budget.drift`

DIGITS = 10
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
    # From which confidence on: of all digits, or of each, 0 to 9. None: any will do.
    min_confidence: float | tuple[float, ...] | None = None
    min_digit_score: float | None = None  # None: any will do, the bundle may not know it
    # Of a scan that was looked at closely, the probability that anything is written there: up to
    # the first it is blank, between the two a person looks at it.
    max_blank: float = MAX_BLANK
    min_written: float = MIN_WRITTEN

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            for one in value if isinstance(value, tuple) else (value,):
                if one is not None and not 0 <= one <= 1:
                    raise ValueError(f"{name} must be from 0 to 1, not {one}")
        if isinstance(self.min_confidence, tuple) and len(self.min_confidence) != DIGITS:
            raise ValueError(
                f"min_confidence must be a number or {DIGITS}, not {len(self.min_confidence)}"
            )
        if self.max_blank > self.min_written:
            raise ValueError(
                f"max_blank must be at most min_written, {self.min_written}, not {self.max_blank}"
            )

    @property
    def id(self) -> str:
        """The first 12 hex digits of a SHA-256 of its settings."""
        return short_hash({name: _number(value) for name, value in asdict(self).items()})

    def decide(
        self,
        digits: NDArray[np.integer],
        confidences: NDArray[np.floating],
        digit_score: NDArray[np.floating],
        written: NDArray[np.floating] | None = None,
    ) -> Decided:
        """Decide what becomes of N digits.

        Args:
            digits: int [N], 0 to 9; what else stands there is no digit, and any confidence will do.
            confidences: float [N], the probability that the digit is right.
            digit_score: float [N], how much the scan looks like one digit; NaN where the bundle
                does not know, which is no reason for a review.
            written: float [N], the probability that anything is written there; NaN where nothing
                asked for a closer look. None: nowhere.
        """
        decisions = np.full(len(confidences), ACCEPT, object)
        reasons = np.full(len(confidences), None, object)
        needed = self.needed(digits)
        for k in np.flatnonzero(~(confidences >= needed) & (needed > -np.inf)):
            decisions[k] = REVIEW
            reasons[k] = (
                f"{LOW_CONFIDENCE}: its confidence is {_shown(confidences[k])}, "
                f"{_shown(needed[k])} is needed"
            )
        # What is no digit is first of all that, however sure the digits are told apart.
        for k in np.flatnonzero(~self.is_digit(digit_score)):
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

    def needed(self, digits: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the confidence that each of N digits needs: float64 [N]."""
        least = self.min_confidence
        if least is None:
            return np.full(len(digits), -np.inf)
        if not isinstance(least, tuple):
            return np.full(len(digits), least)
        return np.asarray(np.array(least)[np.clip(digits, 0, DIGITS - 1)])

    def is_digit(self, digit_score: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Tell which scans look enough like one digit, by their digit scores: bool [N]."""
        if self.min_digit_score is None:
            return np.ones(len(digit_score), bool)
        return np.asarray((digit_score >= self.min_digit_score) | np.isnan(digit_score))


@dataclass(frozen=True, kw_only=True, slots=True)
class CertifiedPolicy:
    """A policy that keeps an error budget, and what says so: see `digitrec.budget.certify`.

    It holds for scans that come from where the labelled ones come from, read by this model.
    """

    policy: Policy
    source: str  # whose scans they are; empty: none was named
    labelled: str  # the labelled sets that it was measured on
    sha256: str  # of their scans' content and labels
    scans: int  # that were labelled
    certainty: float  # with which the budget is kept
    start: float | tuple[float, ...]  # the confidence at which the tests began
    accepted: int  # of the labelled scans
    wrong: int  # of these
    bound: float  # on the share of wrong ones among all that is accepted, with that certainty
    model_id: str
    normalizer_version: str
    temperature: float
    score: str = "confidence"  # what has to reach the policy's threshold

    def __post_init__(self) -> None:
        if self.policy.max_error is None or self.policy.min_confidence is None:
            raise ValueError("a certified policy has max_error and min_confidence")
        if self.score != "confidence":
            raise ValueError(f"score {self.score} is not known to this program")

    def to_json(self) -> dict[str, Any]:
        """Return it as a card and `_run.json` have it."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content

    @property
    def budget(self) -> float:
        """The error budget that it keeps, a share."""
        assert self.policy.max_error is not None
        return self.policy.max_error


def short_hash(content: Any) -> str:
    """Return the first 12 hex digits of a SHA-256 of what JSON can write."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _number(value: float | tuple[float, ...] | None) -> float | list[float] | None:
    if isinstance(value, tuple):
        return [float(one) for one in value]
    return None if value is None else float(value)  # JSON reads 0.0 as it was written, or as 0


def _shown(confidence: float) -> str:
    """Write a confidence with as many digits as tell it from 1."""
    return f"{confidence:.3f}" if confidence < 0.999 else f"{confidence:.6f}"
