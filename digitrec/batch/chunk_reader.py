"""A chunk → its scans' readings, in a worker: whatever the scans, and their storage, do to it."""

import faulthandler
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from digitrec.batch.chunks import CHUNKS, Chunk
from digitrec.batch.ink_sample import kept_light, light_of
from digitrec.batch.isolated import CHUNK_DEATHS, STALL_SECONDS, read_isolated
from digitrec.errors import RunError, ScanError
from digitrec.inputs.fetch import contents
from digitrec.inputs.options import DEFAULT_OPTIONS, InputOptions
from digitrec.inputs.shards import ShardReader, row_contents
from digitrec.inputs.units import Found
from digitrec.model.bundle import Bundle
from digitrec.model.engine import ONE_CORE, EngineSettings, kept_engine
from digitrec.normalize.scan import load
from digitrec.pipeline import INK, read_contents
from digitrec.readings import Readings, in_doubt
from digitrec.storage.folder import Folder
from digitrec.storage.paths import readable
from digitrec.storage.uris import Remote

# If more than half of a chunk, and at least so many, can't be read for reasons of the
# surroundings, these are at fault and no facts about the scans.
OUTAGE = 8


@dataclass(frozen=True, slots=True)
class Read:
    """The readings of a chunk, and the stamps of its files: negative where more frames follow."""

    readings: Readings
    stamps: list[int]

    @property
    def frames(self) -> int:
        """How many of the files hold further frames."""
        return int(self.readings.more_frames.sum())

    @property
    def looked(self) -> int:
        """How many of the scans took a closer look."""
        return int(self.readings.looked.sum())


@dataclass(frozen=True, slots=True)
class ChunkReader:
    """What reads a chunk's scans; it travels to Ray's workers."""

    bundle: Bundle
    remotes: tuple[Remote, ...] = ()
    with_notes: bool = False
    options: InputOptions = DEFAULT_OPTIONS
    allow_missing: bool = False  # what can't be found or opened is a fact, however much it is
    engine: EngineSettings = ONE_CORE
    ink: str = "auto"  # of scans that show no paper: see `ink_sample`

    @property
    def shards(self) -> ShardReader:
        """What reads the rows of shards."""
        return ShardReader(self.remotes, self.options.path_column, self.options.content_column)

    def warm_up(self) -> None:
        """Load the normalizer's machine code and the network."""
        load()
        kept_engine(self.bundle, self.engine)

    def read(self, chunk: Chunk, folder: Folder, units: int, *, here: bool) -> Read:
        """Read scans.

        Args:
            chunk: what to read: a chunk, or some of its units.
            folder: the run's.
            units: how many the chunk has in all.
            here: in the user's own process.

        Raises:
            RunError: most of it can't be read for reasons of its surroundings.
        """

        def alone(some: Chunk) -> Readings:
            return self._read(some, folder, len(some), None, here=here).readings

        if self.ink != "auto":
            return self._read(chunk, folder, units, INK[self.ink], here=here)
        if chunk.number != 0 or kept_light(folder) is not None:
            return self._read(chunk, folder, units, light_of(folder, alone), here=here)
        # The first chunk is the sample itself, and mostly read well.
        found = self._read(chunk, folder, units, None, here=here)
        light = light_of(folder, lambda some: found.readings)
        if light is None or not in_doubt(found.readings, light).any():
            return found
        return self._read(chunk, folder, units, light, here=here)

    def _read(
        self, chunk: Chunk, folder: Folder, units: int, light: bool | None, *, here: bool
    ) -> Read:
        """Read scans whose ink is lighter than paper, or darker, where one alone does not tell."""
        stamps: list[int] = []
        if here:
            scans = self._contents(chunk, units, stamps, _StallAlarm())
            readings = self._isolated(scans, light)
        else:
            readings = self._as_worker(chunk, folder, units, stamps, light)
        signs = np.where(readings.more_frames, -1, 1)
        return Read(readings, (np.array(stamps, np.int64) * signs).tolist())

    def _as_worker(
        self, chunk: Chunk, folder: Folder, units: int, stamps: list[int], light: bool | None
    ) -> Readings:
        """Read in this process, or with care if this chunk's readers died before."""
        mark = f"{CHUNKS}/{chunk.number:06d}.begun"
        deaths = _count(folder, mark)
        folder.write(mark, str(deaths + 1).encode())
        alarm = _StallAlarm()
        scans = self._contents(chunk, units, stamps, alarm)
        if deaths >= CHUNK_DEATHS:
            readings = self._isolated(scans, light)
        else:
            try:
                readings = read_contents(
                    scans,
                    len(chunk),
                    kept_engine(self.bundle, self.engine),
                    alarm,
                    with_notes=self.with_notes,
                    light=light,
                )
            finally:
                alarm.off()
        folder.delete(mark)
        return readings

    def _isolated(self, scans: Iterator[bytes | ScanError], light: bool | None) -> Readings:
        return read_isolated(scans, self.bundle, with_notes=self.with_notes, light=light)

    def _contents(
        self, chunk: Chunk, units: int, stamps: list[int], alarm: "_StallAlarm"
    ) -> Iterator[bytes | ScanError]:
        """Yield the contents of a chunk's scans.

        Raises:
            RunError: see `read`.
        """
        failed = 0
        for piece in chunk.pieces:
            scans = piece_contents(piece, self.remotes, self.shards, stamps, alarm.off)
            for k, scan in enumerate(scans):
                if isinstance(scan, ScanError) and scan.outage:
                    failed += 1
                    if failed >= OUTAGE and 2 * failed > units and not self.allow_missing:
                        raise RunError(_outage_words(readable(piece.shown[k]), scan))
                yield scan


def piece_contents(
    piece: Found,
    remotes: Sequence[Remote],
    shards: ShardReader,
    stamps: list[int] | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> Iterator[bytes | ScanError]:
    """Yield the contents of files, or of a shard's rows; see `contents` and `row_contents`."""
    if piece.shard is None:
        return contents(piece.paths, remotes, stamps, on_wait)
    return row_contents(piece, shards, stamps, on_wait)


def _outage_words(name: str, why: ScanError) -> str:
    return (
        f"more than half of a chunk's scans can't be read, such as {name} ({why}): is their "
        "folder mounted, their store reachable, and may it be read? Once it is, the same command "
        "goes on; --allow-missing takes it for a fact, and each gets a row that says so"
    )


def _count(folder: Folder, mark: str) -> int:
    try:
        return int(folder.read(mark))
    except (FileNotFoundError, ValueError):
        return 0


class _StallAlarm:
    """Ends this process if it stays at one scan for too long, even within C code."""

    def __init__(self) -> None:
        self._set = 0.0

    def __call__(self, k: int) -> None:
        now = time.monotonic()
        if now - self._set > 1:  # setting it costs as much as a scan
            self._set = now
            faulthandler.dump_traceback_later(2 * STALL_SECONDS, exit=True)

    def off(self) -> None:
        """Wait for as long as it takes: for storage, or for the next chunk."""
        if self._set:
            self._set = 0.0
            faulthandler.cancel_dump_traceback_later()
