"""Rows of tables that people write: text, CSV, TSV and Parquet, here or behind a URI.

Lists of inputs and labelled tables are read here, so that either may be what the other may.
"""

import codecs
import csv as header_reader
import io
import os
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet

from digitrec.errors import InputError
from digitrec.inputs.walk import BATCH
from digitrec.storage.files import is_uri
from digitrec.storage.paths import readable

TEXT, CSV, TSV, PARQUET = ".txt", ".csv", ".tsv", ".parquet"
TABLES = (TEXT, CSV, TSV, PARQUET)
# How the column with the paths is called, the first that a table has.
PATH_COLUMNS = ("path", "image", "file", "filename", "file_name")
LABEL_COLUMNS = ("label",)
# Longer ones first: UTF-32's begins as UTF-16's does.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
HEADER_BYTES = 2**16


def ending(name: str) -> str:
    """Return the kind of a table, one of `TABLES` in lower case; empty where it is none."""
    found = os.path.splitext(name)[1].lower()
    return found if found in TABLES else ""


def lines(file: Any) -> Iterator[list[str]]:
    """Yield the lines of a text file, many at a time, blank ones left out.

    Args:
        file: open for reading bytes. It is in the encoding that its first bytes mark; without a
            mark, and behind that of UTF-8, its lines are names as they are.
    """
    encoding = _encoding(file)
    source: Any = io.BufferedReader(file)
    if encoding == "utf-8-sig":
        source.seek(len(codecs.BOM_UTF8))
    elif encoding is not None:
        source = io.TextIOWrapper(source, encoding, newline="\n")
    batch: list[str] = []
    for line in source:
        if path := (line if isinstance(line, str) else os.fsdecode(line)).strip("\r\n"):
            batch.append(path)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def csv_columns(
    file: Any, table: str, wanted: Sequence[Sequence[str]]
) -> Iterator[list[list[str | None]]]:
    """Yield columns of a CSV or TSV file as text, many rows at a time; see `parquet_columns`."""
    names, delimiter, encoding = _header(file, table, wanted)
    columns = [column(names, choices, table) for choices in wanted]
    reader = csv.open_csv(
        file,
        read_options=csv.ReadOptions(encoding=encoding or "utf8"),
        parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
        ),
    )
    for batch in reader:
        yield [batch.column(name).to_pylist() for name in columns]


def table_columns(
    file: Any, table: str, wanted: Sequence[Sequence[str]]
) -> Iterator[list[list[Any]]]:
    """Yield columns of a CSV, TSV or Parquet file, many rows at a time; see `parquet_columns`."""
    if ending(table) == PARQUET:
        yield from parquet_columns(parquet.ParquetFile(file), table, wanted)
    else:
        yield from csv_columns(file, table, wanted)


def column_names(file: Any, table: str, wanted: Sequence[Sequence[str]]) -> list[str]:
    """Return what the columns of a CSV, TSV or Parquet file are called; it may be read then.

    Args:
        file: the file, open.
        table: how it is called.
        wanted: what should be among them: it tells what parts a CSV's columns.
    """
    if ending(table) == PARQUET:
        names: list[str] = parquet.ParquetFile(file).schema_arrow.names
    else:
        names, _, _ = _header(file, table, wanted)
    file.seek(0)
    return names


def _header(
    file: Any, table: str, wanted: Sequence[Sequence[str]]
) -> tuple[list[str], str, str | None]:
    """Read the columns' names; what parts them, the first that gives all wanted; the encoding."""
    encoding, header = _encoding(file), file.read(HEADER_BYTES)
    file.seek(0)
    text = codecs.getincrementaldecoder(encoding or "utf-8")("replace").decode(header)
    names: list[str] = []
    for delimiter in "\t" if ending(table) == TSV else ",;\t":
        names = next(header_reader.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        if all(find(names, choices) is not None for choices in wanted):
            return names, delimiter, encoding
    return next(header_reader.reader(io.StringIO(text, newline="")), []), delimiter, encoding


def parquet_columns(
    file: parquet.ParquetFile, table: str, wanted: Sequence[Sequence[str]]
) -> Iterator[list[list[Any]]]:
    """Yield columns of a Parquet file, many rows at a time.

    Args:
        file: the file, open.
        table: how it is called, for errors.
        wanted: of each column the names it may have, of which the first that is there counts.

    Raises:
        InputError: it has none of the names of a column.
    """
    columns = [column(file.schema_arrow.names, choices, table) for choices in wanted]
    for batch in file.iter_batches(BATCH, columns=columns):
        yield [values(batch.column(name)) for name in columns]


def values(column: pa.Array) -> list[Any]:
    """Return a column's values; texts that are not UTF-8 as `os.fsdecode` gives names of files."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        texts = column.cast(pa.large_binary()).to_pylist()
        return [None if text is None else os.fsdecode(text) for text in texts]


def column(names: Sequence[str], choices: Sequence[str], table: str) -> str:
    """Find a table's column.

    Raises:
        InputError: it has none of the names.
    """
    found = find(names, choices)
    if found is None:
        raise InputError(
            f"{readable(table)} can't be read as a list: it has no column {' or '.join(choices)}, "
            f"but {', '.join(map(repr, names)) or 'none'}"
        )
    return found


def find(names: Sequence[str], choices: Sequence[str]) -> str | None:
    """Find the first of some names among a table's; their case and outer spaces do not count."""
    plain = {name.strip().lower(): name for name in reversed(names)}
    for choice in choices:
        if choice in names:
            return choice
        if choice.strip().lower() in plain:
            return plain[choice.strip().lower()]
    return None


def resolved(path: str, table: str) -> str:
    """Return a path of a table as it is found from here: it is relative to the table's folder."""
    return path if is_uri(path) else os.path.join(os.path.dirname(table), path)


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds text."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    # A table without rows may have a column without a type.
    of_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in (*of_text, pa.types.is_null))


def _encoding(file: Any) -> str | None:
    """Tell by its first bytes how a file is encoded; None: nothing marks it."""
    start = file.read(4)
    file.seek(0)
    return next((name for mark, name in MARKS if start.startswith(mark)), None)
