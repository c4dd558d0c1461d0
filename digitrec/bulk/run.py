"""A run over chunks: begun or gone on with, alone in its folder, and complete only when counted.

`classify` and `pack` differ in what they do with a chunk; all around it is here.
"""

import importlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import pyarrow as pa

from digitrec.bulk import record
from digitrec.bulk.chunks import (
    END,
    End,
    chunk_name,
    chunk_numbers,
    digest_of,
    list_chunks,
    parse_chunk,
    read_chunk,
    read_end,
    shown_digest,
)
from digitrec.bulk.tally import Tally, counts, limit, speed
from digitrec.bulk.trace import Trace
from digitrec.bulk.work import GO_ON, Work
from digitrec.errors import InputError, RunError
from digitrec.folder import Folder, open_folder
from digitrec.interrupt import interrupt_waits
from digitrec.lock import exclusive
from digitrec.progress import progress
from digitrec.scans.inputs import stream_inputs
from digitrec.scans.paths import readable
from digitrec.scans.walk import Notes
from digitrec.storage import is_uri, shown
from digitrec.version import __version__

# Inputs of at most so many scans are worked on in this process: Ray would take longer to start.
SMALL = 4096
FEW_CHUNKS = 9
TRACE = "_trace.json"
CHECKERS = 8
# While the listing goes on, its end is looked for this often.
LOOK_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSettings:
    """What a run over chunks is told."""

    inputs: tuple[str, ...]
    out: str  # a folder of this machine, or a URI
    overwrite: bool = False  # replace an earlier run's files
    update: bool = False  # add what the inputs gained since the run was complete
    profile: bool = False  # leave a trace of who did what when
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `run` gives: the content of `_run.json`, and whether there was anything to do."""

    run: dict[str, Any]
    worked: bool


def run(
    command: str,
    identity: Mapping[str, Any],
    make_work: Callable[[Folder], Work],
    settings: RunSettings,
    summary: Callable[[Tally], dict[str, Any]] = lambda total: {},
) -> Outcome:
    """Begin a run, or go on with it, to its end.

    Args:
        command: `classify` or `pack`.
        identity: what the work depends on, such as the model's id; kept in `_run.json`, and a
            run is gone on with only where it is the same.
        make_work: makes what is done with a chunk, given the run's folder.
        settings: what the run is told.
        summary: what `_run.json` tells of the tally of all parts, beside the counts.

    Raises:
        InputError: an input or the folder can't be used; nothing was changed.
        RunError: the run could not finish; the same call goes on from there.
    """
    began = time.time()
    folder = open_folder(settings.out)
    header = _header(command, identity, settings)
    earlier = record.earlier_run(folder, header, overwrite=settings.overwrite)
    if earlier and earlier["state"] == record.COMPLETE and not settings.update:
        return Outcome(earlier, worked=False)
    _keep_apart(folder, settings.inputs)
    few = _are_few(settings.inputs, some_needed=earlier is None)
    try:
        with exclusive(folder, settings.out) as check_lock:
            begun = _begin(folder, header, settings)
            total, figures = _work(make_work(folder), settings, few, check_lock, began)
            check_lock()
            written = record.write_run(
                folder,
                {
                    **begun,
                    "state": record.COMPLETE,
                    "finished": record.now(),
                    **figures,
                    **summary(total),
                },
            )
    except (OSError, pa.ArrowException, json.JSONDecodeError) as why:
        raise RunError(f"the run failed: {why}; {GO_ON}") from why
    except KeyboardInterrupt as why:
        raise RunError(f"stopped; {GO_ON}") from why
    return Outcome(written, worked=True)


def _header(command: str, identity: Mapping[str, Any], settings: RunSettings) -> dict[str, Any]:
    here = [given for given in settings.inputs if not is_uri(given)]
    return {
        "command": command,
        "version": __version__,
        **identity,
        "inputs": [readable(shown(given) if is_uri(given) else given) for given in settings.inputs],
        "relative_to": None if all(map(os.path.isabs, here)) else readable(os.getcwd()),
    }


def _begin(folder: Folder, header: Mapping[str, Any], settings: RunSettings) -> dict[str, Any]:
    """Mark the folder as this run's; see `record.begin`.

    Raises:
        InputError: it can't be written to, or holds something else by now.
    """
    try:
        return record.begin(folder, header, overwrite=settings.overwrite, update=settings.update)
    except OSError as why:
        raise InputError(f"{folder.name} can't be used: {why.strerror or why}") from why


def _work(
    work: Work, settings: RunSettings, few: bool, check_lock: Callable[[], None], began: float
) -> tuple[Tally, dict[str, Any]]:
    """Do what is not done, and count all; give the tally of all parts and the run's figures."""
    done = work.done()
    parts = _parts(work, settings.inputs, done, here=few or _little_is_left(work, done))
    made, trace = Tally(), Trace()
    for part in _shown(work.name, parts, work.folder, done, settings.quiet):
        check_lock()
        made.add(part)
        if settings.profile:
            trace.add(part)
    if settings.profile:
        work.folder.write(TRACE, trace.to_json())
    end = _finished_listing(work.folder)
    start = time.perf_counter()
    total = _reconcile(work, end)
    stages = {**total.seconds, "check": time.perf_counter() - start}
    figures = speed(made, began, time.time())
    return total, {
        "counts": counts(total, end, work.decisions),
        "seconds": {
            "start-up": figures.pop("start_up"),
            "listing": end.seconds,
            **{stage: round(seconds, 3) for stage, seconds in stages.items()},
        },
        **figures,
    }


def _keep_apart(folder: Folder, inputs: tuple[str, ...]) -> None:
    """Raise an InputError where an input is the run's own folder, or lies in it."""
    if folder.remote is None and os.path.isdir(folder.path):
        out = PurePath(os.path.realpath(folder.path))
        for given in inputs:
            if os.path.lexists(given) and PurePath(os.path.realpath(given)).is_relative_to(out):
                raise InputError(f"the input {readable(given)} lies in --out: choose another --out")


def _are_few(inputs: tuple[str, ...], *, some_needed: bool) -> bool:
    """Look at the first inputs: are there at most `SMALL`?

    Raises:
        InputError: an input can't be used, or there are no scans though some are needed.
    """
    count = 0
    for found in stream_inputs(inputs, notes := Notes()):
        count += len(found.paths)
        if count > SMALL:
            return False
    for folder, why in notes.unlisted.items():
        raise InputError(f"folder {readable(folder)} can't be listed: {why}")
    if some_needed and not count:
        names = (shown(given) if is_uri(given) else readable(given) for given in inputs)
        raise InputError(f"no scans in {', '.join(names)}")
    return True


def _little_is_left(work: Work, done: frozenset[int]) -> bool:
    """Tell whether a listing is finished and most of its chunks are done."""
    if read_end(work.folder) is None:
        return False
    left = [number for number in chunk_numbers(work.folder) if number not in done]
    if len(left) > FEW_CHUNKS:
        return False
    return sum(len(read_chunk(work.folder, number).paths) for number in left) <= SMALL


def _parts(
    work: Work, inputs: tuple[str, ...], done: frozenset[int], *, here: bool
) -> Iterator[Tally]:
    """Do all chunks that are not done; give the tally of each as it comes.

    Raises:
        RunError: one can't be done, for a reason that lasts, or the user stopped it.
    """
    if here:
        for number in list_chunks(work.folder, inputs, done, work.size):
            yield work(number, here=True)
        return
    # Small inputs need not wait for Ray's import, in which an interrupt may be lost.
    with interrupt_waits():
        from digitrec.ray_session import ray_session

    with ThreadPoolExecutor(1) as pool:
        # Ray Data takes a second to import, in which Ray's start is mostly waiting.
        pipeline = pool.submit(importlib.import_module, "digitrec.bulk.pipeline")
        with ray_session():
            yield from pipeline.result().on_ray(work, inputs, done)


def _shown(
    title: str, parts: Iterator[Tally], folder: Folder, done: frozenset[int], quiet: bool
) -> Iterator[Tally]:
    """Pass the parts on, and show how far they are and what limits them."""
    total: int | None = None
    looked = 0.0
    spent = Tally()
    with progress(title, None, quiet=quiet) as advance:
        for part in parts:
            if not quiet and total is None and time.monotonic() - looked > LOOK_SECONDS:
                total, looked = _to_do(folder, done), time.monotonic()
            spent.add(part)
            advance(part.rows, total, f"mostly {limit(spent.seconds)}")
            yield part


def _to_do(folder: Folder, done: frozenset[int]) -> int | None:
    """Say how many inputs there were to do, once the listing has ended."""
    with suppress(OSError):
        if (end := read_end(folder)) is not None:
            return end.inputs - sum(len(read_chunk(folder, number).paths) for number in done)
    return None


def _finished_listing(folder: Folder) -> End:
    """Give what the listing came to.

    Raises:
        RunError: a folder could not be listed, so that inputs may be missing.
    """
    end = read_end(folder)
    if end is None:
        raise RunError(f"the listing of the inputs did not end: {folder.name} is not complete")
    for path, why in end.unlisted.items():
        folder.delete(END)  # the next call lists again
        raise RunError(
            f"folder {path} could not be listed ({why}), one of {len(end.unlisted)}: mend that, "
            "and the same command adds what is in it"
        )
    return end


def _reconcile(work: Work, end: End) -> Tally:
    """Hold every part against its chunk, and the chunks against the listing; add up all parts.

    Raises:
        RunError: a part is missing, or too many, or does not have one row for each of its chunk's
            inputs; or a chunk was replaced since it was listed.
    """
    numbers = chunk_numbers(work.folder)
    strangers = work.done() - set(numbers)
    if strangers:
        raise RunError(
            f"part {min(strangers)} in {work.folder.name} is none of this run: delete it"
        )

    def check(number: int) -> tuple[int, Tally]:
        content = work.folder.read(chunk_name(number))
        return digest_of(content), work.check(parse_chunk(number, content))

    total, digest = Tally(), 0
    with ThreadPoolExecutor(CHECKERS) as pool:
        for of_chunk, part in pool.map(check, numbers):
            total.add(part)
            digest += of_chunk
    if len(numbers) != end.chunks or shown_digest(digest) != end.digest:
        raise RunError(f"another run has written to {work.folder.name} too: use --overwrite")
    return total
