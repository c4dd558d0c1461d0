"""Units: what gets one row of a result, as they are found in the inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, groupby


@dataclass(frozen=True, slots=True)
class Found:
    """Units as they are found: files, or rows that follow each other in a shard's row group.

    A unit is (input, row group, row) and gets one row of the result. What it is called is for
    display: two rows of a shard may bear the same name, and any name may hold a `#`.
    """

    paths: list[str]  # of files; or the names of a shard's rows
    shard: str | None = None  # None: files
    row_group: int = 0
    first: int = 0  # which row of the row group the first one is

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shown(self) -> list[str]:
        """What the units are called: a file's path, `shard#name` for a row."""
        if self.shard is None:
            return self.paths
        return [f"{self.shard}#{name}" for name in self.paths]

    def only(self, wanted: Sequence[bool]) -> "list[Found]":
        """Return the wanted units, in pieces if they are rows that do not follow each other."""
        if all(wanted):
            return [self]
        if self.shard is None:
            return [Found(some)] if (some := list(compress(self.paths, wanted))) else []
        pieces, start = [], 0
        for is_wanted, run in groupby(wanted):
            end = start + len(list(run))
            if is_wanted:
                names = self.paths[start:end]
                pieces.append(Found(names, self.shard, self.row_group, self.first + start))
            start = end
        return pieces
