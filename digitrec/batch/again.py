"""What of a part is read again: what changed since, and what could not be read."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from digitrec.batch.chunks import Chunk
from digitrec.batch.parts import UNREADABLE, Identity, read_file
from digitrec.batch.stats import Stats, code
from digitrec.inputs.fetch import IN_FLIGHT
from digitrec.inputs.stamps import UNKNOWN, current_stamp
from digitrec.inputs.units import Found
from digitrec.storage.files import is_uri
from digitrec.storage.folder import Folder
from digitrec.storage.uris import Remote

# What may be otherwise the next time, though the file stays as it is.
PASSING = ("vanished", "unreadable")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a chunk's file holds of it: the rows of its N units, and what the footer tells."""

    rows: pa.Table
    stamps: NDArray[np.int64]  # [N], see `changed`
    looks: NDArray[np.uint8]  # [N, features], or none of them
    stats: Stats  # of all its rows, which may be more


def kept(
    folder: Folder,
    name: str,
    chunk: Chunk,
    identity: Identity,
    columns: Sequence[str] | None = None,
) -> Kept | None:
    """Read the file that was made of a chunk, which may have lost units since.

    Args:
        folder: the run's.
        name: the file's.
        chunk: as it is now.
        identity: whose the file must be.
        columns: which to read; None: all.

    Returns:
        None if it can't be used, and is to be made whole.
    """
    try:
        told, rows = read_file(folder, name, columns)
    except UNREADABLE:
        return None
    places = _places(chunk.shown, rows["path"].to_pylist())
    if told.stranger(identity) or places is None or len(told.stamps) != len(rows):
        return None
    looks = told.looks[places] if len(told.looks) else told.looks
    return Kept(rows.take(pa.array(places, pa.int64())), told.stamps[places], looks, told.stats)


def _places(wanted: Sequence[str], names: Sequence[str]) -> list[int] | None:
    """Find units among rows in the same order; None if a row is missing."""
    places, row = list[int](), 0
    for name in wanted:
        while row < len(names) and names[row] != name:
            row += 1
        if row == len(names):
            return None
        places.append(row)
        row += 1
    return places


def changed(
    chunk: Chunk, stamps: NDArray[np.int64], remotes: Sequence[Remote]
) -> NDArray[np.bool_]:
    """Look at the units of a chunk: which are not as they were when they were read? bool [N].

    Args:
        chunk: of N units.
        stamps: int64 [N], as they were; negative for a file with further frames.
        remotes: filesystems that are open already.
    """
    current = np.concatenate(
        [np.zeros(0, np.int64), *(_current(piece, remotes) for piece in chunk.pieces)]
    )
    return np.asarray((current != np.abs(stamps)) | (current == UNKNOWN))


def _current(piece: Found, remotes: Sequence[Remote]) -> NDArray[np.int64]:
    if piece.shard is not None:
        return np.full(len(piece), current_stamp(piece.shard, remotes), np.int64)
    if not any(map(is_uri, piece.paths)):
        return np.array([current_stamp(path) for path in piece.paths], np.int64)
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        return np.array(
            list(pool.map(lambda path: current_stamp(path, remotes), piece.paths)), np.int64
        )


def failed(rows: pa.Table) -> NDArray[np.bool_]:
    """Tell of each row whether it may be otherwise the next time: bool [N]."""
    reasons = rows["reason"].to_pylist()
    return np.array([reason is not None and code(reason) in PASSING for reason in reasons], bool)


def whole_pieces(chunk: Chunk, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Widen what is wanted of a chunk's shards to whole pieces: each is read through anyway."""
    wanted = wanted.copy()
    ends = accumulate(map(len, chunk.pieces), initial=0)
    for piece, (start, end) in zip(chunk.pieces, pairwise(ends), strict=True):
        if piece.shard is not None:
            wanted[start:end] = wanted[start:end].any()
    return wanted


def merged(old: pa.Table, new: pa.Table, again: NDArray[np.bool_]) -> pa.Table:
    """Put new rows in the place of those that were read again: bool [N]."""
    places = np.arange(len(old))
    places[again] = len(old) + np.arange(len(new))
    return pa.concat_tables([old, new.select(old.column_names)]).unify_dictionaries().take(places)
