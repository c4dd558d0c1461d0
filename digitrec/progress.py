"""How far a long command has come: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

LINE_SECONDS = 10.0


@contextmanager
def progress(title: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Give a function that is told how many more scans are done, and shows it on stderr."""
    if quiet:
        yield lambda count: None
    elif sys.stderr.isatty():
        with tqdm(total=total, desc=title, unit=" scans", unit_scale=True) as bar:
            yield bar.update
    else:
        yield _Lines(title, total).advance


class _Lines:
    """A line now and then, for logs."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total = title, total
        self.done = 0
        self.start = self.last = time.monotonic()

    def advance(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.last >= LINE_SECONDS or self.done == self.total:
            self.last = now
            rate = self.done / max(now - self.start, 1e-9)
            line = f"{self.title}: {self.done:,} of {self.total:,}, {rate:,.0f} scans/s"
            print(line, file=sys.stderr, flush=True)
