"""`_run.json`, the record of a run in its folder: what it was told, how far it is, what it came to.

It also decides what another call on the same folder may do: begin, go on, add, or nothing.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from digitrec.bulk.chunks import CHUNKS, END
from digitrec.errors import InputError
from digitrec.folder import Folder
from digitrec.lock import LOCK

RUN = "_run.json"
SCHEMA_VERSION = 2
# What a run writes.
OURS = re.compile(r"(part|shard)-\d{6,}\.parquet|_.*")
RUNNING, COMPLETE, CLEARING = "running", "complete", "clearing"
# What must be the same for a run to be gone on with, and how it is called.
SAME = {
    "model_id": "model",
    "calibration_id": "calibration of the model",
    "normalizer_version": "normaliser",
    "notes": "--notes",
    "inputs": "inputs",
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


def write_run(folder: Folder, run: Mapping[str, Any]) -> dict[str, Any]:
    """Write a folder's `_run.json`; give its content.

    Raises:
        OSError: the folder can't be written to.
    """
    content = {"schema_version": SCHEMA_VERSION, **run}
    folder.write(RUN, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    return content


def now() -> str:
    """Give the time, to the second, as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def earlier_run(
    folder: Folder, header: Mapping[str, Any], *, overwrite: bool
) -> dict[str, Any] | None:
    """Give the run that is in the folder, if this one, of which `header` tells, may go on with it.

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
    if overwrite:
        return None
    kind = "a result" if run["state"] == COMPLETE else "an unfinished result"
    for key, words in SAME.items():
        if run.get(key) != header.get(key):
            raise InputError(
                f"{folder.name} holds {kind} of other {words} ({_short(run.get(key))}, now "
                f"{_short(header.get(key))}): --overwrite replaces it, or choose another --out"
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
        if OURS.fullmatch(name) and name not in (RUN, LOCK):
            folder.delete(name)
    for name in folder.names(CHUNKS):
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
        folder.delete(END)  # so that the inputs are listed again, and what is new gets chunks
    for below in ("", f"{CHUNKS}/"):
        for name in folder.names(below):
            # Left by a process that was killed while it wrote.
            if name.startswith("_") and name.endswith(".tmp"):
                folder.delete(below + name)
    run = {
        **header,
        "state": RUNNING,
        "started": earlier["started"] if earlier else now(),
        "gone_on": earlier.get("gone_on", 0) + 1 if earlier else 0,
    }
    return write_run(folder, run)
