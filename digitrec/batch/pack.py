"""Millions of small files → few large shards, which `classify` reads as well.

An object store takes as long to open a small object as to read a megabyte, and asks its price for
each; a file system's directory of millions is slow as well. Whoever reads a set more than once or
twice packs it first.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from digitrec.batch import again
from digitrec.batch.chunks import LARGEST_SIZE, Chunk, read_chunk
from digitrec.batch.isolated import batches
from digitrec.batch.manifest import check_run_id
from digitrec.batch.parts import Identity, check_part, footer, numbers_of
from digitrec.batch.run import Outcome, RunSettings, run
from digitrec.batch.stats import Stats, code, span
from digitrec.errors import InputError, ScanError
from digitrec.inputs.fetch import contents
from digitrec.inputs.listing import sort_inputs, stream_inputs
from digitrec.inputs.shards import shard_schema
from digitrec.inputs.stamps import UNKNOWN
from digitrec.inputs.walk import Notes
from digitrec.storage.folder import Folder
from digitrec.storage.uris import Remote, open_remotes

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

    def make_packer(folder: Folder, run_id: str) -> Packer:
        return Packer(
            folder=folder,
            scans_per_shard=scans,
            identity={"run_id": run_id},
            remotes=remotes,
            update=settings.update,
            retry_errors=settings.retry_errors,
        )

    return run("pack", {}, make_packer, settings)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Packer:
    """Puts the scans of a chunk into a shard; see `work.Work`."""

    folder: Folder
    scans_per_shard: int
    identity: Identity
    remotes: tuple[Remote, ...] = ()
    update: bool = False  # a shard of which a scan changed since is packed anew
    retry_errors: bool = False  # and one with a scan that could not be read

    @property
    def name(self) -> str:
        """What it is called."""
        return "pack"

    @property
    def decisions(self) -> tuple[str, ...]:
        """What can become of a scan."""
        return (PACKED, ERROR)

    def size(self, number: int) -> int:
        """Return how many scans shard `number` gets."""
        return self.scans_per_shard

    def warm_up(self) -> None:
        """Load nothing: reading and writing need no more than is there."""

    def __call__(self, number: int, *, here: bool = False) -> Stats:
        """Pack chunk `number` into its shard, to the same name if it is done again."""
        began = time.time()
        chunk = read_chunk(self.folder, number)
        changed = self._changed(chunk)
        if changed == 0:
            return Stats()
        stats, stamps = Stats(rows=len(chunk)), list[int]()
        schema = shard_schema()
        with self.folder.writing(shard_name(number)) as file:
            with parquet.ParquetWriter(
                file, schema, compression="zstd", use_dictionary=False, write_statistics=False
            ) as writer:
                for table in self._row_groups(chunk, stats, stamps):
                    start = time.perf_counter()
                    writer.write_table(table)
                    stats.seconds["write"] += time.perf_counter() - start
                writer.add_key_value_metadata(footer(stats, self.identity, stamps))
            check_run_id(self.folder, str(self.identity["run_id"]))
        stats.spans = [span(began, stats.rows)]
        stats.changed = changed or 0
        return stats

    def _changed(self, chunk: Chunk) -> int | None:
        """Return how many scans of a kept shard changed since; None: there is none to keep.

        A shard is packed whole or not at all.
        """
        if not (self.update or self.retry_errors):
            return None
        kept = again.kept(
            self.folder, shard_name(chunk.number), chunk, self.identity, columns=["path"]
        )
        if kept is None:
            return None
        stale = np.zeros(len(chunk), bool)
        if self.update:
            stale |= again.changed(chunk, kept.stamps, self.remotes)
        if self.retry_errors:
            stale |= kept.stamps == UNKNOWN
        changed = int(stale.sum())
        return changed if changed or kept.stats.rows == len(chunk) else None

    def _row_groups(self, chunk: Chunk, stats: Stats, stamps: list[int]) -> Iterator[pa.Table]:
        """Read a chunk's files in batches that fit into memory; count what comes."""
        stats.seconds = {"read": 0.0, "write": 0.0}
        names = chunk.shown
        scans = (
            scan for piece in chunk.pieces for scan in contents(piece.paths, self.remotes, stamps)
        )
        done, start = 0, time.perf_counter()
        for batch in batches(scans, LARGEST_SIZE):
            failed = [str(one) if isinstance(one, ScanError) else None for one in batch]
            stats.decisions[ERROR] += len(batch) - failed.count(None)
            stats.decisions[PACKED] += failed.count(None)
            stats.errors.update(code(reason) for reason in failed if reason)
            packed = [None if isinstance(one, ScanError) else one for one in batch]
            stats.seconds["read"] += time.perf_counter() - start
            rows = [names[done : done + len(batch)], packed, failed]
            yield pa.table(rows, schema=shard_schema())
            done, start = done + len(batch), time.perf_counter()

    def done(self) -> frozenset[int]:
        """Return the numbers of the shards that are there."""
        return numbers_of(self.folder, "shard")

    def check(self, chunk: Chunk) -> Stats:
        """Hold a shard against its chunk, unit by unit."""
        return check_part(self.folder, shard_name(chunk.number), chunk.shown, self.identity).stats

    def settle(self, total: Stats) -> Stats:
        """Do nothing: no shard depends on the others."""
        return total

    def forget(self, number: int) -> None:
        """Delete the shard of chunk `number`."""
        self.folder.delete(shard_name(number))


def shard_name(number: int) -> str:
    """Name a shard's file within its folder."""
    return f"shard-{number:06d}.parquet"
