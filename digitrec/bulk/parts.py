"""A classify result: the schema of its rows, its part files and `_run.json`."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from digitrec.errors import InputError, RunError
from digitrec.files import replacing, write_json
from digitrec.reading import Readings
from digitrec.scans.inputs import readable

RUN = "_run.json"
RUN_SCHEMA_VERSION = 1

SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("digit", pa.int8()),
        pa.field("confidence", pa.float32()),
        pa.field("probabilities", pa.list_(pa.float32(), 10)),
        pa.field("decision", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
    ]
)


def part_table(paths: Sequence[str], readings: Readings) -> pa.Table:
    """Make the rows of a part, in `SCHEMA`: one for each path and its reading."""
    no_digit = ~readings.has_digit
    undecoded = readings.widths == 0
    probabilities = pa.FixedSizeListArray.from_arrays(
        pa.array(readings.probabilities.ravel()), 10, mask=pa.array(no_digit)
    )
    return pa.table(
        [
            pa.array([readable(path) for path in paths], pa.string()),
            pa.array(readings.digits, mask=no_digit),
            pa.array(readings.confidences, mask=no_digit),
            probabilities,
            pa.array(readings.decisions, pa.string()).dictionary_encode(),
            pa.array(readings.reasons, pa.string()),
            pa.array(readings.widths, mask=undecoded),
            pa.array(readings.heights, mask=undecoded),
        ],
        schema=SCHEMA,
    )


def write_part(folder: Path, number: int, table: pa.Table) -> None:
    """Write part `number` of a result, whole or not at all; a retry replaces it."""
    with replacing(folder / f"part-{number:06d}.parquet") as temporary:
        parquet.write_table(table, temporary, compression="zstd")


@dataclass(slots=True)
class Tally:
    """What a part, or all of them together, came to."""

    rows: int = 0
    first_frames: int = 0  # scans whose file holds further frames, which were left out
    decisions: Counter[str] = field(default_factory=Counter)
    digits: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)  # by reason code
    seconds: dict[str, float] = field(default_factory=dict)  # by stage, summed over the workers

    def add(self, other: "Tally") -> None:
        """Add another part's counts to these."""
        self.rows += other.rows
        self.first_frames += other.first_frames
        self.decisions += other.decisions
        self.digits += other.digits
        self.errors += other.errors
        for stage, seconds in other.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def to_json(self) -> str:
        """Write it so that it can travel as one row of a table."""
        return json.dumps({item.name: getattr(self, item.name) for item in fields(self)})

    @classmethod
    def from_json(cls, text: str) -> "Tally":
        """Read what `to_json` wrote."""
        content: dict[str, Any] = json.loads(text)
        for name in ("decisions", "digits", "errors"):
            content[name] = Counter(content[name])
        return cls(**content)


def tally(readings: Readings) -> Tally:
    """Count the readings of a part."""
    return Tally(
        rows=len(readings),
        first_frames=readings.first_frames,
        decisions=Counter(readings.decisions.tolist()),
        digits=Counter(str(digit) for digit in readings.digits[readings.has_digit]),
        errors=Counter(reason.split(":")[0] for reason in readings.reasons if reason),
        seconds=dict(readings.seconds),
    )


def claim_result(folder: Path) -> None:
    """Make the folder for a new result.

    Raises:
        InputError: it holds something already, or can't be made.
    """
    if (folder / RUN).is_file():
        state = "a" if read_run(folder).get("state") == "complete" else "an unfinished"
        raise InputError(f"{folder} holds {state} result already: choose another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"{folder} holds something else than a result: choose another --out")
    except OSError as why:
        raise InputError(f"{folder} can't be used for the result: {why.strerror}") from why


def write_run(folder: Path, run: Mapping[str, Any]) -> None:
    """Write a result's `_run.json`."""
    write_json(folder / RUN, {"schema_version": RUN_SCHEMA_VERSION, **run})


def read_run(folder: Path) -> dict[str, Any]:
    """Read a result's `_run.json`."""
    run: dict[str, Any] = json.loads((folder / RUN).read_text("utf-8"))
    return run


def check_rows(folder: Path, expected: int) -> None:
    """Count the rows in the part files themselves.

    Raises:
        RunError: they are not as many as the inputs.
    """
    rows = sum(
        parquet.read_metadata(part).num_rows for part in sorted(folder.glob("part-*.parquet"))
    )
    if rows != expected:
        raise RunError(f"{folder} has {rows} rows for {expected} inputs: it is not complete")
