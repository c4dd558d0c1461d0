"""Any number of scans → a Parquet result: what is done with a chunk of them."""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from digitrec.batch import again
from digitrec.batch.chunk_reader import ChunkReader
from digitrec.batch.chunks import Chunk, ramp, read_chunk
from digitrec.batch.ink_sample import kept_light
from digitrec.batch.manifest import RUNNING, check_run_id, read_run
from digitrec.batch.parts import (
    Identity,
    check_part,
    numbers_of,
    part_name,
    part_table,
    write_part,
)
from digitrec.batch.run import Outcome, RunSettings, run
from digitrec.batch.stats import Stats, span, stats_of
from digitrec.batch.strict import settle
from digitrec.errors import InputError
from digitrec.model.bundle import Bundle, champion_before, load_bundle
from digitrec.model.engine import ONE_CORE, EngineSettings, open_engine
from digitrec.model.policies import with_budget
from digitrec.model.policy import ACCEPT, REVIEW
from digitrec.model.shipped import DEFAULT, DEFAULT_BUDGET
from digitrec.normalize.scan import NORMALIZER_VERSION, prepare
from digitrec.readings import BLANK, ERROR
from digitrec.storage.folder import Folder, open_folder
from digitrec.storage.paths import readable
from digitrec.storage.uris import open_remotes

if TYPE_CHECKING:
    from digitrec.budget.drift import Compared


def classify(
    settings: RunSettings,
    model: str = DEFAULT,
    *,
    with_notes: bool = False,
    ink: str = "auto",
    max_error: float | str = DEFAULT_BUDGET,
    source: str = "",
    strict: bool = False,
    engine: EngineSettings = ONE_CORE,
) -> Outcome:
    """Classify every scan of the inputs into a result folder, or go on with that.

    Args:
        settings: what the run is told.
        model: a shipped bundle's name, a bundle's folder, a run folder, or a registry, whose
            champion it is: that of the run's beginning.
        with_notes: a last column `notes` tells what is odd about each scan.
        ink: of scans that show no paper, `dark` or `light`; `auto`: as the others have it.
        max_error: the error budget, see `policies.with_budget`.
        source: whose scans they are, if the bundle has policies for these.
        strict: accept nothing unless the scans look like those the budget was certified on.
        engine: how the networks are run.

    Raises:
        InputError: an input, the model or the folder can't be used; nothing was changed.
        RunError: the run could not finish; the same call goes on from there.
    """
    bundle = with_budget(_begun_with(load_bundle(model), settings), max_error, source)
    if strict and bundle.certified is None:
        raise InputError("--strict holds scans against an error budget, and there is none")
    open_engine(bundle, engine)  # a network that can't run is found out here, not in a worker
    remotes = open_remotes(settings.inputs)
    identity = {
        "model_id": bundle.card.id,
        "calibration_id": bundle.card.calibration_id,
        "policy_id": bundle.policy.id,
        "normalizer_version": NORMALIZER_VERSION,
    }

    def make_classifier(folder: Folder, run_id: str) -> Classifier:
        prepare()
        return Classifier(
            folder=folder,
            reader=ChunkReader(
                bundle, remotes, with_notes, settings.options, settings.allow_missing, engine, ink
            ),
            identity={"run_id": run_id, **identity},
            update=settings.update,
            retry_errors=settings.retry_errors,
            strict=strict,
        )

    def summary(folder: Folder, total: Stats) -> dict[str, Any]:
        return _summary(folder, total, checked(bundle, total))

    header = {
        **identity,
        "policy": None if bundle.certified is None else bundle.certified.to_json(),
        "source": source,
        "strict": strict,
        "notes": with_notes,
        "ink": ink,
        "registry": None if bundle.champion is None else readable(bundle.champion.registry.name),
    }
    return run("classify", header, make_classifier, settings, summary)


def _begun_with(bundle: Bundle, settings: RunSettings) -> Bundle:
    """Return the bundle that an unfinished run began with, if it was the champion by then."""
    if bundle.champion is None or settings.overwrite:
        return bundle
    begun = read_run(open_folder(settings.out))
    if begun is None or begun["state"] != RUNNING or begun.get("registry") is None:
        return bundle
    return champion_before(bundle, str(begun["model_id"]))


def checked(bundle: Bundle, total: Stats) -> "Compared | None":
    """Hold a run's scans against those of its error budget's claim; None: it has no budget."""
    if bundle.certified is None:
        return None
    from digitrec.budget.drift import compare  # SciPy: for no worker to wait for

    reference = bundle.card.references.get(bundle.certified.source, {})
    return compare(total.looks, reference)


def _summary(folder: Folder, total: Stats, check: "Compared | None") -> dict[str, Any]:
    kept = kept_light(folder)
    accepted = total.decisions[ACCEPT]
    return {
        "check": None if check is None else check.to_json(),
        # What the confidences of the accepted digits expect: an estimate, and no bound.
        "expected_error": total.doubt / accepted if accepted else None,
        "light_ink": None if kept is None else kept["light"],
        "digits": {str(digit): total.digits[str(digit)] for digit in range(10)},
        "first_frames": total.first_frames,
        "looked_closer": total.looked,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Classifier:
    """Reads the scans of a chunk and writes their rows as a part; see `work.Work`."""

    folder: Folder
    reader: ChunkReader
    identity: Identity
    update: bool = False  # a part that is there gets new rows for what changed since
    retry_errors: bool = False  # and for what could not be read
    strict: bool = False  # nothing is accepted where the error budget's claim is not supported

    @property
    def name(self) -> str:
        """What it is called."""
        return "classify"

    @property
    def decisions(self) -> tuple[str, ...]:
        """What can become of a scan."""
        return (ACCEPT, REVIEW, BLANK, ERROR)

    def size(self, number: int) -> int:
        """Return how many scans chunk `number` gets: few at first, so that a part is there soon."""
        return ramp(number)

    def warm_up(self) -> None:
        """Load the normalizer's machine code and the network."""
        self.reader.warm_up()

    def __call__(self, number: int, *, here: bool = False) -> Stats:
        """Classify chunk `number` and write its part, to the same name if it is done again."""
        began = time.time()
        chunk = read_chunk(self.folder, number)
        if (kept := self._kept(chunk)) is None:
            counted = self._made(chunk, here)
        else:
            counted = self._mended(chunk, kept, here)
        counted.spans = [span(began, counted.rows)] if counted.rows else []
        return counted

    def _made(self, chunk: Chunk, here: bool) -> Stats:
        """Read a chunk and write its part."""
        read = self.reader.read(chunk, self.folder, len(chunk), here=here)
        start = time.perf_counter()
        rows = part_table(chunk.shown, read.readings, with_notes=self.reader.with_notes)
        looks = read.readings.looks()
        counted = stats_of(rows, looks, read.frames, read.looked, read.readings.seconds)
        counted.seconds["write"] = time.perf_counter() - start
        self._write(chunk.number, rows, counted, read.stamps, looks)
        return counted

    def _kept(self, chunk: Chunk) -> again.Kept | None:
        """Return what is there of a chunk's part; None where it is to be made whole."""
        if not (self.update or self.retry_errors):
            return None
        return again.kept(self.folder, part_name(chunk.number), chunk, self.identity)

    def _mended(self, chunk: Chunk, kept: again.Kept, here: bool) -> Stats:
        """Read again what changed or failed of a chunk, and write its part if need be."""
        stale = np.zeros(len(chunk), bool)
        if self.update:
            stale |= again.changed(chunk, kept.stamps, self.reader.remotes)
        if self.retry_errors:
            stale |= again.failed(kept.rows)
        stale = again.whole_pieces(chunk, stale)
        if not stale.any() and kept.stats.rows == len(chunk):
            return Stats()
        some = chunk.only(stale.tolist())
        read = self.reader.read(some, self.folder, len(chunk), here=here)
        new = part_table(some.shown, read.readings, with_notes=self.reader.with_notes)
        stamps, looks, looks_now = kept.stamps.copy(), kept.looks.copy(), read.readings.looks()
        stamps[stale], looks[stale] = read.stamps, looks_now
        rows = again.merged(kept.rows, new, stale)
        spent = kept.stats.seconds, read.readings.seconds
        seconds = {
            stage: sum(some.get(stage, 0.0) for some in spent) for stage in spent[0] | spent[1]
        }
        looked = kept.stats.looked + read.looked
        counted = stats_of(rows, looks, int((stamps < 0).sum()), looked, seconds)
        self._write(chunk.number, rows, counted, stamps.tolist(), looks)
        made = stats_of(new, looks_now, read.frames, read.looked, read.readings.seconds)
        return replace(made, changed=int(stale.sum()))

    def _write(
        self,
        number: int,
        rows: pa.Table,
        counted: Stats,
        stamps: list[int],
        looks: NDArray[np.uint8],
    ) -> None:
        self._check_is_ours()
        write_part(self.folder, number, rows, counted, self.identity, stamps, looks)

    def done(self) -> frozenset[int]:
        """Return the numbers of the parts that are there."""
        return numbers_of(self.folder, "part")

    def check(self, chunk: Chunk) -> Stats:
        """Hold a part against its chunk, unit by unit."""
        return check_part(self.folder, part_name(chunk.number), chunk.shown, self.identity).stats

    def settle(self, total: Stats) -> Stats:
        """Accept nothing if that is wanted where the claim of the error budget is not supported."""
        if not self.strict:
            return total
        check = checked(self.reader.bundle, total)
        supported = check is not None and check.supports
        return settle(self.folder, self.identity, supported=supported, check=self._check_is_ours)

    def _check_is_ours(self) -> None:
        check_run_id(self.folder, str(self.identity["run_id"]))

    def forget(self, number: int) -> None:
        """Delete the part of chunk `number`."""
        self.folder.delete(part_name(number))
