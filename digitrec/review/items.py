"""Rows of a result → what a person is shown of each: its scan, and what was read there."""

import base64
import hashlib
import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitrec.batch.result import Place, Result, fetched, rows_of
from digitrec.datasets.answers import Drawn
from digitrec.errors import InputError, ScanError
from digitrec.inputs.decode import decode
from digitrec.model.policy import REVIEW
from digitrec.normalize.scan import inspect

LONGEST = 160  # pixels of a picture's longer side; larger scans are shrunk
LOSSLESS = 32  # up to this side a picture is kept as it is
QUALITY = 60  # of the larger ones, as WebP takes it
ALTERNATIVES = 3  # digits that are offered beside the one that was read
LEAST_OFFERED = 0.005  # the probability from which one is
COLUMNS = ("path", "digit", "confidence", "probabilities", "reason")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a result, as far as a review goes by it."""

    path: str  # as the result calls it
    predicted: str  # the digit that was read; empty: none
    confidence: float | None
    alternatives: list[tuple[str, float]]  # other digits and their probabilities, best first
    reason: str
    notes: str | None  # None: the result keeps none


@dataclass(frozen=True, slots=True)
class Item:
    """What a person is shown: a row, and its scan."""

    place: Place
    row: Row
    digest: str  # of the scan's content, so that an answer is never taken for another scan
    image: str  # the scan as a data URI, at most LONGEST pixels wide and high
    width: int  # of the scan, in pixels
    height: int
    notes: str  # what the normalizer found odd
    number: int | None = None  # in a sample


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rows a review is of."""

    places: list[Place]  # most doubtful first
    left: int  # as doubtful as to need a person too, but over the count


def digest_of(content: bytes) -> str:
    """Return what tells a scan's content from any other's: 64 bits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def most_doubtful(result: Result, count: int) -> Chosen:
    """Choose the rows to review of which the model was least sure; those without a digit first."""
    found = heapq.nsmallest(count, _to_review(result))
    total = result.total.decisions[REVIEW]
    return Chosen([place for _, place in found], total - len(found))


def _to_review(result: Result) -> Iterator[tuple[float, Place]]:
    for number, stats in result.parts.items():
        if stats.decisions[REVIEW]:
            rows = rows_of(result, number, ["confidence", "decision"])
            sure = rows["confidence"].to_pylist()
            for k, decision in enumerate(rows["decision"].to_pylist()):
                if decision == REVIEW:
                    yield (-1.0 if sure[k] is None else sure[k]), (number, k)


def read_rows(result: Result, places: Sequence[Place]) -> dict[Place, Row]:
    """Read some rows of a result.

    Raises:
        InputError: a part can't be used, or there is no such row.
    """
    columns = [*COLUMNS, *(["notes"] if result.run.get("notes") else [])]
    wanted: defaultdict[int, list[int]] = defaultdict(list)
    for part, row in places:
        wanted[part].append(row)
    found: dict[Place, Row] = {}
    for part, rows in wanted.items():
        table = rows_of(result, part, columns)
        if max(rows) >= len(table):
            raise InputError(f"{result.folder.name} has no row {max(rows)} in part {part}")
        for row, told in zip(rows, table.take(rows).to_pylist(), strict=True):
            found[part, row] = _row(told)
    return found


def _row(told: Mapping[str, Any]) -> Row:
    digit, probabilities = told["digit"], told["probabilities"] or []
    order = sorted(range(len(probabilities)), key=lambda k: -probabilities[k])
    others = [(str(k), round(probabilities[k], 4)) for k in order if k != digit]
    return Row(
        path=told["path"],
        predicted="" if digit is None else str(digit),
        confidence=told["confidence"],
        alternatives=[one for one in others[:ALTERNATIVES] if one[1] >= LEAST_OFFERED],
        reason=told["reason"] or "",
        notes=told["notes"] or "" if "notes" in told else None,
    )


def make_items(result: Result, places: Sequence[Place]) -> tuple[list[Item], list[str]]:
    """Read the scans of some rows again, and make of each what a person is shown.

    Returns:
        The items in the order of the places, and what is missing: a sentence for each scan that
        is gone or has changed.
    """
    rows = read_rows(result, places)
    items, missing = {}, []
    for scan in fetched(result, places):
        content = scan.content
        try:
            if isinstance(content, ScanError):
                raise content
            items[scan.place] = make_item(scan.place, rows[scan.place], content)
        except ScanError as why:
            missing.append(f"{scan.shown}: {why}")
    return [items[place] for place in places if place in items], missing


def sample_items(folder: Path, rows: Sequence[Drawn]) -> list[Item]:
    """Make of a sample's scans what a person is shown: nothing of what the model says.

    Raises:
        InputError: a scan of the sample is gone.
    """
    items = []
    for row in rows:
        try:
            content = (folder / row.path).read_bytes()
            nothing = Row(row.original, "", None, [], "", "")
            items.append(make_item((row.part, row.row), nothing, content, row.number))
        except (OSError, ScanError) as why:
            raise InputError(f"{folder / row.path} can't be read: {why}: draw again") from why
    return items


def make_item(place: Place, row: Row, content: bytes, number: int | None = None) -> Item:
    """Make of a row and its scan's content what a person is shown.

    Raises:
        ScanError: it is no image any more.
    """
    decoded = decode(content)
    width, height = decoded.size
    notes = row.notes
    if notes is None:
        notes = inspect(decoded.pixels).words or ""
    image = picture(decoded.pixels)
    return Item(place, row, digest_of(content), image, width, height, notes, number)


def picture(pixels: NDArray[np.uint8]) -> str:
    """Return pixels as a data URI that is small enough for a page with thousands of them.

    Args:
        pixels: uint8 [H, W] (grey), [H, W, 3] (RGB) or [H, W, 4] (RGBA, laid on white).
    """
    longest = max(pixels.shape[:2])
    if longest > LONGEST:
        height, width = (max(1, side * LONGEST // longest) for side in pixels.shape[:2])
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
    plain = _without_colours(_on_white(pixels))
    if longest <= LOSSLESS:
        return _uri("png", plain, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return _uri("webp", plain, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])


def _on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.ndim == 2 or pixels.shape[2] < 4:
        return pixels
    shown = pixels[:, :, 3:].astype(np.float32) / 255
    return np.rint(pixels[:, :, :3] * shown + 255 * (1 - shown)).astype(np.uint8)


def _without_colours(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return grey pixels as [H, W], others as OpenCV has them: [H, W, 3], blue first."""
    if pixels.ndim == 2:
        return pixels
    if (pixels == pixels[:, :, :1]).all():
        return np.ascontiguousarray(pixels[:, :, 0])
    return np.ascontiguousarray(pixels[:, :, ::-1])


def _uri(kind: str, pixels: NDArray[np.uint8], settings: Sequence[int]) -> str:
    content = cv2.imencode(f".{kind}", pixels, settings)[1].tobytes()
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
