"""Stats: what parts came to, one by one and together, and how fast."""

import json
import os
import socket
import time
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute

from digitrec.batch.chunks import End
from digitrec.budget.looks import added, counted
from digitrec.errors import RunError
from digitrec.model.policy import ACCEPT, REVIEW
from digitrec.readings import ERROR

Span = tuple[str, float, float, int]


def span(began: float, rows: int) -> Span:
    """Return the span of a part that this process began at `began` and has just ended."""
    return (f"{socket.gethostname()}/{os.getpid()}", began, time.time(), rows)


@dataclass(slots=True)
class Stats:
    """What a part, or all of them together, came to."""

    rows: int = 0
    first_frames: int = 0  # scans whose file holds further frames, which were left out
    looked: int = 0  # readings that took a closer look; a scan read again counts again
    decisions: Counter[str] = field(default_factory=Counter)
    digits: Counter[str] = field(default_factory=Counter)
    reviews: Counter[str] = field(default_factory=Counter)  # by reason code
    errors: Counter[str] = field(default_factory=Counter)  # by reason code
    seconds: dict[str, float] = field(default_factory=dict)  # by stage, summed over the workers
    spans: list[Span] = field(default_factory=list)  # one a part
    changed: int = 0  # units that were read again, as they had changed or could not be read
    looks: dict[str, list[int]] = field(default_factory=dict)  # see digitrec.budget.looks
    doubt: float = 0.0  # 1 - confidence, summed over what is accepted

    def add(self, other: "Stats") -> None:
        """Add another part's counts to these."""
        self.rows += other.rows
        self.first_frames += other.first_frames
        self.looked += other.looked
        self.decisions += other.decisions
        self.digits += other.digits
        self.reviews += other.reviews
        self.errors += other.errors
        self.spans += other.spans
        self.changed += other.changed
        self.looks = added(self.looks, other.looks)
        self.doubt += other.doubt
        for stage, seconds in other.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def to_json(self) -> str:
        """Write it so that it can travel as one row of a table."""
        return json.dumps({item.name: getattr(self, item.name) for item in fields(self)})

    @classmethod
    def from_json(cls, text: str | bytes) -> "Stats":
        """Read what `to_json` wrote."""
        content: dict[str, Any] = json.loads(text)
        for name in ("decisions", "digits", "reviews", "errors"):
            content[name] = Counter(content[name])
        content["spans"] = [tuple(span) for span in content["spans"]]
        return cls(**content)


def stats_of(
    rows: pa.Table, looks: NDArray[np.uint8], frames: int, looked: int, seconds: dict[str, float]
) -> Stats:
    """Count the rows of a part.

    Args:
        rows: in the schema of `parts`.
        looks: of the same scans, see `Readings.looks`.
        frames: how many of the scans' files hold further frames.
        looked: how many took a closer look.
        seconds: by stage, what the part took so far.
    """
    decisions = rows["decision"].cast(pa.string())
    accepted = rows["confidence"].filter(compute.equal(decisions, ACCEPT))
    return Stats(
        rows=len(rows),
        first_frames=frames,
        looked=looked,
        decisions=Counter(decisions.to_pylist()),
        digits=Counter(map(str, rows["digit"].drop_null().to_pylist())),
        reviews=_codes(rows, decisions, REVIEW),
        errors=_codes(rows, decisions, ERROR),
        seconds=dict(seconds),
        looks=counted(looks),
        doubt=len(accepted) - float(compute.sum(accepted.cast(pa.float64())).as_py() or 0.0),
    )


def _codes(rows: pa.Table, decisions: pa.ChunkedArray, decision: str) -> Counter[str]:
    """Count the codes of the reasons for a decision."""
    reasons = rows["reason"].filter(compute.equal(decisions, decision))
    return Counter(code(reason) for reason in reasons.to_pylist())


def code(reason: str) -> str:
    """Return the stable code that a reason begins with."""
    return reason.split(":")[0]


def counts(total: Stats, end: End, decisions: tuple[str, ...]) -> dict[str, Any]:
    """Return the counts of `_run.json`: those of all parts, held against the listing.

    Raises:
        RunError: they do not add up.
    """
    by_decision = {name: total.decisions[name] for name in decisions}
    if not end.inputs == total.rows == sum(by_decision.values()):
        raise RunError(f"{end.inputs} inputs gave {total.rows} rows of {by_decision}: not complete")
    return {
        "inputs": end.inputs,
        "rows": total.rows,
        **by_decision,
        "reviews": dict(sorted(total.reviews.items())),
        "errors": dict(sorted(total.errors.items())),
        "ignored": end.ignored,
    }


def limit(seconds: dict[str, float]) -> str:
    """Say which stage takes the most of the workers' time, and how much of it."""
    stage = max(seconds, key=seconds.__getitem__)
    return f"{stage} {100 * seconds[stage] / max(sum(seconds.values()), 1e-9):.0f} %"


def speed(total: Stats, began: float, ended: float) -> dict[str, Any]:
    """Return how fast the parts of this call were made.

    Args:
        total: the stats of those parts.
        began: when the command was called, in seconds since 1970.
        ended: when the last part was there.

    Returns:
        `elapsed`, `start_up` and `first_part` in seconds (until the first worker began, and until
        the first part was there), `images_per_second` from the first worker's beginning to the
        last part, `steady_images_per_second` (all but each worker's first part, from the end of
        the first part to the end of the last), and `limited_by`.
    """
    if not total.spans:
        return {"elapsed": round(ended - began, 3), "start_up": 0.0}
    first = min(begin for _, begin, _, _ in total.spans)
    ends = sorted(end for _, _, end, _ in total.spans)
    warm: dict[str, tuple[float, int]] = {}
    for worker, begin, _, rows in total.spans:
        warm[worker] = min(warm.get(worker, (begin, rows)), (begin, rows))
    steady_rows = total.rows - sum(rows for _, rows in warm.values())
    steady = steady_rows / (ends[-1] - ends[0]) if steady_rows and ends[-1] > ends[0] else None
    return {
        "elapsed": round(ended - began, 3),
        "start_up": round(first - began, 3),
        "first_part": round(ends[0] - began, 3),
        "images_per_second": round(total.rows / max(ends[-1] - first, 1e-9), 1),
        "steady_images_per_second": steady and round(steady, 1),
        "limited_by": limit(total.seconds),
    }
