"""Corrections as people hand them over: tables, class folders, answered samples → checked rows.

What can't be used is listed with its reason and left out; the rest of its file counts.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import pyarrow as pa

from digitrec.datasets.answers import (
    EXPECTED,
    NO_DIGITS,
    SAMPLE,
    answer_of,
    is_drawn,
    load_answers,
)
from digitrec.datasets.labelled import GROUPS, load_labelled
from digitrec.errors import InputError, ScanError
from digitrec.inputs.decode import decode
from digitrec.inputs.fetch import contents
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
from digitrec.storage.files import is_uri
from digitrec.storage.folder import open_folder, within
from digitrec.storage.paths import readable
from digitrec.storage.uris import Remote, open_remotes, opened, shown

# What a table may say beside path and label, and what the column may be called.
MORE = {
    "group": GROUPS,
    "source": ("source",),
    "model": ("model",),
    "predicted": ("predicted",),
    "confidence": ("confidence",),
    "reviewer": ("reviewer",),
    "time": ("time",),
}
CONTENT = "content"  # a column of Parquet files: the scans' own bytes
CANT = "{} can't be read as corrections: {}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What somebody says that a scan shows."""

    file: str  # where it was said
    row: int  # of the file, from 1 on
    path: str  # of the scan, as the file has it
    label: str  # 0 to 9, blank or not-a-digit
    group: str = ""  # who wrote it, or with what it came; empty: nobody knows
    source: str = ""
    model: str = ""  # what had read it
    predicted: int | None = None  # as what
    confidence: float | None = None
    reviewer: str = ""
    time: str = ""
    drawn: bool = False  # at random, by `audit draw`
    least_confidence: float | None = None  # that a scan needed to be drawn


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that can't be used."""

    file: str
    row: int  # from 1 on
    why: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}: {self.why}"


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan that can be used: its content, as it was given, and what it shows."""

    content: bytes
    sha256: str
    said: Said


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that says something well formed, and where its scan is to be had."""

    said: Said
    scan: str | bytes  # a path or URI, or the content


@dataclass(frozen=True, slots=True)
class _Given:
    """What one file or folder gives."""

    rows: list[_Row]
    problems: list[Problem]
    remotes: tuple[Remote, ...] = ()


def read_corrections(files: Sequence[str], source: str = "") -> tuple[list[Scan], list[Problem]]:
    """Read corrections, and the scans that they speak of.

    Args:
        files: tables (CSV, TSV or Parquet with the columns path and label, paths being relative to
            the table, and maybe those of `MORE`; in Parquet also `content`: a scan's own bytes),
            folders of class folders (`0` to `9`), folders of an answered `audit draw`, and folders
            of such tables and samples, where there may be none yet; of this machine or URIs.
        source: of the scans of which no file says it.

    Returns:
        Every scan that can be used once, in the order in which they came first; and what can't be:
        rows without an allowed label, whose scan can't be opened or decoded, or whose scan has
        another label in another row.

    Raises:
        InputError: a file is none of these.
    """
    scans: list[Scan] = []
    problems: list[Problem] = []
    for file in chain.from_iterable(map(_listed, files)):
        given = _given(file)
        problems += given.problems
        scans += _opened(given, source, problems)
    return _agreed(scans, problems), problems


def _listed(file: str) -> list[str]:
    """Return the tables and samples in a folder; what is none of such a folder is itself."""
    if is_drawn(file) or (ending(file) and not os.path.isdir(file)):
        return [file]
    folder = open_folder(file)
    try:
        names, below = folder.names(), folder.folders()
    except (OSError, ValueError):
        return [file]
    tables = [within(file, name) for name in names if ending(name) in (CSV, TSV, PARQUET)]
    samples = [place for name in below if is_drawn(place := within(file, name))]
    is_inbox = os.path.isdir(file) and not names and not below
    return tables + samples if tables or samples or is_inbox else [file]


def _given(file: str) -> _Given:
    if is_drawn(file):
        return _of_draw(file)
    if ending(file) and not os.path.isdir(file):
        return _of_table(file)
    return _of_class_folders(file)


def _of_draw(folder: str) -> _Given:
    answers = load_answers(folder)
    draw, table = answers.draw, os.path.join(folder, SAMPLE)
    least = draw.least_confidence or 0.0
    rows = [
        _Row(
            Said(
                file=table,
                row=number,
                path=row.path,
                label=row.label,
                model=draw.model_id,
                drawn=True,
                least_confidence=least,
            ),
            os.path.join(folder, row.path),
        )
        for number, row in enumerate(answers.rows, 1)
    ]
    return _Given(rows, [])


def _of_class_folders(folder: str) -> _Given:
    if not is_uri(folder) and not os.path.isdir(folder):
        raise InputError(
            f"no corrections {readable(folder)}: expected a table with the columns path and "
            "label, a folder of class folders, or the folder of an answered audit draw"
        )
    labelled = load_labelled(folder)
    name = shown(folder) if is_uri(folder) else readable(folder)
    rows = [
        _Row(Said(file=name, row=k, path=readable(str(scan)), label=str(label)), str(scan))
        for k, (scan, label) in enumerate(zip(labelled.scans, labelled.labels, strict=True), 1)
    ]
    return _Given(rows, [], labelled.remotes)


def _of_table(table: str) -> _Given:
    remotes = open_remotes([table])
    name = shown(table) if is_uri(table) else readable(table)
    given = _Given([], [], remotes)
    try:
        with opened(table, remotes) as file:
            for number, cells in enumerate(_cells(file, table), 1):
                made = _row(name, number, cells, table)
                if isinstance(made, Problem):
                    given.problems.append(made)
                else:
                    given.rows.append(made)
    except OSError as why:
        raise InputError(CANT.format(name, why.strerror or why)) from why
    except (pa.ArrowException, UnicodeError) as why:
        raise InputError(CANT.format(name, why)) from why
    if not given.rows and not given.problems:
        raise InputError(f"{name} has no rows: a path and a label count")
    return given


def _cells(file: Any, table: str) -> Iterator[dict[str, Any]]:
    """Yield a table's rows: what each has in the columns that are there."""
    wanted: tuple[Sequence[str], ...] = (PATH_COLUMNS, LABEL_COLUMNS)
    if ending(table) not in (CSV, TSV, PARQUET):
        raise InputError(CANT.format(readable(table), "expected .csv, .tsv or .parquet"))
    names = column_names(file, table, wanted)
    more = {**MORE, CONTENT: (CONTENT,)} if ending(table) == PARQUET else MORE
    there = {key: choices for key, choices in more.items() if find(names, choices)}
    keys = ("path", "label", *there)
    for piece in table_columns(file, table, [*wanted, *there.values()]):
        for row in zip(*piece, strict=True):
            yield dict(zip(keys, row, strict=True))


def _row(name: str, number: int, cells: dict[str, Any], table: str) -> _Row | Problem:
    path, content = _text(cells["path"]), cells.get(CONTENT)
    label = answer_of(_text(cells["label"]))
    if label is None:
        return Problem(name, number, f"the label {_text(cells['label'])!r}: {EXPECTED}")
    if not isinstance(content, bytes) and (not path or "\0" in path or "\n" in path):
        return Problem(name, number, f"the path {path!r} names no image file")
    predicted, confidence = answer_of(_text(cells.get("predicted"))), _text(cells.get("confidence"))
    said = Said(
        file=name,
        row=number,
        path=path,
        label=label,
        group=_text(cells.get("group")),
        source=_text(cells.get("source")),
        model=_text(cells.get("model")),
        predicted=int(predicted) if predicted and predicted not in NO_DIGITS else None,
        confidence=_share(confidence),
        reviewer=_text(cells.get("reviewer")),
        time=_text(cells.get("time")),
    )
    return _Row(said, content if isinstance(content, bytes) else resolved(path, table))


def _text(cell: Any) -> str:
    """Return a cell as text; empty for a null, and for a NaN among numbers."""
    return "" if cell is None or cell != cell else str(cell).strip()


def _share(text: str) -> float | None:
    try:
        share = float(text)
    except ValueError:
        return None
    return share if 0 <= share <= 1 else None


def _opened(given: _Given, source: str, problems: list[Problem]) -> Iterator[Scan]:
    """Yield the scans that can be opened and decoded; list the others."""
    paths = [row.scan for row in given.rows if isinstance(row.scan, str)]
    coming = contents(paths, given.remotes)
    for row in given.rows:
        content = next(coming) if isinstance(row.scan, str) else row.scan
        try:
            if isinstance(content, ScanError):
                raise content
            decode(content)
        except ScanError as why:
            problems.append(Problem(row.said.file, row.said.row, f"{row.said.path}: {why}"))
        else:
            said = replace(row.said, source=row.said.source or source)
            yield Scan(content, hashlib.sha256(content).hexdigest(), said)


def _agreed(scans: Sequence[Scan], problems: list[Problem]) -> list[Scan]:
    """Return each scan once; list those about which people disagree."""
    labels = defaultdict(set)
    for scan in scans:
        labels[scan.sha256].add(scan.said.label)
    kept: dict[str, Scan] = {}
    for scan in scans:
        said = scan.said
        if len(labels[scan.sha256]) == 1:
            kept.setdefault(scan.sha256, scan)
            continue
        others = " and ".join(sorted(labels[scan.sha256] - {said.label}))
        why = f"the scan is labelled {said.label} here and {others} elsewhere: which?"
        problems.append(Problem(said.file, said.row, why))
    return list(kept.values())
