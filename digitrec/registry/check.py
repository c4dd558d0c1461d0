"""What is wrong with a registry: every entry and bundle looked at, and each complaint in words."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from digitrec.registry.store import Registry


def problems(registry: "Registry") -> list[str]:
    """Return what is wrong with a registry, each in words; empty: nothing.

    What was left half-written is not wrong, see `leftovers`.
    """
    found, entries = _read(registry)
    return [*found, *_chain(entries), *_bundles(registry, entries)]


def leftovers(registry: "Registry") -> list[str]:
    """Return what was left half-written by somebody who was stopped, in words: harmless."""
    return [*_temporary(registry), *_unregistered(registry)]


def _read(registry: "Registry") -> tuple[list[str], list[Entry]]:
    """Read all entries; give what is wrong with some, and the others, in order."""
    numbers = entry_numbers(registry.folder)
    found, entries = list[str](), list[Entry]()
    for number in sorted(set(range(1, numbers[-1] + 1)) - set(numbers)):
        found.append(f"{entry_name(number)} is missing")
    for number in numbers:
        try:
            entry = read_entry(registry.folder, number)
        except (DigitrecError, OSError) as why:
            found.append(str(why))
            continue
        if entry is not None:
            entries.append(entry)
    return found, entries


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


def _bundles(registry: "Registry", entries: list[Entry]) -> Iterator[str]:
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


def _temporary(registry: "Registry") -> Iterator[str]:
    folder = registry.folder
    for name in folder.names(LOG):
        if not NUMBERED.fullmatch(name):
            yield f"{LOG}/{name} is no entry: it may be deleted"
    for number in entry_numbers(folder):
        if not folder.sizes(LOG).get(f"{number:06d}.json", 1):
            yield f"{entry_name(number)} is empty: its writer was stopped, and nothing is lost"


def _unregistered(registry: "Registry") -> Iterator[str]:
    folder = registry.folder
    registered = {entry.fields.get("bundle") for entry in registry.registered()}
    for name in folder.folders(BUNDLES):
        if name not in registered:
            yield (
                f"{BUNDLES}/{name} is in no entry of the log: whoever copied it was stopped; it is "
                "used when the same bundle is registered again, or may be deleted"
            )
