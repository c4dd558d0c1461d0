"""Which units came before: 16 bytes a unit, in memory up to ten million and on disk beyond."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

IN_MEMORY = 10_000_000
# A run of the set: hashes int64 [2, N], sorted by the first row and, where that is equal, by the
# second.
Run = NDArray[np.int64]


class Seen:
    """A growing set of 128-bit hashes, as sorted runs that are merged when they have like sizes.

    Two units are taken for one if their hashes are equal: with N units the odds of any such pair
    are about N²/2¹²⁹, 1 in 10²⁰ for a billion. Python's own keyed hash is used, so that nobody
    can make units collide; it differs from process to process.
    """

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __len__(self) -> int:
        return sum(run.shape[1] for run in self._runs)

    def fresh(self, keys: Sequence[str]) -> list[bool]:
        """Tell of each key whether it comes for the first time, and remember it."""
        values, first = _sorted(_hashes(keys))
        known = self._known(values)
        fresh = np.zeros(len(keys), bool)
        fresh[first[~known]] = True
        if not known.all():
            self._add(values[:, ~known])
        return fresh.tolist()

    def known(self, keys: Sequence[str]) -> list[bool]:
        """Tell of each key whether it came before."""
        known: list[bool] = self._known(_hashes(keys)).tolist()
        return known

    def _known(self, values: Run) -> NDArray[np.bool_]:
        known = np.zeros(values.shape[1], bool)
        for run in self._runs:
            place = np.searchsorted(run[0], values[0])
            left = np.arange(len(place))
            # One step nearly always: more where only the first halves are equal.
            while len(left):
                inside = place[left] < run.shape[1]
                left = left[inside]
                left = left[run[0][place[left]] == values[0][left]]
                same = run[1][place[left]] == values[1][left]
                known[left[same]] = True
                left = left[~same]
                place[left] += 1
        return known

    def _add(self, values: Run) -> None:
        # What is on disk stays as it is: merging it would bring it into memory.
        while self._runs and self._runs[-1].shape[1] < min(2 * values.shape[1], IN_MEMORY):
            values, _ = _sorted(np.concatenate([self._runs.pop(), values], axis=1))
        self._runs.append(self._spilled(values) if values.shape[1] > IN_MEMORY else values)

    def _spilled(self, values: Run) -> Run:
        """Put a run into a file, of which only the pages that are looked at come into memory."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="digitrec-seen-")
        path = Path(self._folder.name, f"{len(self._runs)}.npy")
        np.save(path, values)
        run: Run = np.load(path, mmap_mode="r")
        return run


def _hashes(keys: Sequence[str]) -> Run:
    """Return two independent 64-bit hashes of each key: int64 [2, N]."""
    count = len(keys)
    return np.array(
        [
            np.fromiter(map(hash, keys), np.int64, count),
            # The keyed hash of another text is another hash.
            np.fromiter((hash("\0" + key) for key in keys), np.int64, count),
        ]
    )


def _sorted(values: Run) -> tuple[Run, NDArray[np.intp]]:
    """Sort hashes, each once; tell where each came first."""
    # Merging sorted runs takes a stable sort next to no time.
    order = np.argsort(values[0], kind="stable")
    values = values[:, order]
    repeated = np.flatnonzero(values[0][1:] == values[0][:-1])
    if len(repeated):
        order = order[(inner := np.lexsort((order, values[1], values[0])))]
        values = values[:, inner]
        distinct = np.ones(values.shape[1], bool)
        distinct[1:] = (values[:, 1:] != values[:, :-1]).any(axis=0)
        values, order = values[:, distinct], order[distinct]
    return values, order
