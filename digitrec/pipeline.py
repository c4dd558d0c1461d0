"""The one path from scans to digits: read → decode → normalize → look closer → classify → decide.

`predict`, `classify`, `evaluate` and `digitrec.read` all go through `read_contents`.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from digitrec.errors import ScanError
from digitrec.ink import look_at
from digitrec.inputs.decode import Decoded, decode
from digitrec.model.engine import Engine, or_unknown
from digitrec.model.policy import ACCEPT, REVIEW, Decided
from digitrec.normalize.arrays import SIDE
from digitrec.normalize.scan import (
    Normalized,
    at_working_size,
    inspect,
    is_plain,
    nothing_marked,
)
from digitrec.readings import BLANK, ERROR, NO_DIGIT, Readings, join

# What a scan's reading starts from: an image file's content, pixels, or why there are none.
Content = bytes | NDArray[np.uint8] | ScanError
# Pixels → uint8 [28, 28], zero where there is nothing; may raise ScanError.
Normalizer = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]

STAGES = ("read", "decode", "normalize", "ink", "infer")
# Scans whose pixels are kept for a closer look.
AT_ONCE = 512
# Whether ink is lighter than paper, as a user says it; None: as most scans that come together say.
INK: dict[str, bool | None] = {"auto": None, "dark": False, "light": True}
NO_PIXELS = np.zeros((1, 1), np.uint8)


def read_contents(
    contents: Iterable[Content],
    count: int,
    engine: Engine,
    on_scan: Callable[[int], None] = lambda k: None,
    normalizer: Normalizer | None = None,
    *,
    with_notes: bool = False,
    light: bool | None = None,
) -> Readings:
    """Read N scans as they come.

    Args:
        contents: bytes of image files, pixels, or the reason why a scan could not be read.
        count: how many come.
        engine: what reads the digits.
        on_scan: told the index of each scan before it is touched, and `count` after the last.
        normalizer: brings pixels to 28×28 in another way, for comparisons; nothing is looked at
            closely then. None: digitrec's own.
        with_notes: also tell what digitrec's own normalizer finds odd about each scan.
        light: whether ink is lighter than paper, where a scan alone does not tell; None: nobody
            knows.
    """
    clock, coming = _Clock(), iter(contents)
    pieces = []
    for start in range(0, max(count, 1), AT_ONCE):
        found = _nothing_yet(min(AT_ONCE, count - start), normalizer, with_notes=with_notes)
        _prepare(found, islice(coming, AT_ONCE), start, on_scan, normalizer, clock)
        pieces.append(_read(found, engine, clock, light))
    return replace(join(pieces), seconds=clock.seconds)


def _read(found: "_Prepared", engine: Engine, clock: "_Clock", light: bool | None) -> Readings:
    """Read scans that are prepared, some of them after a closer look."""
    policy, said = engine.policy, _Said(len(found.scans))
    said.put(np.flatnonzero((found.decisions == ACCEPT) & ~found.odd), found.scans, engine)
    # No error budget changes what is looked at: the readings are the same under all of them.
    is_digit = policy.is_digit(said.digit_score)
    doubted = (found.decisions == ACCEPT) & ~found.is_done & ~(is_digit & ~found.odd)
    clock.stop("infer")
    written = _look_closer(found, np.flatnonzero(doubted), engine, light)
    clock.stop("ink")
    shown = (found.decisions == ACCEPT) & found.scans.any(axis=(1, 2))
    said.put(np.flatnonzero(shown & doubted), found.scans, engine)
    decided = policy.decide(said.digits, said.confidences, said.digit_score, written)
    _decide(found.decisions, found.reasons, decided)
    # A network answers whatever it is shown: of what shows no digit nothing is handed on.
    said.forget(~shown)
    clock.stop("infer")
    return Readings(
        digits=said.digits,
        confidences=said.confidences,
        probabilities=said.probabilities,
        decisions=found.decisions,
        reasons=found.reasons,
        widths=found.widths,
        heights=found.heights,
        digit_score=said.digit_score,
        scans=found.scans,
        notes=found.notes,
        more_frames=found.more_frames,
        looked=doubted,
        light=found.light,
    )


class _Said:
    """What networks say of N scans, as the columns of `Readings`; NaN where they were not asked."""

    def __init__(self, count: int) -> None:
        self.probabilities = np.full((count, 10), np.nan, np.float32)
        self.digit_score = np.full(count, np.nan, np.float32)

    def put(self, which: NDArray[np.intp], scans: NDArray[np.uint8], engine: Engine) -> None:
        """Ask about some of the scans."""
        if which.size:
            answers = engine.answers(scans[which])
            self.probabilities[which] = answers.probabilities
            self.digit_score[which] = or_unknown(answers.digit_score, len(which))

    def forget(self, which: NDArray[np.bool_]) -> None:
        """Have nothing said of some of the scans."""
        for values in (self.probabilities, self.digit_score):
            values[which] = np.nan

    @property
    def confidences(self) -> NDArray[np.float32]:
        """The probability of the most probable digit, float32 [N]."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def digits(self) -> NDArray[np.int8]:
        """The most probable digit, int8 [N]."""
        unknown = np.isnan(self.probabilities[:, 0])
        return np.where(unknown, NO_DIGIT, self.probabilities.argmax(axis=1)).astype(np.int8)


def _look_closer(
    found: "_Prepared", which: NDArray[np.intp], engine: Engine, light: bool | None
) -> NDArray[np.float32]:
    """Look closely at some scans: their pixels in 28×28, and what is blank, are changed.

    Returns:
        The probability that anything is written, float32 [N]; NaN for all others.
    """
    policy, written = engine.policy, np.full(len(found.scans), np.nan, np.float32)
    looks = look_at([found.pixels[k] for k in which], engine.ink, light=light)
    for k, look in zip(which, looks, strict=True):
        written[k] = look.written
        if look.found is not None:
            found.scans[k], found.light[k] = look.found.image, look.found.inverted
            found.note(k, look.found)
        elif look.written <= policy.max_blank:
            found.decisions[k], found.scans[k] = BLANK, 0
            found.note(k, nothing_marked())
        # Else there is nothing better than what the quick path found, if it did; as nothing large
        # enough is marked, that is unclear however likely something is written.
        else:
            written[k] = min(look.written, np.nextafter(np.float32(policy.min_written), 0))
    return written


@dataclass(slots=True)
class _Prepared:
    """N scans on their way to the network, as the columns of `Readings`."""

    scans: NDArray[np.uint8]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    decisions: NDArray[np.object_]
    reasons: NDArray[np.object_]
    notes: NDArray[np.object_]
    more_frames: NDArray[np.bool_]
    odd: NDArray[np.bool_]  # the quick path may be mistaken about what is ink
    is_done: NDArray[np.bool_]  # normalized in another way, or already: there is nothing to look at
    light: NDArray[np.bool_]
    pixels: list[NDArray[np.uint8]]  # of what may be looked at closely, of the working size
    with_notes: bool

    def note(self, k: int, normalized: Normalized) -> None:
        """Note what is odd about a scan, if that was asked for."""
        if self.with_notes:
            self.notes[k] = normalized.words


def _nothing_yet(count: int, normalizer: Normalizer | None, *, with_notes: bool) -> _Prepared:
    return _Prepared(
        scans=np.zeros((count, SIDE, SIDE), np.uint8),
        widths=np.zeros(count, np.int32),
        heights=np.zeros(count, np.int32),
        decisions=np.full(count, ACCEPT, object),
        reasons=np.full(count, None, object),
        notes=np.full(count, None, object),
        more_frames=np.zeros(count, bool),
        odd=np.zeros(count, bool),
        is_done=np.full(count, normalizer is not None),
        light=np.zeros(count, bool),
        pixels=[NO_PIXELS] * count,
        with_notes=with_notes,
    )


def _prepare(
    found: _Prepared,
    contents: Iterable[Content],
    start: int,
    on_scan: Callable[[int], None],
    normalizer: Normalizer | None,
    clock: "_Clock",
) -> None:
    """Decode and normalize N scans as they come, the first being scan `start`."""
    for k, content in enumerate(contents):
        clock.stop("read")
        on_scan(start + k)
        try:
            decoded = _decoded(content)
            clock.stop("decode")
            if normalizer is None:
                _normalize(found, k, decoded.pixels)
            else:
                found.scans[k] = normalizer(decoded.pixels)
            clock.stop("normalize")
        except ScanError as why:
            found.decisions[k], found.reasons[k] = ERROR, str(why)
            clock.stop("decode")
            continue
        found.widths[k], found.heights[k] = decoded.size
        found.more_frames[k] = decoded.more_frames
    on_scan(start + len(found.scans))
    empty = (found.decisions == ACCEPT) & ~found.odd & ~found.scans.any(axis=(1, 2))
    found.decisions[empty] = BLANK


def _normalize(found: _Prepared, k: int, pixels: NDArray[np.uint8]) -> None:
    """Take one scan the quick path, and keep what a closer look at it needs."""
    small = at_working_size(pixels)
    normalized = inspect(pixels, small)
    found.scans[k], found.light[k] = normalized.image, normalized.done or normalized.inverted
    found.note(k, normalized)
    found.is_done[k] = normalized.done
    found.odd[k] = not is_plain(normalized, pixels)
    if not normalized.done:
        found.pixels[k] = small


def _decide(decisions: NDArray[np.object_], reasons: NDArray[np.object_], decided: Decided) -> None:
    """Send to review what the bundle's policy does not accept; blanks and errors stay such."""
    doubted = (decisions == ACCEPT) & (decided.decisions == REVIEW)
    decisions[doubted], reasons[doubted] = REVIEW, decided.reasons[doubted]


class _Clock:
    """Gives the time since it was last asked to a stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._last = time.perf_counter()

    def stop(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] += now - self._last
        self._last = now


def _decoded(content: Content) -> Decoded:
    if isinstance(content, bytes):
        return decode(content)
    if isinstance(content, ScanError):
        raise content
    return Decoded(content)
