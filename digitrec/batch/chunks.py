"""Chunks: the listing of a run's inputs, cut into numbered pieces and kept beside its result.

`_chunks/000012.parquet` holds the units of chunk 12 and is written before anyone works on it. So
a chunk means the same units for ever; its part of the result, named by its number, can be made
again by anyone and replaces itself; and a part that is there is done.
"""

import hashlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from digitrec.inputs.units import Found
from digitrec.storage.folder import Folder
from digitrec.storage.paths import readable

CHUNKS, END = "_chunks", "_chunks/end.json"
CHUNK = re.compile(r"\d{6,}\.parquet")

# The first chunks are small, so that a small input has some for every core and the first part is
# there soon; in the later ones, of most of a second, what Ray takes for a task does not count.
FIRST_SIZE, LARGEST_SIZE, PER_SIZE = 512, 8192, 4
# So many chunks are read at a time: in a store, each is a round trip.
AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """A numbered piece of the listing: files, sorted, or rows of shards."""

    number: int
    pieces: tuple[Found, ...]

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    @property
    def shown(self) -> list[str]:
        """What each unit is called in the result."""
        return [readable(name) for piece in self.pieces for name in piece.shown]

    def only(self, wanted: Sequence[bool]) -> "Chunk":
        """Return the same chunk with the wanted units alone."""
        pieces, start = list[Found](), 0
        for piece in self.pieces:
            pieces += piece.only(wanted[start : start + len(piece)])
            start += len(piece)
        return Chunk(self.number, tuple(pieces))


@dataclass(frozen=True, slots=True)
class End:
    """What a finished listing came to."""

    chunks: int
    digest: str  # of all chunks' files, so that it is known if another run replaced one
    inputs: int  # units
    ignored: dict[str, int]  # what else is in the folders, by extension
    unlisted: dict[str, str]  # folders that could not be listed, and why
    seconds: float
    new: int = 0  # units that the last listing found and the one before did not
    gone: int = 0  # units that it did not find any more


# How many units a chunk holds, by its number, unless the inputs end before.
Size = Callable[[int], int]


def ramp(number: int) -> int:
    """Return the size of chunk `number` for work that should begin soon."""
    doublings = min(number // PER_SIZE, 16)
    return int(min(LARGEST_SIZE, FIRST_SIZE << doublings))


def cut(
    found: Iterable[Found], following: int, size: Size = ramp, step: int = 1
) -> Iterator[Chunk]:
    """Cut what is found into chunks, numbered from `following` in steps; files and rows do not mix.

    Row groups are joined until they make a chunk. A piece of one is not cut: each part of it
    would have to be read past by the next.
    """
    files: list[str] = []
    rows: list[Found] = []
    for piece in found:
        if piece.shard is None:
            files += piece.paths
            while len(files) >= (count := size(following // step)):
                yield Chunk(following, (Found(sorted(files[:count])),))
                del files[:count]
                following += step
        else:
            rows.append(piece)
            if sum(map(len, rows)) >= size(following // step):
                yield Chunk(following, tuple(rows))
                rows = []
                following += step
    if files:
        yield Chunk(following, (Found(sorted(files)),))
        following += step
    if rows:
        yield Chunk(following, tuple(rows))


def write_chunk(folder: Folder, chunk: Chunk) -> int:
    """Keep a chunk; a retry replaces it. Give its file's digest."""
    content = io.BytesIO()
    parquet.write_table(_table(chunk), content, compression="zstd")
    folder.write(chunk_name(chunk.number), content.getvalue())
    return digest_of(content.getvalue())


def _table(chunk: Chunk) -> pa.Table:
    """Write a chunk's units as rows: `path`, and of a shard's row `shard`, `row_group`, `row`."""
    columns = {"path": _bytes([path for piece in chunk.pieces for path in piece.paths])}
    if any(piece.shard is not None for piece in chunk.pieces):
        lengths = [len(piece) for piece in chunk.pieces]
        numbers = np.arange(len(chunk.pieces), dtype=np.int32)
        shards = _bytes([piece.shard or "" for piece in chunk.pieces])
        groups = np.array([piece.row_group for piece in chunk.pieces], np.int64)
        rows = [np.arange(piece.first, piece.first + len(piece)) for piece in chunk.pieces]
        columns["shard"] = shards.take(pa.array(np.repeat(numbers, lengths)))
        columns["row_group"] = pa.array(np.repeat(groups, lengths))
        columns["row"] = pa.array(np.concatenate(rows))
    return pa.table(columns)


def _bytes(texts: list[str]) -> pa.Array:
    try:
        return pa.array(texts, pa.binary())
    except UnicodeEncodeError:  # a name that is not UTF-8
        return pa.array(map(os.fsencode, texts), pa.binary())


def read_chunk(folder: Folder, number: int) -> Chunk:
    """Read a chunk that `write_chunk` kept."""
    return parse_chunk(number, folder.read(chunk_name(number)))


def read_chunks(folder: Folder, numbers: Sequence[int]) -> Iterator[tuple[Chunk, int]]:
    """Read kept chunks, several at a time; give each with its file's digest, in order.

    Raises:
        pa.ArrowException: one is damaged.
    """

    def read(number: int) -> tuple[Chunk, int]:
        content = folder.read(chunk_name(number))
        return parse_chunk(number, content), digest_of(content)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for start in range(0, len(numbers), AT_A_TIME):
            yield from pool.map(read, numbers[start : start + AT_A_TIME])


def parse_chunk(number: int, content: bytes) -> Chunk:
    """Read a chunk from its file's content.

    Raises:
        pa.ArrowException: it is damaged.
    """
    # Not read_table, which imports pandas.
    table = parquet.ParquetFile(pa.BufferReader(content)).read()
    paths = [os.fsdecode(path) for path in table.column("path").to_pylist()]
    if "shard" not in table.column_names:
        return Chunk(number, (Found(paths),) if paths else ())
    shards = [os.fsdecode(shard) for shard in table.column("shard").to_pylist()]
    groups, rows = (table.column(name).to_pylist() for name in ("row_group", "row"))
    pieces, start = list[Found](), 0
    for k in range(1, len(paths) + 1):
        follows = k < len(paths) and (shards[k], groups[k], rows[k]) == (
            shards[k - 1], groups[k - 1], rows[k - 1] + 1
        )  # fmt: skip
        if not follows:
            pieces.append(Found(paths[start:k], shards[start], groups[start], rows[start]))
            start = k
    return Chunk(number, tuple(pieces))


def digest_of(content: bytes) -> int:
    """Return the digest of a chunk's file; those of several are added, in any order."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def shown_digest(total: int) -> str:
    """Write the sum of digests as it is kept: 16 hex digits."""
    return f"{total % 2**64:016x}"


def chunk_name(number: int) -> str:
    """Name a chunk's file within its run's folder."""
    return f"{CHUNKS}/{number:06d}.parquet"


def chunk_numbers(folder: Folder) -> list[int]:
    """Return the numbers of the chunks that are kept, sorted."""
    names = folder.names(CHUNKS)
    return sorted(int(name[:-8]) for name in names if CHUNK.fullmatch(name))


def together(ends: Sequence[End]) -> End:
    """Add up what the parts of a listing came to."""
    ignored = sum((Counter(end.ignored) for end in ends), Counter())
    return End(
        chunks=sum(end.chunks for end in ends),
        digest=shown_digest(sum(int(end.digest, 16) for end in ends)),
        inputs=sum(end.inputs for end in ends),
        ignored=dict(sorted(ignored.items())),
        unlisted={path: why for end in ends for path, why in end.unlisted.items()},
        seconds=round(sum(end.seconds for end in ends), 3),
        new=sum(end.new for end in ends),
        gone=sum(end.gone for end in ends),
    )


def write_end(folder: Folder, end: End) -> None:
    """Keep what the listing came to: from now on it is finished."""
    folder.write(END, (json.dumps(asdict(end), indent=2, ensure_ascii=False) + "\n").encode())


def read_end(folder: Folder) -> End | None:
    """Read what the listing came to; None while it is not finished."""
    try:
        content: dict[str, Any] = json.loads(folder.read(END))
    except FileNotFoundError:
        return None
    return End(**content)
