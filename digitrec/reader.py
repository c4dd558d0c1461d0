"""The one path from scans to digits: read → decode → normalize → classify → decide.

`predict`, `classify`, `evaluate` and `digitrec.read` all go through `read_contents`.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digitrec.errors import ScanError
from digitrec.inputs.decode import MAX_PIXELS, Decoded, decode, without_flat_alpha
from digitrec.inputs.fetch import content as file_content
from digitrec.inputs.fetch import contents as file_contents
from digitrec.model.bundle import load_bundle, with_policy
from digitrec.model.engine import ONE_CORE, Engine, EngineSettings, kept_engine, or_unknown
from digitrec.model.policy import ACCEPT, REVIEW, Decided, Policy
from digitrec.model.shipped import DEFAULT
from digitrec.normalize.arrays import SIDE
from digitrec.normalize.scan import inspect, normalize
from digitrec.readings import BLANK, ERROR, NO_DIGIT, Reading, Readings

if TYPE_CHECKING:
    from digitrec.inputs.batches import Batch

# A scan is a file's path, an image file's content, or pixels: uint8 [H, W], [H, W, 3] or [H, W, 4].
Scan = str | os.PathLike[str] | bytes | NDArray[np.uint8]
# What a scan's reading starts from: an image file's content, pixels, or why there are none.
Content = bytes | NDArray[np.uint8] | ScanError
# Pixels → uint8 [28, 28], zero where there is nothing; may raise ScanError.
Normalizer = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]

STAGES = ("read", "decode", "normalize", "infer")
EXPECTED = "expected uint8 [H, W], [H, W, 3] or [H, W, 4]"


def read(scans: Scan | Iterable[Scan], model: str | os.PathLike[str] = DEFAULT) -> list[Reading]:
    """Read digits, in this process.

    Args:
        scans: paths of image files, contents of image files, or pixel arrays (uint8 or bool, grey
            [H, W] or [H, W, 1], RGB [H, W, 3] or RGBA [H, W, 4]); a single one is a list of one.
        model: a shipped bundle's name, a bundle's folder or a run folder.

    Returns:
        One Reading for each scan, in order. A scan that can't be read, such as an array of another
        type or shape, has the decision `error`.

    Raises:
        BundleError: `model` is no bundle.

    Examples:
        >>> [reading] = read("seven.png")
        >>> reading.digit, reading.decision
        (7, 'accept')
    """
    return Reader(model, with_notes=True).read(scans)


class Reader:
    """Reads scans: here, or as a stage of a pipeline.

    It can be pickled: it holds the bundle, and each process opens the networks where it first
    reads with them. So it serves Ray Data's `map_batches` as it is (tasks), or as a class (actors,
    with `fn_constructor_kwargs`), and any other pipeline that calls a function with batches.

    Args:
        model: a shipped bundle's name, a bundle's folder or URI, or a run folder.
        column: of batches, the one with scans: contents of image files, paths, URIs, or pixels.
            None: the first that is there of content, bytes, image, path, file, filename and
            file_name.
        policy: when a digit is accepted; None: the bundle's own.
        with_notes: also tell what is odd about each scan, in `notes`.
        engine: how the networks are run.

    Raises:
        BundleError: `model` is no bundle.

    Examples:
        >>> scans = ray.data.read_binary_files("scans", include_paths=True)
        >>> scans.map_batches(Reader(), batch_format="pyarrow").write_parquet("result")
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT,
        *,
        column: str | None = None,
        policy: Policy | None = None,
        with_notes: bool = False,
        engine: EngineSettings = ONE_CORE,
    ) -> None:
        bundle = load_bundle(model)
        if policy is not None:
            bundle = with_policy(bundle, policy)
        self._bundle, self._settings = bundle, engine
        self._column, self._with_notes = column, with_notes

    def read(self, scans: Scan | Iterable[Scan]) -> list[Reading]:
        """Read scans; see the function `read`."""
        if isinstance(scans, (str, bytes, os.PathLike, np.ndarray)):
            scans = [scans]
        contents = list(map(_content, scans))
        return list(self._readings(contents, len(contents)))

    def __call__(self, batch: "Batch") -> "Batch":
        """Read a batch: give it back with the columns of `SCHEMA` (but `path`) put beside its own.

        In a table they have `SCHEMA`'s types; in a dict or frame they are objects, None where
        nothing was read. (Ray Data types such columns batch by batch: where the result is written,
        `batch_format="pyarrow"` gives all its files the same types.)

        Args:
            batch: a dict of NumPy arrays, an Arrow table or a pandas frame. Of its scans each is
                the content of an image file, a path, a URI (s3, gs, abfs, hdfs, file), an array as
                `read` takes it, a PIL image, or a dict of `bytes` and `path`. Anything else, null
                too, gets the decision `error`.

        Raises:
            InputError: there is no column with scans, or one has the name of a column to come.
        """
        # Arrow takes 0.1 s to import, which `predict` need not wait for.
        from digitrec.inputs.batches import scan_column, scans_of, with_columns
        from digitrec.schema import reading_columns

        scans = scans_of(batch, scan_column(batch, self._column))
        readings = self._readings(_contents(scans), len(scans))
        return with_columns(batch, reading_columns(readings, with_notes=self._with_notes))

    def _readings(self, contents: Iterable[Content], count: int) -> Readings:
        engine = kept_engine(self._bundle, self._settings)
        return read_contents(contents, count, engine, with_notes=self._with_notes)


def _contents(scans: Sequence[Any]) -> Iterator[Content]:
    """Yield what scans' readings start from; a path in data does not lead to any host there is."""
    if scans and all(isinstance(scan, str) for scan in scans):
        yield from file_contents(scans, ())
        return
    for scan in scans:
        yield file_content(scan, ()) if isinstance(scan, str) else _content(scan)


def read_scans(
    scans: Sequence[Scan], engine: Engine, normalizer: Normalizer = normalize
) -> Readings:
    """Read N scans; see `read`. One that can't be read is a row with its reason."""
    return read_contents(map(_content, scans), len(scans), engine, normalizer=normalizer)


def read_contents(
    contents: Iterable[Content],
    count: int,
    engine: Engine,
    on_scan: Callable[[int], None] = lambda k: None,
    normalizer: Normalizer = normalize,
    *,
    with_notes: bool = False,
) -> Readings:
    """Read N scans as they come.

    Args:
        contents: bytes of image files, pixels, or the reason why a scan could not be read.
        count: how many come.
        engine: what reads the digits.
        on_scan: told the index of each scan before it is touched, and `count` after the last.
        normalizer: what brings pixels to 28×28; another one is for comparisons.
        with_notes: also tell what digitrec's own normalizer finds odd about each scan.
    """
    clock = _Clock()
    found = _prepared(contents, count, on_scan, normalizer, clock, with_notes=with_notes)
    answers = engine.answers(found.scans)
    probabilities, digit_score = answers.probabilities, or_unknown(answers.digit_score, count)
    confidences = probabilities.max(axis=1, initial=0)
    _decide(found.decisions, found.reasons, engine.card.policy.decide(confidences, digit_score))
    no_digit = np.isin(found.decisions, (BLANK, ERROR))
    digits = probabilities.argmax(axis=1).astype(np.int8)
    agreement = or_unknown(answers.agreement, count)
    # A network answers whatever it is shown: of what shows no digit nothing is handed on.
    digits[no_digit] = NO_DIGIT
    for values in (confidences, probabilities, digit_score, agreement):
        values[no_digit] = np.nan
    clock.stop("infer")
    return Readings(
        digits=digits,
        confidences=confidences,
        probabilities=probabilities,
        decisions=found.decisions,
        reasons=found.reasons,
        widths=found.widths,
        heights=found.heights,
        digit_score=digit_score,
        scans=found.scans,
        notes=found.notes,
        agreement=agreement,
        more_frames=found.more_frames,
        seconds=clock.seconds,
    )


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


def _prepared(
    contents: Iterable[Content],
    count: int,
    on_scan: Callable[[int], None],
    normalizer: Normalizer,
    clock: "_Clock",
    *,
    with_notes: bool,
) -> _Prepared:
    """Decode and normalize N scans as they come; see `read_contents`."""
    normalized = np.zeros((count, SIDE, SIDE), np.uint8)
    widths, heights = np.zeros(count, np.int32), np.zeros(count, np.int32)
    decisions, reasons = np.full(count, ACCEPT, object), np.full(count, None, object)
    notes = np.full(count, None, object)
    more_frames = np.zeros(count, bool)
    for k, content in enumerate(contents):
        clock.stop("read")
        on_scan(k)
        try:
            decoded = _decoded(content)
            clock.stop("decode")
            if with_notes:
                found = inspect(decoded.pixels)
                normalized[k], notes[k] = found.image, found.words
            else:
                normalized[k] = normalizer(decoded.pixels)
            clock.stop("normalize")
        except ScanError as why:
            decisions[k], reasons[k] = ERROR, str(why)
            clock.stop("decode")
            continue
        widths[k], heights[k] = decoded.size
        more_frames[k] = decoded.more_frames
    on_scan(count)
    decisions[(decisions == ACCEPT) & ~normalized.any(axis=(1, 2))] = BLANK
    return _Prepared(normalized, widths, heights, decisions, reasons, notes, more_frames)


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


def _content(scan: Scan) -> Content:
    if isinstance(scan, bytes):
        return scan
    if isinstance(scan, np.ndarray):
        return _checked(scan)
    try:
        return file_content(os.fspath(scan))
    except TypeError:
        if scan is None:
            return ScanError("unreadable", f"a null is no scan: {EXPECTED}")
        return ScanError("unreadable", f"a {type(scan).__name__} is no scan: {EXPECTED}")


def _checked(pixels: NDArray[Any]) -> Content:
    """Return the pixels of an array, or say why it is no scan."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype == np.bool_:
        pixels = np.where(pixels, np.uint8(255), np.uint8(0))
    channels = pixels.shape[2:]
    if pixels.ndim < 2 or channels not in ((), (3,), (4,)) or 0 in pixels.shape:
        words = f"an array of shape {list(pixels.shape)} is no scan: {EXPECTED}"
    elif pixels.dtype != np.uint8:
        words = f"an array of {pixels.dtype} is no scan: {EXPECTED}"
    elif pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
        return ScanError("too-large", f"{pixels.size} pixels, the limit is {MAX_PIXELS}")
    else:
        return without_flat_alpha(pixels) if channels == (4,) else pixels
    return ScanError("unreadable", words)
