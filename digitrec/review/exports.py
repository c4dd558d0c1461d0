"""What people exported from a page, or from Label Studio, as answers; what can't be one is told."""

import codecs
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from digitrec.datasets.answers import answer_of
from digitrec.errors import InputError
from digitrec.review.label_studio import answers_in, is_export
from digitrec.storage.folder import open_file

NEEDED = ("path", "label")  # columns that an export has at least
DELIMITERS = ",;\t"
LONGEST_CELL = 2**20
EXPECTED = "0 to 9, blank and not-a-digit count"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person says of one scan."""

    where: str  # file and row, for people
    path: str  # as the result calls the scan
    label: str  # `0` to `9`, `blank` or `not-a-digit`
    reviewer: str
    time: str
    page: str  # the page's id; empty: unknown
    part: int | None  # of the result; None: the path alone tells which scan it is
    row: int | None
    number: int | None  # in a sample
    digest: str  # of the scan's content; empty: unknown
    result: str  # of which the page was made; empty: unknown
    sample: str  # the sample's folder; empty: it was none


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer that is not used, and why."""

    where: str
    why: str


@dataclass(slots=True)
class Given:
    """All that was exported."""

    answers: list[Answer] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def read_exports(locations: Sequence[str]) -> Given:
    """Read exports: a page's CSV or saved progress, or Label Studio's JSON.

    Args:
        locations: files of this machine, or URIs.

    Raises:
        InputError: one can't be read, or is none of these.
    """
    given = Given()
    for location in locations:
        for where, row in _rows(location):
            try:
                given.answers.append(_answer(f"{location}, {where}", row))
            except ValueError as why:
                given.refused.append(Refused(f"{location}, {where}", str(why)))
    return given


def _rows(location: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the rows of an export, each with where it stands."""
    folder, name = open_file(location)
    try:
        text = _text(folder.read(name))
    except OSError as why:
        raise InputError(f"{location} can't be read: {why.strerror or why}") from why
    if text.lstrip().startswith(("{", "[")):
        yield from _json_rows(location, text)
    else:
        yield from _csv_rows(location, text)


def _text(content: bytes) -> str:
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")


def _json_rows(location: str, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as why:
        raise InputError(f"{location} is damaged: {why}") from why
    if is_export(content):
        yield from answers_in(content)
        return
    answers = content.get("answers") if isinstance(content, dict) else None
    if not isinstance(answers, list):
        raise InputError(
            f"{location} is neither the progress of a review page nor an export of Label Studio"
        )
    for place, row in enumerate(answers, 1):
        yield f"answer {place}", row if isinstance(row, dict) else {}


def _csv_rows(location: str, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    csv.field_size_limit(LONGEST_CELL)
    try:
        for delimiter in DELIMITERS:
            names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
            names = [name.strip().lower() for name in names]
            if set(NEEDED) <= set(names):
                break
        else:
            raise InputError(
                f"{location} is no export of a review page: it has no columns path and label"
            )
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        next(rows)
        for place, cells in enumerate(rows, 2):
            if any(cells):
                yield f"row {place}", dict(zip(names, cells, strict=False))
    except csv.Error as why:
        raise InputError(f"{location} can't be read as a table: {why}") from why


def _answer(where: str, row: Mapping[str, Any]) -> Answer:
    """Check a row of an export.

    Raises:
        ValueError: it is no answer; the message says why.
    """
    path = row.get("path")
    if not isinstance(path, str) or not path:
        raise ValueError("it names no scan")
    return Answer(
        where=where,
        path=path,
        label=_label(row.get("label")),
        reviewer=_words(row.get("reviewer")),
        time=_words(row.get("time")),
        page=_words(row.get("page")),
        part=_number(row.get("part"), "part"),
        row=_number(row.get("row"), "row"),
        number=_number(row.get("number"), "number"),
        digest=_words(row.get("digest")),
        result=_location(row.get("result")),
        sample=_location(row.get("sample")),
    )


def _label(value: Any) -> str:
    text = _words(value).lower()
    label = answer_of(text)
    if label is None or not label.isascii():
        raise ValueError(f"the label {text!r} is none: {EXPECTED}" if text else "it has no label")
    return label


def _words(value: Any) -> str:
    """Return a cell's text in one line that can be written anywhere."""
    text = "" if value is None else str(value)
    return " ".join(text.encode("utf-8", "replace").decode().split())


def _location(value: Any) -> str:
    """Return where something lies.

    Raises:
        ValueError: nothing can lie there.
    """
    text = "" if value is None else str(value)
    if "\0" in text or "\n" in text or text != text.encode("utf-8", "replace").decode():
        raise ValueError(f"{text!r} is no place of a result")
    return text


def _number(value: Any, column: str) -> int | None:
    text = _words(value).removesuffix(".0")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise ValueError(f"{text!r} in column {column} is no whole number")
    return int(text)
