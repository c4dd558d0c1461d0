"""Shards: Parquet files with image files inside, and what is read from them.

A shard has the columns of `shard_schema`. A packed scan is shown as `shard#path`; what it is, is a
row of a row group.
"""

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
from pyarrow import parquet

from digitrec.errors import InputError, ScanError
from digitrec.files import is_uri
from digitrec.scans.paths import Found, readable
from digitrec.scans.stamps import UNKNOWN, stamp_of_open
from digitrec.storage import LASTING, TRIES, Remote, opened, pause

CONTENT, REASON = "content", "reason"
# So many rows are in memory at a time.
BATCH = 256
# A row group of more is given in pieces of so many: each of them passes over those before it.
MOST_ROWS = 2**16
# What of a column is read ahead; without a bound it would be a row group's whole column.
BUFFER_BYTES = 2**20


def stream_rows(file: parquet.ParquetFile, shard: str) -> Iterator[Found]:
    """Give the rows of a shard, of one row group at a time, at most `MOST_ROWS` together.

    Raises:
        InputError: a row has no path.
    """
    for number in range(file.num_row_groups):
        names = file.read_row_group(number, columns=["path"]).column("path")
        if names.null_count:
            raise InputError(f"{readable(shard)} has rows without a path")
        for first in range(0, len(names), MOST_ROWS):
            yield Found(names.slice(first, MOST_ROWS).to_pylist(), shard, number, first)


def row_contents(
    found: Found,
    remotes: Sequence[Remote] = (),
    stamps: list[int] | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> Iterator[bytes | ScanError]:
    """Give the contents of a shard's rows, in their order, or why there are none.

    Args:
        found: the rows, as `stream_rows` gave them.
        remotes: filesystems that are open already.
        stamps: gets the shard's stamp for each row; 0 for what could not be read.
        on_wait: called before each wait for the shard's storage.
    """
    assert found.shard is not None
    stamps = [] if stamps is None else stamps
    given = failures = 0
    while True:
        try:
            for stamp, batch in _batches(found, given, remotes, on_wait):
                members = zip(batch.column(CONTENT).to_pylist(), _reasons(batch), strict=True)
                for content, reason in members:
                    stamps.append(stamp)
                    yield _member(content, reason)
                given, failures = given + len(batch), 0
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
    """Tell whether another try may read what is left of some rows."""
    remote = found.shard is not None and is_uri(found.shard)
    return remote and isinstance(why, OSError) and not isinstance(why, LASTING)


def _reason(why: Exception) -> ScanError:
    """Say why rows of a shard can't be read."""
    if isinstance(why, _ShardChangedError):
        return ScanError("vanished", "the shard was packed anew: --update reads it again")
    if isinstance(why, FileNotFoundError):
        return ScanError("vanished", "no such shard", outage=True)
    return ScanError("unreadable", f"the shard: {' '.join(str(why).split())}", outage=True)


class _ShardChangedError(Exception):
    """A shard has not the rows that it had when it was listed."""


def _batches(
    found: Found, given: int, remotes: Sequence[Remote], on_wait: Callable[[], None]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Give a shard's stamp and the rows of `found` after the first `given`, batch by batch.

    Raises:
        _ShardChangedError: they are not the rows that were listed.
    """
    assert found.shard is not None
    begin, end = found.first + given, found.first + len(found)
    on_wait()
    with opened(found.shard, remotes) as source:
        stamp = stamp_of_open(source, found.shard, remotes)
        file = parquet.ParquetFile(source, buffer_size=BUFFER_BYTES, pre_buffer=False)
        columns = [name for name in ("path", CONTENT, REASON) if name in file.schema_arrow.names]
        row = 0
        for batch in file.iter_batches(BATCH, row_groups=[found.row_group], columns=columns):
            if row + len(batch) > begin and row < end:
                wanted = batch.slice(max(begin - row, 0), end - max(row, begin))
                names = found.paths[max(row, begin) - found.first :][: len(wanted)]
                if wanted.column("path").cast(pa.string()).to_pylist() != names:
                    raise _ShardChangedError
                yield stamp, wanted
                on_wait()
            row += len(batch)
            if row >= end:
                return
    raise _ShardChangedError


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
