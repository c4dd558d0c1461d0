"""A result, held against its parts and its inputs: is it what it says, and still up to date?"""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from digitrec.batch import again, manifest
from digitrec.batch.check import THREADS, Checked, check_in_threads
from digitrec.batch.chunks import Chunk, chunk_numbers, read_chunk, read_end, shown_digest
from digitrec.batch.parts import Identity, check_part, numbers_of
from digitrec.batch.stats import Stats
from digitrec.errors import InputError
from digitrec.inputs.dedup import Seen
from digitrec.inputs.listing import keys, stream_inputs
from digitrec.inputs.options import InputOptions
from digitrec.inputs.walk import Notes
from digitrec.storage.folder import Folder, open_folder
from digitrec.storage.paths import readable
from digitrec.storage.uris import Remote, open_remotes

# What `classify` and `pack` call their files.
KINDS = {"classify": "part", "pack": "shard"}
# What a file says of the run that wrote it, as far as the run's record has it too.
WHOSE = ("run_id", "model_id", "calibration_id", "policy_id", "normalizer_version")


@dataclass(slots=True)
class Verified:
    """What came of verifying a result."""

    rows: int = 0
    parts: int = 0
    problems: list[str] = field(default_factory=list)  # empty: the result holds
    inputs: dict[str, int] | None = None  # units new, changed, gone since; None: not looked at

    def to_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Result:
    """The files of a run, to be held against their chunks; see `check.Checkable`."""

    folder: Folder
    kind: str  # part or shard
    identity: Identity

    def name(self, number: int) -> str:
        """Name the file of a chunk."""
        return f"{self.kind}-{number:06d}.parquet"

    def check(self, chunk: Chunk) -> Stats:
        """Hold a file against its chunk, unit by unit."""
        return check_part(self.folder, self.name(chunk.number), chunk.shown, self.identity).stats


def verify(
    location: str, *, look: bool = False, advance: Callable[[int], None] = lambda count: None
) -> Verified:
    """Hold a result against its parts, and these against the listing.

    Args:
        location: a folder that `classify` or `pack` wrote, here or behind a URI.
        look: also look at the inputs: which are new, changed or gone since.
        advance: told how many more rows are checked.

    Raises:
        InputError: there is no result, or its inputs can't be listed.
    """
    folder = open_folder(location)
    run = manifest.result_of(folder, KINDS)
    result = Result(folder, KINDS[run["command"]], {key: run[key] for key in WHOSE if key in run})
    verified = Verified()
    if run["state"] != manifest.COMPLETE:
        verified.problems.append("it is not complete: the command that began it goes on with it")
        return verified
    _verify_parts(result, run, verified, advance)
    if look and not verified.problems:
        options = InputOptions(**run["input_options"])
        with contextlib.chdir(run["relative_to"] or "."):
            verified.inputs = _look(result, tuple(run["inputs"]), options)
    return verified


def _verify_parts(
    result: Result, run: dict[str, Any], verified: Verified, advance: Callable[[int], None]
) -> None:
    """Check all chunks and parts, and what the record says of them."""
    numbers, total = chunk_numbers(result.folder), Checked()
    for checked in check_in_threads(result, numbers):
        total.add(checked)
        advance(checked.stats.rows)
    verified.rows, verified.parts = total.stats.rows, len(numbers)
    problems = [f"{result.name(number)} {why}" for number, why in sorted(total.parts.items())]
    problems += [f"chunk {number} {why}" for number, why in sorted(total.chunks.items())]
    strangers = numbers_of(result.folder, result.kind) - set(numbers)
    problems += [f"{result.name(number)} belongs to no chunk" for number in sorted(strangers)]
    if not problems:
        end = read_end(result.folder)
        if end is None:
            problems.append("its listing has no end")
        elif (end.chunks, end.digest) != (len(numbers), shown_digest(total.digest)):
            problems.append("its chunks are not those that were listed")
        elif run["counts"]["rows"] != total.stats.rows:
            problems.append(
                f"_run.json counts {run['counts']['rows']} rows, there are {total.stats.rows}"
            )
    verified.problems += problems


def _look(result: Result, inputs: tuple[str, ...], options: InputOptions) -> dict[str, int]:
    """Count what is new, changed or gone since the inputs were read."""
    remotes, now, notes = open_remotes(inputs), Seen(), Notes()
    for _ in stream_inputs(inputs, notes, now, options):
        pass
    for folder, why in notes.unlisted.items():
        raise InputError(f"folder {readable(folder)} can't be listed: {why}")
    still = changed = gone = 0

    def look(number: int) -> tuple[int, int, int]:
        return _look_at(result, read_chunk(result.folder, number), now, remotes)

    with ThreadPoolExecutor(THREADS) as pool:
        for counts in pool.map(look, chunk_numbers(result.folder)):
            still, changed, gone = still + counts[0], changed + counts[1], gone + counts[2]
    return {"new": len(now) - still, "changed": changed, "gone": gone}


def _look_at(
    result: Result, chunk: Chunk, now: Seen, remotes: tuple[Remote, ...]
) -> tuple[int, int, int]:
    """Count of a chunk's units those that are there still, those that changed, and those gone."""
    known = [there for piece in chunk.pieces for there in now.known(keys(piece))]
    name = result.name(chunk.number)
    stamps = check_part(result.folder, name, chunk.shown, result.identity).stamps
    changed = again.changed(chunk.only(known), stamps[known], remotes)
    return sum(known), int(changed.sum()), known.count(False)
