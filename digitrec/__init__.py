"""digitrec: handwritten digits read in bulk, with a known error rate."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digitrec.reading import Reading, read

__all__ = ["Reading", "read"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Importing `digitrec` alone loads nothing heavy: `digitrec --version` answers at once.
    if name in __all__:
        from digitrec import reading

        return getattr(reading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
