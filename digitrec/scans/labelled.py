"""Labelled scans: class folders, tables, MNIST and what is made of it, as one kind of set."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv, parquet

from digitrec.errors import InputError
from digitrec.files import check_is_free
from digitrec.scans import mnist
from digitrec.scans.corruptions import CORRUPTIONS, CorruptedImages, Corruption
from digitrec.scans.inputs import list_inputs

CALIBRATION_IMAGES, VALIDATION_IMAGES = 10_000, 5_000
GROUPS = ("writer", "group")  # columns of a table that say who wrote a scan
DIGITS = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Scans and what they show: labels uint8 [N], 0 to 9.

    A scan is an image file's path or content, or pixels: uint8 [H, W], [H, W, 3] or [H, W, 4].
    """

    name: str
    scans: Sequence[str | bytes | NDArray[np.uint8]]
    labels: NDArray[np.uint8]
    groups: NDArray[np.object_] | None = None  # [N], who wrote each, where that is known


def load_labelled(source: str, data: Path | None = None) -> LabelledSet:
    """Load a labelled set.

    Args:
        source: `mnist:test`, `mnist:train`, `mnist:calibration`, `mnist:validation`, MNIST's test
            set under one of `CORRUPTIONS` (`mnist:inverted`), `sklearn:digits`, a folder of class
            folders (`0/` … `9/`), or a CSV or Parquet file with the columns `path` (relative to
            that file) and `label`, and maybe `writer` or `group`: who wrote each.
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
        case ["sklearn", "digits"]:
            return _scikit_learn_digits()
    path = Path(source)
    if path.is_dir():
        return _from_class_folders(path)
    if path.is_file():
        return _from_table(path)
    raise InputError(f"no labelled set {source}: expected a folder, a table or mnist:test")


def mnist_set(split: mnist.Split, data: Path | None = None) -> LabelledSet:
    """Give a split of MNIST as PNGs in memory, so that it is read as any scan is."""
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


def _from_class_folders(folder: Path) -> LabelledSet:
    scans: list[str] = []
    labels: list[int] = []
    for digit in DIGITS:
        if (folder / digit).is_dir():
            paths = list_inputs([str(folder / digit)]).paths
            scans += paths
            labels += [int(digit)] * len(paths)
    if not scans:
        raise InputError(f"{folder} is no labelled set: no scans in class folders 0 to 9")
    return LabelledSet(str(folder), scans, np.array(labels, np.uint8))


def _from_table(file: Path) -> LabelledSet:
    try:
        table = parquet.read_table(file) if file.suffix == ".parquet" else csv.read_csv(file)
    except (pa.ArrowException, OSError) as why:
        raise InputError(f"{file} can't be read as a table: {why}") from why
    if not {"path", "label"} <= set(table.column_names):
        raise InputError(f"{file} has no columns path and label")
    labels = [str(label) for label in table["label"].to_pylist()]
    wrong = [label for label in labels if label not in DIGITS]
    if wrong or not labels:
        raise InputError(
            f"{file} has {f'the label {wrong[0]}' if wrong else 'no rows'}: 0 to 9 count"
        )
    paths = [str(file.parent / path) for path in table["path"].to_pylist()]
    return LabelledSet(str(file), paths, np.array(labels, np.uint8), _groups(table))


def _groups(table: pa.Table) -> NDArray[np.object_] | None:
    """Give the column that says who wrote each scan, if there is one."""
    for name in GROUPS:
        if name in table.column_names:
            return np.array([str(one) for one in table[name].to_pylist()], object)
    return None


def export_mnist(split: mnist.Split, out: Path, data: Path | None = None) -> int:
    """Write a split of MNIST as PNGs into class folders, `out/7/00042.png`; give their number.

    Raises:
        InputError: `out` holds something already.
        MnistError: MNIST can't be had.
    """
    check_is_free(out)
    images, labels = mnist.load(split, data)
    for digit in DIGITS:
        (out / digit).mkdir(parents=True, exist_ok=True)
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        (out / str(label) / f"{k:05d}.png").write_bytes(png(image))
    return len(labels)
