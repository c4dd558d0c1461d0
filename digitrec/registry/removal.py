"""Scans are taken out of a registry's data: whose handwriting it is may ask for that."""

import hashlib
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from digitrec.errors import InputError, ScanError
from digitrec.inputs.fetch import content
from digitrec.registry.pool import (
    JUDGED,
    Corrections,
    data_files,
    load,
    read_data,
    used_by,
    write_data,
)
from digitrec.registry.similar import near_copies, views_of
from digitrec.registry.store import DATA, page_name
from digitrec.storage.files import is_uri
from digitrec.storage.folder import Folder
from digitrec.storage.paths import readable

HASH = re.compile("[0-9a-f]{8,64}")  # the beginning of a SHA-256


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is taken out of a registry's data."""

    removed: list[str]  # SHA-256 of the contents of the scans
    near: list[str]  # of them, those that are near-copies of what was named
    bundles: dict[str, int]  # the ids of bundles that were trained on any of them: on how many
    reports: list[str]  # pages that may show any of them, as pictures


def find(folder: Folder, names: Sequence[str]) -> Forgotten:
    """Find scans in a registry's data, and their near-copies, that are to be taken out.

    Args:
        folder: the registry's.
        names: files, whose content counts; or paths as the corrections had them; or the beginning
            of the SHA-256 of a scan's content, 8 hex digits or more.

    Raises:
        InputError: a name is of no scan that is there, or the data are damaged.
        OSError: they can't be read.
    """
    there = load(folder)
    exact: set[str] = set()
    removed: set[str] = set()
    for name in names:
        shown = _shown(there, name)
        copies = _copies(there, shown)
        if not copies:
            raise InputError(
                f"{name} is no scan of {folder.name}: name its file, its path as it was in the "
                "corrections, or the beginning of its SHA-256; nothing was removed"
            )
        exact |= {hashlib.sha256(one).hexdigest() for one in shown}
        removed |= copies
    return Forgotten(
        sorted(removed),
        sorted(removed - exact),
        used_by(folder, removed),
        [page_name(one) for one in used_by(folder, removed, JUDGED)],
    )


def _shown(there: Corrections, name: str) -> list[bytes]:
    """Return the contents of what a name means."""
    if is_uri(name) or os.path.isfile(name):
        found = content(name)
        if isinstance(found, bytes):
            return [found]
    if HASH.fullmatch(name):
        return [there.contents[k] for k, one in enumerate(there.sha256) if one.startswith(name)]
    named = (there.paths == name) | (there.paths == readable(name))
    return [there.contents[k] for k in np.flatnonzero(named)]


def _copies(there: Corrections, shown: Sequence[bytes]) -> set[str]:
    """Return what is there of some contents and of their near-copies: their SHA-256."""
    if not shown or not len(there):
        return set()
    try:
        looks = views_of(shown)
    except ScanError:  # what can't be decoded never came in
        return set()
    near = near_copies(there.views.followed_by(looks), len(there))
    digests = {hashlib.sha256(one).hexdigest() for one in shown}
    named = [k for k, one in enumerate(there.sha256) if one in digests]
    return {there.sha256[k] for k in (*named, *near[near[:, 0] < len(there), 0].tolist())}


def remove(folder: Folder, removed: Collection[str]) -> None:
    """Take scans out of a registry's data: files without them are written, the old ones deleted.

    That no addition is under way is the caller's to see to. If it breaks off, the same call goes on
    from there.

    Args:
        folder: the registry's.
        removed: the SHA-256 of their contents.

    Raises:
        InputError: the data are damaged.
        OSError: they can't be read or written.
    """
    for name in data_files(folder):
        rows = read_data(folder, name)
        kept = [row for row in rows if row["sha256"] not in removed]
        if len(kept) == len(rows):
            continue
        if kept:
            write_data(folder, kept)
        folder.delete(f"{DATA}/{name}")
    folder.sync(DATA)
