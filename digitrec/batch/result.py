"""A complete result of classify, for who asks something of it: its rows, and its scans again."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from digitrec.batch import manifest
from digitrec.batch.chunk_reader import piece_contents
from digitrec.batch.chunks import Chunk, chunk_numbers, read_chunk
from digitrec.batch.parts import UNREADABLE, Footer, part_name, read_file
from digitrec.batch.stats import Stats
from digitrec.errors import InputError, ScanError
from digitrec.inputs.options import InputOptions
from digitrec.inputs.shards import ShardReader
from digitrec.inputs.units import Found
from digitrec.storage.files import is_uri
from digitrec.storage.folder import Folder, open_folder
from digitrec.storage.uris import Remote, open_remotes

THREADS = 8
CHANGED = "changed"  # the code of a scan that is not as it was read

Place = tuple[int, int]  # of a row: the part's number, and which row of it


@dataclass(frozen=True, slots=True)
class Result:
    """A complete result, and what its parts came to."""

    folder: Folder
    run: dict[str, Any]
    parts: dict[int, Stats]

    @property
    def total(self) -> Stats:
        """What all parts came to together."""
        total = Stats()
        for stats in self.parts.values():
            total.add(stats)
        return total


@dataclass(frozen=True, slots=True)
class Fetched:
    """A scan of a result, read again."""

    place: Place
    shown: str  # what the result calls it
    path: str | None  # its file, found from any folder; None: it is a row of a shard
    content: bytes | ScanError  # or why it can't be had as it was


def open_result(location: str) -> Result:
    """Open a complete result of classify.

    Args:
        location: its folder, or a URI.

    Raises:
        InputError: there is none.
    """
    folder = open_folder(location)
    run = manifest.result_of(folder, ["classify"])
    if run["state"] != manifest.COMPLETE:
        raise InputError(
            f"{folder.name} is not complete: the command that began it goes on with it"
        )

    def stats(number: int) -> Stats:
        return _read(folder, number, [])[0].stats

    numbers = chunk_numbers(folder)
    with ThreadPoolExecutor(THREADS) as pool:
        return Result(folder, run, dict(zip(numbers, pool.map(stats, numbers), strict=True)))


def rows_of(result: Result, number: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the rows of a part, or some of their columns.

    Raises:
        InputError: the part can't be used.
    """
    return _read(result.folder, number, columns)[1]


def _read(folder: Folder, number: int, columns: Sequence[str] | None) -> tuple[Footer, pa.Table]:
    """Read a part, see `parts.read_file`; one that can't be used is the user's to know of."""
    try:
        return read_file(folder, part_name(number), columns)
    except UNREADABLE as why:
        raise InputError(f"{folder.name}/{part_name(number)} can't be used: {why}") from why


def fetched(result: Result, places: Sequence[Place]) -> Iterator[Fetched]:
    """Read the scans of some rows again, part by part.

    What is gone, or is not what was read, is given with that reason as its content.
    """
    options = InputOptions(**result.run["input_options"])
    remotes = open_remotes(tuple(result.run["inputs"]))
    shards = ShardReader(remotes, options.path_column, options.content_column)
    for part in sorted({part for part, _ in places}):
        rows = sorted(row for number, row in places if number == part)
        yield from _of_part(result, part, rows, remotes, shards)


def _of_part(
    result: Result, part: int, rows: Sequence[int], remotes: Sequence[Remote], shards: ShardReader
) -> Iterator[Fetched]:
    some, stamps = _only(read_chunk(result.folder, part), rows), list[int]()
    told, _ = _read(result.folder, part, [])
    pieces = [_from_here(piece, result.run["relative_to"] or "") for piece in some.pieces]
    paths = [path for piece in pieces for path in _files(piece)]
    contents = (
        content for piece in pieces for content in piece_contents(piece, remotes, shards, stamps)
    )
    for k, (shown, path, content) in enumerate(zip(some.shown, paths, contents, strict=True)):
        if not isinstance(content, ScanError) and stamps[k] != abs(told.stamps[rows[k]]):
            content = ScanError(CHANGED, "classify --update reads it again")
        yield Fetched((part, rows[k]), shown, path, content)


def _only(chunk: Chunk, rows: Sequence[int]) -> Chunk:
    chosen = np.zeros(len(chunk), bool)
    chosen[list(rows)] = True
    return chunk.only(chosen.tolist())


def _from_here(piece: Found, folder: str) -> Found:
    """Name files, or a shard, as they are found from any folder; they were named from `folder`."""
    if piece.shard is None:
        return Found([_joined(folder, path) for path in piece.paths])
    return replace(piece, shard=_joined(folder, piece.shard))


def _joined(folder: str, path: str) -> str:
    return path if is_uri(path) else os.path.join(folder, path)


def _files(piece: Found) -> Sequence[str | None]:
    return piece.paths if piece.shard is None else [None] * len(piece)
