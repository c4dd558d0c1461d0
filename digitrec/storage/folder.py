"""A folder that a run writes, on this machine or behind a URI.

pyarrow is imported for what lies behind a URI only: on this machine nothing waits for it.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitrec.errors import InputError
from digitrec.storage.files import check_is_free, is_uri, replacing, sync_folder

if TYPE_CHECKING:
    from digitrec.storage.uris import Remote


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that a run writes, here or behind a URI.

    Names are relative to it, with `/` between their parts. What is written appears under its name
    whole or not at all, and replaces what was there. (Filesystems that show a file while it is
    being written, such as hdfs, may keep half of one if the writer is killed: the run that reads
    it says so.)
    """

    name: str  # as the user gave it
    path: str  # absolute, or within `remote`
    remote: "Remote | None"

    def below(self, name: str) -> "Folder":
        """Return a folder in it."""
        path = f"{self.path}/{name}" if self.remote else os.path.join(self.path, name)
        return Folder(os.path.join(self.name, name), path, self.remote)

    def read(self, name: str) -> bytes:
        """Read a file.

        Raises:
            OSError: it can't be read; FileNotFoundError if there is none.
        """
        if self.remote is None:
            return Path(self.path, name).read_bytes()
        return self.remote.read(f"{self.path}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all.

        Raises:
            OSError: it can't be written.
        """
        if self.remote is None:
            with replacing(Path(self.path, name)) as temporary:
                temporary.write_bytes(content)
            return
        from digitrec.storage.uris import with_retries

        filesystem, path = self.remote.filesystem, f"{self.path}/{name}"

        def once() -> None:
            # An object store takes what is this small in one request, when the stream is closed.
            with filesystem.open_output_stream(path) as stream:
                stream.write(content)

        with_retries(once)

    @contextmanager
    def opened(self, name: str) -> Iterator[Any]:
        """Open a file to read from any place in it.

        Raises:
            OSError: it can't be read.
        """
        if self.remote is None:
            with open(os.path.join(self.path, name), "rb") as file:
                yield file
            return
        from digitrec.storage.uris import with_retries

        filesystem, path = self.remote.filesystem, f"{self.path}/{name}"
        with with_retries(lambda: filesystem.open_input_file(path)) as file:
            yield file

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a path of this machine to write a large file to; it becomes the file at the end.

        Raises:
            OSError: it can't be written; the file is then as it was, or behind a URI gone.
        """
        if self.remote is None:
            with replacing(Path(self.path, name)) as temporary:
                yield temporary
            return
        from digitrec.storage.uris import with_retries

        with tempfile.TemporaryDirectory(prefix="digitrec-") as folder:
            yield (file := Path(folder, "file"))

            def once() -> None:
                with file.open("rb") as source, self._object(name) as stream:
                    shutil.copyfileobj(source, stream, 2**20)

            with_retries(once)

    @contextmanager
    def _object(self, name: str) -> Iterator[Any]:
        """Write an object; it appears when it is closed, and is no more if that broke off."""
        assert self.remote is not None
        filesystem, path = self.remote.filesystem, f"{self.path}/{name}"
        try:
            with filesystem.open_output_stream(path) as stream:
                yield stream
        except BaseException:
            # Closing, which an error does too, has stored what had come so far.
            with suppress(OSError):
                filesystem.delete_file(path)
            raise

    def names(self, below: str = "") -> list[str]:
        """List the files directly below the folder, or below a folder in it, sorted."""
        if self.remote is None:
            try:
                with os.scandir(os.path.join(self.path, below)) as entries:
                    return sorted(entry.name for entry in entries if entry.is_file())
            except FileNotFoundError:
                return []
        return sorted(self.sizes(below))

    def sizes(self, below: str = "") -> dict[str, int]:
        """Return the files directly below the folder, or below a folder in it: name → bytes."""
        if self.remote is None:
            folder = os.path.join(self.path, below)
            return {name: os.stat(os.path.join(folder, name)).st_size for name in self.names(below)}
        from pyarrow import fs

        from digitrec.storage.uris import with_retries

        filesystem = self.remote.filesystem
        selector = fs.FileSelector(f"{self.path}/{below}".rstrip("/"), allow_not_found=True)
        infos = with_retries(lambda: filesystem.get_file_info(selector))
        return {info.base_name: info.size for info in infos if info.type == fs.FileType.File}

    def sync(self, below: str = "") -> None:
        """See to it that the files of the folder, or of a folder in it, outlast a power cut."""
        if self.remote is None:
            sync_folder(os.path.join(self.path, below))

    def is_empty(self, apart_from: str = "") -> bool:
        """Return whether nothing is there: no folder, or one without (other) entries.

        Raises:
            InputError: a file stands there, or the folder can't be looked into.
        """
        try:
            if self.remote is None:
                return not os.path.lexists(self.path) or set(os.listdir(self.path)) <= {apart_from}
            from pyarrow import fs

            from digitrec.storage.uris import with_retries

            store = self.remote.filesystem
            info = with_retries(lambda: store.get_file_info(self.path))
            if info.type == fs.FileType.File:
                raise NotADirectoryError(20, "Not a directory")
            selector = fs.FileSelector(self.path, allow_not_found=True)
            infos = with_retries(lambda: store.get_file_info(selector))
            return {info.base_name for info in infos} <= {apart_from}
        except OSError as why:
            raise InputError(f"{self.name} can't be used: {why.strerror or why}") from why

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        if self.remote is None:
            Path(self.path, name).unlink(missing_ok=True)
            return
        from digitrec.storage.uris import with_retries

        filesystem, path = self.remote.filesystem, f"{self.path}/{name}"
        try:
            with_retries(lambda: filesystem.delete_file(path))
        except FileNotFoundError:
            return


def open_folder(location: str | os.PathLike[str]) -> Folder:
    """Open a folder for a run's files; nothing is made before the first file is written.

    Raises:
        InputError: the filesystem can't be opened.
    """
    name = os.fspath(location)
    if not is_uri(name):
        return Folder(name, os.path.abspath(name), None)
    from digitrec.storage.uris import open_uri, shown

    remote, path = open_uri(name)
    return Folder(shown(name), path, remote)


@contextmanager
def staged(location: str | os.PathLike[str], *, new: bool = False) -> Iterator[Path]:
    """Yield a folder of this machine to write files to, which are then in `location`.

    Behind a URI they are sent there when the block ends well, each whole.

    Args:
        location: a path or a URI.
        new: nothing may be there yet.

    Raises:
        InputError: the filesystem can't be opened, or something is there.
        OSError: a file can't be written.
    """
    folder = open_folder(location)
    if new:
        check_is_new(folder)
    if folder.remote is None:
        yield Path(folder.path if is_uri(os.fspath(location)) else location)
        return
    with tempfile.TemporaryDirectory(prefix="digitrec-") as temporary:
        yield (root := Path(temporary))
        for file in sorted(root.rglob("*")):
            if file.is_file():
                folder.write(file.relative_to(root).as_posix(), file.read_bytes())


def check_is_new(folder: Folder) -> None:
    """Check that files can be written to a folder without mixing with others.

    Raises:
        InputError: there is something already, or it can't be looked into.
    """
    if folder.remote is None:
        check_is_free(Path(folder.path))
    elif not folder.is_empty():
        raise InputError(f"{folder.name} holds something already: choose another --out")
