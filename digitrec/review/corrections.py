"""Corrections: what people say scans really show, as a table that training takes."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from digitrec.errors import InputError
from digitrec.inputs.rows import CSV, PARQUET, ending
from digitrec.storage.folder import Folder, open_file

SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("group", pa.string()),
        pa.field("model", pa.string()),
        pa.field("predicted", pa.string()),
        pa.field("confidence", pa.float32()),
        pa.field("reviewer", pa.string()),
        pa.field("time", pa.string()),
        pa.field("content", pa.binary()),
    ]
)
CONTENT = "content"
AT_A_TIME = 512  # rows that are in memory together


@dataclass(frozen=True, slots=True)
class Correction:
    """What people say of a scan: a row of the table."""

    path: str  # absolute, or a URI; of a scan in a shard what the result calls it
    label: str  # `0` to `9`, `blank` or `not-a-digit`
    group: str | None  # who wrote it, or the form it is from; None: nobody said
    model: str  # the id of the model that read it
    predicted: str | None  # what that read; None: no digit
    confidence: float | None
    reviewer: str | None
    time: str | None  # ISO 8601
    content: bytes
    is_packed: bool  # no path leads to it


def check_out(location: str) -> None:
    """Check that a table of corrections can be written under a name.

    Raises:
        InputError: its ending is neither .csv nor .parquet.
    """
    if ending(location) not in (CSV, PARQUET):
        raise InputError(f"{location} must end in .csv or .parquet: these are written")


def write_corrections(location: str, rows: Iterable[Correction]) -> None:
    """Write corrections, whole or not at all: as Parquet with the scans' content, as CSV without.

    Args:
        location: a file that ends in .csv or .parquet, here or behind a URI.
        rows: the corrections, as they come.

    Raises:
        InputError: a CSV can't name one of the scans.
    """
    folder, name = open_file(location)
    if ending(location) == PARQUET:
        _write_parquet(folder, name, rows)
    else:
        folder.write(name, _csv(location, rows).encode())


def _csv(location: str, rows: Iterable[Correction]) -> str:
    text = io.StringIO()
    table = csv.writer(text)
    names = [name for name in SCHEMA.names if name != CONTENT]
    table.writerow(names)
    for row in rows:
        if row.is_packed or not _is_plain(row.path):
            why = "is packed in a shard" if row.is_packed else "has a name that is not plain text"
            raise InputError(
                f"{location} can't name {row.path}, which {why}: --out corrections.parquet holds "
                "the scans too"
            )
        table.writerow(["" if (cell := getattr(row, name)) is None else cell for name in names])
    return text.getvalue()


def _is_plain(path: str) -> bool:
    return path.isprintable() and path == path.strip()


def _write_parquet(folder: Folder, name: str, rows: Iterable[Correction]) -> None:
    with (
        folder.writing(name) as temporary,
        parquet.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer,
    ):
        coming = iter(rows)
        while some := list(islice(coming, AT_A_TIME)):
            writer.write_table(pa.Table.from_pylist([_cells(row) for row in some], SCHEMA))


def _cells(row: Correction) -> dict[str, Any]:
    cells = {one.name: getattr(row, one.name) for one in fields(row)}
    del cells["is_packed"]
    return cells
