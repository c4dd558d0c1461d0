"""Folders of scans → a Parquet result, with Ray Data.

The listing is cut into chunks of paths; Ray Data hands each chunk to a task that reads, decodes,
normalises and classifies its scans and writes them as one part. Only paths go out and only
counts come back, so that no pixel crosses a process.
"""

import functools
import logging
import math
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data
import ray.exceptions

from digitrec.bulk.parts import (
    Tally,
    check_rows,
    claim_result,
    part_table,
    tally,
    write_part,
    write_run,
)
from digitrec.errors import InputError, RunError
from digitrec.model.bundle import Bundle, Card, load_bundle
from digitrec.model.engine import Engine
from digitrec.progress import progress
from digitrec.ray_session import ray_session
from digitrec.reading import ACCEPT, BLANK, ERROR, REVIEW, read_scans
from digitrec.scans.inputs import Listing, list_inputs, readable
from digitrec.scans.normalize import NORMALIZER_VERSION
from digitrec.version import __version__

# Large enough that a task's own cost vanishes, small enough that progress shows.
LARGEST_CHUNK = 4096
# A smaller input is cut finer, so that every core has some chunks.
CHUNKS_PER_CPU = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifySettings:
    """What one classify run is told."""

    inputs: tuple[str, ...]
    out: Path
    model: str = "small"
    quiet: bool = False


def classify(settings: ClassifySettings) -> dict[str, Any]:
    """Classify every scan of the inputs into the folder `out`; give the content of `_run.json`.

    Raises:
        InputError: an input, the model or the output folder can't be used; nothing was started.
        RunError: the run failed, or its rows do not match its inputs.
    """
    start = time.perf_counter()
    bundle = load_bundle(settings.model)
    Engine(bundle)  # a network that can't run is found out here, not in a worker
    listing = list_inputs(settings.inputs)
    if not listing.paths:
        raise InputError(f"no scans in {', '.join(map(readable, settings.inputs))}")
    listed = time.perf_counter()
    out = settings.out.absolute()
    claim_result(out)
    run = _header(settings, bundle.card)
    write_run(out, {"state": "running", **run})
    with ray_session():
        started = time.perf_counter()
        total = _run_chunks(settings, bundle, listing.paths, out)
    finished = time.perf_counter()
    check_rows(out, len(listing.paths))
    seconds = {"start-up": started - listed, "listing": listed - start, **total.seconds}
    run |= {
        "finished": _now(),
        "counts": _counts(listing, total),
        "digits": {str(digit): total.digits[str(digit)] for digit in range(10)},
        "first_frames": total.first_frames,
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
        "elapsed": round(finished - start, 3),
        "images_per_second": round(len(listing.paths) / (finished - started), 1),
    }
    write_run(out, {"state": "complete", **run})
    return run


def _header(settings: ClassifySettings, card: Card) -> dict[str, Any]:
    return {
        "started": _now(),
        "version": __version__,
        "model_id": card.id,
        "calibration_id": card.calibration_id,
        "normalizer_version": NORMALIZER_VERSION,
        "policy": None,
        "inputs": [readable(given) for given in settings.inputs],
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _run_chunks(settings: ClassifySettings, bundle: Bundle, paths: list[str], out: Path) -> Tally:
    """Classify all chunks on Ray Data, and add up their tallies."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
    tallies = ray.data.from_arrow(_chunks(paths, cpus)).map_batches(
        functools.partial(classify_chunk, bundle=bundle, out=out),
        batch_size=None,
        batch_format="pyarrow",
    )
    total = Tally()
    with progress("classify", len(paths), quiet=settings.quiet) as advance:
        try:
            for row in tallies.iter_rows():
                part = Tally.from_json(row["tally"])
                total.add(part)
                advance(part.rows)
        except ray.exceptions.RayError as why:
            raise RunError(f"the run failed: {_cause(why)}") from why
    return total


def _cause(why: ray.exceptions.RayError) -> str:
    """The last line of the innermost traceback that Ray hands over as text."""
    return str(why).split("\n\nThe above exception")[0].strip().splitlines()[-1]


def _chunks(paths: list[str], cpus: int) -> list[pa.Table]:
    """Cut the sorted paths into tables of one chunk each: its number, and paths as bytes."""
    size = min(LARGEST_CHUNK, math.ceil(len(paths) / (cpus * CHUNKS_PER_CPU)))
    return [
        pa.table(
            {
                "path": pa.array([os.fsencode(path) for path in chunk], pa.binary()),
                "number": pa.array([number] * len(chunk), pa.int32()),
            }
        )
        for number, chunk in enumerate(
            paths[start : start + size] for start in range(0, len(paths), size)
        )
    ]


def classify_chunk(chunk: pa.Table, bundle: Bundle, out: Path) -> pa.Table:
    """Classify one chunk into its part of the result.

    It is done again as a whole if its worker dies, to the same part file.

    Args:
        chunk: columns `path` (binary) and `number` (the same in every row).
        bundle: what reads the digits.
        out: the result's folder, reachable from every worker under this name.

    Returns:
        One row with the column `tally` (JSON).
    """
    paths = [os.fsdecode(path) for path in chunk["path"].to_pylist()]
    readings = read_scans(paths, _engine(bundle))
    start = time.perf_counter()
    write_part(out, chunk["number"][0].as_py(), part_table(paths, readings))
    counted = tally(readings)
    counted.seconds["write"] = time.perf_counter() - start
    return pa.table({"tally": [counted.to_json()]})


_engines: dict[str, Engine] = {}


def _engine(bundle: Bundle) -> Engine:
    """Give the bundle's engine, made once a worker process and kept for its next chunks."""
    key = bundle.card.calibration_id
    if key not in _engines:
        _engines[key] = Engine(bundle)
    return _engines[key]


def _counts(listing: Listing, total: Tally) -> dict[str, Any]:
    """The counts of `_run.json`.

    Raises:
        RunError: they do not add up.
    """
    inputs = len(listing.paths)
    decisions = {name: total.decisions[name] for name in (ACCEPT, REVIEW, BLANK, ERROR)}
    if not inputs == total.rows == sum(decisions.values()):
        raise RunError(f"{inputs} inputs gave {total.rows} rows of {decisions}: not complete")
    return {
        "inputs": inputs,
        "rows": total.rows,
        **decisions,
        "errors": dict(sorted(total.errors.items())),
        "ignored": listing.ignored,
    }
