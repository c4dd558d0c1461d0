"""digitrec: handwritten digits read in bulk, and the doubtful ones left to people."""

from typing import TYPE_CHECKING, Any

from digitrec.version import __version__

if TYPE_CHECKING:
    from digitrec.reading import Reading, read

__all__ = ["Reading", "__version__", "read"]


def __getattr__(name: str) -> Any:
    # Importing `digitrec` alone loads nothing heavy: `digitrec --version` answers at once.
    if name in ("Reading", "read"):
        from digitrec import reading

        return getattr(reading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
