"""Locations of files; and writing them so that a reader sees the old or the new, never half."""

import errno
import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from digitrec.errors import InputError


def is_uri(location: str) -> bool:
    """Return whether a location is a URI, not a path of this machine."""
    return "://" in location


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well.

    The temporary name begins with `_`, so readers of a result folder skip it. If the block
    raises, the temporary file is removed and `path` is left as it was. What the file holds is on
    the disk before it gets its name: a power cut leaves no empty file there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"_{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        _sync(temporary, os.O_RDWR)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: str | Path) -> None:
    """See to it that the names in a folder outlast a power cut, where the file system can."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: str | Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        with suppress(OSError):  # some file systems can't
            os.fsync(handle)
    finally:
        os.close(handle)


def check_is_free(folder: Path) -> None:
    """Check that files can be written to a folder without mixing with others; leave it as it was.

    Raises:
        InputError: there is something already, or it can't be made.
    """
    try:
        taken = folder.is_file() or (folder.is_dir() and any(folder.iterdir()))
    except (OSError, ValueError):  # making it will say why
        taken = False
    if taken:
        raise InputError(f"{folder} holds something already: choose another --out")
    check_can_be_made(folder)


def check_can_be_made(folder: Path) -> None:
    """Check that a folder can be made, or written to, and leave it as it was.

    Raises:
        InputError: it can't.
    """
    try:
        missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    except ValueError:  # a NUL in its name
        missing = []
    make_folder(folder)
    for place in missing:
        place.rmdir()


def make_folder(folder: Path) -> None:
    """Make a folder, before the work whose results it is for.

    Raises:
        InputError: it can't be made, or not be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ValueError) as why:
        words = why.strerror if isinstance(why, OSError) else why
        raise InputError(f"{folder} can't be used: {words}: choose another --out") from why


def file_name(name: str) -> str:
    """Return a file name for what is named otherwise: `mnist:test` → `mnist-test`."""
    return re.sub(r"\W+", "-", name).strip("-")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented UTF-8 JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
