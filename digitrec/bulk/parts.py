"""A classify result: the schema of its rows, and its part files."""

import io
import re
import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from digitrec.bulk.tally import Tally
from digitrec.errors import RunError
from digitrec.folder import Folder
from digitrec.reading import Readings
from digitrec.scans.paths import readable

TALLY = b"digitrec.tally"  # in a part's footer

SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("digit", pa.int8()),
        pa.field("confidence", pa.float32()),
        pa.field("probabilities", pa.list_(pa.float32(), 10)),
        pa.field("decision", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("digit_score", pa.float32()),
    ]
)


NOTES = pa.field("notes", pa.string())  # the last column, where it is asked for


def part_table(paths: Sequence[str], readings: Readings, *, noted: bool = False) -> pa.Table:
    """Make the rows of a part, in `SCHEMA`: one for each path and its reading."""
    no_digit = ~readings.has_digit
    undecoded = readings.widths == 0
    probabilities = pa.FixedSizeListArray.from_arrays(
        pa.array(readings.probabilities.ravel()), 10, mask=pa.array(no_digit)
    )
    table = pa.table(
        [
            pa.array([readable(path) for path in paths], pa.string()),
            pa.array(readings.digits, mask=no_digit),
            pa.array(readings.confidences, mask=no_digit),
            probabilities,
            pa.array(readings.decisions, pa.string()).dictionary_encode(),
            pa.array(readings.reasons, pa.string()),
            pa.array(readings.widths, mask=undecoded),
            pa.array(readings.heights, mask=undecoded),
            pa.array(readings.digit_score, mask=no_digit | np.isnan(readings.digit_score)),
        ],
        schema=SCHEMA,
    )
    return table.append_column(NOTES, pa.array(readings.notes, pa.string())) if noted else table


def part_name(number: int) -> str:
    """Name a part's file within its result."""
    return f"part-{number:06d}.parquet"


def write_part(folder: Folder, number: int, table: pa.Table, tally: Tally) -> None:
    """Write part `number` of a result, its tally in its footer; a retry replaces it.

    The time that writing takes is added to `tally`.
    """
    start = time.perf_counter()
    content = io.BytesIO()
    table = table.replace_schema_metadata({TALLY: tally.to_json()})
    parquet.write_table(table, content, compression="zstd")
    folder.write(part_name(number), content.getvalue())
    tally.seconds["write"] = tally.seconds.get("write", 0.0) + time.perf_counter() - start


def numbers_of(folder: Folder, kind: str) -> frozenset[int]:
    """Give the numbers of the files of a kind (`part`, `shard`) that are there."""
    names = (re.fullmatch(kind + r"-(\d{6,})\.parquet", name) for name in folder.names())
    return frozenset(int(match[1]) for match in names if match)


def check_paths(folder: Folder, name: str, expected: pa.StringArray) -> Tally:
    """Hold a file's column `path` against what it must be; give the tally in its footer.

    Raises:
        RunError: the file is missing, damaged, or has other rows.
    """
    try:
        with folder.opened(name) as source:
            file = parquet.ParquetFile(source)
            paths = file.read(columns=["path"]).column("path").combine_chunks()
            tally = Tally.from_json(file.metadata.metadata[TALLY])
    except (OSError, pa.ArrowException, KeyError, TypeError) as why:
        raise RunError(
            f"{folder.name}/{name} can't be used: delete it and run again ({why})"
        ) from why
    if not paths.equals(expected) or tally.rows != len(paths):
        raise RunError(
            f"{folder.name}/{name} has other rows than its chunk has inputs: "
            "delete it and run again"
        )
    return tally
