"""What is ink, where a scan alone does not tell: as a sample of the run's first chunk says.

The first worker that reads a chunk finds it out, and keeps it in the run's folder, so that all
workers and all calls that go on with the run take the same for ink.
"""

import json
from collections.abc import Callable

from digitrec.batch.chunks import CHUNKS, Chunk, read_chunk
from digitrec.readings import Readings, agreed_light
from digitrec.storage.folder import Folder

INK_FILE = f"{CHUNKS}/ink.json"
SAMPLE = 256  # scans of the first chunk


def light_of(folder: Folder, read: Callable[[Chunk], Readings]) -> bool | None:
    """Return whether the run's ink is lighter than its paper; None: its scans do not agree.

    Args:
        folder: the run's.
        read: reads scans, each by itself; it may read more.
    """
    if (kept := kept_light(folder)) is not None:
        return kept["light"]
    first = read_chunk(folder, 0)
    light = agreed_light(read(first.only([k < SAMPLE for k in range(len(first))])), SAMPLE)
    folder.write(INK_FILE, json.dumps({"light": light}).encode())
    return light


def kept_light(folder: Folder) -> dict[str, bool | None] | None:
    """Return what `light_of` has written; None: nothing was read yet."""
    try:
        kept: dict[str, bool | None] = json.loads(folder.read(INK_FILE))
    except (FileNotFoundError, ValueError):
        return None
    return kept
