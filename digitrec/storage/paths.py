"""Paths as they are written, and what stands for one that is missing."""

import os
import re

NO_PATH = re.compile(r".*\.(?:txt|csv|tsv|parquet)#row (\d+)", re.IGNORECASE | re.DOTALL)


def row_without_path(table: str, number: int) -> str:
    """Name a row of a list that has no path; rows count from 1."""
    return f"{table}#row {number}"


def without_path(path: str) -> str | None:
    """Return what a name that `row_without_path` gave stands for; None for any other name."""
    named = NO_PATH.fullmatch(path)
    return None if named is None else f"the list has no path in row {named[1]}"


def readable(path: str) -> str:
    r"""Write a path as valid Unicode: bytes that are not UTF-8 as `\xNN`, a backslash as `\\`."""
    if "\\" in path:
        path = path.replace("\\", "\\\\")
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    return path
