"""Stamps: numbers by which it is known that a file has changed since it was read.

A stamp is made of a file's size and the time when it was last written, or of the ETag where a
store gives one. 0 stands for a file that could not be opened.
"""

import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from digitrec.storage.files import is_uri

if TYPE_CHECKING:
    from digitrec.storage.uris import Remote

UNKNOWN = 0
# A large odd number: two files whose sizes and times differ hardly ever have one stamp.
SPREAD = 0x9E3779B97F4A7C15
MASK = 2**63 - 1


def stamp_of(status: os.stat_result) -> int:
    """Return the stamp of a file of this machine: 1 to 2⁶³ - 1."""
    return ((status.st_size + 1) * SPREAD + status.st_mtime_ns) & MASK or 1


def stamp_of_words(words: str) -> int:
    """Return the stamp for what a store says of an object: 1 to 2⁶³ - 1."""
    digest = hashlib.blake2b(words.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") & MASK or 1


def stamp_of_open(file: Any, path: str, remotes: "Sequence[Remote]" = ()) -> int:
    """Return the stamp of a file that is open, of this machine or behind a URI.

    Raises:
        OSError: its filesystem does not say.
    """
    if hasattr(file, "fileno") and not hasattr(file, "metadata"):
        return stamp_of(os.fstat(file.fileno()))
    from digitrec.storage.uris import remote_of

    remote, name = remote_of(path, remotes)
    assert remote is not None  # files of this machine were opened as such
    return stamp_of_words(remote.version(name, file))


def current_stamp(path: str, remotes: "Sequence[Remote]" = ()) -> int:
    """Look at a file without reading it; give its stamp, or 0 where that can't be had."""
    from digitrec.storage.uris import remote_of, with_retries

    try:
        if not is_uri(path):
            return stamp_of(os.stat(path))
        remote, name = remote_of(path, remotes)
        if remote is None:
            return stamp_of(os.stat(name))
        return stamp_of_words(with_retries(lambda: remote.version(name)))
    except Exception:  # fsspec's filesystems raise what their libraries do
        return UNKNOWN
