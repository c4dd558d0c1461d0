"""A folder that a run writes: on this machine, or behind a URI."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from digitrec.errors import InputError
from digitrec.storage.files import check_is_free, is_uri, replacing, sync_folder

if TYPE_CHECKING:
    from digitrec.storage.uris import Remote


class Folder(Protocol):
    """A folder that a run writes.

    Names are relative to it, with `/` between their parts. What is written appears under its name
    whole or not at all, and replaces what was there. (Filesystems that show a file while it is
    being written, such as hdfs, may keep half of one if the writer is killed: the run that reads
    it says so.)
    """

    @property
    def name(self) -> str:
        """What the user called it."""

    @property
    def path(self) -> str:
        """Where it is: absolute, or within `remote`."""

    @property
    def remote(self) -> "Remote | None":
        """The filesystem that it is in; None: this machine's."""

    def below(self, name: str) -> "Folder":
        """Return a folder in it."""

    def above(self) -> "Folder":
        """Return the folder that it is in."""

    def read(self, name: str) -> bytes:
        """Read a file.

        Raises:
            OSError: it can't be read; FileNotFoundError if there is none.
        """

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all.

        Raises:
            OSError: it can't be written.
        """

    def opened(self, name: str) -> AbstractContextManager[Any]:
        """Open a file to read from any place in it.

        Raises:
            OSError: it can't be read.
        """

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """Yield a path of this machine to write a large file to; it becomes the file at the end.

        Raises:
            OSError: it can't be written; the file is then as it was, or behind a URI gone.
        """

    def names(self, below: str = "") -> list[str]:
        """List the files directly below the folder, or below a folder in it, sorted."""

    def sizes(self, below: str = "") -> dict[str, int]:
        """Return the files directly below the folder, or below a folder in it: name → bytes."""

    def folders(self, below: str = "") -> list[str]:
        """List the folders directly below the folder, or below a folder in it, sorted."""

    def sync(self, below: str = "") -> None:
        """See to it that the files of the folder, or of a folder in it, outlast a power cut."""

    def is_empty(self, apart_from: str = "") -> bool:
        """Return whether nothing is there: no folder, or one without (other) entries.

        Raises:
            InputError: a file stands there, or the folder can't be looked into.
        """

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A folder of this machine; see `Folder`."""

    name: str
    path: str

    @property
    def remote(self) -> None:
        """The filesystem: this machine's."""
        return None

    def below(self, name: str) -> "LocalFolder":
        """Return a folder in it."""
        return LocalFolder(os.path.join(self.name, name), os.path.join(self.path, name))

    def above(self) -> "LocalFolder":
        """Return the folder that it is in."""
        return LocalFolder(os.path.dirname(self.name), os.path.dirname(self.path))

    def read(self, name: str) -> bytes:
        """Read a file."""
        return Path(self.path, name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        with replacing(Path(self.path, name)) as temporary:
            temporary.write_bytes(content)

    def opened(self, name: str) -> AbstractContextManager[Any]:
        """Open a file to read from any place in it."""
        return open(os.path.join(self.path, name), "rb")

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """Yield a path to write a large file to; it becomes the file at the end."""
        return replacing(Path(self.path, name))

    def names(self, below: str = "") -> list[str]:
        """List the files directly below the folder, or below a folder in it, sorted."""
        try:
            with os.scandir(os.path.join(self.path, below)) as entries:
                return sorted(entry.name for entry in entries if entry.is_file())
        except FileNotFoundError:
            return []

    def folders(self, below: str = "") -> list[str]:
        """List the folders directly below the folder, or below a folder in it, sorted."""
        try:
            with os.scandir(os.path.join(self.path, below)) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        except FileNotFoundError:
            return []

    def sizes(self, below: str = "") -> dict[str, int]:
        """Return the files directly below the folder, or below a folder in it: name → bytes."""
        folder = os.path.join(self.path, below)
        return {name: os.stat(os.path.join(folder, name)).st_size for name in self.names(below)}

    def sync(self, below: str = "") -> None:
        """See to it that the files of the folder, or of a folder in it, outlast a power cut."""
        sync_folder(os.path.join(self.path, below))

    def is_empty(self, apart_from: str = "") -> bool:
        """Return whether nothing is there: no folder, or one without (other) entries."""
        try:
            return not os.path.lexists(self.path) or set(os.listdir(self.path)) <= {apart_from}
        except OSError as why:
            raise InputError(f"{self.name} can't be used: {why.strerror or why}") from why

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        Path(self.path, name).unlink(missing_ok=True)


def within(location: str | os.PathLike[str], name: str) -> str:
    """Return the location of what lies in a folder, as it may be opened: options of a URI stay."""
    given = os.fspath(location)
    if not is_uri(given):
        return os.path.join(given, name)
    base, mark, options = given.partition("?")
    return f"{base.rstrip('/')}/{name}{mark}{options}"


def open_folder(location: str | os.PathLike[str]) -> Folder:
    """Open a folder for a run's files; nothing is made before the first file is written.

    Raises:
        InputError: the filesystem can't be opened.
    """
    name = os.fspath(location)
    if not is_uri(name):
        return LocalFolder(name, os.path.abspath(name))
    # pyarrow is imported for what lies behind a URI only: on this machine nothing waits for it.
    from digitrec.storage.remote_folder import RemoteFolder
    from digitrec.storage.uris import open_uri, shown

    remote, path = open_uri(name)
    return LocalFolder(name, path) if remote is None else RemoteFolder(shown(name), path, remote)


def open_file(location: str | os.PathLike[str]) -> tuple[Folder, str]:
    """Open the folder that a file is in, or shall be; give its name there too.

    Raises:
        InputError: the filesystem can't be opened, or the location names no file.
    """
    place = os.fspath(location)
    folder, name = os.path.split(place)
    if not name or (is_uri(place) and folder.endswith(":/")):
        raise InputError(f"{place} names no file")
    return open_folder(folder or "."), name


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
