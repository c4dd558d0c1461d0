"""Which folders digitrec wrote: told by the `_run.json` in them."""

import json
from collections.abc import Callable
from typing import Any

RUN = "_run.json"


def record(path: str, read: Callable[[str], bytes]) -> dict[str, Any] | None:
    """Return the content of a run's `_run.json`; None where there is none, or another program's.

    Args:
        path: where it would be.
        read: reads a file whole.
    """
    try:
        content = json.loads(read(path))
    except (OSError, ValueError):
        return None
    ours = isinstance(content, dict) and {"command", "state"} <= content.keys()
    return content if ours else None


def is_record(path: str, read: Callable[[str], bytes]) -> bool:
    """Return whether a file is a run's `_run.json`."""
    return record(path, read) is not None
