"""What is wrong with a registry: every entry and bundle looked at, and each complaint in words."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from digitrec.errors import DigitrecError
from digitrec.model.champion import (
    BUNDLES,
    FIGURES,
    LOG,
    NUMBERED,
    PROMOTION,
    REGISTRATION,
    ROLLBACK,
    Entry,
    entry_name,
    entry_numbers,
    read_entry,
)
from digitrec.registry.log import IN_FLIGHT
from digitrec.registry.pool import data_files, read_data
from digitrec.registry.store import DATA, Registry
from digitrec.storage.folder import Folder


@dataclass(frozen=True, slots=True)
class Found:
    """What came of looking through a registry, each in words."""

    problems: list[str]
    leftovers: list[str]  # what somebody who was stopped left half-written: harmless


def look_through(registry: Registry) -> Found:
    """Read every entry and load every bundle of a registry, and say what is not as it must be.

    Raises:
        OSError: its folders can't be listed.
    """
    found, entries = _read(registry.folder)
    return Found(
        problems=[
            *found,
            *_chain(entries),
            *_bundles(registry, entries),
            *_data(registry.folder),
        ],
        leftovers=[*_temporary(registry.folder), *_unregistered(registry.folder, entries)],
    )


def _read(folder: Folder) -> tuple[list[str], list[Entry]]:
    """Read all entries; give what is wrong with some, and the others, in order."""

    def read(number: int) -> Entry | str | None:
        try:
            return read_entry(folder, number)
        except (DigitrecError, OSError) as why:
            return str(why)

    numbers = entry_numbers(folder)
    missing = sorted(set(range(1, numbers[-1] + 1)) - set(numbers)) if numbers else []
    with ThreadPoolExecutor(1 if folder.remote is None else IN_FLIGHT) as pool:
        looked = list(pool.map(read, numbers))
    found = [f"{entry_name(number)} is missing" for number in missing]
    found += [one for one in looked if isinstance(one, str)]
    return found, [one for one in looked if isinstance(one, Entry)]


def _chain(entries: list[Entry]) -> Iterator[str]:
    """Hold each entry against the one before it: who is the champion, and what it refers to."""
    by_number = {entry.number: entry for entry in entries}
    last: Entry | None = None
    for entry in entries:
        header, name = entry.header, entry_name(entry.number)
        before = None
        if last is not None:
            before = last.header.before if last.kind in FIGURES else last.number
        whole = last is None or last.number == entry.number - 1
        if whole and header.before != before:
            yield f"{name} says that {header.before} came before it, and not {before}"
        if entry.kind in (PROMOTION, ROLLBACK):
            yield from _named(entry, by_number)
        elif whole and (header.champion, header.since) != _champion(last):
            yield f"{name} names {header.champion} as the champion, the entry before it does not"
        last = entry


def _champion(last: Entry | None) -> tuple[str | None, int | None]:
    return (None, None) if last is None else (last.header.champion, last.header.since)


def _named(entry: Entry, by_number: dict[int, Entry]) -> Iterator[str]:
    """Check a promotion or a rollback."""
    name, bundle = entry_name(entry.number), entry.fields.get("bundle")
    if entry.header.champion != bundle:
        yield f"{name} makes {bundle} the champion, and names {entry.header.champion} as such"
    if entry.header.since != entry.number:
        yield f"{name} makes {bundle} the champion, and says that {entry.header.since} did"
    below = by_number.get(entry.fields.get("below") or 0)
    if below is not None and below.kind not in (PROMOTION, ROLLBACK):
        yield f"{name} lies on {entry_name(below.number)}, which made no champion"
    registered = any(
        one.kind == REGISTRATION and one.fields.get("bundle") == bundle
        for number, one in by_number.items()
        if number < entry.number
    )
    if not registered:
        yield f"{name} makes {bundle} the champion, which was not registered before"


def _bundles(registry: Registry, entries: list[Entry]) -> Iterator[str]:
    """Load all bundles that were registered."""
    for entry in entries:
        if entry.kind != REGISTRATION:
            continue
        try:
            card = registry.bundle(str(entry.fields.get("bundle"))).card
        except (DigitrecError, OSError) as why:
            yield str(why)
            continue
        if card.calibration_id != entry.fields.get("calibration_id"):
            yield (
                f"{BUNDLES}/{card.id} has the calibration {card.calibration_id}, and not the one "
                f"of {entry_name(entry.number)}"
            )


def _data(folder: Folder) -> Iterator[str]:
    """Read all files of corrections."""
    for name in data_files(folder):
        try:
            read_data(folder, name)
        except (DigitrecError, OSError) as why:
            yield str(why)


def _temporary(folder: Folder) -> Iterator[str]:
    for name, size in sorted(folder.sizes(LOG).items()):
        if not NUMBERED.fullmatch(name):
            yield f"{LOG}/{name} is no entry: it may be deleted"
        elif not size:
            yield f"{LOG}/{name} is empty: its writer was stopped, and nothing is lost"
    bundles = [f"{BUNDLES}/{name}" for name in folder.folders(BUNDLES)]
    members = [f"{bundle}/{name}" for bundle in bundles for name in folder.folders(bundle)]
    for below in (DATA, *bundles, *members):
        for name in folder.names(below):
            if name.startswith("_") and name.endswith(".tmp"):
                yield f"{below}/{name} was being written: it may be deleted"


def _unregistered(folder: Folder, entries: list[Entry]) -> Iterator[str]:
    registered = {one.fields.get("bundle") for one in entries if one.kind == REGISTRATION}
    for name in folder.folders(BUNDLES):
        if name not in registered:
            yield (
                f"{BUNDLES}/{name} is in no entry of the log: whoever copied it was stopped; it is "
                "used when the same bundle is registered again, or may be deleted"
            )
