"""The one path from scans to digits: read → decode → normalise → classify → decide.

`predict`, `classify`, `evaluate` and `digitrec.read` all go through `read_scans`.
"""

import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from digitrec.errors import InputError, ScanError
from digitrec.model.bundle import load_bundle
from digitrec.model.engine import Engine
from digitrec.scans.decode import MAX_BYTES, Decoded, decode
from digitrec.scans.normalize import SIDE, normalize

# A scan is a file's path, an image file's content, or pixels: uint8 [H, W], [H, W, 3] or [H, W, 4].
Scan = str | os.PathLike[str] | bytes | NDArray[np.uint8]

# The decisions; `review` comes with a policy, which no bundle has yet.
ACCEPT, REVIEW, BLANK, ERROR = "accept", "review", "blank", "error"
STAGES = ("read", "decode", "normalise", "infer")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one scan was read as; None where the decision is `blank` or `error`."""

    digit: int | None
    confidence: float | None  # probability that `digit` is right
    probabilities: NDArray[np.float32] | None  # float32 [10], for 0 to 9
    decision: str  # accept, blank or error
    reason: str | None  # of an error: a stable code, then `: ` and words
    width: int | None  # of the decoded scan, in pixels
    height: int | None


@dataclass(frozen=True, slots=True)
class Readings:
    """What N scans were read as, as columns. Values of rows without a digit mean nothing."""

    digits: NDArray[np.int8]  # [N]
    confidences: NDArray[np.float32]  # [N]
    probabilities: NDArray[np.float32]  # [N, 10]
    decisions: NDArray[np.object_]  # [N], str
    reasons: NDArray[np.object_]  # [N], str or None
    widths: NDArray[np.int32]  # [N], 0 where nothing was decoded
    heights: NDArray[np.int32]  # [N]
    scans: NDArray[np.uint8]  # [N, 28, 28], normalised; zero where nothing was decoded
    first_frames: int = 0  # scans whose file holds further frames, which were left out
    seconds: dict[str, float] = field(default_factory=dict)  # stage → time spent in it

    def __len__(self) -> int:
        return len(self.digits)

    @property
    def has_digit(self) -> NDArray[np.bool_]:
        """Which rows have a digit: bool [N]."""
        return np.isin(self.decisions, (ACCEPT, REVIEW))

    def __iter__(self) -> Iterator[Reading]:
        for k, has_digit in enumerate(self.has_digit):
            yield Reading(
                digit=int(self.digits[k]) if has_digit else None,
                confidence=float(self.confidences[k]) if has_digit else None,
                probabilities=self.probabilities[k] if has_digit else None,
                decision=self.decisions[k],
                reason=self.reasons[k],
                width=int(self.widths[k]) or None,
                height=int(self.heights[k]) or None,
            )


def read(scans: Scan | Sequence[Scan], model: str | os.PathLike[str] = "small") -> list[Reading]:
    """Read digits, in this process.

    Args:
        scans: paths of image files, contents of image files, or pixel arrays (uint8, grey
            [H, W], RGB [H, W, 3] or RGBA [H, W, 4]); a single one is a list of one.
        model: a shipped bundle's name, a bundle's folder or a run folder.

    Returns:
        One Reading for each scan, in order. A scan that can't be read has the decision `error`.

    Raises:
        BundleError: `model` is no bundle.
        InputError: an array has another type or shape.

    Example:
        >>> [reading] = read("seven.png")
        >>> reading.digit, reading.decision
        (7, 'accept')
    """
    if isinstance(scans, (str, bytes, os.PathLike, np.ndarray)):
        scans = [scans]
    return list(read_scans(scans, Engine(load_bundle(os.fspath(model)))))


def read_scans(scans: Sequence[Scan], engine: Engine) -> Readings:
    """Read N scans; see `read`. One that can't be read is a row with its reason."""
    count = len(scans)
    normalized = np.zeros((count, SIDE, SIDE), np.uint8)
    widths, heights = np.zeros(count, np.int32), np.zeros(count, np.int32)
    decisions, reasons = np.full(count, ACCEPT, object), np.full(count, None, object)
    first_frames = 0
    clock = _Clock()
    for k, scan in enumerate(scans):
        clock.start()
        try:
            content = _content(scan)
            clock.stop("read")
            decoded = decode(content) if isinstance(content, bytes) else Decoded(content)
        except ScanError as why:
            decisions[k], reasons[k] = ERROR, str(why)
            continue
        clock.stop("decode")
        normalized[k] = normalize(decoded.pixels)
        clock.stop("normalise")
        heights[k], widths[k] = decoded.pixels.shape[:2]
        first_frames += decoded.more_frames
    decisions[(decisions == ACCEPT) & ~normalized.any(axis=(1, 2))] = BLANK
    clock.start()
    probabilities = engine.probabilities(normalized)
    digits = probabilities.argmax(axis=1).astype(np.int8)
    clock.stop("infer")
    return Readings(
        digits=digits,
        confidences=probabilities.max(axis=1, initial=0),
        probabilities=probabilities,
        decisions=decisions,
        reasons=reasons,
        widths=widths,
        heights=heights,
        scans=normalized,
        first_frames=first_frames,
        seconds=clock.seconds,
    )


class _Clock:
    """Adds up the time spent in each stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._last = 0.0

    def start(self) -> None:
        self._last = time.perf_counter()

    def stop(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] += now - self._last
        self._last = now


def _content(scan: Scan) -> bytes | NDArray[np.uint8]:
    if isinstance(scan, bytes):
        return scan
    if isinstance(scan, np.ndarray):
        return _checked(scan)
    return _read_file(os.fspath(scan))


def _checked(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    channels = pixels.shape[2:]
    if pixels.dtype != np.uint8 or channels not in ((), (3,), (4,)) or 0 in pixels.shape:
        raise InputError(
            f"an array of {pixels.dtype} {list(pixels.shape)} is no scan: "
            "expected uint8 [H, W], [H, W, 3] or [H, W, 4]"
        )
    return pixels


def _read_file(path: str) -> bytes:
    """Read a regular file whole, unless it is too large to be a scan.

    Raises:
        ScanError: `vanished`, `unreadable` or `too-large`.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ScanError("unreadable", "not a regular file")
            if status.st_size > MAX_BYTES:
                raise ScanError("too-large", f"{status.st_size} bytes, the limit is {MAX_BYTES}")
            return _read_all(handle, status.st_size)
        finally:
            os.close(handle)
    except FileNotFoundError as why:
        raise ScanError("vanished", "no such file") from why
    except (OSError, ValueError) as why:
        words = os.strerror(why.errno) if isinstance(why, OSError) and why.errno else str(why)
        raise ScanError("unreadable", words) from why


def _read_all(handle: int, size: int) -> bytes:
    content = os.read(handle, size)
    while len(content) < size:
        more = os.read(handle, size - len(content))
        if not more:
            break
        content += more
    return content
