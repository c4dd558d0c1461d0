"""A run's trace: which worker did which part when, as Chrome and https://ui.perfetto.dev show it.

The format is Chrome's "Trace Event Format": complete events (`ph: X`) in microseconds.
"""

import json
from typing import Any

from digitrec.batch.stats import Stats


class Trace:
    """Collects the parts of a run as trace events."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._workers: dict[str, int] = {}

    def add(self, part: Stats) -> None:
        """Add a part: one bar, and below it its stages, each as long as it took in all.

        The stages of a part's scans alternate; here they stand one after the other.
        """
        [(worker, began, ended, rows)] = part.spans
        number = self._workers.setdefault(worker, len(self._workers) + 1)
        self._bar(number, f"{rows:,} scans", began, ended - began)
        for stage, seconds in part.seconds.items():
            self._bar(number, stage, began, seconds)
            began += seconds

    def _bar(self, worker: int, name: str, began: float, seconds: float) -> None:
        times = {"ts": round(began * 1e6), "dur": round(seconds * 1e6)}
        self._events.append({"name": name, "ph": "X", "pid": 1, "tid": worker, **times})

    def to_json(self) -> bytes:
        """Write the trace's file."""
        names = [
            {"name": "thread_name", "ph": "M", "pid": 1, "tid": number, "args": {"name": worker}}
            for worker, number in self._workers.items()
        ]
        return json.dumps({"traceEvents": names + self._events}).encode()
