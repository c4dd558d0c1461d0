"""Ctrl-C where it must not fall: kept until it can be answered."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupt_waits() -> Iterator[None]:
    """Keep Ctrl-C until the block has ended.

    For what must not be interrupted in the middle, such as Ray's import and start: there the
    exception can get lost in somebody's hook, and the run goes on, or hangs.

    Raises:
        KeyboardInterrupt: there was one, at the block's end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise KeyboardInterrupt
