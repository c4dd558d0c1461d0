"""Inputs shared out: folders that several tasks list at the same time, each unit still once.

That two folders lie apart is known from their paths; what lies behind a link is not, so links are
left to one share, the last, which begins when all others have ended. It also takes whatever else
the inputs hold.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from digitrec.inputs.dedup import Seen
from digitrec.inputs.listing import Kinds, sort_inputs, stream_kinds
from digitrec.inputs.options import InputOptions
from digitrec.inputs.units import Found
from digitrec.inputs.walk import Notes, Others
from digitrec.storage.files import is_uri

# So many entries of a folder are looked at for folders in it that can be shared out.
LOOKED_AT = 10_000


@dataclass(frozen=True, slots=True)
class Share:
    """What one of several tasks lists.

    Where `is_rest`, that is all but the `folders`, and what is behind `links`; else the `folders`,
    and `links` is filled with the links to folders that were met.
    """

    folders: tuple[str, ...]  # paths of this machine, or URIs as they may be shown
    is_rest: bool
    links: list[str]


def folders_apart(inputs: Sequence[str]) -> list[str]:
    """Find folders that can be shared out: those given, or of a single one the folders in it.

    Raises:
        InputError: an input is not there or can't be used.
    """
    kinds = sort_inputs(inputs)
    names = [*kinds.folders, *_remote_names(kinds)]
    if len(names) == 1 and kinds.folders:
        names = _inner(kinds.folders[0])
    return names if _are_apart(kinds, names) else []


def still_apart(inputs: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether what was shared out is still there, and reached by no other way.

    Raises:
        InputError: an input is not there or can't be used.
    """
    return _are_apart(sort_inputs(inputs), names)


def stream_share(
    inputs: Sequence[str], share: Share, notes: Notes, seen: Seen, options: InputOptions
) -> Iterator[Found]:
    """Yield the scans of one share of the inputs; see `stream_inputs`.

    Raises:
        InputError: an input is not there or can't be used.
    """
    kinds = sort_inputs(inputs)
    local = [name for name in share.folders if not is_uri(name)]
    remote = [
        folder
        for name, folder in zip(_remote_names(kinds), kinds.remote_folders, strict=True)
        if (name in share.folders) != share.is_rest
    ]
    if share.is_rest:
        folders = [*kinds.folders, *share.links]
        kinds = Kinds(folders, remote, kinds.tables, kinds.files)
        others = Others(walked=tuple(local))
    else:
        kinds, others = Kinds(local, remote), Others(links=share.links)
    yield from stream_kinds(kinds, inputs, notes, seen, options, others)


def _remote_names(kinds: Kinds) -> list[str]:
    """Name remote folders in a way that may be kept: without passwords."""
    if not kinds.remote_folders:
        return []
    from digitrec.storage.uris import shown

    return [shown(remote.uri(path)) for remote, path in kinds.remote_folders]


def _inner(folder: str) -> list[str]:
    """Return folders in a folder that are walked whatever else is in it."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.path
            for entry in islice(entries, LOOKED_AT)
            if entry.name[0] not in "._" and entry.is_dir(follow_symlinks=False)
        )


def _are_apart(kinds: Kinds, names: Sequence[str]) -> bool:
    """Return whether nothing is in two of the folders, or named by another input too."""
    if kinds.tables or kinds.files:
        return False
    remote = {name for name in names if is_uri(name)}
    local = [name for name in names if name not in remote]
    if not remote <= set(_remote_names(kinds)) or not all(map(os.path.isdir, local)):
        return False
    real = sorted(f"{name}/" for name in [*remote, *map(os.path.realpath, local)])
    return not any(inner.startswith(outer) for outer, inner in pairwise(real))
