"""A registry: bundles that never change, and one log of numbered entries that says the rest.

Whoever writes reads the last entry, and creates the next number with what follows from it; if
another was there first, the number is taken, and it is tried again from what the other wrote. So
all entries are in one order, and each was written by somebody who knew all before it.
"""

import json
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from digitrec.errors import BundleError, InputError, RunError
from digitrec.model.bundle import Bundle, copy_kept, find_bundle, load_folder, load_kept
from digitrec.model.champion import (
    BUNDLES,
    FIGURES,
    HEADER,
    LOG,
    PROMOTION,
    REGISTRATION,
    ROLLBACK,
    Entry,
    Header,
    bundle_folder,
    entry_name,
    entry_numbers,
    last_entry,
    read_entry,
)
from digitrec.model.shipped import DEFAULT
from digitrec.storage.folder import Folder, open_folder, within
from digitrec.storage.lock import LOCK
from digitrec.storage.once import create

DATA = "data"  # the scans of corrections
IN_FLIGHT = 16  # entries that are read at a time
# Another one has the number: so long is waited at most after the first time, and so often tried.
WAIT_SECONDS, ATTEMPTS = 0.01, 500


@dataclass(frozen=True, slots=True)
class _Aim:
    """Which bundle is to be the champion, by which entry; None: by the one that says so now."""

    bundle: str
    since: int | None = None


# What an entry tells, given the one before it; None: there is nothing to tell.
Told = Callable[[Entry | None], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Registry:
    """Bundles that are kept under their ids, and the log that says which of them is in use."""

    folder: Folder
    location: str  # the path or URI that it was opened from

    @property
    def name(self) -> str:
        """What the user called it, without passwords."""
        return self.folder.name

    def last(self) -> Entry | None:
        """Return the last entry of its log; None: there is none yet."""
        return last_entry(self.folder, entry_numbers(self.folder))

    def champion(self) -> str | None:
        """Return the id of the bundle in use; None: none is yet."""
        return None if (last := self.last()) is None else last.champion

    def entries(self) -> Iterator[Entry]:
        """Read all entries of its log, the newest first.

        Raises:
            InputError: one is damaged.
        """
        numbers = entry_numbers(self.folder)[::-1]
        with ThreadPoolExecutor(IN_FLIGHT if self.folder.remote else 1) as pool:
            for k in range(0, len(numbers), 8 * IN_FLIGHT):
                some = numbers[k : k + 8 * IN_FLIGHT]
                found = pool.map(lambda number: read_entry(self.folder, number), some)
                yield from (entry for entry in found if entry is not None)

    def history(self) -> Iterator[Entry]:
        """Read the entries that tell of bundles and data, the newest first: all but runs' figures.

        Raises:
            InputError: one is damaged.
        """
        return _history(self.folder, self.last())

    def entry(self, number: int) -> Entry:
        """Read an entry of its log.

        Raises:
            InputError: it is damaged, or there is none.
        """
        return _entry(self.folder, number)

    def bundle(self, identity: str) -> Bundle:
        """Load one of its bundles.

        Raises:
            BundleError: it is not there, or damaged.
        """
        return load_kept(bundle_folder(self.folder, identity), identity)

    def bundle_location(self, identity: str) -> str:
        """Return where one of its bundles lies: what takes a bundle takes this."""
        return within(self.location, f"{BUNDLES}/{identity}")

    def registered(self) -> list[Entry]:
        """Return the registrations of its bundles, the newest first."""
        return [entry for entry in self.history() if entry.kind == REGISTRATION]

    def id_of(self, name: str) -> str:
        """Find a bundle by its id, the beginning of that, or `champion`.

        Raises:
            InputError: there is none, or there are several.
        """
        if name == "champion":
            if (champion := self.champion()) is None:
                raise InputError(f"the registry {self.name} has no champion yet")
            return champion
        ids = [entry.fields["bundle"] for entry in self.registered()]
        found = [one for one in ids if name and one.startswith(name)]
        if len(found) != 1:
            what = f"{len(found)} bundles" if found else "no bundle"
            raise InputError(
                f"the registry {self.name} has {what} {name!r}: digitrec models list names them"
            )
        return str(found[0])

    def add(self, kind: str, **told: Any) -> Entry:
        """Add an entry to its log that leaves the champion as it is: under the next free number.

        Args:
            kind: what it tells of.
            told: what it tells, as JSON can say it.

        Raises:
            InputError: the registry can't be written to, or its log is damaged.
            OSError: it can't be written.
        """
        entry = self._append(kind, lambda last: told)
        assert entry is not None
        return entry

    def register(self, bundle: str, parent: str | None = None) -> str:
        """Keep a copy of a bundle under its id, and give that; one that it has already stays.

        Args:
            bundle: see `find_bundle`.
            parent: the id of the bundle that it was made from; None: as its card says.

        Raises:
            BundleError: it is none, or another calibration of it is there.
            InputError: the registry can't be written to, or its log is damaged.
            OSError: it can't be written.
        """
        source = find_bundle(bundle)
        card = load_folder(source).card
        kept = bundle_folder(self.folder, card.id)
        copy_kept(source, kept, lambda name, content: create(kept, self.location, name, content))
        for below in (BUNDLES, ""):
            self.folder.sync(below)
        there = load_kept(kept, card.id).card
        if there.calibration_id != card.calibration_id:
            raise BundleError(
                f"{kept.name} is the same networks with another calibration, "
                f"{there.calibration_id}, not {card.calibration_id}, and a registry keeps one of "
                "each: make another registry for this one"
            )
        told = {
            "bundle": card.id,
            "calibration_id": card.calibration_id,
            "parent": card.parent_id if parent is None else parent,
        }
        self._append(REGISTRATION, lambda last: None if self._has(last, card.id) else told)
        return card.id

    def promote(self, identity: str, *, expected: str | None, why: str) -> Entry:
        """Make a registered bundle the champion, if that is still the one it was judged against.

        Args:
            identity: its id.
            expected: the champion's id, as it was when this was decided; None: there was none.
            why: in words, for the log.

        Raises:
            InputError: it is not registered, or the champion already.
            BundleError: it is damaged.
            RunError: another bundle was promoted meanwhile.
            OSError: it can't be written.
        """
        self.bundle(identity)

        def told(last: Entry | None) -> dict[str, Any]:
            self._check_has(last, identity)
            champion = None if last is None else last.champion
            if champion != expected:
                raise RunError(
                    f"{champion} was promoted meanwhile: {identity} was held against "
                    f"{expected or 'no champion'}, and stays a challenger"
                )
            if champion == identity:
                raise InputError(f"{identity} is the champion of {self.name} already")
            below = None if last is None else last.header.since
            return {"bundle": identity, "why": why, "replaces": champion, "below": below}

        return self._named(PROMOTION, _Aim(identity), told)

    def rollback(self, to: str | None = None) -> Entry:
        """Make the bundle the champion again that was it before the last promotion that stands.

        Called again, it goes further back.

        Args:
            to: the id of a registered bundle, to make that the champion; None: the one before.

        Raises:
            InputError: there was none before, or `to` is not registered, or the champion already.
            BundleError: it is damaged.
            RunError: another bundle was promoted meanwhile.
            OSError: it can't be written.
        """
        before = self.last()
        aim = self._aim(before, to)
        self.bundle(aim.bundle)

        def told(last: Entry | None) -> dict[str, Any]:
            if last is None or before is None or last.header.since != before.header.since:
                raise RunError(
                    f"{last and last.champion} was made the champion of {self.name} meanwhile: "
                    "look again, with digitrec models list"
                )
            below = {} if aim.since else {"below": last.header.since}
            return {"bundle": aim.bundle, "replaces": last.champion, **below}

        return self._named(ROLLBACK, aim, told)

    def check(self) -> list[str]:
        """Return what is wrong with it, each in words; empty: nothing."""
        from digitrec.registry.check import problems

        return problems(self)

    def leftovers(self) -> list[str]:
        """Return what was left half-written by somebody who was stopped, in words: harmless."""
        from digitrec.registry.check import leftovers

        return leftovers(self)

    def _aim(self, last: Entry | None, to: str | None) -> _Aim:
        """Find what a rollback leads to, along the promotions that stand."""
        if last is None or last.header.since is None:
            raise InputError(f"the registry {self.name} has no champion yet")
        if to is not None:
            if to == last.champion:
                raise InputError(f"{to} is the champion of {self.name} already")
            self._check_has(last, to)
        standing = self.entry(last.header.since)
        while (below := standing.fields["below"]) is not None:
            standing = self.entry(below)
            bundle = standing.fields["bundle"]
            if to in (None, bundle):
                return _Aim(bundle, below)
        if to is None:
            raise InputError(f"{self.name} had no champion before {last.champion}")
        return _Aim(to)

    def _named(self, kind: str, aim: _Aim, told: Told) -> Entry:
        entry = self._append(kind, told, aim)
        assert entry is not None
        return entry

    def _append(self, kind: str, told: Told, aim: _Aim | None = None) -> Entry | None:
        """Add an entry under the next number; what it tells is asked for again if that is taken."""
        for failures in range(ATTEMPTS):
            numbers = entry_numbers(self.folder)
            last = last_entry(self.folder, numbers)
            if (fields := told(last)) is None:
                return None
            number = numbers[-1] + 1 if numbers else 1
            entry = Entry(_header(number, kind, last, aim), dict(fields))
            assert not HEADER & set(fields)
            content = json.dumps(entry.to_json(), indent=2, ensure_ascii=False) + "\n"
            if create(self.folder, self.location, entry_name(number), content.encode()):
                return entry
            time.sleep(random.uniform(0, WAIT_SECONDS * min(failures + 1, 20)))  # noqa: S311
        raise RunError(f"too many write to the registry {self.name}: try again")

    def _has(self, last: Entry | None, identity: str) -> bool:
        return any(
            entry.kind == REGISTRATION and entry.fields["bundle"] == identity
            for entry in _history(self.folder, last)
        )

    def _check_has(self, last: Entry | None, identity: str) -> None:
        if not self._has(last, identity):
            raise InputError(
                f"the registry {self.name} has no bundle {identity}: digitrec models list names "
                "those that it has"
            )


def _header(number: int, kind: str, last: Entry | None, aim: _Aim | None) -> Header:
    """Return the header of the entry that follows another one."""
    champion = since = before = None
    if last is not None:
        champion, since = last.champion, last.header.since
        before = last.header.before if last.kind in FIGURES else last.number
    if aim is not None:
        champion, since = aim.bundle, aim.since or number
    return Header(
        number=number,
        token=uuid.uuid4().hex,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        kind=kind,
        champion=champion,
        since=since,
        before=before,
    )


def _history(registry: Folder, last: Entry | None) -> Iterator[Entry]:
    """Read the entries of bundles and data from one on, the newest first."""
    while last is not None:
        if last.kind not in FIGURES:
            yield last
        last = None if last.header.before is None else _entry(registry, last.header.before)


def _entry(registry: Folder, number: int) -> Entry:
    try:
        entry = read_entry(registry, number)
    except FileNotFoundError:
        entry = None
    if entry is None:
        raise InputError(
            f"{registry.name}/{entry_name(number)} is missing: put it back from a copy; digitrec "
            "models check says what else is"
        )
    return entry


def open_registry(location: str) -> Registry:
    """Open a registry that is there.

    Raises:
        InputError: there is none, or the filesystem can't be opened.
    """
    folder = open_folder(location)
    try:
        numbers = entry_numbers(folder)
    except (OSError, ValueError) as why:
        raise InputError(f"{folder.name} can't be looked into ({why})") from why
    if not numbers:
        raise InputError(
            f"{folder.name} is no registry: digitrec retrain --registry makes one, or digitrec "
            "models promote"
        )
    return Registry(folder, location)


def make_registry(location: str, model: str = DEFAULT) -> Registry:
    """Open a registry, or make it with a bundle as its champion; of several makers one does.

    Args:
        location: a path or a URI.
        model: the bundle, see `find_bundle`; a champion that is there already stays.

    Raises:
        InputError: something else is there, or it can't be written to.
        BundleError: `model` is no bundle.
        OSError: it can't be written.
    """
    registry = Registry(open_folder(location), location)
    if registry.last() is None:
        _check_is_free(registry.folder)
    if registry.champion() is None:
        identity = registry.register(model)
        with suppress(RunError):  # another's became the champion meanwhile
            registry.promote(identity, expected=None, why="the first of this registry")
    return registry


def _check_is_free(folder: Folder) -> None:
    try:
        there = {*folder.names(), *folder.folders()}
    except OSError as why:
        raise InputError(f"{folder.name} can't be used: {why.strerror or why}") from why
    if there - {BUNDLES, LOG, DATA, LOCK}:
        raise InputError(f"{folder.name} holds something else than a registry: choose another")
