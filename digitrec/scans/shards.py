"""Shards: Parquet files with image files inside, and what is read from them.

A shard has the columns of `shard_schema`; its rows are worked on a row group at a time. A packed
scan is shown as `shard#path`.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyarrow import parquet

from digitrec.errors import ScanError
from digitrec.scans.paths import readable
from digitrec.scans.walk import BATCH
from digitrec.storage import Remote, opened, with_retries

CONTENT, REASON = "content", "reason"


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
