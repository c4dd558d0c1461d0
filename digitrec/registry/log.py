"""A registry's log: its entries read, and the next one written.

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
from datetime import UTC, datetime
from typing import Any

from digitrec.errors import InputError, RunError
from digitrec.model.champion import (
    FIGURES,
    HEADER,
    Entry,
    Header,
    entry_name,
    entry_numbers,
    last_entry,
    parse_entry,
    read_entry,
)
from digitrec.storage.folder import Folder
from digitrec.storage.once import create

IN_FLIGHT, TOGETHER = 16, 128  # entries that are read at a time, behind a URI
# Another one has the number: so long is waited at most after the first time, and so often tried.
WAIT_SECONDS, LONGEST_WAITS, ATTEMPTS = 0.01, 20, 500

# What an entry tells, given the one before it; None: there is nothing to tell.
Told = Callable[[Entry | None], Mapping[str, Any] | None]


def newest(registry: Folder) -> Entry | None:
    """Return the last entry; None: there is none yet.

    Raises:
        InputError: it is damaged.
    """
    return last_entry(registry, entry_numbers(registry))


def entry_of(registry: Folder, number: int) -> Entry:
    """Return an entry that must be there.

    Raises:
        InputError: it is damaged, or missing.
    """
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


def all_entries(registry: Folder) -> Iterator[Entry]:
    """Read all entries, the newest first.

    Raises:
        InputError: one is damaged.
    """
    numbers = entry_numbers(registry)[::-1]
    if registry.remote is None:
        found = (read_entry(registry, number) for number in numbers)
        yield from (entry for entry in found if entry is not None)
        return
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for k in range(0, len(numbers), TOGETHER):
            some = numbers[k : k + TOGETHER]
            read = pool.map(lambda number: read_entry(registry, number), some)
            yield from (entry for entry in read if entry is not None)


def history(registry: Folder, last: Entry | None) -> Iterator[Entry]:
    """Read the entries that tell of bundles and data, the newest first: all but runs' figures.

    Args:
        registry: its folder.
        last: the entry to begin with; None: there is none.

    Raises:
        InputError: one is damaged, or missing.
    """
    while last is not None:
        if last.kind not in FIGURES:
            yield last
        last = None if last.header.before is None else entry_of(registry, last.header.before)


def append(
    registry: Folder, location: str, kind: str, told: Told, champion: str | None = None
) -> Entry | None:
    """Add an entry under the next number; what it tells is asked for again if that is taken.

    Args:
        registry: its folder.
        location: what that was opened from.
        kind: of the entry.
        told: what it tells.
        champion: the id of the bundle that it makes the champion; None: that stays.

    Returns:
        The entry; None if there was nothing to tell.

    Raises:
        InputError: the registry can't be written to, or its last entry is damaged.
        RunError: too many write to it.
        OSError: it can't be written.
    """
    for failures in range(ATTEMPTS):
        numbers = entry_numbers(registry)
        last = last_entry(registry, numbers)
        if (fields := told(last)) is None:
            return None
        number = numbers[-1] + 1 if numbers else 1
        entry = Entry(_header(number, kind, last, champion), dict(fields))
        assert not HEADER & set(fields)
        content = (json.dumps(entry.to_json(), indent=2, ensure_ascii=False) + "\n").encode()
        parse_entry(content, number)  # what can't be read again would shut the registry
        if create(registry, location, entry_name(number), content):
            return entry
        time.sleep(random.uniform(0, WAIT_SECONDS * min(failures + 1, LONGEST_WAITS)))  # noqa: S311
    raise RunError(f"too many write to the registry {registry.name}: try again")


def _header(number: int, kind: str, last: Entry | None, champion: str | None) -> Header:
    """Return the header of the entry that follows another one; it may name another champion."""
    since, before = number if champion else None, None
    if last is not None:
        before = last.header.before if last.kind in FIGURES else last.number
        if champion is None:
            champion, since = last.champion, last.header.since
    return Header(
        number=number,
        token=uuid.uuid4().hex,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        kind=kind,
        champion=champion,
        since=since,
        before=before,
    )
