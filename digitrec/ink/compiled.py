"""Machine code of the normaliser's inner loops: made by Numba once on a machine, then kept.

Compiling takes half a minute. The code lies in the user's cache folder (or the one that
`DIGITREC_DATA` names) under a hash of its source, wherever the package itself lies, so that a job
on a cluster, which unpacks the package anew, finds it too. A cache that can't be written to is
read all the same; where there is none, every process compiles for itself.
"""

import logging
import os
from collections.abc import Callable
from typing import Any

import numba
from numba.core import event
from numba.core.caching import InTreeCacheLocator

from digitrec.cache import compiled_folder

logger = logging.getLogger("digitrec")


class CacheLocator(InTreeCacheLocator):
    """Tells Numba where the machine code of a function lies: by what this room's sources say."""

    def __init__(self, function: Any, file: str) -> None:
        super().__init__(function, file)
        self._cache_path = str(compiled_folder())

    @classmethod
    def from_function(cls, function: Any, file: str) -> "CacheLocator | None":
        """Give the locator; None where there is no cache, and none can be made."""
        locator = cls(function, file)
        try:
            locator.ensure_cache_path()
        except OSError:
            return locator if os.path.isdir(locator._cache_path) else None
        return locator


class _Announcer(event.Listener):
    """Says when compiling begins: a person would wonder."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Any) -> None:
        if not self.said:
            logger.warning("compiling the normaliser for this machine, once: half a minute …")
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
