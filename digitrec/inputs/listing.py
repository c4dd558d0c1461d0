"""Inputs: folders, files, globs, lists and shards → the paths of the scans in them, streamed.

Paths of this machine are str as `os.fsdecode` gives them, others are URIs; `readable` writes
either so that it can be printed and stored, whatever bytes are in it.
"""

import fnmatch
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from digitrec.errors import InputError
from digitrec.inputs.decode import ENDINGS
from digitrec.inputs.dedup import Seen
from digitrec.inputs.options import DEFAULT_OPTIONS, InputOptions
from digitrec.inputs.own import RUN, record
from digitrec.inputs.rows import ending
from digitrec.inputs.units import Found
from digitrec.inputs.walk import ALONE, BATCH, Notes, Others, walk, walk_remote
from digitrec.storage.files import is_uri
from digitrec.storage.paths import readable, without_path

if TYPE_CHECKING:
    from digitrec.storage.uris import Remote

SCAN_ENDINGS = frozenset(ending for endings in ENDINGS.values() for ending in endings)
# What `digitrec pack` writes: its folder stands for them.
SHARDS = "shard-*.parquet"
# In a path that has other names too: relative, or with `//`, `/./` or `/../`.
ODD = re.compile(r"/\.{0,2}/|/\.{1,2}$|^[^/]")
ODD_PARTS = ("//", "/./", "/../", "/.\n", "/..\n")


@dataclass(frozen=True, slots=True)
class Listing:
    """All scans of the inputs: sorted paths, each once, and what was left out; see `Notes`."""

    paths: list[str]
    ignored: dict[str, int]


def list_inputs(inputs: Sequence[str]) -> Listing:
    """List inputs whole; see `stream_inputs`.

    Raises:
        InputError: an input is not there or can't be used, or a folder can't be listed.
    """
    notes = Notes()
    return _listing(stream_inputs(inputs, notes), notes)


def list_remote(remote: "Remote", folder: str) -> Listing:
    """List a folder of a filesystem that is open already; see `list_inputs`.

    Raises:
        InputError: a folder can't be listed.
    """
    notes = Notes()
    return _listing(_walked(remote, folder, notes), notes)


def _walked(remote: "Remote", folder: str, notes: Notes) -> Iterator[Found]:
    for batch in walk_remote(remote, folder, is_scan_name, notes):
        yield Found([remote.uri(path) for path in batch])


def _listing(found: Iterable[Found], notes: Notes) -> Listing:
    paths = [path for some in found for path in some.paths]
    for folder, why in notes.unlisted.items():
        raise InputError(f"folder {readable(folder)} can't be listed: {why}")
    return Listing(sorted(paths), dict(sorted(notes.ignored.items())))


def stream_inputs(
    inputs: Sequence[str],
    notes: Notes,
    seen: Seen | None = None,
    options: InputOptions = DEFAULT_OPTIONS,
) -> Iterator[Found]:
    """Yield the scans of the inputs as they are found, each unit once, in no order.

    An input is a folder, taken recursively, of which files with an image's ending (in any case)
    are scans unless they or a folder above begin with `.`, or are what digitrec itself wrote; a
    glob; a list (`.txt` with a
    path a line, `.csv` or `.parquet` with a column `path`, relative to the list's folder); a
    shard that `digitrec pack` wrote; or a file, which is a scan whatever its name.

    Args:
        inputs: paths of this machine, or URIs.
        notes: filled while the scans are taken.
        seen: units that came before, by their `keys`, which are left out; filled too.
        options: how the inputs are taken.

    Raises:
        InputError: an input is not there or can't be used.
    """
    yield from stream_kinds(
        sort_inputs(inputs), inputs, notes, Seen() if seen is None else seen, options, ALONE
    )


def stream_kinds(
    kinds: "Kinds",
    inputs: Sequence[str],
    notes: Notes,
    seen: Seen,
    options: InputOptions,
    others: Others,
) -> Iterator[Found]:
    """Yield the scans of inputs that are sorted already; see `stream_inputs`.

    Args:
        kinds: the inputs, or some of them.
        inputs: all of them, as they were given: lists may name what lies where they lie.
        notes: as there.
        seen: as there.
        options: as there.
        others: what others list at the same time.
    """
    for found in _all(kinds, inputs, notes, options, others):
        yield from found.only(seen.fresh(keys(found)))


def _all(
    kinds: "Kinds", inputs: Sequence[str], notes: Notes, options: InputOptions, others: Others
) -> Iterator[Found]:
    follow = options.follow_links
    folders = walk(kinds.folders, is_scan_name, notes, follow_links=follow, others=others)
    yield from map(Found, folders)
    for remote, folder in kinds.remote_folders:
        yield from _walked(remote, folder, notes)
    for start in range(0, len(kinds.files), BATCH):
        yield Found(kinds.files[start : start + BATCH])
    if kinds.tables:
        from digitrec.inputs.tables import stream_table
        from digitrec.storage.uris import open_remotes

        remotes = open_remotes(inputs)
        for table in kinds.tables:
            yield from stream_table(table, remotes, options)


@dataclass(frozen=True, slots=True)
class Kinds:
    """Inputs by kind; globs are expanded."""

    folders: list[str] = field(default_factory=list)
    remote_folders: list[tuple["Remote", str]] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)  # lists and shards
    files: list[str] = field(default_factory=list)


def sort_inputs(inputs: Sequence[str]) -> Kinds:
    """Find out what every input is.

    Raises:
        InputError: an input is not there, or its filesystem can't be opened.
    """
    kinds = Kinds()
    for given in inputs:
        if is_uri(given):
            _sort_uri(given, kinds)
        else:
            _sort_local(given, kinds)
    return kinds


def _sort_local(given: str, kinds: Kinds) -> None:
    if os.path.lexists(given):
        _sort_path(given, kinds)
        return
    matches = sorted(glob.iglob(given, recursive=True)) if glob.has_magic(given) else []
    if not matches:
        raise InputError(f"no file or folder {readable(given)}")
    for path in matches:
        _sort_path(path, kinds)


def _sort_path(path: str, kinds: Kinds) -> None:
    if os.path.isdir(path):
        if _is_packed(path, _local_text):
            names = sorted(name for name in os.listdir(path) if fnmatch.fnmatch(name, SHARDS))
            kinds.tables.extend(os.path.join(path, name) for name in names)
        else:
            kinds.folders.append(path)
    elif ending(path):
        kinds.tables.append(path)
    else:
        kinds.files.append(path)


def _sort_uri(uri: str, kinds: Kinds) -> None:
    from digitrec.storage.uris import open_pattern

    remote, path = open_pattern(uri)
    if remote is None:
        _sort_local(path, kinds)
        return
    _sort_remote(remote, path, kinds)


def _sort_remote(remote: "Remote", path: str, kinds: Kinds) -> None:
    from pyarrow import fs

    from digitrec.storage.uris import with_retries

    info = with_retries(lambda: remote.filesystem.get_file_info(path))
    if info.type == fs.FileType.File:
        (kinds.tables if ending(path) else kinds.files).append(remote.uri(path))
    elif info.type == fs.FileType.Directory:
        if not _is_packed(path, remote.read):
            kinds.remote_folders.append((remote, path))
            return
        infos = with_retries(lambda: remote.filesystem.get_file_info(fs.FileSelector(path)))
        shards = [i.path for i in infos if fnmatch.fnmatch(i.base_name, SHARDS)]
        kinds.tables.extend(map(remote.uri, sorted(shards)))
    elif matches := _remote_matches(remote, path):
        for match in matches:
            _sort_remote(remote, match, kinds)
    else:
        raise InputError(f"no file or folder {remote.uri(path)}")


def _remote_matches(remote: "Remote", pattern: str) -> list[str]:
    """Expand a glob behind a URI: `*`, `?` and `[…]` within a name, `**` over several."""
    from pyarrow import fs

    from digitrec.storage.uris import with_retries

    parts = pattern.split("/")
    magic = [k for k, part in enumerate(parts) if glob.has_magic(part)]
    if not magic:
        return []
    deep = magic[0] < len(parts) - 1
    selector = fs.FileSelector("/".join(parts[: magic[0]]), allow_not_found=True, recursive=deep)
    infos = with_retries(lambda: remote.filesystem.get_file_info(selector))
    return sorted(info.path for info in infos if _fits(info.path.split("/"), parts))


def _fits(names: list[str], patterns: list[str]) -> bool:
    """Return whether a path fits a pattern, both as the names in them."""
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_fits(names[k:], patterns[1:]) for k in range(len(names) + 1))
    return (
        bool(names)
        and fnmatch.fnmatchcase(names[0], patterns[0])
        and _fits(names[1:], patterns[1:])
    )


def _is_packed(folder: str, read: Callable[[str], bytes]) -> bool:
    """Tell from a folder's `_run.json`, if there is one, whether `pack` filled it.

    Raises:
        InputError: it did not finish.
    """
    run = record(f"{folder}/{RUN}", read)
    if run is None or run["command"] != "pack":
        return False
    if run["state"] != "complete":
        raise InputError(f"{readable(folder)} is not packed to the end: go on")
    return True


def _local_text(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def check_some_are_there(paths: Sequence[str], inputs: Sequence[str]) -> None:
    """Check that of the scans which lists name not all are missing, up to the first one there.

    Args:
        paths: the scans.
        inputs: what named them.

    Raises:
        InputError: none is there.
    """
    tables = [given for given in inputs if ending(given)]
    if not tables or not paths or not all(map(_is_missing, paths)):
        return
    raise InputError(
        f"none of the {len(paths):,} paths in {', '.join(map(readable, tables))} is there, such as "
        f"{readable(paths[0])}: paths in a list are relative to its folder"
    )


def _is_missing(path: str) -> bool:
    """Return whether a file of this machine is not there; what can't be known is no missing one."""
    if is_uri(path) or without_path(path):
        return False
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def keys(found: Found) -> list[str]:
    """Return what each unit is known by, however an input named it."""
    if found.shard is None:
        return one_names(found.paths)
    [shard] = one_names([found.shard])
    # With the name, so that other rows in the same place are others.
    return [
        f"{shard}\0{found.row_group}\0{row}\0{name}"
        for row, name in enumerate(found.paths, found.first)
    ]


def one_names(paths: list[str]) -> list[str]:
    """Return the one name of each path that several inputs may name in their ways."""
    # Most batches are of absolute paths without anything odd; that is seen at once.
    text = "\n" + "\n".join(paths) + "\n"
    if text.count("\n/") == text.count("\n") - 1 == len(paths) and not any(
        odd in text for odd in ODD_PARTS
    ):
        return paths
    return list(map(_one_name, paths))


def _one_name(path: str) -> str:
    path = path.removeprefix("file://")
    if is_uri(path) or ODD.search(path) is None:
        return path
    if "\0" in path:  # no file has such a name
        return path
    if ".." in path.split("/"):  # what is above a link is not what stands before it
        return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    return os.path.abspath(path)


def is_scan_name(name: str) -> bool:
    """Return whether a file of this name in a folder is a scan."""
    return name[name.rfind(".") :].lower() in SCAN_ENDINGS
