"""Chunks: the listing of a run's inputs, cut into numbered pieces and kept beside its result.

`_chunks/000012.parquet` holds the paths of chunk 12 and is written before anyone works on it. So
a chunk means the same inputs for ever; its part of the result, named by its number, can be made
again by anyone and replaces itself; and a part that is there is done.
"""

import hashlib
import io
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
from pyarrow import parquet

from digitrec.folder import Folder
from digitrec.scans.inputs import DEFAULT_OPTIONS, InputOptions, one_names, stream_inputs
from digitrec.scans.paths import Found, readable
from digitrec.scans.seen import Seen
from digitrec.scans.walk import Notes

CHUNKS, END = "_chunks", "_chunks/end.json"
CHUNK = re.compile(r"\d{6,}\.parquet")

# The first chunks are small, so that a small input has some for every core and the first part is
# there soon; in the later ones, of most of a second, what Ray takes for a task does not count.
FIRST_SIZE, LARGEST_SIZE, PER_SIZE = 512, 8192, 4


@dataclass(frozen=True, slots=True)
class Chunk:
    """A numbered piece of the listing, sorted: files, or the members of a shard's row group."""

    number: int
    paths: list[str]
    row_group: int | None = None


@dataclass(frozen=True, slots=True)
class End:
    """What a finished listing came to."""

    chunks: int
    digest: str  # of all chunks' files, so that it is known if another run replaced one
    inputs: int
    ignored: dict[str, int]  # other files in the folders, by extension
    unlisted: dict[str, str]  # folders that could not be listed, and why
    seconds: float


# How many paths a chunk holds, by its number, unless the inputs end before.
Size = Callable[[int], int]


def ramp(number: int) -> int:
    """Give the size of chunk `number` for work that should begin soon."""
    doublings = min(number // PER_SIZE, 16)
    return int(min(LARGEST_SIZE, FIRST_SIZE << doublings))


def list_chunks(
    folder: Folder,
    given: Sequence[str],
    done: frozenset[int],
    size: Size = ramp,
    options: InputOptions = DEFAULT_OPTIONS,
) -> Iterator[int]:
    """Give the numbers of all chunks but those done, in order, listing the inputs where need be.

    What was listed before is kept, also from a listing that broke off: the same call with the
    same `done` gives the same numbers again, however often it is killed.
    """
    numbers = chunk_numbers(folder)
    end = read_end(folder)
    if end is not None:
        yield from (number for number in numbers if number not in done)
        return
    seen, inputs, digest = Seen(), 0, 0
    for number in numbers:
        content = folder.read(chunk_name(number))
        chunk = parse_chunk(number, content)
        seen.fresh(one_names(chunk.paths))
        inputs, digest = inputs + len(chunk.paths), digest + digest_of(content)
        if number not in done:
            yield number
    notes = Notes()
    following = numbers[-1] + 1 if numbers else 0
    seconds, start = 0.0, time.monotonic()
    for chunk in cut(stream_inputs(given, notes, seen, options), following, size):
        digest += write_chunk(folder, chunk)
        following, inputs = chunk.number + 1, inputs + len(chunk.paths)
        seconds += time.monotonic() - start
        yield chunk.number
        start = time.monotonic()
    seconds += time.monotonic() - start
    write_end(
        folder,
        End(
            chunks=following,
            digest=shown_digest(digest),
            inputs=inputs,
            ignored=dict(sorted(notes.ignored.items())),
            unlisted={readable(path): why for path, why in sorted(notes.unlisted.items())},
            seconds=round(seconds, 3),
        ),
    )


def cut(found: Iterable[Found], following: int, size: Size = ramp) -> Iterator[Chunk]:
    """Cut what is found into chunks, numbered from `following`."""
    waiting: list[str] = []
    for piece in found:
        if piece.row_group is not None:
            yield Chunk(following, piece.paths, piece.row_group)
            following += 1
            continue
        waiting += piece.paths
        while len(waiting) >= (count := size(following)):
            yield Chunk(following, sorted(waiting[:count]))
            del waiting[:count]
            following += 1
    if waiting:
        yield Chunk(following, sorted(waiting))


def write_chunk(folder: Folder, chunk: Chunk) -> int:
    """Keep a chunk; a retry replaces it. Give its file's digest."""
    try:
        paths = pa.array(chunk.paths, pa.binary())
    except UnicodeEncodeError:  # a name that is not UTF-8
        paths = pa.array(map(os.fsencode, chunk.paths), pa.binary())
    schema = pa.schema([("path", pa.binary())], metadata={"row_group": str(chunk.row_group)})
    content = io.BytesIO()
    parquet.write_table(pa.table([paths], schema=schema), content, compression="zstd")
    folder.write(chunk_name(chunk.number), content.getvalue())
    return digest_of(content.getvalue())


def read_chunk(folder: Folder, number: int) -> Chunk:
    """Read a chunk that `write_chunk` kept."""
    return parse_chunk(number, folder.read(chunk_name(number)))


def parse_chunk(number: int, content: bytes) -> Chunk:
    """Read a chunk from its file's content."""
    table = parquet.read_table(pa.BufferReader(content))
    row_group = (table.schema.metadata or {})[b"row_group"].decode()
    return Chunk(
        number,
        [os.fsdecode(path) for path in table.column("path").to_pylist()],
        None if row_group == "None" else int(row_group),
    )


def digest_of(content: bytes) -> int:
    """Give the digest of a chunk's file; those of several are added, in any order."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def shown_digest(total: int) -> str:
    """Write the sum of digests as it is kept: 16 hex digits."""
    return f"{total % 2**64:016x}"


def chunk_name(number: int) -> str:
    """Name a chunk's file within its run's folder."""
    return f"{CHUNKS}/{number:06d}.parquet"


def chunk_numbers(folder: Folder) -> list[int]:
    """Give the numbers of the chunks that are kept, sorted."""
    names = folder.names(CHUNKS)
    return sorted(int(name[:-8]) for name in names if CHUNK.fullmatch(name))


def write_end(folder: Folder, end: End) -> None:
    """Keep what the listing came to: from now on it is finished."""
    folder.write(END, (json.dumps(asdict(end), indent=2, ensure_ascii=False) + "\n").encode())


def read_end(folder: Folder) -> End | None:
    """Read what the listing came to; None while it is not finished."""
    try:
        return End(**json.loads(folder.read(END)))
    except FileNotFoundError:
        return None
