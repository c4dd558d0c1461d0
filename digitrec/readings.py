"""Readings: what scans were read as, one by one and as columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitrec.budget.looks import binned
from digitrec.model.policy import ACCEPT, REVIEW

BLANK, ERROR = "blank", "error"  # decisions beside ACCEPT and REVIEW
NO_DIGIT = -1  # in columns of digits
# Scans agree on what is ink if so many say the same, of at least so many.
AGREED, LEAST_SAID = 0.95, 20


@dataclass(frozen=True, slots=True)
class Reading:
    """What one scan was read as; None where the decision is `blank` or `error`.

    Where it is `review`, since something may be written there and nothing is clear, it is None too.
    """

    digit: int | None
    confidence: float | None  # probability that `digit` is right
    probabilities: NDArray[np.float32] | None  # float32 [10], for 0 to 9
    decision: str  # accept, review, blank or error
    reason: str | None  # of review and error: a stable code, then `: ` and words
    width: int | None  # of the decoded scan, in pixels
    height: int | None
    digit_score: float | None = None  # how much it looks like one digit, 0 to 1; no probability
    notes: str | None = None  # what the normalizer found odd, in words; see `Normalized.notes`


@dataclass(frozen=True, slots=True)
class Readings:
    """What N scans were read as, as columns: without a digit -1 and NaN."""

    digits: NDArray[np.int8]  # [N]
    confidences: NDArray[np.float32]  # [N]
    probabilities: NDArray[np.float32]  # [N, 10]
    decisions: NDArray[np.object_]  # [N], str
    reasons: NDArray[np.object_]  # [N], str or None
    widths: NDArray[np.int32]  # [N], 0 where nothing was decoded
    heights: NDArray[np.int32]  # [N]
    digit_score: NDArray[np.float32]  # [N], NaN where the bundle does not know
    scans: NDArray[np.uint8]  # [N, 28, 28], normalized; zero where nothing was decoded
    notes: NDArray[np.object_]  # [N], str or None; all None where they were not asked for
    more_frames: NDArray[np.bool_]  # [N]: the file holds further frames, which were left out
    # [N]: read by what the ink network marks, not by the quick path alone.
    looked: NDArray[np.bool_]
    light: NDArray[np.bool_]  # [N]: the ink is lighter than the paper
    seconds: dict[str, float] = field(default_factory=dict)  # stage → time spent in it

    def __len__(self) -> int:
        return len(self.digits)

    @property
    def has_digit(self) -> NDArray[np.bool_]:
        """Which rows have a digit: bool [N]."""
        return np.asarray(self.digits != NO_DIGIT)

    def looks(self) -> NDArray[np.uint8]:
        """Put what the scans look like into bins, to be counted: see `digitrec.budget.looks`."""
        return binned(
            self.digits,
            self.confidences,
            self.digit_score,
            self.scans,
            np.maximum(self.widths, self.heights),
            self.light,
            self.looked,
        )

    def __iter__(self) -> Iterator[Reading]:
        for k, has_digit in enumerate(self.has_digit):
            yield Reading(
                digit=int(self.digits[k]) if has_digit else None,
                confidence=float(self.confidences[k]) if has_digit else None,
                probabilities=self.probabilities[k] if has_digit else None,
                decision=self.decisions[k],
                reason=self.reasons[k],
                width=int(self.widths[k]) or None,
                height=int(self.heights[k]) or None,
                digit_score=self._digit_score(k) if has_digit else None,
                notes=self.notes[k],
            )

    def _digit_score(self, k: int) -> float | None:
        return None if np.isnan(self.digit_score[k]) else float(self.digit_score[k])


def join(pieces: Sequence[Readings]) -> Readings:
    """Put the readings of consecutive scans together."""
    columns: dict[str, Any] = {
        item.name: np.concatenate([getattr(piece, item.name) for piece in pieces])
        for item in fields(Readings)
        if item.name != "seconds"
    }
    stages = chain.from_iterable(piece.seconds.items() for piece in pieces)
    seconds: dict[str, float] = {}
    for stage, spent in stages:
        seconds[stage] = seconds.get(stage, 0.0) + spent
    return Readings(**columns, seconds=seconds)


def agreed_light(readings: Readings, first: int | None = None) -> bool | None:
    """Say whether scans that came together have light ink on dark paper; None: they do not agree.

    Those that were accepted have a say, if there are enough of them.

    Args:
        readings: of scans that were each read by itself.
        first: how many of them are asked; None: all.
    """
    said = readings.light[:first][readings.decisions[:first] == ACCEPT]
    if len(said) < LEAST_SAID:
        return None
    share = float(said.mean())
    return share > 0.5 if max(share, 1 - share) >= AGREED else None


def in_doubt(readings: Readings, light: bool) -> NDArray[np.bool_]:
    """Say which scans, each read by itself, may be read otherwise by who knows their ink: bool [N].

    Args:
        readings: of the scans.
        light: their ink is lighter than their paper.
    """
    other = readings.has_digit & (readings.light != light)
    return np.asarray(readings.looked & (other | (readings.decisions == REVIEW)))
