"""digitrec: handwritten digits read in bulk, and the doubtful ones left to people."""

import os
from typing import TYPE_CHECKING, Any

from digitrec.version import __version__

if TYPE_CHECKING:
    from digitrec.reader import Reader, read
    from digitrec.readings import Reading
    from digitrec.schema import SCHEMA
# id in the user's cache folder and sends events to its maker. Nobody's scans are anybody's events,
# so that whatever the variable said before does not count.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__all__ = ["SCHEMA", "Reader", "Reading", "__version__", "read"]


def __getattr__(name: str) -> Any:
    # Importing `digitrec` alone loads nothing heavy: `digitrec --version` answers at once.
    if name in ("Reader", "read"):
        from digitrec import reader

        return getattr(reader, name)
    if name == "Reading":
        from digitrec import readings

        return readings.Reading
    if name == "SCHEMA":
        from digitrec import schema

        return schema.SCHEMA
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
