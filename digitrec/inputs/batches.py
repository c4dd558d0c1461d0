"""Batches of a pipeline: which column holds scans, what these are, and columns put beside it.

A batch is a dict of NumPy arrays, an Arrow table or a pandas frame, as Ray Data hands them over.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from digitrec.errors import InputError
from digitrec.inputs.rows import PATH_COLUMNS
from digitrec.inputs.shards import CONTENT_COLUMNS

COLUMNS = (*CONTENT_COLUMNS, *(name for name in PATH_COLUMNS if name not in CONTENT_COLUMNS))

Batch = Any  # Mapping[str, NDArray], pa.Table or pandas.DataFrame


def scan_column(batch: Batch, named: str | None) -> str:
    """Return the name of the column with scans.

    Args:
        batch: see above.
        named: the column that the user names; None: the first of `COLUMNS` that is there.

    Raises:
        InputError: it is not there.
    """
    names = _names(batch)
    found = [name for name in (COLUMNS if named is None else (named,)) if name in names]
    if not found:
        wanted = f"no column {named}" if named else f"none of the columns {', '.join(COLUMNS)}"
        there = ", ".join(names) or "none"
        raise InputError(f"the batch has {wanted}, but {there}: say which holds the scans")
    return found[0]


def scans_of(batch: Batch, column: str) -> list[Any]:
    """Return a column's scans, one for each row: bytes, paths, pixels, or what is none of these.

    Of Hugging Face's images, which hold `bytes` and `path`, that is the one that is there; a PIL
    image becomes its pixels.
    """
    values = batch.column(column) if isinstance(batch, pa.Table) else batch[column]
    if isinstance(values, pa.ChunkedArray):
        # An extension type, such as Ray's of images, knows its own arrays.
        values = (
            [one for chunk in values.chunks for one in chunk.to_numpy(zero_copy_only=False)]
            if isinstance(values.type, pa.BaseExtensionType)
            else values.to_pylist()
        )
    return [_scan(value) for value in _each(values)]


def _each(values: Iterable[Any]) -> Iterable[Any]:
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype != object:
        return list(values.tolist())  # NumPy's bytes and str as Python's
    return values


def _scan(value: Any) -> Any:
    if isinstance(value, Mapping) and {"bytes", "path"} & set(value):
        content = value.get("bytes")
        return value.get("path") if content is None else content
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, float) and value != value:  # what pandas has for null
        return None
    if hasattr(value, "getbands"):  # PIL's, without importing it
        known = value.mode in ("1", "L", "RGB", "RGBA")
        return np.asarray(value if known else value.convert("RGB"))
    return value


def with_columns(batch: Batch, columns: pa.Table) -> Batch:
    """Return a batch with further columns, in the form in which it came.

    Raises:
        InputError: it has one of that name already.
    """
    taken = sorted(set(_names(batch)) & set(columns.column_names))
    if taken:
        raise InputError(f"the batch has a column {taken[0]} already: rename it")
    if isinstance(batch, pa.Table):
        for field, column in zip(columns.schema, columns.columns, strict=True):
            batch = batch.append_column(field, column)
        return batch
    added = {name: _objects(columns.column(name)) for name in columns.column_names}
    if isinstance(batch, Mapping):
        return {**batch, **added}
    import pandas as pd

    return pd.concat([batch, pd.DataFrame(added, index=batch.index)], axis=1)


def _objects(column: pa.ChunkedArray) -> Any:
    """Return a column as NumPy has it: where it may hold nulls, objects of NumPy's types."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(pa.string()), pa.string()
    values = np.empty(len(column), object)
    make = _maker(kind)
    for k, value in enumerate(column.to_pylist()):
        values[k] = None if value is None else make(value)
    return values


def _maker(kind: pa.DataType) -> Any:
    if pa.types.is_fixed_size_list(kind):
        return lambda value: np.array(value, np.float32)
    if pa.types.is_string(kind):
        return str
    return kind.to_pandas_dtype()


def _names(batch: Batch) -> list[str]:
    """Return the names of a batch's columns.

    Raises:
        InputError: it is no batch.
    """
    if isinstance(batch, pa.Table):
        return list(batch.column_names)
    pandas = sys.modules.get("pandas")
    if isinstance(batch, Mapping) or (pandas and isinstance(batch, pandas.DataFrame)):
        return list(batch)
    raise InputError(
        f"a {type(batch).__name__} is no batch: pass a dict of arrays, a table or frame"
    )
