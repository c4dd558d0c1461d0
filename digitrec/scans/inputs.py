"""Inputs: folders and files → the paths of the scans in them.

Paths are str as `os.fsdecode` gives them; `readable` writes one so that it can be printed and
stored, whatever bytes are in it.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from digitrec.errors import InputError

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm"})


@dataclass(frozen=True, slots=True)
class Listing:
    """The scans found: sorted paths, each once, and what was left out, counted by extension."""

    paths: list[str]
    ignored: dict[str, int]


def list_inputs(inputs: Sequence[str]) -> Listing:
    """List the scans in folders, recursively, and files named by themselves.

    In a folder, regular files with an image's ending (in any case) are scans, unless their name
    begins with `.` or `_`; folders of such names are not entered. Links are followed, each
    folder is entered once. A file named by itself is always a scan.

    Raises:
        InputError: an input is not there, or a folder can't be listed.
    """
    paths: set[str] = set()
    ignored: Counter[str] = Counter()
    entered: set[tuple[int, int]] = set()
    for given in inputs:
        if os.path.isdir(given):
            for path, is_scan in _walk(given, entered):
                if is_scan:
                    paths.add(path)
                else:
                    ignored[_ending(path)] += 1
        elif os.path.lexists(given):
            paths.add(given)
        else:
            raise InputError(f"no file or folder {readable(given)}")
    return Listing(sorted(paths), dict(sorted(ignored.items())))


def _walk(top: str, entered: set[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """Give every file below `top` and whether it is a scan, real folders before linked ones."""
    folders: list[str] = [top]
    linked: list[str] = []
    while folders or linked:
        folder = folders.pop() if folders else linked.pop(0)
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in entered:
            continue
        entered.add((status.st_dev, status.st_ino))
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as why:
            raise InputError(f"folder {readable(folder)} can't be listed: {why.strerror}") from why
        for entry in entries:
            hidden = entry.name.startswith((".", "_"))
            if _leads_to_folder(entry):
                if not hidden:
                    (linked if entry.is_symlink() else folders).append(entry.path)
            else:
                yield entry.path, not hidden and _is_scan(entry)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_scan(entry: os.DirEntry[str]) -> bool:
    try:
        return _ending(entry.name) in ENDINGS and entry.is_file()
    except OSError:
        return False


def _ending(path: str) -> str:
    return readable(os.path.splitext(path)[1].lower())


def readable(path: str) -> str:
    r"""Write a path as valid Unicode: bytes that are not UTF-8 as `\xNN`, a backslash as `\\`."""
    if "\\" in path:
        path = path.replace("\\", "\\\\")
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    return path
