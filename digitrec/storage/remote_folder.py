"""A folder behind a URI, see `folder.Folder`: requests are tried again where that helps."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import fs

from digitrec.errors import InputError
from digitrec.storage.uris import Remote, with_retries


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A folder behind a URI; see `Folder`."""

    name: str
    path: str
    remote: Remote

    def below(self, name: str) -> "RemoteFolder":
        """Return a folder in it."""
        return RemoteFolder(os.path.join(self.name, name), self._path(name), self.remote)

    def above(self) -> "RemoteFolder":
        """Return the folder that it is in."""
        return RemoteFolder(os.path.dirname(self.name), os.path.dirname(self.path), self.remote)

    def read(self, name: str) -> bytes:
        """Read a file."""
        return self.remote.read(self._path(name))

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""

        def once() -> None:
            # An object store takes what is this small in one request, when the stream is closed.
            with self.remote.filesystem.open_output_stream(self._path(name)) as stream:
                stream.write(content)

        with_retries(once)

    @contextmanager
    def opened(self, name: str) -> Iterator[Any]:
        """Open a file to read from any place in it."""
        with with_retries(lambda: self.remote.filesystem.open_input_file(self._path(name))) as file:
            yield file

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a path of this machine to write a large file to; it is sent at the end."""
        with tempfile.TemporaryDirectory(prefix="digitrec-") as folder:
            yield (file := Path(folder, "file"))

            def once() -> None:
                with file.open("rb") as source, self._object(name) as stream:
                    shutil.copyfileobj(source, stream, 2**20)

            with_retries(once)

    @contextmanager
    def _object(self, name: str) -> Iterator[Any]:
        """Write an object; it appears when it is closed, and is no more if that broke off."""
        try:
            with self.remote.filesystem.open_output_stream(self._path(name)) as stream:
                yield stream
        except BaseException:
            # Closing, which an error does too, has stored what had come so far.
            with suppress(OSError):
                self.remote.filesystem.delete_file(self._path(name))
            raise

    def names(self, below: str = "") -> list[str]:
        """List the files directly below the folder, or below a folder in it, sorted."""
        return sorted(self.sizes(below))

    def sizes(self, below: str = "") -> dict[str, int]:
        """Return the files directly below the folder, or below a folder in it: name → bytes."""
        infos = self._infos(self._path(below).rstrip("/"))
        return {info.base_name: info.size for info in infos if info.type == fs.FileType.File}

    def folders(self, below: str = "") -> list[str]:
        """List the folders directly below the folder, or below a folder in it, sorted."""
        infos = self._infos(self._path(below).rstrip("/"))
        return sorted(info.base_name for info in infos if info.type == fs.FileType.Directory)

    def sync(self, below: str = "") -> None:
        """Do nothing: a store has kept what it has taken."""

    def is_empty(self, apart_from: str = "") -> bool:
        """Return whether nothing is there: no folder, or one without (other) entries."""
        try:
            info = with_retries(lambda: self.remote.filesystem.get_file_info(self.path))
            if info.type == fs.FileType.File:
                raise NotADirectoryError(20, "Not a directory")
            return {info.base_name for info in self._infos(self.path)} <= {apart_from}
        except OSError as why:
            raise InputError(f"{self.name} can't be used: {why.strerror or why}") from why

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        with suppress(FileNotFoundError):
            with_retries(lambda: self.remote.filesystem.delete_file(self._path(name)))

    def _path(self, name: str) -> str:
        return f"{self.path}/{name}"

    def _infos(self, path: str) -> list[fs.FileInfo]:
        selector = fs.FileSelector(path, allow_not_found=True)
        infos: list[fs.FileInfo] = with_retries(
            lambda: self.remote.filesystem.get_file_info(selector)
        )
        return infos
