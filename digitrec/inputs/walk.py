"""Folder trees → batches of file paths, streamed: several folders at once, none held whole.

Where a thread meets a folder inside a folder, it goes into it at once, so that what is in memory
is the folders that are open, whether a tree has a million files in one folder or a million
folders. On a network, where each folder costs a round trip, it hands the folder to an idle thread
instead, and they wait in parallel.
"""

import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from digitrec.inputs.own import RUN, is_record
from digitrec.storage.paths import readable

if TYPE_CHECKING:
    from digitrec.storage.uris import Remote

THREADS = 8
BATCH = 1024
# Where a folder answers faster, threads would only stand in each other's way.
WORTH_SECONDS = 0.0005
# So many batches may wait for whoever takes them, before the threads do.
WAITING = 64

FILE, FOLDER, LINK = "file", "folder", "link"
HIDDEN, OWN_FOLDER = "hidden", "folder that is not entered"
# What is in a folder: wanted files' paths, many at a time; and of each other entry its name, its
# path, and one of the kinds above or None.
Entry = tuple[str, str, str | None]
Wanted = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Notes:
    """What a listing left out, and folders that it could not list, with the reason.

    `ignored` counts other files by extension, hidden files as `hidden`, folders that were not
    entered by name (`.git/`), and links that were not followed as `links`.
    """

    ignored: Counter[str] = field(default_factory=Counter)
    unlisted: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Others:
    """What the walks beside this one do, where several share the folders.

    `walked` are the folders that they begin at, whose trees are left to them. Where `links` is a
    list, links to folders are noted there, for the one walk that follows those of all.
    """

    walked: tuple[str, ...] = ()
    links: list[str] | None = None


ALONE = Others()


def walk(
    folders: Sequence[str],
    wanted: Wanted,
    notes: Notes,
    *,
    follow_links: bool = True,
    others: Others = ALONE,
) -> Iterator[list[str]]:
    """Yield the paths of all wanted files below folders of this machine, in batches, in no order.

    Links are followed, and nothing is given twice: what lies behind a link is left out if it is
    walked anyway, so that loops are cut. Names that begin with `.` are left out, and in folders
    that digitrec wrote those that begin with `_`; such folders are not entered.

    Args:
        folders: where to walk.
        wanted: tells of a file's name whether it counts.
        notes: filled while the batches are taken.
        follow_links: go on behind links; without, they are left out. (Not those in `folders`.)
        others: what other walks do.
    """

    def entries(folder: str) -> Iterator[list[str] | Entry]:
        return _local_entries(folder, wanted)

    walker = _Walker(entries, notes, os.path.realpath, wanted if follow_links else None, others)
    yield from walker.batches(folders)


def walk_remote(remote: "Remote", folder: str, wanted: Wanted, notes: Notes) -> Iterator[list[str]]:
    """Yield the paths of all wanted files below a folder of a remote filesystem; see `walk`."""
    from pyarrow import fs

    from digitrec.storage.uris import with_retries

    kinds = {fs.FileType.File: FILE, fs.FileType.Directory: FOLDER}

    def entries(path: str) -> Iterator[list[str] | Entry]:
        infos = with_retries(lambda: remote.filesystem.get_file_info(fs.FileSelector(path)))
        is_own = any(info.base_name == RUN for info in infos) and is_record(
            f"{path}/{RUN}", remote.read
        )
        for info in infos:
            kind, name = kinds.get(info.type), info.base_name
            if _is_left_out(name, is_own):
                yield name, info.path, _left_out(kind, name)
            elif kind == FILE and wanted(name):
                yield [info.path]
            else:
                yield name, info.path, kind

    noted = Notes(notes.ignored)
    try:
        yield from _Walker(entries, noted, lambda path: path).batches([folder])
    finally:
        notes.unlisted.update({remote.uri(path): why for path, why in noted.unlisted.items()})


def _local_entries(folder: str, wanted: Wanted) -> Iterator[list[str] | Entry]:
    files: list[str] = []
    is_own: bool | None = None  # not looked yet: few folders have such names
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name[0] in "._":
                if is_own is None and name[0] == "_":
                    is_own = is_record(os.path.join(folder, RUN), _content)
                if _is_left_out(name, is_own):
                    yield name, entry.path, _left_out(_kind(entry), name)
                    continue
            if entry.is_file(follow_symlinks=False) and wanted(name):
                files.append(entry.path)
                if len(files) == BATCH:
                    yield files
                    files = []
                continue
            yield name, entry.path, _kind(entry)
    yield files


def _kind(entry: os.DirEntry[str]) -> str | None:
    if entry.is_file(follow_symlinks=False):
        return FILE
    if entry.is_dir(follow_symlinks=False):
        return FOLDER
    return LINK if entry.is_symlink() else None


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _is_left_out(name: str, is_own: bool | None) -> bool:
    """Return whether a name is hidden, or in a folder that digitrec wrote one of its own."""
    return name[0] == "." or (bool(is_own) and name[0] == "_")


def _left_out(kind: str | None, name: str) -> str | None:
    """Return the kind of an entry that is left out whatever it is."""
    if kind == FOLDER:
        return OWN_FOLDER
    return HIDDEN if name[0] == "." else None


class _Walker:
    """The threads of one walk, and what they share."""

    def __init__(
        self,
        entries: Callable[[str], Iterable[list[str] | Entry]],
        notes: Notes,
        real: Callable[[str], str],
        linked_file: Wanted | None = None,
        others: Others = ALONE,
    ) -> None:
        self._entries, self._notes, self._real = entries, notes, real
        self._linked_file = linked_file  # of a link to a file: does it count? None: no link does
        self._found: queue.Queue[list[str] | None] = queue.Queue(WAITING)
        self._links: queue.SimpleQueue[str] = queue.SimpleQueue()
        # Real paths of the folders that walks began at.
        self._walked: dict[str, None] = dict.fromkeys(map(real, others.walked))
        self._left_links = others.links
        self._folders: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._failure: Exception | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._idle = threading.Semaphore(THREADS)
        self._running = 0
        self._latency = 0.0  # what a folder takes until its first entry is there, on average

    def batches(self, folders: Sequence[str]) -> Iterator[list[str]]:
        """Yield the batches as they come; when nobody takes them any more, the threads end."""
        # Daemons: threads that wait for a walk which nobody goes on with must not hold up the exit.
        threads = [
            threading.Thread(target=self._work, name="walk", daemon=True) for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        try:
            # Outer folders first, so that one below another is known to be covered.
            for folder in sorted(folders, key=lambda path: len(self._real(path))):
                yield from self._tree(folder)
            while not self._links.empty():
                if self._left_links is None:
                    yield from self._tree(self._links.get())
                else:
                    self._left_links.append(self._links.get())
        finally:
            self._stopped.set()
            for _ in threads:
                self._folders.put(None)
            for thread in threads:
                thread.join(1)

    def _tree(self, top: str) -> Iterator[list[str]]:
        real = self._real(top)
        if self._is_walked(real):
            return
        self._walked[real] = None
        self._idle.acquire()
        self._start(top, real)
        while (batch := self._found.get()) is not None:
            yield batch
        if self._failure is not None:
            raise self._failure

    def _is_walked(self, real: str) -> bool:
        """Return whether a walk goes through a folder: begun there or above, nothing left out."""
        pure = PurePath(real)
        for outer in (pure, *pure.parents):
            if str(outer) in self._walked:
                return True
            name = outer.name
            if name[:1] in {".", "_"} and _is_left_out(
                name, name[0] == "_" and is_record(str(outer.parent / RUN), _content)
            ):
                return False
        return False

    def _start(self, folder: str, real: str) -> None:
        with self._lock:
            self._running += 1
        self._folders.put((folder, real))

    def _work(self) -> None:
        """Walk what is handed over, until the walk ends: what a thread does."""
        while (task := self._folders.get()) is not None:
            self._run(*task)

    def _run(self, folder: str, real: str) -> None:
        ignored: Counter[str] = Counter()
        try:
            self._put(self._walk(folder, real, ignored))
        except Exception as why:  # raised again where the batches are taken
            self._failure = why
        finally:
            with self._lock:
                self._notes.ignored.update(ignored)
                self._running -= 1
                last = self._running == 0
            self._idle.release()
            if last:
                self._offer(None)

    def _put(self, pieces: Iterable[list[str]]) -> None:
        batch: list[str] = []
        for piece in pieces:
            batch += piece
            if len(batch) >= BATCH:
                self._offer(batch)
                batch = []
        if batch:
            self._offer(batch)

    def _offer(self, batch: list[str] | None) -> None:
        while not self._stopped.is_set():
            try:
                self._found.put(batch, timeout=0.1)
                return
            except queue.Full:
                continue

    def _walk(self, top: str, real: str, ignored: Counter[str]) -> Iterator[list[str]]:
        """Yield the wanted files below `top`, whose real path is `real`, as one thread."""
        open_folders = [self._listed(top)]
        while open_folders and not self._stopped.is_set():
            entry = next(open_folders[-1], None)
            if entry is None:
                open_folders.pop()
            elif isinstance(entry, list):
                yield entry
            elif entry[2] == FOLDER:
                inner = real + entry[1][len(top) :]
                if not self._covered(inner):
                    if self._latency > WORTH_SECONDS and self._idle.acquire(blocking=False):
                        self._start(entry[1], inner)
                    else:
                        open_folders.append(self._listed(entry[1]))
            elif entry[2] == LINK and self._linked_file is not None:
                if os.path.isdir(entry[1]):
                    self._links.put(entry[1])
                elif os.path.isfile(entry[1]) and self._linked_file(entry[0]):
                    yield [entry[1]]
                else:
                    ignored[_ending(entry[0])] += 1
            else:
                ignored[_counted_as(entry)] += 1

    def _covered(self, real: str) -> bool:
        """Return whether a folder is one that another walk began at."""
        return len(self._walked) > 1 and real in self._walked

    def _listed(self, folder: str) -> Iterator[list[str] | Entry]:
        """Yield the entries of a folder; of one that can't be listed none, and a note."""
        try:
            start = time.perf_counter()
            entries = iter(self._entries(folder))
            first = next(entries, None)
            self._latency += 0.1 * (time.perf_counter() - start - self._latency)
            if first is not None:
                yield first
                yield from entries
        except FileNotFoundError:  # it was there a moment ago, and is no input any more
            return
        except OSError as why:
            self._notes.unlisted[folder] = why.strerror or " ".join(str(why).split())


def _counted_as(entry: Entry) -> str:
    name, _, kind = entry
    if kind == OWN_FOLDER:
        return readable(name) + "/"
    return {HIDDEN: "hidden", LINK: "links"}.get(kind or "", _ending(name))


def _ending(name: str) -> str:
    ending = os.path.splitext(name)[1].lower()
    return os.fsencode(ending).decode("utf-8", "backslashreplace")
