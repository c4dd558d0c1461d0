"""Some parts, held against their chunks, in any process."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from digitrec.batch.chunks import Chunk, chunk_name, digest_of, parse_chunk
from digitrec.batch.parts import PartError
from digitrec.batch.stats import Stats
from digitrec.storage.folder import Folder

# So many parts are checked by one task or thread at a time.
TOGETHER = 32
THREADS = 8


@dataclass(slots=True)
class Checked:
    """What came of holding some parts against their chunks."""

    stats: Stats = field(default_factory=Stats)
    digest: int = 0  # of the chunks' files, added up
    parts: dict[int, str] = field(default_factory=dict)  # which are not as they must be, and why
    chunks: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Checked") -> None:
        """Add what came of others."""
        self.stats.add(other.stats)
        self.digest += other.digest
        self.parts |= other.parts
        self.chunks |= other.chunks


class Checkable(Protocol):
    """A run's folder, and how a file in it is held against its chunk."""

    @property
    def folder(self) -> Folder:
        """The run's."""

    def check(self, chunk: Chunk) -> Stats:
        """Hold the chunk's file against it; give its stats, or raise PartError."""


def check_chunks(work: Checkable, numbers: list[int]) -> Checked:
    """Hold some parts against their chunks."""
    checked = Checked()
    for number in numbers:
        try:
            content = work.folder.read(chunk_name(number))
            chunk = parse_chunk(number, content)
        except (FileNotFoundError, pa.ArrowException, KeyError) as why:
            checked.chunks[number] = f"can't be used ({' '.join(str(why).split())})"
            continue
        checked.digest += digest_of(content)
        try:
            checked.stats.add(work.check(chunk))
        except PartError as why:
            checked.parts[number] = str(why)
    return checked


def check_in_threads(work: Checkable, numbers: Sequence[int]) -> Iterator[Checked]:
    """Hold parts against their chunks in this process; give what comes of some at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(lambda some: check_chunks(work, some), together(numbers))


def together(numbers: Sequence[int]) -> list[list[int]]:
    """Group chunks into those that are checked at a time."""
    return [list(numbers[k : k + TOGETHER]) for k in range(0, len(numbers), TOGETHER)]
