"""Paths of scans: as they are found, and as they are written."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """Paths of scans, each for the first time; or the members of one row group of a shard."""

    paths: list[str]
    row_group: int | None = None  # None: files; else the paths are `shard#member`


def readable(path: str) -> str:
    r"""Write a path as valid Unicode: bytes that are not UTF-8 as `\xNN`, a backslash as `\\`."""
    if "\\" in path:
        path = path.replace("\\", "\\\\")
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    return path
