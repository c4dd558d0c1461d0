"""Millions of small files → few large shards, which `classify` reads as well.

An object store takes as long to open a small object as to read a megabyte, and asks its price for
each; a file system's directory of millions is slow as well. Whoever reads a set more than once or
twice packs it first.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
from pyarrow import parquet

from digitrec.bulk.careful import batches
from digitrec.bulk.chunks import LARGEST_SIZE, Chunk, read_chunk
from digitrec.bulk.parts import TALLY, check_paths, numbers_of
from digitrec.bulk.run import Outcome, RunSettings, run
from digitrec.bulk.tally import Tally, span
from digitrec.errors import InputError, ScanError
from digitrec.folder import Folder
from digitrec.scans.contents import contents
from digitrec.scans.inputs import sort_inputs, stream_inputs
from digitrec.scans.shards import member_name, shard_schema
from digitrec.scans.walk import Notes
from digitrec.storage import Remote, open_remotes

SHARD_BYTES = 128 * 2**20
# However small they are, no more scans make a shard: each row of it is held against the listing.
MOST_SCANS = 64 * LARGEST_SIZE
SAMPLE = 1000
PACKED, ERROR = "packed", "error"


def pack(settings: RunSettings) -> Outcome:
    """Pack every scan of the inputs into shards, or go on with that.

    Raises:
        InputError: an input or the folder can't be used; nothing was changed.
        RunError: the run could not finish; the same call goes on from there.
    """
    if sort_inputs(settings.inputs).tables:
        raise InputError("pack takes folders and files of scans, no lists and no shards")
    remotes = open_remotes(settings.inputs)
    scans = _scans_per_shard(settings, remotes)
    return run("pack", {}, lambda folder: Packer(folder, scans, remotes), settings)


def _scans_per_shard(settings: RunSettings, remotes: tuple[Remote, ...]) -> int:
    """Find out from some scans how many make a shard."""
    listing = stream_inputs(settings.inputs, Notes(), options=settings.options)
    paths = (path for found in listing for path in found.paths)
    sizes = [
        len(content)
        for content in contents(list(islice(paths, SAMPLE)), remotes)
        if not isinstance(content, ScanError)
    ]
    fitting = SHARD_BYTES * len(sizes) // max(sum(sizes), 1)
    return max(1, min(MOST_SCANS, fitting))


@dataclass(frozen=True, slots=True)
class Packer:
    """Puts the scans of a chunk into a shard; see `work.Work`."""

    folder: Folder
    scans_per_shard: int
    remotes: tuple[Remote, ...] = ()

    @property
    def name(self) -> str:
        """What it is called."""
        return "pack"

    @property
    def decisions(self) -> tuple[str, ...]:
        """What can become of a scan."""
        return (PACKED, ERROR)

    def size(self, number: int) -> int:
        """Say how many scans shard `number` gets."""
        return self.scans_per_shard

    def warm_up(self) -> None:
        """Load nothing: reading and writing need no more than is there."""

    def __call__(self, number: int, *, here: bool = False) -> Tally:
        """Pack chunk `number` into its shard, to the same name if it is done again."""
        began = time.time()
        chunk = read_chunk(self.folder, number)
        tally = Tally(rows=len(chunk.paths))
        schema = shard_schema()
        with self.folder.writing(shard_name(number)) as file, parquet.ParquetWriter(
            file, schema, compression="zstd",
            use_dictionary=False, write_statistics=False,
        ) as writer:  # fmt: skip
            for table in self._row_groups(chunk, tally):
                start = time.perf_counter()
                writer.write_table(table)
                tally.seconds["write"] += time.perf_counter() - start
            writer.add_key_value_metadata({TALLY: tally.to_json()})
        tally.spans = [span(began, tally.rows)]
        return tally

    def _row_groups(self, chunk: Chunk, tally: Tally) -> Iterator[pa.Table]:
        """Read a chunk's files in batches that fit into memory; count what comes."""
        tally.seconds = {"read": 0.0, "write": 0.0}
        done, start = 0, time.perf_counter()
        for batch in batches(contents(chunk.paths, self.remotes), LARGEST_SIZE):
            failed = [str(one) if isinstance(one, ScanError) else None for one in batch]
            tally.decisions[ERROR] += len(batch) - failed.count(None)
            tally.decisions[PACKED] += failed.count(None)
            tally.errors.update(reason.split(":")[0] for reason in failed if reason)
            names = map(member_name, chunk.paths[done : done + len(batch)])
            packed = [None if isinstance(one, ScanError) else one for one in batch]
            tally.seconds["read"] += time.perf_counter() - start
            yield pa.table([list(names), packed, failed], schema=shard_schema())
            done, start = done + len(batch), time.perf_counter()

    def done(self) -> frozenset[int]:
        """Give the numbers of the shards that are there."""
        return numbers_of(self.folder, "shard")

    def check(self, chunk: Chunk) -> Tally:
        """Hold a shard against its chunk, path by path."""
        names = pa.array(map(member_name, chunk.paths), pa.string())
        return check_paths(self.folder, shard_name(chunk.number), names)


def shard_name(number: int) -> str:
    """Name a shard's file within its folder."""
    return f"shard-{number:06d}.parquet"
