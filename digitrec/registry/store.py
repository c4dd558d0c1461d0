"""A registry: bundles that never change, and one log of numbered entries that says the rest."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from digitrec.errors import BundleError, InputError, RunError
from digitrec.model.bundle import Bundle, copy_kept, find_bundle, load_folder, load_kept
from digitrec.model.champion import (
    BUNDLES,
    LOG,
    PROMOTION,
    REGISTRATION,
    ROLLBACK,
    Entry,
    bundle_folder,
    entry_numbers,
)
from digitrec.model.shipped import DEFAULT
from digitrec.registry.log import Told, all_entries, append, entry_of, history, newest
from digitrec.storage.folder import Folder, open_folder, within
from digitrec.storage.lock import LOCK
from digitrec.storage.once import create

DATA = "data"  # the scans of corrections
WORK, REPORTS = "work", "reports"  # what retrainings are at, and their pages


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
        return newest(self.folder)

    def champion(self) -> str | None:
        """Return the id of the bundle in use; None: none is yet."""
        return None if (last := self.last()) is None else last.champion

    def entries(self) -> Iterator[Entry]:
        """Read all entries of its log, the newest first.

        Raises:
            InputError: one is damaged.
        """
        return all_entries(self.folder)

    def history(self) -> Iterator[Entry]:
        """Read the entries that tell of bundles and data, the newest first: all but runs' figures.

        Raises:
            InputError: one is damaged.
        """
        return history(self.folder, self.last())

    def entry(self, number: int) -> Entry:
        """Read an entry of its log.

        Raises:
            InputError: it is damaged, or there is none.
        """
        return entry_of(self.folder, number)

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
        entry = append(self.folder, self.location, kind, lambda last: told)
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
        append(
            self.folder,
            self.location,
            REGISTRATION,
            lambda last: None if self._has(last, card.id) else told,
        )
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

        return self._named(PROMOTION, identity, told)

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
        bundle, below = self._aim(before, to)
        self.bundle(bundle)

        def told(last: Entry | None) -> dict[str, Any]:
            if last is None or before is None or last.header.since != before.header.since:
                raise RunError(
                    f"{last and last.champion} was made the champion of {self.name} meanwhile: "
                    "look again, with digitrec models list"
                )
            return {"bundle": bundle, "replaces": last.champion, "below": below}

        return self._named(ROLLBACK, bundle, told)

    def check(self) -> list[str]:
        """Return what is wrong with it, each in words; empty: nothing. See `check.look_through`."""
        # It looks into the scans too, which needs more than the rest of a registry does.
        from digitrec.registry.check import look_through

        return look_through(self).problems

    def _aim(self, last: Entry | None, to: str | None) -> tuple[str, int | None]:
        """Find what a rollback leads to: the bundle, and the promotion that stands below it then.

        Promotions lie on each other, `below` tells of each on which; a rollback takes some away.
        """
        if last is None or last.header.since is None:
            raise InputError(f"the registry {self.name} has no champion yet")
        if to is not None:
            if to == last.champion:
                raise InputError(f"{to} is the champion of {self.name} already")
            self._check_has(last, to)
        below = self.entry(last.header.since).fields["below"]
        while below is not None:
            fields = self.entry(below).fields
            if to in (None, fields["bundle"]):
                return str(fields["bundle"]), fields["below"]
            below = fields["below"]
        if to is None:
            raise InputError(f"{self.name} had no champion before {last.champion}")
        return to, last.header.since

    def _named(self, kind: str, champion: str, told: Told) -> Entry:
        entry = append(self.folder, self.location, kind, told, champion)
        assert entry is not None
        return entry

    def _has(self, last: Entry | None, identity: str) -> bool:
        return any(
            entry.kind == REGISTRATION and entry.fields["bundle"] == identity
            for entry in history(self.folder, last)
        )

    def _check_has(self, last: Entry | None, identity: str) -> None:
        if not self._has(last, identity):
            raise InputError(
                f"the registry {self.name} has no bundle {identity}: digitrec models list names "
                "those that it has"
            )


def page_name(identity: str) -> str:
    """Return the name of a challenger's report in the registry, by its id."""
    return f"{REPORTS}/{identity}.html"


def open_registry(location: str) -> Registry:
    """Open a registry that is there.

    Raises:
        InputError: there is none, or the filesystem can't be opened.
    """
    if not is_registry(location):
        raise InputError(
            f"{open_folder(location).name} is no registry: digitrec retrain --registry makes one, "
            "or digitrec models promote"
        )
    return Registry(open_folder(location), location)


def is_registry(location: str) -> bool:
    """Return whether there is a registry.

    Raises:
        InputError: the filesystem can't be opened, or not be looked into.
    """
    folder = open_folder(location)
    try:
        return bool(entry_numbers(folder))
    except (OSError, ValueError) as why:
        raise InputError(f"{folder.name} can't be looked into ({why})") from why


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
    if there - {BUNDLES, LOG, DATA, WORK, REPORTS, LOCK}:
        raise InputError(f"{folder.name} holds something else than a registry: choose another")


def clear_work(registry: Registry) -> None:
    """Delete what retrainings have left that is not needed any more: trainings on the way."""
    from pyarrow import fs

    folder = registry.folder.below(WORK)
    store = folder.remote.filesystem if folder.remote else fs.LocalFileSystem()
    with suppress(FileNotFoundError):
        store.delete_dir(folder.path)
