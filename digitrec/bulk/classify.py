"""Any number of scans → a Parquet result: what is done with a chunk of them."""

import faulthandler
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from digitrec.bulk.careful import STALL_SECONDS, read_carefully
from digitrec.bulk.chunks import CHUNKS, Chunk, ramp, read_chunk
from digitrec.bulk.parts import check_paths, numbers_of, part_name, part_table, write_part
from digitrec.bulk.run import Outcome, RunSettings, run
from digitrec.bulk.tally import Tally, span, tally
from digitrec.folder import Folder
from digitrec.model.bundle import Bundle, load_bundle
from digitrec.model.engine import Engine, open_engine
from digitrec.model.shipped import DEFAULT
from digitrec.reading import ACCEPT, BLANK, ERROR, REVIEW, Content, Readings, read_contents
from digitrec.scans.contents import contents
from digitrec.scans.normalize import NORMALIZER_VERSION, load, prepare
from digitrec.scans.paths import readable
from digitrec.storage import Remote, open_remotes

# A chunk whose reader died so often is read with care.
DEATHS = 2


def classify(settings: RunSettings, model: str = DEFAULT, *, noted: bool = False) -> Outcome:
    """Classify every scan of the inputs into a result folder, or go on with that.

    Args:
        settings: what the run is told.
        model: a shipped bundle's name, a bundle's folder or a run folder.
        noted: a last column `notes` tells what is odd about each scan.

    Raises:
        InputError: an input, the model or the folder can't be used; nothing was changed.
        RunError: the run could not finish; the same call goes on from there.
    """
    bundle = load_bundle(model)
    open_engine(bundle)  # a network that can't run is found out here, not in a worker
    remotes = open_remotes(settings.inputs)
    identity = {
        "model_id": bundle.card.id,
        "calibration_id": bundle.card.calibration_id,
        "normalizer_version": NORMALIZER_VERSION,
        "policy": None,
        "notes": noted,
    }

    def make_classifier(folder: Folder) -> Classifier:
        prepare()
        return Classifier(folder, bundle, remotes, noted)

    return run(
        "classify",
        identity,
        make_classifier,
        settings,
        _summary,
    )


def _summary(total: Tally) -> dict[str, Any]:
    return {
        "digits": {str(digit): total.digits[str(digit)] for digit in range(10)},
        "first_frames": total.first_frames,
    }


@dataclass(frozen=True, slots=True)
class Classifier:
    """Reads the scans of a chunk and writes their rows as a part; see `work.Work`."""

    folder: Folder
    bundle: Bundle
    remotes: tuple[Remote, ...] = ()
    noted: bool = False

    @property
    def name(self) -> str:
        """What it is called."""
        return "classify"

    @property
    def decisions(self) -> tuple[str, ...]:
        """What can become of a scan."""
        return (ACCEPT, REVIEW, BLANK, ERROR)

    def size(self, number: int) -> int:
        """Say how many scans chunk `number` gets: few at first, so that a part is there soon."""
        return ramp(number)

    def warm_up(self) -> None:
        """Load the normaliser's machine code and the network."""
        load()
        _engine(self.bundle)

    def __call__(self, number: int, *, here: bool = False) -> Tally:
        """Classify chunk `number` and write its part, to the same name if it is done again."""
        began = time.time()
        chunk = read_chunk(self.folder, number)
        if here:
            readings = read_carefully(self._contents(chunk), self.bundle, noted=self.noted)
        else:
            readings = self._as_worker(chunk)
        start = time.perf_counter()
        table = part_table(chunk.paths, readings, noted=self.noted)
        counted = tally(readings)
        counted.seconds["write"] = time.perf_counter() - start
        write_part(self.folder, number, table, counted)
        counted.spans = [span(began, len(readings))]
        return counted

    def done(self) -> frozenset[int]:
        """Give the numbers of the parts that are there."""
        return numbers_of(self.folder, "part")

    def check(self, chunk: Chunk) -> Tally:
        """Hold a part against its chunk, path by path."""
        paths = pa.array([readable(path) for path in chunk.paths], pa.string())
        return check_paths(self.folder, part_name(chunk.number), paths)

    def _contents(self, chunk: Chunk) -> Iterable[Content]:
        if chunk.row_group is None:
            return contents(chunk.paths, self.remotes)
        from digitrec.scans.shards import members

        return members(chunk.paths, chunk.row_group, self.remotes)

    def _as_worker(self, chunk: Chunk) -> Readings:
        """Read in this process, or with care if this chunk's readers died before."""
        mark = f"{CHUNKS}/{chunk.number:06d}.begun"
        deaths = self._count(mark)
        self.folder.write(mark, str(deaths + 1).encode())
        if deaths >= DEATHS:
            readings = read_carefully(self._contents(chunk), self.bundle, noted=self.noted)
        else:
            alarm = _StallAlarm()
            try:
                readings = read_contents(
                    self._contents(chunk),
                    len(chunk.paths),
                    _engine(self.bundle),
                    alarm,
                    noted=self.noted,
                )
            finally:
                alarm.off()
        self.folder.delete(mark)
        return readings

    def _count(self, mark: str) -> int:
        try:
            return int(self.folder.read(mark))
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
        faulthandler.cancel_dump_traceback_later()


_engines: dict[str, Engine] = {}


def _engine(bundle: Bundle) -> Engine:
    """Give the bundle's engine, made once a worker process and kept for its next chunks."""
    key = bundle.card.calibration_id
    if key not in _engines:
        _engines[key] = open_engine(bundle)
    return _engines[key]
