"""A classify result: the schema of its rows, and its part files."""

import base64
import io
import json
import re
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from digitrec.batch.stats import Stats
from digitrec.budget.looks import FEATURES
from digitrec.readings import Readings
from digitrec.schema import SCHEMA, reading_columns
from digitrec.storage.folder import Folder

STATS, IDENTITY, STAMPS = b"digitrec.tally", b"digitrec.run", b"digitrec.stamps"
LOOKS = b"digitrec.looks"
# Whose a part is: ids of the run, the model, its calibration and policy, and the normalizer's
# version.
Identity = Mapping[str, str | None]


def part_table(shown: Sequence[str], readings: Readings, *, with_notes: bool = False) -> pa.Table:
    """Make the rows of a part, in `SCHEMA`: one for each unit, by its name, and its reading."""
    columns = reading_columns(readings, with_notes=with_notes)
    return columns.add_column(0, SCHEMA.field("path"), pa.array(shown, pa.string()))


def part_name(number: int) -> str:
    """Name a part's file within its result."""
    return f"part-{number:06d}.parquet"


def write_part(
    folder: Folder,
    number: int,
    table: pa.Table,
    stats: Stats,
    identity: Identity,
    stamps: Sequence[int] = (),
    looks: NDArray[np.uint8] | None = None,
) -> None:
    """Write part `number` of a result, with all that its footer tells; a retry replaces it.

    The time that writing takes is added to `stats`.
    """
    start = time.perf_counter()
    content = io.BytesIO()
    table = table.replace_schema_metadata(footer(stats, identity, stamps, looks))
    parquet.write_table(table, content, compression="zstd")
    folder.write(part_name(number), content.getvalue())
    stats.seconds["write"] = stats.seconds.get("write", 0.0) + time.perf_counter() - start


def footer(
    stats: Stats,
    identity: Identity,
    stamps: Sequence[int],
    looks: NDArray[np.uint8] | None = None,
) -> dict[bytes, bytes]:
    """Return what a file of a run tells of itself.

    Args:
        stats: what it came to.
        identity: whose it is.
        stamps: of its N scans.
        looks: what these look like, uint8 [N, features]; None: a file without readings.
    """
    told = {
        STATS: stats.to_json().encode(),
        IDENTITY: json.dumps(dict(identity)).encode(),
        STAMPS: _packed(np.array(stamps, "<i8").tobytes()),
    }
    # Column by column: so they are packed to a third.
    return told if looks is None else {**told, LOOKS: _packed(looks.T.tobytes())}


def _packed(content: bytes) -> bytes:
    return base64.b64encode(zlib.compress(content, 1))


def _unpacked(content: bytes) -> bytes:
    return zlib.decompress(base64.b64decode(content))


@dataclass(frozen=True, slots=True)
class Footer:
    """What `footer` wrote."""

    stats: Stats
    identity: dict[str, str | None]
    stamps: NDArray[np.int64]  # [N], 0 where a scan could not be read
    looks: NDArray[np.uint8]  # [N, features]; [0, features] where there are no readings

    @classmethod
    def of(cls, file: parquet.ParquetFile) -> "Footer":
        """Read a file's footer.

        Raises:
            KeyError: it is none of a run's.
            ValueError: it is damaged.
        """
        told = file.metadata.metadata or {}
        looks = np.frombuffer(_unpacked(told[LOOKS]) if LOOKS in told else b"", np.uint8)
        return cls(
            Stats.from_json(told[STATS]),
            json.loads(told[IDENTITY]),
            np.frombuffer(_unpacked(told[STAMPS]), "<i8").astype(np.int64),
            looks.reshape(len(FEATURES), -1).T.copy(),
        )

    def stranger(self, identity: Identity) -> str | None:
        """Say by what a file is not of this identity; None where it is."""
        for key, value in identity.items():
            if self.identity.get(key) != value:
                return f"{key} {self.identity.get(key)}, not {value}"
        return None


class PartError(Exception):
    """A file of a run that is not what it should be; the message goes on from its name."""


UNREADABLE = (OSError, pa.ArrowException, KeyError, ValueError, TypeError, zlib.error)


def numbers_of(folder: Folder, kind: str) -> frozenset[int]:
    """Return the numbers of the files of a kind (`part`, `shard`) that are there."""
    names = (re.fullmatch(kind + r"-(\d{6,})\.parquet", name) for name in folder.names())
    return frozenset(int(match[1]) for match in names if match)


def check_part(folder: Folder, name: str, shown: Sequence[str], identity: Identity) -> Footer:
    """Hold a file of a run against the units of its chunk; give its footer.

    Args:
        folder: the run's.
        name: the file's.
        shown: what the units are called, one after the other.
        identity: whose it must be.

    Raises:
        PartError: it is missing, damaged or another run's, or has other rows.
    """
    try:
        told, rows = read_file(folder, name, ["path"])
        paths = rows.column("path").combine_chunks()
    except FileNotFoundError as why:
        raise PartError("is missing") from why
    except UNREADABLE as why:
        raise PartError(f"can't be used ({' '.join(str(why).split())})") from why
    if (stranger := told.stranger(identity)) is not None:
        raise PartError(f"is of another run ({stranger})")
    if not paths.equals(pa.array(shown, pa.string())) or told.stats.rows != len(shown):
        raise PartError("has other rows than its chunk has units")
    return told


def read_file(
    folder: Folder, name: str, columns: Sequence[str] | None = None
) -> tuple[Footer, pa.Table]:
    """Read a file of a run: its footer and its rows.

    Raises:
        one of UNREADABLE: it can't be used.
    """
    with folder.opened(name) as source:
        file = parquet.ParquetFile(source)
        return Footer.of(file), file.read(columns=columns)
