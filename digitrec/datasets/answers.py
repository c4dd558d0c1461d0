"""A random sample of a result that a person answers: what `audit draw` leaves in its folder.

`audit.json` says how it was drawn, `sample.csv` names the scans in the order in which they were
drawn and takes the answers, `scans/` holds the scans as they were read.
"""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from digitrec.datasets.labelled import LABEL, LabelledSet
from digitrec.errors import InputError
from digitrec.inputs.decode import decode
from digitrec.inputs.rows import csv_columns
from digitrec.storage.files import replacing, write_json

DRAW, SAMPLE, SCANS = "audit.json", "sample.csv", "scans"
COLUMNS = ("number", "path", "label", "part", "row", "original")
ACCEPTED, DIGITS = "accepted", "digits"  # what a sample is drawn of
NO_DIGIT = 10  # the label of what shows no digit, whatever it is
NO_DIGITS = ("blank", "not-a-digit")
SCHEMA_VERSION = 1
EXPECTED = "expected 0 to 9, blank or not-a-digit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Draw:
    """How a sample was drawn: the content of `audit.json`."""

    result: str  # as the user called it
    run_id: str
    finished: str  # when the result was complete
    model_id: str
    of: str  # ACCEPTED, or DIGITS: all rows with a digit
    per_digit: bool  # so many of each digit as it was read
    seed: int
    counts: dict[str, int]  # how many rows there are of each stratum: a digit, or `all`
    certainty: float
    least_confidence: float | None  # that a digit needs to be accepted; None: any will do
    looks: dict[str, list[int]]  # of all rows of the result, see digitrec.budget.looks
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Drawn:
    """A row of a sample: a row of a result, and a person's answer."""

    number: int  # from 1 on, in the order of drawing
    path: str  # of the scan, relative to the sample's folder
    label: str  # empty: not answered
    part: int  # of the result
    row: int  # of the part
    original: str  # what the result calls the scan


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to a sample, as a labelled set."""

    draw: Draw
    labelled: LabelledSet  # 0 to 9, NO_DIGIT
    rows: list[Drawn]  # the same as a person wrote them

    def least_confidence(self, model_id: str) -> float:
        """Return the confidence that all scans had to have to be drawn, as a model reads them.

        Raises:
            InputError: another model chose which were accepted.
        """
        if self.draw.of != ACCEPTED:
            return 0.0
        if self.draw.model_id != model_id:
            raise InputError(
                f"{self.labelled.name} was drawn among what model {self.draw.model_id} accepts, "
                f"which says nothing of model {model_id}: draw with --of digits, or calibrate that"
            )
        return self.draw.least_confidence or 0.0


def is_drawn(location: str) -> bool:
    """Tell whether a folder is one that `audit draw` left."""
    return os.path.isfile(os.path.join(location, DRAW))


def read_draw(folder: Path) -> Draw:
    """Read how a sample was drawn.

    Raises:
        InputError: the folder holds none.
    """
    try:
        import msgspec

        draw = msgspec.json.decode((folder / DRAW).read_bytes(), type=Draw, strict=True)
        if draw.schema_version != SCHEMA_VERSION:
            raise ValueError(f"its schema version is {draw.schema_version}")
        return draw
    except FileNotFoundError as why:
        raise InputError(f"{folder} holds no sample: there is no {DRAW}") from why
    except (OSError, ValueError) as why:
        raise InputError(f"{folder} can't be used: its {DRAW}: {why}") from why


def write_draw(folder: Path, draw: Draw) -> None:
    """Write how a sample was drawn."""
    write_json(folder / DRAW, asdict(draw))


def write_sample(folder: Path, rows: Sequence[Drawn]) -> None:
    """Write a sample's table."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    table.writerows([getattr(row, name) for name in COLUMNS] for row in rows)
    with replacing(folder / SAMPLE) as temporary:
        Path(temporary).write_text(text.getvalue(), newline="")


def read_sample(folder: Path) -> list[Drawn]:
    """Read a sample's table as it was drawn, with the answers that it has.

    Raises:
        InputError: it can't be read, or is not what was drawn.
    """
    rows = [
        Drawn(
            _whole(number, "number", where),
            path,
            label.strip(),
            _whole(part, "part", where),
            _whole(row, "row", where),
            original,
        )
        for where, (number, path, label, part, row, original) in _rows(folder / SAMPLE, COLUMNS)
    ]
    if sorted(row.number for row in rows) != list(range(1, len(rows) + 1)):
        raise InputError(f"{folder / SAMPLE}: rows are missing, or stand there twice")
    return sorted(rows, key=lambda row: row.number)


def answered(sample: Sequence[Drawn], table: Path | None) -> list[Drawn]:
    """Return a sample with the answers that a table gives; those it lacks count as not given.

    Args:
        sample: as it was drawn.
        table: with the columns number and label; None: the answers are the sample's own.

    Raises:
        InputError: it names what was not drawn, or answers one twice and differently, or an
            answer is none.
    """
    if table is None:
        found = [(f"{SAMPLE}, number {row.number}", row.number, row.label) for row in sample]
    else:
        found = [
            (where, _whole(number, "number", where), label.strip())
            for where, (number, label) in _rows(table, ("number", "label"))
        ]
    drawn = {row.number for row in sample}
    given: dict[int, str] = {}
    for where, number, label in found:
        if number not in drawn:
            raise InputError(f"{where}: number {number} was not drawn, 1 to {len(drawn)} were")
        if not label:
            continue
        named = _checked(label, where)
        if given.setdefault(number, named) != named:
            raise InputError(
                f"{where}: number {number} is answered twice, {given[number]} and {named}: which?"
            )
    return [replace(row, label=given.get(row.number, "")) for row in sample]


def answer_of(label: str) -> str | None:
    """Return what a label says: `0` to `9`, `blank` or `not-a-digit`; None: it is none."""
    if label.lower() in NO_DIGITS:
        return label.lower()
    named = LABEL.fullmatch(label)
    return None if named is None else named[1]


def _checked(label: str, where: str) -> str:
    named = answer_of(label)
    if named is None:
        raise InputError(f"{where} has the answer {label}: {EXPECTED}")
    return named


def in_order(sample: Sequence[Drawn]) -> tuple[list[Drawn], int]:
    """Return the answered rows up to the first that is not, and how many come after that.

    Only these are a random sample: who leaves out the hard ones has drawn others.
    """
    first = next((k for k, row in enumerate(sample) if not row.label), len(sample))
    return list(sample[:first]), sum(bool(row.label) for row in sample[first:])


def labels_of(rows: Sequence[Drawn]) -> NDArray[np.uint8]:
    """Return answers as labels uint8 [N]: 0 to 9, and `NO_DIGIT`."""
    return np.array(
        [NO_DIGIT if row.label in NO_DIGITS else int(row.label) for row in rows], np.uint8
    )


def load_answers(location: str) -> Answers:
    """Load a sample's answers as a labelled set.

    Raises:
        InputError: there is no sample, or it has no answers.
    """
    folder = Path(location)
    draw = read_draw(folder)
    if draw.per_digit:
        raise InputError(
            f"{location} was drawn digit by digit: its scans come in other shares than those of "
            "the result, so they certify no policy; draw without --per-digit"
        )
    rows, _ = in_order(answered(read_sample(folder), None))
    if not rows:
        raise InputError(f"{folder / SAMPLE}: number 1 has no label yet: {EXPECTED}")
    scans = [str(folder / row.path) for row in rows]
    return Answers(draw, LabelledSet(location, scans, labels_of(rows)), rows)


def _rows(table: Path, columns: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    """Read columns of a CSV table: where each row stands, and its cells."""
    try:
        with table.open("rb") as file:
            found = [
                [cell or "" for cell in row]
                for some in csv_columns(file, str(table), [(name,) for name in columns])
                for row in zip(*some, strict=True)
            ]
    except (pa.ArrowException, OSError, UnicodeError) as why:
        raise InputError(f"{table} can't be read as a table: {why}") from why
    return [(f"{table}, row {k}", row) for k, row in enumerate(found, 1)]


def _whole(text: str, column: str, where: str) -> int:
    try:
        return int(text.strip())
    except ValueError:
        raise InputError(f"{where}: {text!r} in column {column} is no whole number") from None


def read_scans_of(folder: Path, rows: Sequence[Drawn]) -> list[NDArray[np.uint8]]:
    """Return the pixels of a sample's scans: uint8 [H, W], [H, W, 3] or [H, W, 4] each."""
    return [decode((folder / row.path).read_bytes()).pixels for row in rows]
