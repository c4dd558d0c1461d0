"""Tables among the inputs: lists of scans, and shards with scans inside (see `shards`)."""

from collections.abc import Iterator, Sequence
from itertools import islice

import pyarrow as pa
from pyarrow import parquet

from digitrec.errors import InputError
from digitrec.inputs.options import DEFAULT_OPTIONS, InputOptions
from digitrec.inputs.rows import (
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
from digitrec.inputs.shards import shard_columns, stream_rows
from digitrec.inputs.units import Found
from digitrec.inputs.walk import BATCH
from digitrec.storage.files import is_uri
from digitrec.storage.paths import readable, row_without_path
from digitrec.storage.uris import LASTING, TRIES, Remote, opened, pause


def stream_table(
    table: str, remotes: Sequence[Remote] = (), options: InputOptions = DEFAULT_OPTIONS
) -> Iterator[Found]:
    """Yield the paths in a list, or the members of a shard, a row group at a time.

    Args:
        table: its path or URI.
        remotes: filesystems that are open already.
        options: say which columns count.

    A row without a path is given as one, which says so when it is read: all rows are where the
    column with the paths is not of text.

    Raises:
        InputError: it can't be read, or has no such column.
    """
    given = failures = 0
    while True:
        try:
            for found in islice(_stream(table, remotes, options), given, None):
                given, failures = given + 1, 0
                yield found
            return
        except (pa.ArrowException, OSError, UnicodeError) as why:
            failures += 1
            # A list of millions may meet a hiccup of its store: what was given is passed over.
            if not is_uri(table) or isinstance(why, LASTING) or failures == TRIES:
                raise InputError(f"{readable(table)} can't be read as a list: {why}") from why
            pause(failures)


def _stream(table: str, remotes: Sequence[Remote], options: InputOptions) -> Iterator[Found]:
    named = options.path_column
    kind, names = ending(table), PATH_COLUMNS if named is None else (named,)
    with opened(table, remotes) as file:
        if kind == TEXT:
            yield from _listed(lines(file), table)
        elif kind in (CSV, TSV):
            yield from _listed((paths for (paths,) in csv_columns(file, table, [names])), table)
        else:
            yield from _from_parquet(parquet.ParquetFile(file), table, names, options)


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


def _from_parquet(
    file: parquet.ParquetFile, table: str, names: Sequence[str], options: InputOptions
) -> Iterator[Found]:
    schema = file.schema_arrow
    columns = shard_columns(schema, options.path_column, options.content_column)
    if columns is not None:
        yield from stream_rows(file, table, columns)
        return
    there = [path for name in names if (path := find(schema.names, [name])) is not None]
    if options.content_column or not there:
        wanted = (
            f"column {options.content_column} of image files' bytes"
            if options.content_column
            else f"column {' or '.join(names)}"
        )
        kinds = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise InputError(
            f"{readable(table)} is neither a list nor a shard: no {wanted}, but {kinds or 'none'}"
        )
    if texts := [path for path in there if is_text(schema.field(path).type)]:
        yield from _listed((paths for (paths,) in parquet_columns(file, table, [texts])), table)
    else:  # what there is is no path, of any row; nor need Python have a value for it
        batches = file.iter_batches(BATCH, columns=[])
        yield from _listed(([None] * len(batch) for batch in batches), table)
