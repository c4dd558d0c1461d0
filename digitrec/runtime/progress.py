"""How far a long command has come: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tqdm import tqdm

LINE_SECONDS = 10.0


class Advance(Protocol):
    """Is told of progress, and shows it."""

    def __call__(self, count: int, total: int | None = None, note: str = "") -> None:
        """Count `count` more scans as done, of `total` if that is known by now."""


@contextmanager
def progress(
    title: str, total: int | None, *, quiet: bool = False, unit: str = "scans"
) -> Iterator[Advance]:
    """Yield a function that is told how many more scans are done, and shows it on stderr."""
    if quiet:
        yield lambda count, total=None, note="": None
    elif sys.stderr.isatty():
        with tqdm(total=total, desc=title, unit=f" {unit}", unit_scale=True) as bar:
            yield _on(bar)
    else:
        lines = _Lines(title, total, unit)
        yield lines.advance
        lines.finish()


def _on(bar: "tqdm[None]") -> Advance:
    def advance(count: int, total: int | None = None, note: str = "") -> None:
        bar.total = total or bar.total
        bar.set_postfix_str(note, refresh=False)
        bar.update(count)

    return advance


class _Lines:
    """A line now and then, for logs. Rates are since the first scans were done."""

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self.title, self.total, self.unit, self.note = title, total, unit, ""
        self.done = self.done_first = self.said = 0
        self.first = self.last = 0.0

    def advance(self, count: int, total: int | None = None, note: str = "") -> None:
        now = time.monotonic()
        if not self.done:
            self.done_first, self.first, self.last, self.said = count, now, now, count
        self.done += count
        self.total, self.note = total or self.total, note
        if now - self.last >= LINE_SECONDS:
            self._say(now, f", {(self.done - self.said) / (now - self.last):,.0f} now")
            self.last, self.said = now, self.done

    def finish(self) -> None:
        if self.done:
            self._say(time.monotonic(), "")

    def _say(self, now: float, rate_now: str) -> None:
        line = f"{self.title}: {self.done:,}"
        if self.total:
            line += f" of {self.total:,}"
        if self.done > self.done_first:
            rate = (self.done - self.done_first) / max(now - self.first, 1e-9)
            line += f", {rate:,.{0 if rate >= 10 else 2}f} {self.unit}/s{rate_now}"
        if self.note:
            line += f", {self.note}"
        print(line, file=sys.stderr, flush=True)
