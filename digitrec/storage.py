"""URIs: the filesystems behind them, reading from those, and trying again.

A location without `://` is a path of this machine and is read and written with `os`, which costs
a third of what a filesystem object does. Anything else is a URI: pyarrow opens it, or fsspec
where pyarrow does not know the scheme.
"""

import functools
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from pyarrow import ArrowException, fs

from digitrec.errors import InputError
from digitrec.files import is_uri as is_uri

T = TypeVar("T")

# How stores say that whoever asks may not, or does no more; pyarrow hands it on as an OSError.
DENIED = re.compile(
    r"ACCESS_DENIED|AccessDenied|Forbidden|Unauthorized|ExpiredToken|InvalidToken|TokenRefreshRequired"
    r"|INVALID_ACCESS_KEY_ID|InvalidAccessKeyId|SIGNATURE_DOES_NOT_MATCH|SignatureDoesNotMatch"
    r"|INVALID_SIGNATURE|MISSING_AUTHENTICATION_TOKEN|UNRECOGNIZED_CLIENT|INVALID_CLIENT_TOKEN_ID"
    r"|REQUEST_EXPIRED|AuthenticationFailed|AuthorizationFailure"
    r"|(?i:\b(?:HTTP(?: status)?(?: code)?:?|status:?) ?40[13]\b)"
)

# A request that fails for a passing reason is sent this often in all, waiting 0.1 s, 0.2 s, … up
# to 2 s: with one request in ten refused, and two to a read, 6 reads in 100 million stay unread.
TRIES = 10
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 2.0
# What another try can't mend.
LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class Remote:
    """A filesystem behind URIs.

    A path of `filesystem` is written for people as `prefix + path`; user names and passwords in
    the URI that opened it are not repeated there.
    """

    filesystem: fs.FileSystem
    prefix: str  # "s3://", "hdfs://host:port"

    def holds(self, uri: str) -> bool:
        """Tell whether a URI is of this filesystem."""
        rest = uri.removeprefix(self.prefix)
        return rest != uri and (self.prefix.endswith("/") or rest.startswith("/"))

    def uri(self, path: str) -> str:
        """Write a path of the filesystem as a URI."""
        return self.prefix + path

    def path(self, uri: str) -> str:
        """Give the filesystem's path of a URI that `uri` wrote."""
        return uri.removeprefix(self.prefix)

    def read(self, path: str) -> bytes:
        """Read a file whole, with bounded retries.

        Raises:
            OSError: it can't be read.
        """
        return self.read_version(path)[0]

    def read_version(self, path: str, limit: int | None = None) -> tuple[bytes, str]:
        """Read a file whole, with bounded retries; give its content, and `version`.

        Raises:
            FileTooLargeError: it has more than `limit` bytes; nothing of it was read.
            OSError: it can't be read.
        """

        def once() -> tuple[bytes, str]:
            with self.filesystem.open_input_file(path) as file:
                size = int(file.size())
                if limit is not None and size > limit:
                    raise FileTooLargeError(size)
                return file.read(), self.version(path, file)

        return with_retries(once)

    def version(self, path: str, file: Any = None) -> str:
        """Say by which version of it a file is there: its ETag, or its size and time.

        Args:
            path: of the file.
            file: the same, if it is open already: a store has said it then.

        Raises:
            OSError: the file is not there, or can't be looked at.
        """
        if isinstance(self.filesystem, fs.PyFileSystem):
            info = self.filesystem.get_file_info(path)
            if info.type != fs.FileType.File:
                raise FileNotFoundError(2, "No such file", path)
            return f"{info.size} {info.mtime_ns}"
        if file is None:
            with self.filesystem.open_input_file(path) as opened_file:
                return self.version(path, opened_file)
        told = file.metadata() or {}
        if tag := told.get(b"ETag"):
            return f"ETag {tag!r}"
        return f"{file.size()} {self.filesystem.get_file_info(path).mtime_ns}"


class FileTooLargeError(Exception):
    """A file has more bytes than are read; `size` says how many."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes")
        self.size = size


def with_retries(request: Callable[[], T]) -> T:
    """Do a request on a remote filesystem, again where it failed for a reason that may pass.

    Raises:
        OSError: it failed `TRIES` times, or for a reason that lasts.
    """
    for failures in range(1, TRIES + 1):
        try:
            return request()
        except LASTING:
            raise
        except OSError as why:
            if failures == TRIES or is_denied(why):
                raise
            pause(failures)
    raise AssertionError("unreachable")


def is_denied(why: OSError) -> bool:
    """Tell whether a store refused a request for want of a right, which no other try mends."""
    return DENIED.search(str(why)) is not None


def pause(failures: int) -> None:
    """Wait after the n-th failure in a row of a remote filesystem, twice as long each time."""
    # Jitter, so that workers which were refused together do not come back together.
    wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (failures - 1))
    time.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311


def remote_of(uri: str, known: Sequence[Remote] = ()) -> tuple[Remote | None, str]:
    """Find the filesystem of a file's URI among those that are open, or open it; and the path.

    Only the URI's scheme and host are parsed: the rest is a name, whatever characters are in it.

    Raises:
        InputError: neither pyarrow nor fsspec can open it.
    """
    for remote in known:
        if remote.holds(uri):
            return remote, remote.path(uri)
    scheme, rest = uri.split("://", 1)
    if scheme == "file":
        return None, rest
    opened = _host(f"{scheme}://{rest.split('/', 1)[0]}")
    if isinstance(opened, InputError):
        raise opened
    return opened, opened.path(uri)


@functools.cache
def _host(uri: str) -> Remote | InputError:
    """Open a host's filesystem; one that can't be opened is not asked again for every file."""
    try:
        remote, _ = open_uri(uri)
    except InputError as why:
        return why
    assert remote is not None  # only file:// is this machine's
    return remote


@contextmanager
def opened(path: str, remotes: Sequence[Remote]) -> Iterator[Any]:
    """Open a file of this machine or behind a URI for reading."""
    if "://" not in path:
        with open(path, "rb") as file:
            yield file
        return
    remote, name = remote_of(path, remotes)
    if remote is None:
        with open(name, "rb") as file:
            yield file
    else:
        with with_retries(lambda: remote.filesystem.open_input_file(name)) as file:
            yield file


def open_remotes(locations: Sequence[str]) -> tuple[Remote, ...]:
    """Open the remote filesystems among some locations, each once.

    Raises:
        InputError: one can't be opened, or two differ but have the same prefix.
    """
    opened: dict[str, Remote] = {}
    for location in filter(is_uri, locations):
        remote, _ = open_uri(location)
        if remote is None:
            continue
        known = opened.setdefault(remote.prefix, remote)
        if not known.filesystem.equals(remote.filesystem):
            raise InputError(
                f"{shown(location)} and another input of {remote.prefix} need different accounts, "
                "regions or options: give them to runs of their own"
            )
    return tuple(opened.values())


@functools.cache
def open_uri(uri: str) -> tuple[Remote | None, str]:
    """Open the filesystem behind a URI; give it and the path in it.

    None stands for this machine's own (`file://`).

    Raises:
        InputError: neither pyarrow nor fsspec can open it.
    """
    filesystem, path = _filesystem(uri)
    if isinstance(filesystem, fs.LocalFileSystem):
        return None, path
    public, path = shown(uri).rstrip("/"), path.rstrip("/")
    prefix = public.removesuffix(path)
    if not path or prefix == public:  # the filesystem's root
        prefix = uri.split("://")[0] + "://"
    return Remote(filesystem, prefix), path


def shown(uri: str) -> str:
    """Give a URI without user name, password and options, as it may be shown."""
    scheme, rest = uri.split("?")[0].split("://", 1)
    # A password may hold a slash or an @ that should have been escaped. (What stands before an @
    # without a password is a name, such as that of a container of Azure.)
    return f"{scheme}://{re.sub('^[^/@:]*:.*@', '', rest)}"


def _filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    if uri.startswith(("http://", "https://")):
        raise InputError(f"{shown(uri)} can't be opened: the web is no filesystem")
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
        return filesystem, str(path)
    except (ArrowException, ValueError, OSError) as why:
        if "Unrecognized filesystem type" not in str(why):
            raise InputError(f"{shown(uri)} can't be opened: {_words(why, uri)}") from None
    try:
        import fsspec

        other, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError, OSError) as why:
        raise InputError(f"{shown(uri)} can't be opened: {_words(why, uri)}") from None
    return fs.PyFileSystem(fs.FSSpecHandler(other)), str(path)


def _words(why: Exception, uri: str) -> str:
    """Give an error's words, unless they repeat what of the URI is secret."""
    words = " ".join(str(why).split())
    return "it is no valid URI" if uri in words or "@" in words else words
