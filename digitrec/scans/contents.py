"""Paths → the bytes of their files, in order; those behind URIs are read ahead of need."""

import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from digitrec.errors import ScanError
from digitrec.files import is_uri
from digitrec.scans.decode import MAX_BYTES
from digitrec.scans.paths import without_path

if TYPE_CHECKING:
    from digitrec.storage import Remote

# A request to an object store takes tens of milliseconds, a scan on a core a tenth of one: so
# many are in flight at once, a worker.
IN_FLIGHT = 48
AHEAD_BYTES = 2**27


def contents(
    paths: Sequence[str], remotes: "Sequence[Remote] | None" = None
) -> Iterator[bytes | ScanError]:
    """Give the content of every file, or why it can't be read, in the order of `paths`.

    Files of this machine are read when they are asked for; those behind URIs are read ahead by
    threads, which wait in parallel. `remotes` are the inputs' filesystems, which are open already:
    what lies elsewhere was named by a list, and not every host is asked for it. None: the user
    named every path.
    """
    if any(map(is_uri, paths)):
        yield from _ahead(paths, remotes)
    else:
        yield from map(content, paths)


def _ahead(paths: Sequence[str], remotes: "Sequence[Remote] | None") -> Iterator[bytes | ScanError]:
    flying: deque[Future[bytes | ScanError]] = deque()
    came = size = 0
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for path in paths:
            # As many ahead as there are threads, and as many again; fewer where they are large.
            while len(flying) >= min(2 * IN_FLIGHT, max(2, AHEAD_BYTES * came // max(size, 1))):
                yield (next_one := flying.popleft().result())
                came, size = came + 1, size + _size(next_one)
            flying.append(pool.submit(content, path, remotes))
        while flying:
            yield flying.popleft().result()


def _size(content: bytes | ScanError) -> int:
    return 0 if isinstance(content, ScanError) else len(content)


def content(path: str, remotes: "Sequence[Remote] | None" = None) -> bytes | ScanError:
    """Read one file whole; give the reason where it can't be; see `contents`."""
    try:
        return _read_remote(path, remotes) if is_uri(path) else _read_file(path)
    except ScanError as why:
        words = without_path(path) if why.code == "vanished" else None
        return why if words is None else ScanError("unreadable", words)


def _read_file(path: str) -> bytes:
    """Read a regular file of this machine.

    Raises:
        ScanError: `vanished`, `unreadable` or `too-large`.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ScanError("unreadable", "not a regular file")
            if status.st_size > MAX_BYTES:
                raise _too_large(status.st_size)
            return _read_all(handle, status.st_size)
        finally:
            os.close(handle)
    except FileNotFoundError as why:
        raise ScanError("vanished", "no such file") from why
    except (OSError, ValueError) as why:
        words = os.strerror(why.errno) if isinstance(why, OSError) and why.errno else str(why)
        raise ScanError("unreadable", words) from why


def _read_all(handle: int, size: int) -> bytes:
    content = os.read(handle, size)
    while len(content) < size:
        more = os.read(handle, size - len(content))
        if not more:
            break
        content += more
    return content


def _read_remote(uri: str, remotes: "Sequence[Remote] | None") -> bytes:
    """Read a file behind a URI, with bounded retries.

    Raises:
        ScanError: `vanished`, `unreadable` or `too-large`.
    """
    # Imported where it is needed: pyarrow would double the time that `predict` takes to start.
    from digitrec.storage import FileTooLargeError, check_listed, remote_of

    try:
        if remotes is not None:
            check_listed(uri, remotes)
        remote, path = remote_of(uri, remotes or ())
        return _read_file(path) if remote is None else remote.read(path, limit=MAX_BYTES)
    except FileTooLargeError as why:
        raise _too_large(why.size) from why
    except FileNotFoundError as why:
        raise ScanError("vanished", "no such object") from why
    except ScanError:
        raise
    except Exception as why:  # fsspec's filesystems raise what their libraries do
        raise ScanError("unreadable", " ".join(str(why).split())) from why


def _too_large(size: int) -> ScanError:
    return ScanError("too-large", f"{size} bytes, the limit is {MAX_BYTES}")
