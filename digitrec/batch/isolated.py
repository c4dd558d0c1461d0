"""Reading scans in a child process, so that one which kills or stalls it costs a row, not a run.

A decoder is C code fed with what strangers made: it may crash, or never come back. The child
notes in shared memory which scan it is about to touch. When it dies or stands still, that scan's
row says so, and a new child reads the others. Handing contents to a child has a price, so this
serves where it is worth it: for small inputs, which run in the user's own process, and for a
chunk whose reader died before.
"""

import ctypes
import multiprocessing
import os
import signal
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from digitrec.errors import RunError, ScanError
from digitrec.model.bundle import Bundle
from digitrec.model.engine import open_engine
from digitrec.normalize.scan import load
from digitrec.pipeline import Content, read_contents
from digitrec.readings import Readings, join

# Longer than any scan within the bounds takes on a busy machine.
STALL_SECONDS = 60.0
# What a child is handed at a time, and so what its death makes the next one do again.
BATCH_SCANS, BATCH_BYTES = 256, 2**26
POLL_SECONDS = 0.02
# A child has this long to get ready at least: forking is quick, opening a network takes 0.1 s.
START_SECONDS = 5.0
READY = "ready"
NOWHERE = -1  # the place of a child that has touched no scan yet
# A chunk whose worker died so often is read in a child process,
CHUNK_DEATHS = 2
# where a scan that killed so many children gets a row that says so: once may be a chance, such as
# a kill for want of memory.
SCAN_DEATHS = 2
# A child that dies before it touches a scan has another reason; after so many the run ends.
OTHER_DEATHS = 3
PR_SET_PDEATHSIG = 1

C = TypeVar("C", bound=Content)


def read_isolated(
    contents: Iterable[Content],
    bundle: Bundle,
    stall_seconds: float = STALL_SECONDS,
    *,
    with_notes: bool = False,
    light: bool | None = None,
) -> Readings:
    """Read scans as `read_contents` does, whatever they do to the process that reads them.

    Args:
        contents: as `read_contents` takes them.
        bundle: what reads the digits.
        stall_seconds: a child that is longer at one scan is killed.
        with_notes: as `read_contents` takes it.
        light: as `read_contents` takes it.

    Returns:
        The readings; a scan that killed its reader has the reason `crashed: …`.

    Raises:
        RunError: children die without touching a scan.
    """
    child = _Child(bundle, stall_seconds, with_notes, light)
    try:
        start = time.perf_counter()
        pieces, reading = [], 0.0
        for batch in batches(contents, BATCH_SCANS):
            reading += time.perf_counter() - start
            pieces.append(child.read(batch))
            start = time.perf_counter()
        pieces.append(child.read([]))
    finally:
        child.stop()
    readings = join(pieces)
    readings.seconds["read"] = reading
    return readings


def batches(contents: Iterable[C], scans: int) -> Iterator[list[C]]:
    """Cut contents into lists of at most `scans`, and not much more than `BATCH_BYTES`."""
    batch: list[C] = []
    size = 0
    for content in contents:
        batch.append(content)
        size += 0 if isinstance(content, ScanError) else len(content)
        if len(batch) == scans or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Child:
    """A process that reads batches, and its replacements."""

    def __init__(
        self, bundle: Bundle, stall_seconds: float, with_notes: bool, light: bool | None
    ) -> None:
        self._bundle, self._stall_seconds = bundle, stall_seconds
        self._with_notes, self._light = with_notes, light
        # A forked child has all modules loaded; elsewhere than on Linux forking is not safe.
        load()
        self._context: Any = multiprocessing.get_context(
            "fork" if sys.platform == "linux" else "spawn"
        )
        self._start()

    def _start(self) -> None:
        self._place = self._context.RawValue("q", NOWHERE)
        self._is_ready = False
        self._pipe, theirs = self._context.Pipe()
        _limit(self._pipe, self._stall_seconds)
        self._process = self._context.Process(
            target=_serve,
            args=(theirs, self._place, self._bundle, self._with_notes, self._light),
            daemon=True,
        )
        self._process.start()
        theirs.close()

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def read(self, batch: list[Content]) -> Readings:
        """Read a batch, with as many children as it kills."""
        deaths: Counter[int] = Counter()
        while True:
            self._place.value = NOWHERE
            answer = self._ask(batch)
            if isinstance(answer, Readings):
                return answer
            place = self._place.value
            self.stop()
            self._start()
            touched = place if 0 <= place < len(batch) else NOWHERE
            deaths[touched] += 1
            if touched == NOWHERE and deaths[touched] == OTHER_DEATHS:
                raise RunError(f"the process that reads the scans fails: {answer}")
            if touched != NOWHERE and deaths[touched] == SCAN_DEATHS:
                batch = [*batch[:place], ScanError("crashed", answer), *batch[place + 1 :]]

    def _ask(self, batch: list[Content]) -> Readings | str:
        """Return a batch's readings, or how the child ended."""
        try:
            # A child that hangs before it listens would take no more than a socket's buffer.
            if not self._is_ready:
                patience = max(self._stall_seconds, START_SECONDS)
                if not self._answers(patience):
                    return f"not ready after {patience:.0f} s"
                self._is_ready = self._pipe.recv() == READY
            self._pipe.send(batch)
            if not self._answers(self._stall_seconds):
                return self._silence()
            readings: Readings = self._pipe.recv()
            return readings
        except BlockingIOError:  # it stands still in the midst of a batch or of its answer
            return self._silence()
        except (EOFError, OSError):
            self._process.join(10)
            return f"its reader died ({_ending(self._process.exitcode)})"

    def _answers(self, patience: float) -> bool:
        """Wait until there is an answer; False where the child stands still for so many seconds."""
        place, stalled, last = -1, 0.0, time.monotonic()
        while not self._pipe.poll(POLL_SECONDS):
            now = time.monotonic()
            # While this process is stopped, so is its child: that does not count.
            stalled, last = stalled + min(now - last, 1.0), now
            if (at := self._place.value) != place:
                place, stalled = at, 0.0
            elif stalled > patience:
                return False
        return True

    def _silence(self) -> str:
        return f"no answer for {self._stall_seconds:.0f} s"


def _limit(pipe: Connection, seconds: float) -> None:
    """Have a pipe raise BlockingIOError where not a byte goes in or out for so long."""
    limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
    with socket.socket(fileno=os.dup(pipe.fileno())) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def _serve(
    pipe: Connection, place: Any, bundle: Bundle, with_notes: bool, light: bool | None
) -> None:
    """Read batches until the parent ends: what the child does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    # What libraries in C have to say of a damaged file is in its row.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    engine = open_engine(bundle)

    def note(k: int) -> None:
        place.value = k

    pipe.send(READY)
    while True:
        try:
            batch: list[Content] = pipe.recv()
        except EOFError:
            return
        pipe.send(
            read_contents(batch, len(batch), engine, note, with_notes=with_notes, light=light)
        )
