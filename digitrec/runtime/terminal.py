"""The terminal, such as it may be: of few letters, full, closed; and what C libraries say on it."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# What a user may cause, by naming a place where nothing can be written or read.
USERS = frozenset(
    {
        errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
        errno.ENOTDIR, errno.EPERM, errno.EROFS,
    }
)  # fmt: skip
# What a machine may run out of.
MACHINES = frozenset({errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENOMEM, errno.ENOSPC})


def take_any_letter() -> None:
    """Have stdout and stderr write what they have no letters for as an escape, and not fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> str | None:
    """Write out what waits in stdout; say what is wrong if that can't be.

    Whatever waits is dropped then, so that the interpreter does not fail over it at its end.
    """
    try:
        if sys.stdout is not None:  # it was closed before we came
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read the answer has seen enough
        _drop()
        return ""
    except OSError as why:
        _drop()
        return f"the answer can't be written: {why.strerror}"
    return None


def _drop() -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def decoders_silent() -> Iterator[None]:
    """Keep off the terminal what decoders in C have to say of a damaged file: it is in its row."""
    try:
        handle = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # somebody else's stream, or none
        yield
        return
    if handle != 2:
        yield
        return
    sys.stderr.flush()
    before, stream = os.dup(2), sys.stderr
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        with open(
            before, "w", encoding=stream.encoding, errors=stream.errors, closefd=False
        ) as own:
            sys.stderr = own
            yield
    finally:
        sys.stderr = stream
        os.dup2(before, 2)
        os.close(before)
