"""Lists of scans, and shards with scans inside: both are tables with a column `path`.

A shard is a Parquet file with image files inside (`shard_schema`), in row groups that are worked
on one by one. A member's path is `shard#path`.
"""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import csv, parquet

from digitrec.errors import InputError, ScanError
from digitrec.scans.paths import Found, readable
from digitrec.scans.walk import BATCH
from digitrec.storage import LASTING, TRIES, Remote, pause, remote_of, with_retries

CONTENT, REASON = "content", "reason"


def stream_table(table: str, remotes: Sequence[Remote] = ()) -> Iterator[Found]:
    """Give the paths in a list, or the members of a shard, a row group at a time.

    Args:
        table: its path or URI.
        remotes: filesystems that are open already.

    Raises:
        InputError: it can't be read, or has no column `path`.
    """
    given = failures = 0
    while True:
        try:
            for found in islice(_stream(table, remotes), given, None):
                given, failures = given + 1, 0
                yield found
            return
        except (pa.ArrowException, OSError) as why:
            failures += 1
            # A list of millions may meet a hiccup of its store: what was given is passed over.
            if "://" not in table or isinstance(why, LASTING) or failures == TRIES:
                raise InputError(f"{readable(table)} can't be read as a list: {why}") from why
            pause(failures)


def _stream(table: str, remotes: Sequence[Remote]) -> Iterator[Found]:
    with opened(table, remotes) as file:
        if table.endswith(".txt"):
            yield from _listed(_lines(io.BufferedReader(file)), table)
        elif table.endswith(".csv"):
            yield from _listed(_csv_paths(file), table)
        else:
            yield from _from_parquet(parquet.ParquetFile(file), table)


@contextmanager
def opened(path: str, remotes: Sequence[Remote]) -> Iterator[Any]:
    """Open a file of this machine or behind a URI for reading."""
    if "://" not in path:
        with open(path, "rb") as file:
            yield file
        return
    remote, name = remote_of(path, remotes)
    if remote is None:
        with open(name, "rb") as file:
            yield file
    else:
        with with_retries(lambda: remote.filesystem.open_input_file(name)) as file:
            yield file


def _listed(batches: Iterator[list[str]], table: str) -> Iterator[Found]:
    folder = os.path.dirname(table)
    for batch in batches:
        yield Found([path if "://" in path else os.path.join(folder, path) for path in batch])


def _lines(file: BinaryIO) -> Iterator[list[str]]:
    batch: list[str] = []
    for line in file:
        if path := os.fsdecode(line).strip("\r\n"):
            batch.append(path)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def _csv_paths(file: BinaryIO) -> Iterator[list[str]]:
    options = csv.ConvertOptions(include_columns=["path"], column_types={"path": pa.string()})
    for batch in csv.open_csv(file, convert_options=options):
        yield batch.column("path").to_pylist()


def _from_parquet(file: parquet.ParquetFile, table: str) -> Iterator[Found]:
    names = file.schema_arrow.names
    if "path" not in names or not _is_text(file.schema_arrow.field("path").type):
        raise InputError(f"{readable(table)} is neither a list nor a shard: no column path of text")
    if CONTENT not in names:
        batches = file.iter_batches(BATCH, columns=["path"])
        yield from _listed((_texts(batch, table) for batch in batches), table)
        return
    for number in range(file.num_row_groups):
        members = _texts(file.read_row_group(number, columns=["path"]), table)
        if members:
            yield Found([f"{table}#{member}" for member in members], number)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    # A table without rows may have a column without a type.
    of_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in (*of_text, pa.types.is_null))


def _texts(rows: pa.Table | pa.RecordBatch, table: str) -> list[str]:
    column = rows.column("path")
    if column.null_count:
        raise InputError(f"{readable(table)} has rows without a path")
    texts: list[str] = column.to_pylist()
    return texts


def members(
    paths: Sequence[str], row_group: int, remotes: Sequence[Remote] = ()
) -> Iterator[bytes | ScanError]:
    """Give the contents of a shard's row group, in its own order, or why there are none.

    Args:
        paths: `shard#member`, all of one row group.
        row_group: its number.
        remotes: filesystems that are open already.
    """
    shard = paths[0].rsplit("#", 1)[0]
    try:
        table = with_retries(lambda: _row_group(shard, row_group, remotes))
    except FileNotFoundError:
        yield from [ScanError("vanished", "no such shard")] * len(paths)
    except Exception as why:  # fsspec's filesystems raise what their libraries do
        words = " ".join(str(why).split())
        yield from [ScanError("unreadable", f"the shard: {words}")] * len(paths)
    else:
        names = pa.chunked_array([pa.array(path.rsplit("#", 1)[-1] for path in paths)])
        if not table.column("path").cast(pa.string()).equals(names):
            yield from [ScanError("vanished", "the shard was packed anew")] * len(paths)
            return
        for batch in table.to_batches(BATCH):
            yield from map(_member, batch.column(CONTENT).to_pylist(), _reasons(batch))


def _row_group(shard: str, number: int, remotes: Sequence[Remote]) -> pa.Table:
    with opened(shard, remotes) as source:
        file = parquet.ParquetFile(source)
        columns = [name for name in ("path", CONTENT, REASON) if name in file.schema_arrow.names]
        return file.read_row_group(number, columns=columns)


def _reasons(batch: pa.RecordBatch) -> list[str | None]:
    if REASON not in batch.schema.names:
        return [None] * len(batch)
    reasons: list[str | None] = batch.column(REASON).to_pylist()
    return reasons


def _member(content: bytes | None, reason: str | None) -> bytes | ScanError:
    if content is not None:
        return content
    code, _, words = (reason or "unreadable: the shard holds no content for it").partition(": ")
    return ScanError(code, words)


def shard_schema() -> pa.Schema:
    """Give the columns of a shard."""
    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field(CONTENT, pa.binary()),  # the image file's bytes
            pa.field(REASON, pa.string()),  # why there are none
        ]
    )


def member_name(path: str) -> str:
    """Name a packed scan within its shard: its path, without `#`, which parts it from the shard."""
    return readable(path).replace("#", "%23")
