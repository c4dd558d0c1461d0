"""A run over chunks: begun or gone on with, alone in its folder, and complete only when counted.

`classify` and `pack` differ in what they do with a chunk; all around it is here.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import PurePath
from typing import Any

import pyarrow as pa

from digitrec.batch import manifest
from digitrec.batch.chunks import CHUNKS, End, chunk_numbers, read_chunk, read_end
from digitrec.batch.hands import ONE_CPU, Hands, Resources, here_hands, ray_hands
from digitrec.batch.listing import Listing
from digitrec.batch.reconcile import reconcile
from digitrec.batch.shares import forget_end
from digitrec.batch.stats import Stats, counts, limit, speed
from digitrec.batch.task import Work
from digitrec.batch.trace import Trace
from digitrec.errors import GO_ON, InputError, RunError
from digitrec.inputs.listing import check_some_are_there, stream_inputs
from digitrec.inputs.options import DEFAULT_OPTIONS, InputOptions
from digitrec.inputs.walk import Notes
from digitrec.runtime.progress import progress
from digitrec.storage.files import is_uri
from digitrec.storage.folder import Folder, open_folder
from digitrec.storage.lock import exclusive
from digitrec.storage.paths import readable
from digitrec.storage.uris import shown
from digitrec.version import __version__

SMALL = 4096
FEW_CHUNKS = 9
TRACE = "_trace.json"
# What is damaged when all is checked is made again, so often.
ROUNDS = 3
# While the listing goes on, its end is looked for this often.
LOOK_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSettings:
    """What a run over chunks is told."""

    inputs: tuple[str, ...]
    out: str  # a folder of this machine, or a URI
    overwrite: bool = False  # replace an earlier run's files
    options: InputOptions = DEFAULT_OPTIONS
    update: bool = False  # look again at the inputs of a complete run: what is new, changed, gone?
    retry_errors: bool = False  # read again what could not be read
    allow_missing: bool = False  # go on where most of a chunk can't be found or opened
    profile: bool = False  # leave a trace of who did what when
    resources: Resources = ONE_CPU  # of each task, on Ray
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `run` gives: the content of `_run.json`, and whether there was anything to do."""

    run: dict[str, Any]
    worked: bool


def run(
    command: str,
    identity: Mapping[str, Any],
    make_work: Callable[[Folder, str], Work],
    settings: RunSettings,
    summary: Callable[[Folder, Stats], dict[str, Any]] = lambda folder, total: {},
) -> Outcome:
    """Begin a run, or go on with it, to its end.

    Args:
        command: `classify` or `pack`.
        identity: what the work depends on, such as the model's id; kept in `_run.json`, and a
            run is gone on with only where it is the same.
        make_work: makes what is done with a chunk, given the run's folder and id.
        settings: what the run is told.
        summary: what `_run.json` tells of the folder and the stats of all parts, beside the
            counts.

    Raises:
        InputError: an input or the folder can't be used; nothing was changed.
        RunError: the run could not finish; the same call goes on from there.
    """
    began = time.time()
    folder = open_folder(settings.out)
    header = _header(command, identity, settings)
    earlier = manifest.earlier_run(folder, header, overwrite=settings.overwrite)
    looks_again = settings.update or settings.retry_errors
    if earlier and earlier["state"] == manifest.COMPLETE and not looks_again:
        return Outcome(earlier, worked=False)
    _keep_apart(folder, settings.inputs)
    some_needed = earlier is None or settings.update
    is_small = _is_small(settings.inputs, settings.options, some_needed=some_needed)
    try:
        with exclusive(folder, settings.out) as check_lock:
            begun = _begin(folder, header, settings)
            work = make_work(folder, begun["run_id"])
            total, figures = _work(work, settings, is_small, check_lock, began)
            check_lock()
            written = _complete(folder, begun, {**figures, **summary(folder, total)})
    except (OSError, pa.ArrowException, json.JSONDecodeError) as why:
        raise RunError(f"the run failed: {why}; {GO_ON}") from why
    except KeyboardInterrupt as why:
        raise RunError(f"stopped; {GO_ON}") from why
    return Outcome(written, worked=True)


def _header(command: str, identity: Mapping[str, Any], settings: RunSettings) -> dict[str, Any]:
    here = [given for given in settings.inputs if not is_uri(given)]
    return {
        "schema_version": manifest.SCHEMA_VERSION,
        "command": command,
        "version": __version__,
        **identity,
        "input_options": asdict(settings.options),
        "inputs": [readable(shown(given) if is_uri(given) else given) for given in settings.inputs],
        "relative_to": None if all(map(os.path.isabs, here)) else readable(os.getcwd()),
    }


def _begin(folder: Folder, header: Mapping[str, Any], settings: RunSettings) -> dict[str, Any]:
    """Mark the folder as this run's; see `manifest.begin`.

    Raises:
        InputError: it can't be written to, or holds something else by now.
    """
    try:
        return manifest.begin(folder, header, overwrite=settings.overwrite, update=settings.update)
    except OSError as why:
        raise InputError(f"{folder.name} can't be used: {why.strerror or why}") from why


def _complete(folder: Folder, begun: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Say that a run is complete; give what `_run.json` says now."""
    for below in (CHUNKS, ""):  # the names of all that the record will vouch for
        folder.sync(below)
    finish = {"state": manifest.COMPLETE, "finished": manifest.now()}
    return manifest.write_run(folder, {**begun, **finish, **told})


def _work(
    work: Work, settings: RunSettings, is_small: bool, check_lock: Callable[[], None], began: float
) -> tuple[Stats, dict[str, Any]]:
    """Do what is not done, and count all; give the stats of all parts and the run's figures."""
    done = work.done()
    listing = Listing(
        inputs=_absolute(settings.inputs),
        options=settings.options,
        done=done,
        again=settings.update or settings.retry_errors,
        update=settings.update,
        size=work.size,
    )
    here = is_small or (not listing.again and _little_is_left(work, done))
    made, trace = Stats(), Trace()
    with here_hands(work) if here else ray_hands(work, settings.resources) as hands:
        for part in _parts(hands, listing, settings.quiet):
            check_lock()
            made.add(part)
            if settings.profile:
                trace.add(part)
        if settings.profile:
            work.folder.write(TRACE, trace.to_json())
        start = time.perf_counter()
        total, end = _checked(hands, listing, settings.quiet)
        check_lock()
        total = work.settle(total)
        stages = {**total.seconds, "check": time.perf_counter() - start}
    figures = speed(made, began, time.time())
    if listing.again:
        figures["again"] = {"new": end.new, "changed": made.changed, "gone": end.gone}
    return total, {
        "counts": counts(total, end, work.decisions),
        "seconds": {
            "start-up": figures.pop("start_up"),
            "listing": end.seconds,
            **{stage: round(seconds, 3) for stage, seconds in stages.items()},
        },
        **figures,
    }


def _absolute(inputs: tuple[str, ...]) -> tuple[str, ...]:
    """Say where inputs lie for workers that may have another working folder than this process."""
    if "RAY_ADDRESS" not in os.environ:
        return inputs
    return tuple(given if is_uri(given) else os.path.abspath(given) for given in inputs)


def _checked(hands: Hands, listing: Listing, quiet: bool) -> tuple[Stats, End]:
    """Hold all parts against their chunks; make again what is damaged.

    Raises:
        RunError: it is damaged again and again, or inputs may be missing.
    """
    folder = hands.work.folder
    for _ in range(ROUNDS):
        end = _finished_listing(folder)
        total, damaged = reconcile(hands, end)
        if not damaged:
            return total, end
        # What was looked through already needs no second look.
        rest = replace(listing, done=hands.work.done(), again=False, update=False)
        for _ in _parts(hands, rest, quiet):
            pass
    raise RunError(f"{folder.name} is damaged whenever it is checked: {damaged[0]}; {GO_ON}")


def _keep_apart(folder: Folder, inputs: tuple[str, ...]) -> None:
    """Raise an InputError where an input is the run's own folder, or lies in it."""
    if folder.remote is None and os.path.isdir(folder.path):
        out = PurePath(os.path.realpath(folder.path))
        for given in inputs:
            if os.path.lexists(given) and PurePath(os.path.realpath(given)).is_relative_to(out):
                raise InputError(f"the input {readable(given)} lies in --out: choose another --out")


def _is_small(inputs: tuple[str, ...], options: InputOptions, *, some_needed: bool) -> bool:
    """Look at the first inputs: are there at most `SMALL`?

    Raises:
        InputError: an input can't be used, or there are no scans though some are needed, or none
            of those that lists name is there.
    """
    count, listed = 0, list[str]()
    for found in stream_inputs(inputs, notes := Notes(), options=options):
        count += len(found)
        listed += found.paths if found.shard is None else ()
        if count > SMALL:
            return False
    for folder, why in notes.unlisted.items():
        raise InputError(f"folder {readable(folder)} can't be listed: {why}")
    if some_needed and not count:
        names = (shown(given) if is_uri(given) else readable(given) for given in inputs)
        left_out = ", ".join(f"{name or 'no ending'} {n:,}" for name, n in notes.ignored.items())
        words = f"; left out: {left_out}" if left_out else ""
        if ".parquet" in notes.ignored:  # a data set of others, with the images inside
            words += " (Parquet files are read when they are named: FOLDER/*.parquet)"
        raise InputError(f"no scans in {', '.join(names)}{words}")
    if some_needed and len(listed) == count:
        check_some_are_there(listed, inputs)
    return True


def _little_is_left(work: Work, done: frozenset[int]) -> bool:
    """Return whether a listing is finished and most of its chunks are done."""
    if read_end(work.folder) is None:
        return False
    left = [number for number in chunk_numbers(work.folder) if number not in done]
    if len(left) > FEW_CHUNKS:
        return False
    return sum(len(read_chunk(work.folder, number)) for number in left) <= SMALL


def _parts(hands: Hands, listing: Listing, quiet: bool) -> Iterator[Stats]:
    """Do all chunks of a listing; show how far they are and what limits them."""
    work = hands.work
    total: int | None = None
    looked = 0.0
    spent = Stats()
    with progress(work.name, None, quiet=quiet) as advance:
        for part in hands.do(listing):
            if not quiet and total is None and time.monotonic() - looked > LOOK_SECONDS:
                total, looked = _to_do(work, listing), time.monotonic()
            if part.rows:
                spent.add(part)
                advance(part.rows, total, f"mostly {limit(spent.seconds)}")
                yield part


def _to_do(work: Work, listing: Listing) -> int | None:
    """Return about how many units there were to do, once the listing has ended."""
    if listing.again:
        return None
    with suppress(OSError):
        if (end := read_end(work.folder)) is not None:
            return max(end.inputs - sum(map(work.size, listing.done)), 0) or None
    return None


def _finished_listing(folder: Folder) -> End:
    """Return what the listing came to.

    Raises:
        RunError: a folder could not be listed, so that inputs may be missing.
    """
    end = read_end(folder)
    if end is None:
        raise RunError(f"the listing of the inputs did not end: {folder.name} is not complete")
    for path, why in end.unlisted.items():
        forget_end(folder)  # the next call lists again
        raise RunError(
            f"folder {path} could not be listed ({why}), one of {len(end.unlisted)}: mend that, "
            "and the same command adds what is in it"
        )
    return end
