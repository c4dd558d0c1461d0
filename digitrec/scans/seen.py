"""Which paths came before: 8 bytes a path, in memory up to ten million and on disk beyond."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

IN_MEMORY = 10_000_000


class Seen:
    """A growing set of 64-bit hashes, as sorted runs that are merged when they have like sizes.

    Two paths are taken for one if their hashes are equal: with N paths the odds of any such pair
    are about N²/2⁶⁵, 1 in 370,000 for ten million. Python's own keyed hash is used, so that
    nobody can make paths collide; it differs from process to process.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.int64]] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def fresh(self, paths: Sequence[str]) -> list[bool]:
        """Tell of each path whether it comes for the first time, and remember it."""
        hashes = np.fromiter(map(hash, paths), np.int64, len(paths))
        values, first = np.unique(hashes, return_index=True)
        known = np.zeros(len(values), bool)
        for run in self._runs:
            place = np.minimum(np.searchsorted(run, values), len(run) - 1)
            known |= run[place] == values
        fresh = np.zeros(len(paths), bool)
        fresh[first[~known]] = True
        if not known.all():
            self._add(values[~known])
        return fresh.tolist()

    def _add(self, values: NDArray[np.int64]) -> None:
        # What is on disk stays as it is: merging it would bring it into memory.
        while self._runs and len(self._runs[-1]) < min(2 * len(values), IN_MEMORY):
            # Both are sorted and share nothing: a stable sort merges them.
            values = np.sort(np.concatenate([self._runs.pop(), values]), kind="stable")
        self._runs.append(self._spilled(values) if len(values) > IN_MEMORY else values)

    def _spilled(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Put a run into a file, of which only the pages that are looked at come into memory."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="digitrec-seen-")
        path = Path(self._folder.name, f"{len(self._runs)}.npy")
        np.save(path, values)
        run: NDArray[np.int64] = np.load(path, mmap_mode="r")
        return run
