"""`_run.json`, the record of a run in its folder: what it was told, how far it is, what it came to.

It also decides what another call on the same folder may do: begin, go on, add, or nothing.
"""

import json
import logging
import re
import uuid
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from digitrec.batch.chunks import CHUNKS, chunk_name
from digitrec.batch.shares import forget_end
from digitrec.errors import InputError, RunError
from digitrec.storage.folder import Folder
from digitrec.storage.lock import LOCK

RUN = "_run.json"
log = logging.getLogger(__name__)
SCHEMA_VERSION = 2
# What a run writes, and what it leaves of it if it is killed while it writes.
OURS = re.compile(
    r"(part|shard)-\d{6,}\.parquet|_trace\.json"
    r"|_((part|shard)-\d{6,}\.parquet|_trace\.json|_run\.json|_lock)\.[0-9a-f]{8}\.tmp"
)
OURS_IN_CHUNKS = re.compile(
    r"(?P<tmp>_)?(\d{6,}\.(parquet|begun)|(end|plan|ink|share-\d+)\.json)(?(tmp)\.[0-9a-f]{8}\.tmp)"
)
# What is shorter than this is no Parquet file: the power was cut before it was on the disk.
LEAST_PARQUET = 12
RUNNING, COMPLETE, CLEARING = "running", "complete", "clearing"
# What must be the same for a run to be gone on with, and how it is called.
SAME = {
    "schema_version": "schema version",
    "model_id": "model",
    "calibration_id": "calibration of the model",
    "normalizer_version": "normalizer",
    "policy_id": "policy",
    "source": "--source",
    "strict": "--strict",
    "notes": "--notes",
    "ink": "--ink",
    "inputs": "inputs",
    "input_options": "--path-column, --content-column or --no-follow-links",
    "relative_to": "working folder",
}


def read_run(folder: Folder) -> dict[str, Any] | None:
    """Read a folder's `_run.json`; None where there is none.

    Raises:
        InputError: it is damaged.
    """
    try:
        run: dict[str, Any] = json.loads(folder.read(RUN))
        if "state" not in run:
            raise ValueError("it has no state")
        return run
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as why:
        raise InputError(f"{folder.name} can't be used: its {RUN}: {why}") from why


def result_of(folder: Folder, commands: Collection[str]) -> dict[str, Any]:
    """Read the `_run.json` of what some commands wrote, complete or not.

    Raises:
        InputError: the folder holds nothing of theirs, or another digitrec wrote it.
    """
    run = read_run(folder)
    if run is None or run.get("command") not in commands:
        raise InputError(f"{folder.name} holds no result of {' or '.join(commands)}")
    if run.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{folder.name} was written by another digitrec: its schema version is "
            f"{run.get('schema_version')}, this program reads {SCHEMA_VERSION}"
        )
    return run


def write_run(folder: Folder, run: Mapping[str, Any]) -> dict[str, Any]:
    """Write a folder's `_run.json`; give its content.

    Raises:
        OSError: the folder can't be written to.
    """
    content = {"schema_version": SCHEMA_VERSION, **run}
    folder.write(RUN, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    return content


def now() -> str:
    """Return the time, to the second, as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def earlier_run(
    folder: Folder, header: Mapping[str, Any], *, overwrite: bool
) -> dict[str, Any] | None:
    """Return the run that is in the folder, if the one `header` tells of may go on with it.

    To overwrite is to begin anew on what another run left, or a complete one; the unfinished run
    of the same call is gone on with, so that a job which is tried again comes to an end.

    Raises:
        InputError: the folder holds something else, or a run with other settings.
    """
    run = read_run(folder)
    if run is None:
        if folder.is_empty(apart_from=LOCK):
            return None
        raise InputError(f"{folder.name} holds something else than a result: choose another --out")
    if run["state"] == CLEARING:
        return None
    if run.get("command") != header["command"]:
        raise InputError(
            f"{folder.name} holds what {run.get('command')} wrote: choose another --out"
        )
    different = next((key for key in SAME if run.get(key) != header.get(key)), None)
    if overwrite and (different or run["state"] == COMPLETE):
        return None
    if different:
        kind = "a result" if run["state"] == COMPLETE else "an unfinished result"
        raise InputError(
            f"{folder.name} holds {kind} of other {SAME[different]} "
            f"({_short(run.get(different))}, now {_short(header.get(different))}): "
            "--overwrite replaces it, or choose another --out"
        )
    return run


def _short(value: Any) -> str:
    words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return words if len(words) < 200 else f"{words[:200]}…"


def clear(folder: Folder) -> None:
    """Delete an earlier run's files, and nothing else; if that breaks off, it is known."""
    if read_run(folder) is None:
        return
    write_run(folder, {"state": CLEARING})
    for name in folder.names():
        if OURS.fullmatch(name):
            folder.delete(name)
    for name in folder.names(CHUNKS):
        if OURS_IN_CHUNKS.fullmatch(name):
            folder.delete(f"{CHUNKS}/{name}")


def begin(
    folder: Folder, header: Mapping[str, Any], *, overwrite: bool, update: bool
) -> dict[str, Any]:
    """Mark the folder as this run's, alone in it; give what `_run.json` says now.

    Raises:
        InputError: as `earlier_run`.
        OSError: the folder can't be written to.
    """
    earlier = earlier_run(folder, header, overwrite=overwrite)
    if earlier is None:
        clear(folder)
    elif update:
        forget_end(folder)  # so that the inputs are listed again, and what is new gets chunks
    _tidy(folder)
    run = {
        **header,
        "run_id": earlier["run_id"] if earlier else uuid.uuid4().hex,
        "state": RUNNING,
        "started": earlier["started"] if earlier else now(),
        "gone_on": earlier.get("gone_on", 0) + 1 if earlier else 0,
    }
    return write_run(folder, run)


def _tidy(folder: Folder) -> None:
    """Delete what was left half-written: temporary files, and what a power cut emptied.

    A chunk that is gone is listed again, in another one, and a part that is gone is made again.
    """
    for name, size in folder.sizes().items():
        if OURS.fullmatch(name) and (name.endswith(".tmp") or _is_cut(name, size)):
            _drop(folder, name)
    for name, size in folder.sizes(CHUNKS).items():
        if not OURS_IN_CHUNKS.fullmatch(name):
            continue
        if name.endswith(".tmp") or (name.endswith(".json") and not size):
            _drop(folder, f"{CHUNKS}/{name}")
        elif _is_cut(name, size):
            forget_chunk(folder, int(name.split(".")[0]))


def _is_cut(name: str, size: int) -> bool:
    return name.endswith(".parquet") and size < LEAST_PARQUET


def _drop(folder: Folder, name: str) -> None:
    if not name.endswith(".tmp"):
        log.warning("%s/%s is empty, as after a power cut: it is made again", folder.name, name)
    folder.delete(name)


def forget_chunk(folder: Folder, number: int) -> None:
    """Delete a damaged chunk and what was made of it, so that its units are listed again."""
    name = chunk_name(number)
    log.warning("%s/%s is damaged: its scans are listed and read again", folder.name, name)
    forget_end(folder)
    for kind in ("part", "shard"):
        folder.delete(f"{kind}-{number:06d}.parquet")
    folder.delete(name)


def check_run_id(folder: Folder, run_id: str) -> None:
    """Check that the folder is still that of a run.

    Raises:
        RunError: another run has begun there since.
    """
    run = read_run(folder)
    if run is None or run.get("run_id") != run_id:
        raise RunError(f"another run has begun in {folder.name}: this one has ended")
