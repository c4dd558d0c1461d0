"""A file that is created under a name which must not exist yet: of many that try, one does it.

It is the one thing of this kind that all stores can do which a registry may lie in: a hard link on
this machine's file systems, S3's `If-None-Match: *`, and what gcsfs and adlfs make of fsspec's
`mode="create"` (Google's `ifGenerationMatch=0`, Azure's `If-None-Match: *`).
"""

import errno
import os
import threading
import uuid
from pathlib import Path
from typing import Any

from pyarrow import fs

from digitrec.errors import InputError
from digitrec.storage.files import sync_folder
from digitrec.storage.folder import Folder
from digitrec.storage.uris import TRIES, Remote, pause, shown

# What a file system says that has no hard links.
NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EMLINK, errno.EXDEV}
# Of fsspec's filesystems those whose `mode="create"` is one step, by the schemes they have. That of
# others looks first and writes then, or does not know the mode and overwrites.
CREATES = {
    "memory": "",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
}
# fsspec's memory looks and writes in two steps, and is of this process alone.
_one_at_a_time = threading.Lock()


def create(folder: Folder, location: str, name: str, content: bytes) -> bool:
    """Create a file that must not exist yet, whole or not at all; False: it exists.

    Args:
        folder: the file's.
        location: the URI or path that the folder, or one above it, was opened from.
        name: of the file, in the folder.
        content: the caller's own, unlike anybody else's: where a store's answer is lost, what is
            there tells whose it is.

    Raises:
        InputError: the folder can't be written to, or is in a store that can't do this.
        OSError: it can't be written.
    """
    if folder.remote is None:
        return _link(Path(folder.path, name), content)
    if folder.remote.filesystem.type_name == "s3":
        return _put(location, f"{folder.path}/{name}", content)
    return _pipe(folder.remote, location, f"{folder.path}/{name}", content)


def _link(path: Path, content: bytes) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"_{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        _write(temporary, content)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as why:
            if why.errno not in NO_LINKS:
                raise
            if not _write_new(path, content):
                return False
        sync_folder(path.parent)
        return True
    finally:
        temporary.unlink(missing_ok=True)


def _write_new(path: Path, content: bytes) -> bool:
    """Do without a link: whoever is stopped right here leaves a file that is empty."""
    try:
        _write(path, content)
    except FileExistsError:
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with open(file, "wb", buffering=0) as opened:
        opened.write(content)
        os.fsync(file)


def _put(location: str, path: str, content: bytes) -> bool:
    from digitrec.storage.s3 import S3Object

    written = S3Object(location, path)
    for failures in range(1, TRIES):
        if written.write(content, None) is not None:
            return True
        if written.read() is not None:
            return False
        pause(failures)  # two puts got into each other's way, and neither was taken
    raise OSError(f"{shown(location)} is too busy to write to")


def _pipe(remote: Remote, location: str, path: str, content: bytes) -> bool:
    filesystem = _creating(remote, location)
    try:
        with _one_at_a_time:
            filesystem.pipe_file(path, content, mode="create")
    except FileExistsError:
        # It may be our own, put twice as the first answer was lost.
        return bool(filesystem.cat_file(path) == content)
    return True


def _creating(remote: Remote, location: str) -> Any:
    """Return fsspec's filesystem of a folder, whose `mode="create"` is one step.

    Raises:
        InputError: there is none.
    """
    scheme = location.split("://", 1)[0].lower()
    if scheme not in CREATES:
        raise InputError(
            f"{shown(location)} can't be used: {scheme}:// can't create a file under a name that "
            "must not exist yet: choose a folder of this machine, or one in s3://, gs:// or abfs://"
        )
    if isinstance(remote.filesystem, fs.PyFileSystem):
        return remote.filesystem.handler.fs
    import fsspec

    try:
        return fsspec.core.url_to_fs(location)[0]
    except (ImportError, ValueError, OSError) as why:
        raise InputError(
            f"writing to {shown(location)} needs {CREATES[scheme]}: pip install {CREATES[scheme]} "
            f"({why})"
        ) from why
