"""Paths → the bytes of their files, in order; those behind URIs are read ahead of need."""

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from digitrec.errors import ScanError
from digitrec.inputs.decode import MAX_BYTES
from digitrec.inputs.stamps import UNKNOWN, stamp_of, stamp_of_words
from digitrec.storage.files import is_uri
from digitrec.storage.paths import without_path

if TYPE_CHECKING:
    from digitrec.storage.uris import Remote

# A request to an object store takes tens of milliseconds, a scan on a core a tenth of one: so
# many are in flight at once, a worker.
IN_FLIGHT = 48
AHEAD_BYTES = 2**27

# A file's content, or why there is none; and its stamp.
Stamped = tuple[bytes | ScanError, int]


def contents(
    paths: Sequence[str],
    remotes: "Sequence[Remote] | None" = None,
    stamps: list[int] | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> Iterator[bytes | ScanError]:
    """Yield the content of every file, or why it can't be read, in the order of `paths`.

    Files of this machine are read when they are asked for; those behind URIs are read ahead by
    threads, which wait in parallel.

    Args:
        paths: of this machine, or URIs.
        remotes: the inputs' filesystems, which are open already: what lies elsewhere was named by
            a list, and not every host is asked for it. None: the user named every path.
        stamps: gets each file's stamp before its content is given.
        on_wait: called before each wait for a store.
    """
    stamps = [] if stamps is None else stamps
    if any(map(is_uri, paths)):
        pieces = _ahead(paths, remotes, on_wait)
    else:
        pieces = map(read_stamped, paths)
    for content, stamp in pieces:
        stamps.append(stamp)
        yield content


def _ahead(
    paths: Sequence[str], remotes: "Sequence[Remote] | None", on_wait: Callable[[], None]
) -> Iterator[Stamped]:
    flying: deque[Future[Stamped]] = deque()
    came = size = 0

    def landed() -> Stamped:
        if not (first := flying.popleft()).done():
            on_wait()
        return first.result()

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for path in paths:
            # As many ahead as there are threads, and as many again; fewer where they are large.
            while len(flying) >= min(2 * IN_FLIGHT, max(2, AHEAD_BYTES * came // max(size, 1))):
                yield (next_one := landed())
                came, size = came + 1, size + _size(next_one[0])
            flying.append(pool.submit(read_stamped, path, remotes))
        while flying:
            yield landed()


def _size(content: bytes | ScanError) -> int:
    return 0 if isinstance(content, ScanError) else len(content)


def content(path: str, remotes: "Sequence[Remote] | None" = None) -> bytes | ScanError:
    """Read one file whole; give the reason where it can't be; see `contents`."""
    return read_stamped(path, remotes)[0]


def read_stamped(path: str, remotes: "Sequence[Remote] | None" = None) -> Stamped:
    """Read one file as `content` does; give its stamp too."""
    try:
        return _read_remote(path, remotes) if is_uri(path) else _read_file(path)
    except ScanError as why:
        words = without_path(path) if why.code == "vanished" else None
        return why if words is None else ScanError("unreadable", words), UNKNOWN


def _read_file(path: str) -> Stamped:
    """Read a regular file of this machine.

    Raises:
        ScanError: `vanished` or `unreadable`.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ScanError("unreadable", "not a regular file")
            stamp = stamp_of(status)
            if status.st_size > MAX_BYTES:
                return _too_large(status.st_size), stamp
            return _read_all(handle, status.st_size), stamp
        finally:
            os.close(handle)
    except FileNotFoundError as why:
        raise ScanError("vanished", "no such file", outage=True) from why
    except OSError as why:
        words = os.strerror(why.errno) if why.errno else str(why)
        raise ScanError("unreadable", words, outage=True) from why
    except ValueError as why:  # no file can have such a name, whatever its surroundings
        raise ScanError("unreadable", str(why)) from why


def _read_all(handle: int, size: int) -> bytes:
    content = os.read(handle, size)
    while len(content) < size:
        more = os.read(handle, size - len(content))
        if not more:
            break
        content += more
    return content


def _read_remote(uri: str, remotes: "Sequence[Remote] | None") -> Stamped:
    """Read a file behind a URI, with bounded retries.

    Raises:
        ScanError: `vanished` or `unreadable`.
    """
    # Imported where it is needed: pyarrow would double the time that `predict` takes to start.
    from digitrec.storage.uris import FileTooLargeError, check_listed, remote_of

    try:
        if remotes is not None:
            check_listed(uri, remotes)
        remote, path = remote_of(uri, remotes or ())
        if remote is None:
            return _read_file(path)
        content, version = remote.read_version(path, limit=MAX_BYTES)
        return content, stamp_of_words(version)
    except FileTooLargeError as why:
        return _too_large(why.size), UNKNOWN
    except FileNotFoundError as why:
        raise ScanError("vanished", "no such object", outage=True) from why
    except ScanError:
        raise
    except Exception as why:  # fsspec's filesystems raise what their libraries do
        raise ScanError("unreadable", " ".join(str(why).split()), outage=True) from why


def _too_large(size: int) -> ScanError:
    return ScanError("too-large", f"{size} bytes, the limit is {MAX_BYTES}")
