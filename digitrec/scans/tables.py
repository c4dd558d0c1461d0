"""Tables among the inputs: lists of scans, and shards with scans inside (see `shards`)."""

import io
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO

import pyarrow as pa
from pyarrow import csv, parquet

from digitrec.errors import InputError
from digitrec.files import is_uri
from digitrec.scans.paths import Found, readable
from digitrec.scans.shards import CONTENT
from digitrec.scans.walk import BATCH
from digitrec.storage import LASTING, TRIES, Remote, opened, pause


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
            if not is_uri(table) or isinstance(why, LASTING) or failures == TRIES:
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


def _listed(batches: Iterator[list[str]], table: str) -> Iterator[Found]:
    folder = os.path.dirname(table)
    for batch in batches:
        yield Found([path if is_uri(path) else os.path.join(folder, path) for path in batch])


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
