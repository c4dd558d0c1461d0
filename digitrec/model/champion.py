"""What a registry is, and how the bundle is found in it that is in use, its champion.

A registry is a folder: `bundles/<id>/`, each a bundle that stays as it is, and `log/000001.json`,
`log/000002.json`, …: entries that are each created once and never changed. Every entry says which
bundle is the champion as of it, so that the last one alone answers who it is. What writes a
registry is `digitrec.registry.store`.
"""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from digitrec.errors import InputError
from digitrec.storage.folder import Folder, open_folder

LOG, BUNDLES = "log", "bundles"
NUMBERED = re.compile(r"(\d{6,})\.json", re.ASCII)
SCHEMA_VERSION = 1
# Kinds of entries.
REGISTRATION, GATE, PROMOTION, ROLLBACK = "registration", "gate", "promotion", "rollback"
REMOVAL, RUN, AUDIT = "removal", "run", "audit"
FIGURES = (RUN, AUDIT)  # what was done with a champion: they say nothing of bundles or data
# What their entries tell that is followed from one to the next, and of which type it is.
OWN: dict[str, dict[str, Any]] = {
    REGISTRATION: {"bundle": str, "calibration_id": str, "parent": str | None},
    PROMOTION: {"bundle": str, "replaces": str | None, "below": int | None, "why": str},
    ROLLBACK: {"bundle": str, "replaces": str | None, "below": int | None},
    GATE: {"bundle": str, "passed": bool},
    RUN: {"run_id": str, "finished": str, "model_id": str, "counts": dict, "check": dict | None},
    AUDIT: {"run_id": str, "model_id": str, "answered": int, "wrong": int, "bound": float},
}
# An entry that is empty is being written, on a file system without hard links, or its writer died.
LOOK_SECONDS, LOOKS = 0.1, 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What every entry of the log has, whatever it tells."""

    number: int  # from 1 on
    token: str  # unlike that of any other entry
    time: str  # ISO 8601, UTC
    kind: str  # see REGISTRATION and the others
    champion: str | None  # the id of the bundle in use as of this entry; None: none yet
    since: int | None  # the promotion or rollback that made it the champion
    before: int | None  # the last entry before this one that is about bundles or data, not a run
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the log: its header, and what it tells, by its kind."""

    header: Header
    fields: Mapping[str, Any]

    @property
    def number(self) -> int:
        """Its number, from 1 on."""
        return self.header.number

    @property
    def time(self) -> str:
        """When it was written: ISO 8601, UTC."""
        return self.header.time

    @property
    def kind(self) -> str:
        """What it tells of."""
        return self.header.kind

    @property
    def champion(self) -> str | None:
        """The id of the bundle in use as of it; None: none yet."""
        return self.header.champion

    def to_json(self) -> dict[str, Any]:
        """Return it as its file has it."""
        return {**asdict(self.header), **self.fields}


HEADER = frozenset(one.name for one in fields(Header))


@dataclass(frozen=True, slots=True)
class Champion:
    """The bundle in use of a registry."""

    id: str
    registry: Folder
    since: int  # the promotion or rollback that made it the champion


def entry_name(number: int) -> str:
    """Return the name of an entry's file in the registry."""
    return f"{LOG}/{number:06d}.json"


def entry_numbers(registry: Folder) -> list[int]:
    """List the numbers of a log's entries, in order; none: it is no registry."""
    try:
        found = [NUMBERED.fullmatch(name) for name in registry.names(LOG)]
    except NotADirectoryError:
        return []
    return sorted(int(name[1]) for name in found if name)


def read_entry(registry: Folder, number: int) -> Entry | None:
    """Read an entry of a log; None: its writer died before there was anything in it.

    Raises:
        InputError: it is damaged, or of another digitrec.
        OSError: it can't be read.
    """
    for look in range(LOOKS):
        if content := registry.read(entry_name(number)):
            try:
                return parse_entry(content, number)
            except ValueError as why:
                raise InputError(
                    f"{registry.name}/{entry_name(number)} is damaged ({why}): put it back from a "
                    "copy; digitrec models check says what else is"
                ) from why
        if look < LOOKS - 1:
            time.sleep(LOOK_SECONDS)
    return None


def parse_entry(content: bytes, number: int) -> Entry:
    """Check what an entry's file holds, and part the header from what the entry tells.

    Raises:
        ValueError: something is missing, or of another type; it says what.
    """
    import msgspec

    told = json.loads(content)
    if not isinstance(told, dict):
        raise ValueError("it is no JSON object")
    if (version := told.get("schema_version")) != SCHEMA_VERSION:
        raise ValueError(f"its schema version is {version}, this program reads {SCHEMA_VERSION}")
    header = msgspec.convert(told, Header, strict=True)
    if header.number != number:
        raise ValueError(f"it is number {header.number}")
    own = {name: value for name, value in told.items() if name not in HEADER}
    for name, types in OWN.get(header.kind, {}).items():
        if name not in own or not isinstance(own[name], types):
            raise ValueError(f"it has no {name}, or not as a {header.kind} has it")
    return Entry(header, own)


def last_entry(registry: Folder, numbers: Sequence[int]) -> Entry | None:
    """Return the last of the entries with these numbers, in order; None: there is none.

    Raises:
        InputError: it is damaged.
        OSError: it can't be read.
    """
    found = (read_entry(registry, number) for number in reversed(numbers))
    return next((entry for entry in found if entry is not None), None)


def champion_of(registry: Folder, numbers: Sequence[int]) -> Champion:
    """Return the champion of a registry.

    Args:
        registry: its folder.
        numbers: of its entries, as `entry_numbers` gives them.

    Raises:
        InputError: it has none, or its log is damaged.
        OSError: it can't be read.
    """
    last = last_entry(registry, numbers)
    if last is None or last.champion is None or last.header.since is None:
        raise InputError(
            f"the registry {registry.name} has no champion yet: digitrec models promote names one"
        )
    return Champion(last.champion, registry, last.header.since)


def bundle_folder(registry: Folder, identity: str) -> Folder:
    """Return the folder of a registry's bundle, by its id."""
    return registry.below(f"{BUNDLES}/{identity}")


def is_kept(bundle: Folder) -> bool:
    """Return whether a bundle, or the one that it is a member of, is a registry's."""
    if bundle.remote is None:
        bundle = open_folder(os.path.realpath(bundle.path))
    for folder in (bundle, bundle.above()):
        if folder.above().path.endswith(f"/{BUNDLES}") and entry_numbers(folder.above().above()):
            return True
    return False
