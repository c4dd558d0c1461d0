"""Machine code of the normalizer's inner loops: made by Numba once on a machine, then kept.

Compiling takes half a minute. The code lies in the user's cache folder (or the one that
`DIGITREC_DATA` names) under a hash of its source and of the CPU it is for, wherever the package
itself lies, so that a job on a cluster, which unpacks the package anew, finds it too. Where it
can't be kept there, a private folder in the temporary directory has it; see `cache`.
"""

import logging
from collections.abc import Callable
from typing import Any

import numba
from numba.core import event
from numba.core.caching import InTreeCacheLocator

from digitrec.storage.cache import compiled_folder, usable_folder

logger = logging.getLogger("digitrec")


class CacheLocator(InTreeCacheLocator):
    """Tells Numba where the machine code of a function lies: by what this room's sources say."""

    def __init__(self, function: Any, file: str, folder: str) -> None:
        super().__init__(function, file)
        self._cache_path = folder

    @classmethod
    def from_function(cls, function: Any, file: str) -> "CacheLocator | None":
        """Return the locator; None where there is no cache, and none can be made."""
        folder = usable_folder()
        return None if folder is None else cls(function, file, str(folder))


class _Announcer(event.Listener):
    """Says when compiling begins: a person would wonder."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Any) -> None:
        if not self.said:
            folder = usable_folder()
            if folder is None:
                often = "and for this process alone, as it can be kept nowhere (see DIGITREC_DATA)"
            elif folder != compiled_folder():
                often = f"once until {folder} is cleared: {compiled_folder()} can't be written to"
            else:
                often = "once"
            logger.warning("compiling the normalizer for this machine, %s: half a minute …", often)
            self.said = True

    def on_end(self, event: Any) -> None:
        pass


_announcer = _Announcer()


def compiled(signature: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function to be machine code for one signature, from the cache if it is there."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        with event.install_listener("numba:compile", _announcer):
            before = numba.config.CACHE_LOCATOR_CLASSES
            numba.config.CACHE_LOCATOR_CLASSES = f"{__name__}.{CacheLocator.__name__}"
            try:
                return numba.njit(signature, cache=True)(function)
            except (RuntimeError, OSError):  # no cache, or one that is read-only and too old
                return numba.njit(signature)(function)
            finally:
                numba.config.CACHE_LOCATOR_CLASSES = before

    return decorate
