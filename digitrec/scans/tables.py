"""Tables among the inputs: lists of scans, and shards with scans inside (see `shards`)."""

from collections.abc import Iterator, Sequence
from itertools import islice

import pyarrow as pa
from pyarrow import parquet

from digitrec.errors import InputError
from digitrec.files import is_uri
from digitrec.scans.paths import Found, readable, row_without_path
from digitrec.scans.rows import (
    CSV,
    PATH_COLUMNS,
    TEXT,
    TSV,
    csv_columns,
    ending,
    find,
    is_text,
    lines,
    parquet_columns,
    resolved,
)
from digitrec.scans.shards import CONTENT, stream_rows
from digitrec.storage import LASTING, TRIES, Remote, opened, pause


def stream_table(
    table: str, remotes: Sequence[Remote] = (), path_column: str | None = None
) -> Iterator[Found]:
    """Give the paths in a list, or the members of a shard, a row group at a time.

    Args:
        table: its path or URI.
        remotes: filesystems that are open already.
        path_column: the column with the paths; None: the first of `rows.PATH_COLUMNS`.

    A row without a path is given as one, which says so when it is read.

    Raises:
        InputError: it can't be read, or has no such column.
    """
    given = failures = 0
    while True:
        try:
            for found in islice(_stream(table, remotes, path_column), given, None):
                given, failures = given + 1, 0
                yield found
            return
        except (pa.ArrowException, OSError, UnicodeError) as why:
            failures += 1
            # A list of millions may meet a hiccup of its store: what was given is passed over.
            if not is_uri(table) or isinstance(why, LASTING) or failures == TRIES:
                raise InputError(f"{readable(table)} can't be read as a list: {why}") from why
            pause(failures)


def _stream(table: str, remotes: Sequence[Remote], path_column: str | None) -> Iterator[Found]:
    kind, names = ending(table), PATH_COLUMNS if path_column is None else (path_column,)
    with opened(table, remotes) as file:
        if kind == TEXT:
            yield from _listed(lines(file), table)
        elif kind in (CSV, TSV):
            yield from _listed((paths for (paths,) in csv_columns(file, table, [names])), table)
        else:
            yield from _from_parquet(parquet.ParquetFile(file), table, names)


def _listed(batches: Iterator[Sequence[str | None]], table: str) -> Iterator[Found]:
    given = 0
    for batch in batches:
        yield Found(
            [
                resolved(path, table) if path else row_without_path(table, number)
                for number, path in enumerate(batch, given + 1)
            ]
        )
        given += len(batch)


def _from_parquet(file: parquet.ParquetFile, table: str, names: Sequence[str]) -> Iterator[Found]:
    schema = file.schema_arrow
    path = find(schema.names, names)
    if path is None or not is_text(schema.field(path).type):
        kinds = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise InputError(
            f"{readable(table)} is neither a list nor a shard: no column {' or '.join(names)} of "
            f"text, but {kinds or 'none'}"
        )
    if CONTENT not in schema.names:
        columns = parquet_columns(file, table, [names])
        yield from _listed((paths for (paths,) in columns), table)
        return
    yield from stream_rows(file, table)


def _texts(rows: pa.Table | pa.RecordBatch, table: str) -> list[str]:
    column = rows.column("path")
    if column.null_count:
        raise InputError(f"{readable(table)} has rows without a path")
    texts: list[str] = column.to_pylist()
    return texts
