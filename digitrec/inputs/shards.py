"""Shards: Parquet files with image files inside, and what is read from them.

digitrec's own have the columns of `shard_schema`; see `shard_columns` for others'. A packed scan
is shown as `shard#path`; what it is, is a row of a row group.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import compute, parquet

from digitrec.errors import ScanError
from digitrec.inputs.rows import PATH_COLUMNS, is_text, values
from digitrec.inputs.stamps import UNKNOWN, stamp_of_open
from digitrec.inputs.units import Found
from digitrec.storage.files import is_uri
from digitrec.storage.uris import LASTING, TRIES, Remote, opened, pause

CONTENT, REASON = "content", "reason"
CONTENT_COLUMNS = (CONTENT, "bytes", "image")
is_struct = pa.types.is_struct
OF_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
# So many names are read at a time.
NAMES = 8192
# So many rows are in memory at a time.
BATCH = 256
# A row group of more is given in pieces of so many: each of them passes over those before it.
MOST_ROWS = 2**16
# What of a column is read ahead; without a bound it would be a row group's whole column.
BUFFER_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a shard has what: a column, or a field of a column that is a struct."""

    content: tuple[str, ...]  # image files' bytes
    path: tuple[str, ...] | None  # text; None: rows are called by their number
    reason: tuple[str, ...] | None  # text: why a row has no bytes

    @property
    def names(self) -> list[str]:
        """What Parquet calls them."""
        return [".".join(one) for one in (self.content, self.path, self.reason) if one]


def shard_columns(
    schema: pa.Schema, path_column: str | None = None, content_column: str | None = None
) -> Columns | None:
    """Find image files' bytes among a table's columns, and what the rows are called.

    Without a name it is `content` (of digitrec's own shards), `bytes` (of Ray's) or `image` (of
    Hugging Face's, whose fields are `bytes` and `path`), the first of these that holds bytes.

    Returns:
        None if there are no bytes: it is a list.
    """
    wanted = CONTENT_COLUMNS if content_column is None else (content_column,)
    contents = [one for name in wanted if (one := _bytes_in(schema, name)) is not None]
    if not contents:
        return None
    [*outer, _] = contents[0]
    paths: list[tuple[str, ...]] = [
        (name,) for name in (PATH_COLUMNS if path_column is None else (path_column,))
    ]
    if outer and path_column is None:
        paths.append((*outer, "path"))
    named = [one for one in paths if (kind := _type(schema, one)) is not None and is_text(kind)]
    reason = (REASON,) if REASON in schema.names and contents[0] == (CONTENT,) else None
    return Columns(contents[0], named[0] if named else None, reason)


def _bytes_in(schema: pa.Schema, name: str) -> tuple[str, ...] | None:
    for place in ((name,), (name, "bytes")):
        kind = _type(schema, place)
        if kind is not None and any(is_kind(kind) for is_kind in OF_BYTES):
            return place
    return None


def _type(schema: pa.Schema, place: Sequence[str]) -> pa.DataType | None:
    """Return the type of a column, or of a field in one; None where there is none."""
    name, *inner = place
    if name not in schema.names:
        return None
    kind = schema.field(name).type
    if not inner:
        return kind
    names = [kind.field(k).name for k in range(kind.num_fields)] if is_struct(kind) else []
    return kind.field(inner[0]).type if inner[0] in names else None


def _column(batch: pa.RecordBatch, place: Sequence[str]) -> pa.Array:
    name, *inner = place
    column = batch.column(name)
    return compute.struct_field(column, inner[0]) if inner else column


def stream_rows(file: parquet.ParquetFile, shard: str, columns: Columns) -> Iterator[Found]:
    """Yield the rows of a shard, of one row group at a time, at most `MOST_ROWS` together."""
    for number in range(file.num_row_groups):
        first, names = 0, list[str]()
        for batch in _group(file, number, columns.path):
            names += _names(batch, columns, _before(file, number) + first + len(names))
            while len(names) >= MOST_ROWS:
                yield Found(names[:MOST_ROWS], shard, number, first)
                names, first = names[MOST_ROWS:], first + MOST_ROWS
        if names:
            yield Found(names, shard, number, first)


def _group(
    file: parquet.ParquetFile, number: int, place: tuple[str, ...] | None
) -> Iterator[pa.RecordBatch]:
    """Yield one column of a row group, batch by batch; batches of none if there is no such."""
    columns = [] if place is None else [".".join(place)]
    yield from file.iter_batches(NAMES, row_groups=[number], columns=columns)


def _before(file: parquet.ParquetFile, number: int) -> int:
    """Count the rows of a file that stand before a row group."""
    return sum(file.metadata.row_group(k).num_rows for k in range(number))


def _names(batch: pa.RecordBatch, columns: Columns, first: int) -> list[str]:
    """Return what rows are called, the first being so many rows after the file's first."""
    names = [None] * len(batch)
    if columns.path is not None:
        names = values(_column(batch, columns.path))
    return [
        f"row {number}" if name is None else name for number, name in enumerate(names, first + 1)
    ]


@dataclass(frozen=True, slots=True)
class ShardReader:
    """Reads rows of shards; it travels to Ray's workers."""

    remotes: tuple[Remote, ...] = ()  # filesystems that are open already
    path_column: str | None = None  # see `shard_columns`
    content_column: str | None = None


def row_contents(
    found: Found,
    reader: ShardReader = ShardReader(),
    stamps: list[int] | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> Iterator[bytes | ScanError]:
    """Yield the contents of a shard's rows, in their order, or why there are none.

    Args:
        found: the rows, as `stream_rows` gave them.
        reader: how to read them.
        stamps: gets the shard's stamp for each row; 0 for what could not be read.
        on_wait: called before each wait for the shard's storage.
    """
    assert found.shard is not None
    stamps = [] if stamps is None else stamps
    given = failures = 0
    while True:
        try:
            for stamp, rows in _batches(found, given, reader, on_wait):
                for content, reason in rows:
                    stamps.append(stamp)
                    yield _member(content, reason)
                given, failures = given + len(rows), 0
            return
        except Exception as why:  # fsspec's filesystems raise what their libraries do
            failures += 1
            if failures < TRIES and _may_pass(why, found):
                pause(failures)
                continue
            left = len(found) - given
            stamps.extend([UNKNOWN] * left)
            yield from [_reason(why)] * left
            return


def _may_pass(why: Exception, found: Found) -> bool:
    """Return whether another try may read what is left of some rows."""
    remote = found.shard is not None and is_uri(found.shard)
    return remote and isinstance(why, OSError) and not isinstance(why, LASTING)


def _reason(why: Exception) -> ScanError:
    """Return why rows of a shard can't be read."""
    if isinstance(why, _ShardChangedError):
        return ScanError("vanished", "the shard was packed anew: --update reads it again")
    if isinstance(why, FileNotFoundError):
        return ScanError("vanished", "no such shard", outage=True)
    return ScanError("unreadable", f"the shard: {' '.join(str(why).split())}", outage=True)


class _ShardChangedError(Exception):
    """A shard has not the rows that it had when it was listed."""


def _batches(
    found: Found, given: int, reader: ShardReader, on_wait: Callable[[], None]
) -> Iterator[tuple[int, list[tuple[bytes | None, str | None]]]]:
    """Yield a shard's stamp, and content or reason of rows after the first `given`, in batches.

    Raises:
        _ShardChangedError: they are not the rows that were listed.
    """
    assert found.shard is not None
    begin, end = found.first + given, found.first + len(found)
    on_wait()
    with opened(found.shard, reader.remotes) as source:
        stamp = stamp_of_open(source, found.shard, reader.remotes)
        file = parquet.ParquetFile(source, buffer_size=BUFFER_BYTES, pre_buffer=False)
        columns = shard_columns(file.schema_arrow, reader.path_column, reader.content_column)
        if columns is None or found.row_group >= file.num_row_groups:
            raise _ShardChangedError
        before, row = _before(file, found.row_group), 0
        for batch in file.iter_batches(BATCH, row_groups=[found.row_group], columns=columns.names):
            if row + len(batch) > begin and row < end:
                first = max(row, begin)
                wanted = batch.slice(first - row, end - first)
                names = found.paths[first - found.first :][: len(wanted)]
                if _names(wanted, columns, before + first) != names:
                    raise _ShardChangedError
                yield stamp, _rows(wanted, columns)
                on_wait()
            row += len(batch)
            if row >= end:
                return
    raise _ShardChangedError


def _rows(batch: pa.RecordBatch, columns: Columns) -> list[tuple[bytes | None, str | None]]:
    contents = _column(batch, columns.content).to_pylist()
    reasons = [None] * len(batch)
    if columns.reason is not None:
        reasons = _column(batch, columns.reason).to_pylist()
    return list(zip(contents, reasons, strict=True))


def _member(content: bytes | None, reason: str | None) -> bytes | ScanError:
    if content is not None:
        return content
    code, _, words = (reason or "unreadable: the shard holds no content for it").partition(": ")
    return ScanError(code, words)


def shard_schema() -> pa.Schema:
    """Return the columns of a shard."""
    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field(CONTENT, pa.binary()),  # the image file's bytes
            pa.field(REASON, pa.string()),  # why there are none
        ]
    )
