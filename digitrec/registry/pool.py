"""The scans of all corrections that a registry has, and the files that hold them.

Each addition is a file of its own, `data/<content>.parquet`, written once: the scans as they were
given and as they are normalized, what they show, and the side that each is on for ever. So a
registry depends on no other folder.
"""

import hashlib
import io
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from digitrec.datasets.answers import NO_DIGIT, NO_DIGITS
from digitrec.errors import InputError
from digitrec.normalize.arrays import SIDE
from digitrec.registry.sides import components
from digitrec.registry.similar import Views
from digitrec.registry.store import DATA
from digitrec.storage.folder import Folder

IMAGE = pa.binary(SIDE * SIDE)
SCHEMA = pa.schema(
    [
        ("sha256", pa.string()),
        ("content", pa.binary()),  # of the image file, as it was given
        ("scan", IMAGE),  # normalized
        ("outline", IMAGE),  # see `similar`, and the next one too
        ("plain", pa.bool_()),
        ("path", pa.string()),  # as it was given
        ("label", pa.string()),  # 0 to 9, blank, not-a-digit
        ("group", pa.string()),
        ("source", pa.string()),
        ("near", pa.list_(pa.string())),  # its near-copies among those before it
        ("golden", pa.bool_()),  # judges, and never trains
        ("drawn", pa.bool_()),
        ("model", pa.string()),
        ("least_confidence", pa.float64()),
        ("predicted", pa.int8()),
        ("confidence", pa.float64()),
        ("reviewer", pa.string()),
        ("time", pa.string()),
        ("added", pa.string()),
    ]
)
USED = "used-{}.json"  # in the data folder: of which corrections a bundle was made
TRAINED, JUDGED = "trained", "judged"
Row = dict[str, Any]
Used = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Corrections:
    """N scans of corrections, in the order of their SHA-256."""

    sha256: list[str]
    contents: list[bytes]  # of the image files
    views: Views  # how they are compared with others
    said: NDArray[np.object_]  # [N], the label: 0 to 9, blank, not-a-digit
    golden: NDArray[np.bool_]  # [N], judges, and never trains
    drawn: NDArray[np.bool_]  # [N], at random, by `audit draw`; these are golden
    groups: NDArray[np.object_]  # [N], None where there is none
    clusters: NDArray[np.object_]  # [N], the SHA-256 of the first of its near-copies
    sources: NDArray[np.object_]  # [N], empty where there is none
    least_confidences: NDArray[np.float64]  # [N], of a model, to be drawn; else NaN
    paths: NDArray[np.object_]  # [N], as they were given

    def __len__(self) -> int:
        return len(self.sha256)

    @property
    def scans(self) -> NDArray[np.uint8]:
        """The normalized scans, uint8 [N, 28, 28]; all zero where nothing was found."""
        return self.views.scans

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """What they show, uint8 [N]: 0 to 9, and 10 for no digit."""
        return np.array([NO_DIGIT if one in NO_DIGITS else int(one) for one in self.said], np.uint8)

    @cached_property
    def blank(self) -> NDArray[np.bool_]:
        """On which nothing is written: bool [N]."""
        return np.asarray(self.said == NO_DIGITS[0], bool)

    @cached_property
    def units(self) -> NDArray[np.object_]:
        """What each belongs together with: its group, or else its near-copies: [N]."""
        known = np.array([group is not None for group in self.groups], bool)
        return np.where(known, self.groups, self.clusters)

    @cached_property
    def id(self) -> str:
        """Identify all that training and judging depend on: 12 hex digits."""
        digest = hashlib.sha256()
        columns = (self.said, self.golden, self.drawn, self.groups, self.sources)
        for row in zip(self.sha256, *(column.tolist() for column in columns), strict=True):
            digest.update(repr(row).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:12]

    def only(self, which: NDArray[np.bool_]) -> "Corrections":
        """Return those that bool [N] chooses."""
        chosen = np.flatnonzero(which).tolist()
        columns: dict[str, Any] = {}
        for name, column in ((one.name, getattr(self, one.name)) for one in fields(self)):
            columns[name] = [column[k] for k in chosen] if type(column) is list else column[chosen]
        return Corrections(**columns)


def load(folder: Folder) -> Corrections:
    """Load all corrections of a registry; there may be none.

    Raises:
        InputError: they are damaged.
        OSError: they can't be read.
    """
    rows: dict[str, Row] = {}
    for name in data_files(folder):
        for row in read_data(folder, name):
            rows.setdefault(row["sha256"], row)
    return _corrections([rows[name] for name in sorted(rows)])


def data_files(folder: Folder) -> list[str]:
    """Return the names of the files that hold a registry's corrections, in its data folder."""
    return [one for one in folder.names(DATA) if one.endswith(".parquet") and one[0] != "_"]


def read_data(folder: Folder, name: str) -> list[Row]:
    """Read one file of a registry's corrections: rows in `SCHEMA`.

    Raises:
        InputError: it is damaged.
        OSError: it can't be read.
    """
    content = folder.read(f"{DATA}/{name}")
    try:
        if _name(content) != name:
            raise ValueError("its name is not that of its content")
        rows: list[Row] = parquet.read_table(io.BytesIO(content), schema=SCHEMA).to_pylist()
    except (pa.ArrowException, ValueError) as why:
        raise InputError(f"{folder.name}/{DATA}/{name} is damaged: {why}") from why
    return rows


def write_data(folder: Folder, rows: Sequence[Row]) -> str:
    """Write a file of corrections, whole or not at all; return its name.

    Raises:
        OSError: it can't be written.
    """
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows), SCHEMA), file, compression="zstd")
    content = file.getvalue()
    folder.write(f"{DATA}/{_name(content)}", content)
    folder.sync(DATA)
    return _name(content)


def _name(content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()[:12]}.parquet"


def _corrections(rows: Sequence[Row]) -> Corrections:
    def texts(name: str) -> NDArray[np.object_]:
        return np.array([row[name] for row in rows], object)

    def images(name: str) -> NDArray[np.uint8]:
        pixels = np.frombuffer(b"".join(row[name] for row in rows), np.uint8)
        return pixels.reshape(-1, SIDE, SIDE)

    names = [row["sha256"] for row in rows]
    places = {name: k for k, name in enumerate(names)}
    near = [
        (places[other], k) for k, row in enumerate(rows) for other in row["near"] if other in places
    ]
    firsts = components(len(rows), np.array(near, np.intp).reshape(-1, 2))
    return Corrections(
        sha256=names,
        contents=[row["content"] for row in rows],
        views=Views(
            images("scan"), images("outline"), np.array([row["plain"] for row in rows], bool)
        ),
        said=texts("label"),
        golden=np.array([row["golden"] for row in rows], bool),
        drawn=np.array([row["drawn"] for row in rows], bool),
        groups=np.array([row["group"] or None for row in rows], object),
        clusters=np.array(names, object)[firsts],
        sources=texts("source"),
        # None becomes NaN.
        least_confidences=np.array([row["least_confidence"] for row in rows], np.float64),
        paths=texts("path"),
    )


def write_used(folder: Folder, identity: str, corrections: Corrections) -> None:
    """Keep of which corrections a bundle was made, so that it can be named if one is removed.

    Args:
        folder: the registry's.
        identity: the bundle's id.
        corrections: of which those that are not golden trained it, and the golden ones judged it.

    Raises:
        OSError: it can't be written.
    """
    said = list(zip(corrections.golden.tolist(), corrections.sha256, corrections.said, strict=True))
    told = {
        side: {name: label for is_golden, name, label in said if is_golden is golden}
        for side, golden in ((TRAINED, False), (JUDGED, True))
    }
    folder.write(f"{DATA}/{USED.format(identity)}", json.dumps(told).encode())


def read_used(folder: Folder, identity: str) -> Used:
    """Return of which corrections a bundle was made: `TRAINED` and `JUDGED`, SHA-256 → label.

    Raises:
        InputError: that is damaged.
        OSError: it can't be read.
    """
    name = f"{DATA}/{USED.format(identity)}"
    try:
        told = json.loads(folder.read(name))
        return {side: {**told[side]} for side in (TRAINED, JUDGED)}
    except FileNotFoundError:  # it was made of none
        return {TRAINED: {}, JUDGED: {}}
    except (ValueError, TypeError, KeyError) as why:
        raise InputError(f"{folder.name}/{name} is damaged: {why}") from why


def used_by(folder: Folder, removed: Collection[str], side: str = TRAINED) -> dict[str, int]:
    """Return the ids of bundles that were trained on any of some scans, and on how many.

    Args:
        folder: the registry's.
        removed: the SHA-256 of the scans.
        side: JUDGED, for those that were judged by them.

    Raises:
        InputError: what one was trained on is damaged.
        OSError: it can't be read.
    """
    before, after = USED.split("{}")
    found: dict[str, int] = {}
    for name in folder.names(DATA):
        if name.startswith(before) and name.endswith(after):
            identity = name.removeprefix(before).removesuffix(after)
            if count := len(read_used(folder, identity)[side].keys() & set(removed)):
                found[identity] = count
    return found
