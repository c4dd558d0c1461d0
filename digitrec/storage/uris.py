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
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pyarrow import ArrowException, fs

from digitrec.errors import InputError
from digitrec.storage.files import is_uri

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
# What a list may name beside the filesystems of the inputs: stores that hold files. Anything else,
# such as a proxy or a cache before the web, would let whoever wrote a list make us ask any host.
LISTED_SCHEMES = frozenset({"file", "s3", "gs", "gcs", "abfs", "abfss", "az", "hdfs"})
# So many hosts' filesystems are kept open.
HOSTS = 256
# Options of a URI, as opposed to a `?` in a pattern or a name.
OPTIONS = re.compile(r"\?\w+=[^/?]*$")
# One filesystem within another, as fsspec writes it.
CHAIN = re.compile(r"^[^/]*::|::[\w+.-]*://")
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
    bucket: str = ""  # it is the filesystem of this bucket alone, such as of its region

    def holds(self, uri: str) -> bool:
        """Return whether a URI is of this filesystem."""
        rest = uri.removeprefix(self.prefix)
        if rest == uri or (self.bucket and rest.split("/", 1)[0] != self.bucket):
            return False
        return self.prefix.endswith("/") or rest.startswith("/")

    def uri(self, path: str) -> str:
        """Write a path of the filesystem as a URI."""
        return self.prefix + path

    def path(self, uri: str) -> str:
        """Return the filesystem's path of a URI that `uri` wrote."""
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
    """Return whether a store refused a request for want of a right, which no other try mends."""
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
    uri = _lower(uri)
    for remote in known:
        if remote.holds(uri):
            return remote, remote.path(uri)
    scheme, rest = uri.split("://", 1)
    if scheme == "file":
        return None, rest.removeprefix("localhost")
    opened = _host(f"{scheme}://{rest.split('/', 1)[0]}")
    if isinstance(opened, InputError):
        raise opened
    return opened, opened.path(uri)


def check_listed(uri: str, known: Sequence[Remote] = ()) -> None:
    """Check that a URI which a list names is of a filesystem that may be asked; ask nobody.

    Raises:
        InputError: it is of none of the inputs' filesystems, and its scheme is none of a store.
    """
    uri = _lower(uri)
    scheme = uri.split("://", 1)[0]
    if scheme not in LISTED_SCHEMES and not any(remote.holds(uri) for remote in known):
        raise InputError(f"{scheme}:// is not allowed in a list, unless an input lies there too")


def _lower(uri: str) -> str:
    """Write the scheme in lower case, which means the same."""
    scheme, rest = uri.split("://", 1)
    return f"{scheme.lower()}://{rest}"


@functools.lru_cache(HOSTS)
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
    if not is_uri(path):
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
    opened: dict[tuple[str, str], Remote] = {}
    for location in filter(is_uri, locations):
        remote, path = open_pattern(location)
        if remote is None:
            continue
        bucket = path.split("/")[0] if remote.prefix == "s3://" else ""
        known = opened.setdefault((remote.prefix, bucket), replace(remote, bucket=bucket))
        if not known.filesystem.equals(remote.filesystem):
            raise InputError(
                f"{shown(location)} and another input of {remote.prefix}{bucket} need different "
                "accounts, regions or options: give them to runs of their own"
            )
        if _has_options(location):
            # They are the user's answer to how to get at what the lists name, in any bucket.
            opened[remote.prefix, bucket] = remote
    return _told_apart(opened)


def _told_apart(opened: dict[tuple[str, str], Remote]) -> tuple[Remote, ...]:
    """Join buckets' filesystems that are the same; of those that differ each has its bucket."""
    remotes: list[Remote] = []
    for prefix, bucket in opened:
        remote = opened[prefix, bucket]
        others = [other for (its, _), other in opened.items() if its == prefix]
        if not all(other.filesystem.equals(remote.filesystem) for other in others):
            remotes.append(replace(remote, bucket=bucket))
        elif remote not in remotes:
            remotes.append(remote)
    return tuple(remotes)


def _has_options(uri: str) -> bool:
    return bool(OPTIONS.search(uri)) or "@" in uri.split("://", 1)[1].split("/")[0]


def open_pattern(uri: str) -> tuple[Remote | None, str]:
    """Open the filesystem behind a URI that may be a glob; give it and the pattern in it.

    Raises:
        InputError: neither pyarrow nor fsspec can open it.
    """
    options = OPTIONS.search(uri)
    base, query = (uri[: options.start()], options[0]) if options else (uri, "")
    magic = re.search("[*?[]", base)
    if magic is None:
        return open_uri(uri)
    fixed = base[: base.rindex("/", 0, magic.start())]
    remote, path = open_uri(f"{fixed}{query}" if "://" in fixed else f"{fixed}/{query}")
    return remote, f"{path}{base[len(fixed) :]}"


@functools.lru_cache(HOSTS)
def open_uri(uri: str) -> tuple[Remote | None, str]:
    """Open the filesystem behind a URI; give it and the path in it.

    None stands for this machine's own (`file://`).

    Raises:
        InputError: neither pyarrow nor fsspec can open it.
    """
    filesystem, path = _filesystem(_lower(uri))
    if isinstance(filesystem, fs.LocalFileSystem):
        return None, path
    public, path = shown(_lower(uri)).rstrip("/"), path.rstrip("/")
    prefix = public.removesuffix(path)
    if not path or prefix == public:  # the filesystem's root
        prefix = uri.split("://")[0].lower() + "://"
    return Remote(filesystem, prefix), path


def shown(uri: str) -> str:
    """Return a URI without user name, password and options, as it may be shown."""
    scheme, rest = uri.split("?")[0].split("://", 1)
    # A password may hold a slash or an @ that should have been escaped. (What stands before an @
    # without a password is a name, such as that of a container of Azure.)
    return f"{scheme}://{re.sub('^[^/@:]*:.*@', '', rest)}"


def _filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    if uri.startswith(("http://", "https://")):
        raise InputError(f"{shown(uri)} can't be opened: the web is no filesystem")
    if CHAIN.search(uri):
        raise InputError(f"{shown(uri)} can't be opened: chains of filesystems are not allowed")
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
        return filesystem, str(path)
    except (ArrowException, ValueError, OSError) as why:
        if "Unrecognized filesystem type" not in str(why):
            raise InputError(f"{shown(uri)} can't be opened: {_words(why, uri)}") from None
    if "::" in uri:
        raise InputError(f"{shown(uri)} can't be opened: chains of filesystems are not allowed")
    try:
        import fsspec

        other, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError, OSError) as why:
        raise InputError(f"{shown(uri)} can't be opened: {_words(why, uri)}") from None
    return fs.PyFileSystem(fs.FSSpecHandler(other)), str(path)


def _words(why: Exception, uri: str) -> str:
    """Return an error's words, unless they repeat what of the URI is secret."""
    words = " ".join(str(why).split())
    return "it is no valid URI" if uri in words or "@" in words else words
