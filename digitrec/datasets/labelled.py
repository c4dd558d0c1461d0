"""Labelled scans: class folders, tables, MNIST and what is made of it, as one kind of set."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import fs

from digitrec.datasets import mnist
from digitrec.datasets.corruptions import CORRUPTIONS, CorruptedImages, Corruption
from digitrec.errors import InputError
from digitrec.inputs.listing import list_inputs, list_remote
from digitrec.inputs.rows import (
    CSV,
    LABEL_COLUMNS,
    PARQUET,
    PATH_COLUMNS,
    TSV,
    column_names,
    ending,
    find,
    resolved,
    table_columns,
)
from digitrec.storage.files import check_is_free, is_uri
from digitrec.storage.paths import readable
from digitrec.storage.uris import (
    Remote,
    check_listed,
    open_remotes,
    open_uri,
    opened,
    shown,
    with_retries,
)

CALIBRATION_IMAGES, VALIDATION_IMAGES = 10_000, 5_000
GROUPS = ("writer", "group")  # columns of a table that say who wrote a scan
JOINED = " + "  # between the names of sets that are taken together
CLASS_FOLDERS = tuple(str(digit) for digit in range(10))
# What says a digit: 3, 03 or 3.0; as a folder's name also digit_3.
LABEL = re.compile(r"0?(\d)(?:\.0*)?")
CLASS_FOLDER = re.compile(r"(?:digit[-_ ]?)?0?(\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Scans and what they show: labels uint8 [N], 0 to 9.

    A scan is an image file's path or content, or pixels: uint8 [H, W], [H, W, 3] or [H, W, 4].
    """

    name: str
    scans: Sequence[str | bytes | NDArray[np.uint8]]
    labels: NDArray[np.uint8]
    # [N]: who wrote each, None where nobody knows; None: of none it is known.
    groups: NDArray[np.object_] | None = None
    # Where scans behind URIs lie, open already: a scan's own URI has neither keys nor options.
    remotes: tuple[Remote, ...] = ()


def load_labelled(source: str, data: Path | None = None) -> LabelledSet:
    """Load a labelled set.

    Args:
        source: `mnist:test`, `mnist:train`, `mnist:calibration`, `mnist:validation`, MNIST's test
            set under one of `CORRUPTIONS` (`mnist:inverted`), `sklearn:digits`, a folder of class
            folders (`0/` … `9/`), or a CSV, TSV or Parquet file with the columns `path` (relative
            to that file) and `label`, and maybe `writer` or `group`: who wrote each, empty
            where nobody knows; of this machine or a URI.
        data: folder with MNIST's four files; None: the cache.

    Raises:
        InputError: there is no such set, or it is empty or not well formed.
    """
    match source.split(":", 1):
        case ["mnist", "test" | "train" as split]:
            return mnist_set(split, data)
        case ["mnist", "calibration" | "validation" as part]:
            return _part(part, data)
        case ["mnist", name] if name in CORRUPTIONS:
            return _corrupted(CORRUPTIONS[name], data)
        case ["mnist", name]:
            known = ", ".join(("test", "train", "calibration", "validation", *CORRUPTIONS))
            raise InputError(f"MNIST has no set {name}: expected one of {known}")
        case ["empty", _]:
            raise InputError(f"{source} shows no digits, so it has no labels: evaluate takes it")
        case ["sklearn", "digits"]:
            return _scikit_learn_digits()
    return _remote(source) if is_uri(source) else _local(source)


def _local(source: str) -> LabelledSet:
    if os.path.isdir(source):
        with os.scandir(source) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
        folder = str(Path(source))
        return _from_class_folders(folder, names, lambda name: _scans(os.path.join(folder, name)))
    if os.path.isfile(source):
        return _from_table(source)
    raise InputError(f"no labelled set {source}: expected a folder, a table or mnist:test")


def _scans(folder: str) -> list[str]:
    return list_inputs([folder]).paths


def _remote(uri: str) -> LabelledSet:
    remote, path = open_uri(uri)
    if remote is None:
        return _local(path)
    store = remote.filesystem
    info = with_retries(lambda: store.get_file_info(path))
    if info.type == fs.FileType.Directory:
        infos = with_retries(lambda: store.get_file_info(fs.FileSelector(path)))
        names = [one.base_name for one in infos if one.type == fs.FileType.Directory]
        found = _from_class_folders(
            remote.uri(path), names, lambda name: list_remote(remote, f"{path}/{name}").paths
        )
        return replace(found, remotes=(remote,))
    if info.type == fs.FileType.File:
        return _from_table(remote.uri(path), (remote,))
    raise InputError(f"no labelled set {shown(uri)}: expected a folder or a table")


def mnist_set(split: mnist.Split, data: Path | None = None) -> LabelledSet:
    """Return a split of MNIST as PNGs in memory, so that it is read as any scan is."""
    images, labels = mnist.load(split, data)
    return LabelledSet(f"mnist:{split}", [png(image) for image in images], labels)


def calibration_indices(images: NDArray[np.uint8]) -> list[int]:
    """Choose the calibration part of MNIST's training images: the 10,000 whose SHA-256 come first.

    Args:
        images: uint8 [60000, 28, 28].
    """
    return _by_content(images)[:CALIBRATION_IMAGES]


def validation_indices(images: NDArray[np.uint8]) -> list[int]:
    """Choose the validation part of MNIST's training images: the 5,000 after the calibration part.

    Args:
        images: uint8 [60000, 28, 28].
    """
    return _by_content(images)[CALIBRATION_IMAGES : CALIBRATION_IMAGES + VALIDATION_IMAGES]


def _by_content(images: NDArray[np.uint8]) -> list[int]:
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    return sorted(range(len(images)), key=digests.__getitem__)


def _part(name: str, data: Path | None) -> LabelledSet:
    images, labels = mnist.load("train", data)
    choose = calibration_indices if name == "calibration" else validation_indices
    chosen = choose(images)
    return LabelledSet(f"mnist:{name}", [png(images[k]) for k in chosen], labels[chosen])


def _corrupted(corruption: Corruption, data: Path | None) -> LabelledSet:
    images, labels = mnist.load("test", data)
    return LabelledSet(f"mnist:{corruption.name}", CorruptedImages(images, corruption), labels)


def _scikit_learn_digits() -> LabelledSet:
    """The 1,797 digits of 8×8 pixels and 17 grey levels that scikit-learn holds (UCI, 1998)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as why:
        raise InputError(
            "sklearn:digits comes with scikit-learn: pip install 'digitrec[panel]'"
        ) from why
    digits = load_digits()
    scans = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return LabelledSet("sklearn:digits", list(scans), digits.target.astype(np.uint8))


def png(image: NDArray[np.uint8]) -> bytes:
    """Encode grey pixels uint8 [H, W] as a PNG file."""
    return cv2.imencode(".png", image)[1].tobytes()


def _from_class_folders(
    folder: str, names: Sequence[str], listed: Callable[[str], list[str]]
) -> LabelledSet:
    scans: list[str] = []
    labels: list[int] = []
    for name in sorted(names):
        if (named := CLASS_FOLDER.fullmatch(name)) is not None:
            paths = listed(name)
            scans += paths
            labels += [int(named[1])] * len(paths)
    if not scans:
        found = ", ".join(f"{readable(name)}/" for name in sorted(names)[:5]) or "no folders"
        raise InputError(
            f"{readable(folder)} is no labelled set: no scans in class folders 0 to 9 "
            f"(or 00 to 09, or digit_0 to digit_9); there are {found}"
        )
    return LabelledSet(folder, scans, np.array(labels, np.uint8))


def _from_table(table: str, remotes: tuple[Remote, ...] = ()) -> LabelledSet:
    scans: list[str] = []
    labels: list[int] = []
    try:
        with opened(table, remotes) as file:
            for paths, shown in _columns(file, table, (PATH_COLUMNS, LABEL_COLUMNS)):
                for path, label in zip(paths, shown, strict=True):
                    where = f"{readable(table)}, row {len(scans) + 1}"
                    scans.append(_checked_path(path, table, where, remotes))
                    labels.append(_digit(label, where))
    except (pa.ArrowException, OSError, UnicodeError) as why:
        raise InputError(f"{readable(table)} can't be read as a table: {why}") from why
    if not labels:
        raise InputError(f"{readable(table)} has no rows: a path and a label from 0 to 9 count")
    return LabelledSet(table, scans, np.array(labels, np.uint8), _groups(table, remotes), remotes)


def column_of(table: str, column: str) -> dict[str, NDArray[np.intp]]:
    """Return which rows of a labelled table a column gives each name: name → int [n].

    Raises:
        InputError: it is no such table, or a row has no name.
    """
    if is_uri(table) or not os.path.isfile(table):
        raise InputError(f"{shown(table) if is_uri(table) else table} is no table of this machine")
    with opened(table, ()) as file:
        names = [_writer(one) for [some] in _columns(file, table, [(column,)]) for one in some]
    missing = next((k for k, name in enumerate(names) if name is None), None)
    if missing is not None:
        raise InputError(f"{readable(table)}, row {missing + 1} has nothing in column {column}")
    known = np.array(names, str)
    return {str(name): np.flatnonzero(known == name) for name in np.unique(known)}


def is_of_review(source: str) -> bool:
    """Tell whether a labelled set is a table of corrections: a model's doubt chose its scans.

    Raises:
        InputError: it can't be read.
    """
    if ending(source) not in (CSV, TSV, PARQUET) or (os.path.isdir(source) and not is_uri(source)):
        return False
    try:
        with opened(source, open_remotes([source])) as file:
            names = column_names(file, source, (PATH_COLUMNS, LABEL_COLUMNS))
    except (pa.ArrowException, OSError) as why:
        raise InputError(f"{readable(source)} can't be read as a table: {why}") from why
    return all(find(names, choices) for choices in (["predicted"], ["reviewer", "confidence"]))


def joined(sets: Sequence[LabelledSet]) -> LabelledSet:
    """Take several labelled sets together."""
    if len(sets) == 1:
        return sets[0]
    groups = [
        np.full(len(one.labels), None, object) if one.groups is None else one.groups for one in sets
    ]
    return LabelledSet(
        JOINED.join(one.name for one in sets),
        [scan for one in sets for scan in one.scans],
        np.concatenate([one.labels for one in sets]),
        None if all(one.groups is None for one in sets) else np.concatenate(groups),
        tuple(remote for one in sets for remote in one.remotes),
    )


def _groups(table: str, remotes: Sequence[Remote]) -> NDArray[np.object_] | None:
    """Read the column that says who wrote each scan, if there is one and it says so of any."""
    try:
        with opened(table, remotes) as file:
            groups = [_writer(one) for [some] in _columns(file, table, [GROUPS]) for one in some]
    except InputError:
        return None
    return np.array(groups, object) if any(groups) else None


def _writer(cell: Any) -> str | None:
    """Return a writer's name; None where a cell has none: empty, null, or a NaN among numbers."""
    return None if cell is None or cell != cell else str(cell).strip() or None


def _columns(file: Any, table: str, wanted: Sequence[Sequence[str]]) -> Iterator[list[list[Any]]]:
    if ending(table) not in (CSV, TSV, PARQUET):
        raise InputError(
            f"{readable(table)} is no labelled set: expected .csv, .tsv or .parquet with the "
            "columns path and label"
        )
    try:
        yield from table_columns(file, table, wanted)
    except InputError as why:
        raise InputError(f"{readable(table)} has no columns path and label: {why}") from why


def _checked_path(path: Any, table: str, where: str, remotes: Sequence[Remote]) -> str:
    if not isinstance(path, str) or not path:
        what = "no path" if path in (None, "") else f"the path {path!r}, which is no text"
        raise InputError(f"{where}: {what}; give each row the path of an image file")
    if "\0" in path or "\n" in path:
        raise InputError(f"{where}: the path {path!r} has a character that no path should have")
    if is_uri(path):
        check_listed(path, remotes)
    return resolved(path, table)


def _digit(label: Any, where: str) -> int:
    text = "" if label is None else str(label)
    named = LABEL.fullmatch(text.strip())
    if named is None:
        raise InputError(f"{where} has {f'the label {text}' if text else 'no label'}: 0 to 9 count")
    return int(named[1])


def export_mnist(split: mnist.Split, out: Path, data: Path | None = None) -> int:
    """Write a split of MNIST as PNGs into class folders, `out/7/00042.png`; give their number.

    Raises:
        InputError: `out` holds something already.
        MnistError: MNIST can't be had.
    """
    check_is_free(out)
    images, labels = mnist.load(split, data)
    for digit in CLASS_FOLDERS:
        (out / digit).mkdir(parents=True, exist_ok=True)
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        (out / str(label) / f"{k:05d}.png").write_bytes(png(image))
    return len(labels)
