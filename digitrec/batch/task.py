"""What a run does with its chunks, as the run and Ray's workers see it."""

from typing import Protocol

from digitrec.batch.chunks import Chunk
from digitrec.batch.stats import Stats
from digitrec.storage.folder import Folder


class Work(Protocol):
    """What a run does with its chunks; it travels to Ray's workers."""

    @property
    def name(self) -> str:
        """What it is called: `classify` or `pack`."""

    @property
    def folder(self) -> Folder:
        """Where it writes."""

    @property
    def decisions(self) -> tuple[str, ...]:
        """What can become of a scan."""

    def size(self, number: int) -> int:
        """Return how many inputs chunk `number` gets."""

    def warm_up(self) -> None:
        """Load in a worker what chunks will need, while there is none yet."""

    def __call__(self, number: int, *, here: bool = False) -> Stats:
        """Do chunk `number`, `here` in the user's own process, and write its part.

        Where its part is there already, only what changed since is done again.
        """

    def done(self) -> frozenset[int]:
        """Return the numbers of the parts that are there."""

    def check(self, chunk: Chunk) -> Stats:
        """Hold a part against its chunk; give its stats, or raise PartError."""

    def settle(self, total: Stats) -> Stats:
        """Do what only all parts together tell; give the stats of all as they are then."""

    def forget(self, number: int) -> None:
        """Delete the part of chunk `number`, so that it is made again."""
