"""A result with people's answers beside what was read: a copy, the original is never changed."""

import io
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from digitrec.batch import manifest
from digitrec.batch.parts import part_name
from digitrec.batch.result import Place, Result, rows_of
from digitrec.errors import InputError
from digitrec.review.agree import Settled
from digitrec.storage.folder import check_is_new, open_folder

COLUMNS = ("corrected", "reviewer", "time")  # strings, null where nobody was asked


def check_corrected(result: Result, location: str) -> None:
    """Check that a corrected copy can be written.

    Raises:
        InputError: something is there already, or it would lie within the result.
    """
    folder = open_folder(location)
    if folder.remote is None and f"{folder.path}/".startswith(f"{result.folder.path}/"):
        raise InputError(f"{location} lies within the result, which stays as it is: choose another")
    check_is_new(folder)


def write_corrected(result: Result, settled: Mapping[Place, Settled], location: str) -> None:
    """Write a copy of a result whose last columns are what people say of its scans.

    Args:
        result: the original.
        settled: what they say.
        location: a new folder, here or behind a URI.

    Raises:
        InputError: a part can't be used, or the folder is taken.
    """
    folder = open_folder(location)
    of_part: defaultdict[int, dict[int, Settled]] = defaultdict(dict)
    for (part, row), one in settled.items():
        of_part[part][row] = one
    run = {**result.run, "command": "review", "original": result.folder.name}
    manifest.write_run(folder, {**run, "state": manifest.RUNNING})
    for part in result.parts:
        table = _with_answers(rows_of(result, part), of_part[part])
        content = io.BytesIO()
        parquet.write_table(table, content, compression="zstd")
        folder.write(part_name(part), content.getvalue())
    told: dict[str, Any] = {"state": manifest.COMPLETE, "finished": manifest.now()}
    manifest.write_run(folder, {**run, **told, "corrected": len(settled)})


def _with_answers(table: pa.Table, answers: Mapping[int, Settled]) -> pa.Table:
    """Append COLUMNS to the rows of a part, whose footer stays."""
    given = [answers.get(row) for row in range(len(table))]
    columns = (
        [one and one.label for one in given],
        [one and one.reviewer for one in given],
        [one and one.time for one in given],
    )
    for name, values in zip(COLUMNS, columns, strict=True):
        table = table.append_column(pa.field(name, pa.string()), pa.array(values, pa.string()))
    return table
