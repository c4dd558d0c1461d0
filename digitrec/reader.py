"""Scans → readings, for programs: a call, or a stage of a pipeline."""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digitrec.errors import ScanError
from digitrec.inputs.decode import MAX_PIXELS, without_flat_alpha
from digitrec.inputs.fetch import content as file_content
from digitrec.inputs.fetch import contents as file_contents
from digitrec.model.bundle import load_bundle
from digitrec.model.engine import ONE_CORE, Engine, EngineSettings, kept_engine
from digitrec.model.policies import with_budget, with_policy
from digitrec.model.policy import Policy
from digitrec.model.shipped import DEFAULT, DEFAULT_BUDGET
from digitrec.pipeline import INK, Content, Normalizer, read_contents
from digitrec.readings import Reading, Readings, agreed_light, in_doubt

if TYPE_CHECKING:
    from digitrec.inputs.batches import Batch

# A scan is a file's path, an image file's content, or pixels: uint8 [H, W], [H, W, 3] or [H, W, 4].
Scan = str | os.PathLike[str] | bytes | NDArray[np.uint8]
EXPECTED = "expected uint8 [H, W], [H, W, 3] or [H, W, 4]"


def read(
    scans: Scan | Iterable[Scan],
    model: str | os.PathLike[str] = DEFAULT,
    *,
    ink: str = "auto",
    max_error: float | str = DEFAULT_BUDGET,
    source: str = "",
) -> list[Reading]:
    """Read digits, in this process.

    Args:
        scans: paths of image files, contents of image files, or pixel arrays (uint8 or bool, grey
            [H, W] or [H, W, 1], RGB [H, W, 3] or RGBA [H, W, 4]); a single one is a list of one.
        model: a shipped bundle's name; a bundle's folder, a run folder, or a registry.
        ink: `dark` on lighter paper, or `light` on darker; `auto` where each scan says it, and
            where one does not, as the others do.
        max_error: the error budget: the largest share of wrong digits among those that are
            accepted, such as 0.001; `none`: accept every digit; `default`: as the bundle says.
        source: whose scans they are, if the bundle has policies for these.

    Returns:
        One Reading for each scan, in order. A scan that can't be read, such as an array of another
        type or shape, has the decision `error`.

    Raises:
        BundleError: `model` is no bundle, or has no policy for the error budget.

    Examples:
        >>> [reading] = read("seven.png")
        >>> reading.digit, reading.decision
        (7, 'accept')
    """
    reader = Reader(model, with_notes=True, ink=ink, max_error=max_error, source=source)
    return reader.read(scans)


class Reader:
    """Reads scans: here, or as a stage of a pipeline.

    It can be pickled: it holds the bundle, and each process opens the networks where it first
    reads with them. So it serves Ray Data's `map_batches` as it is (tasks), or as a class (actors,
    with `fn_constructor_kwargs`), and any other pipeline that calls a function with batches.

    Args:
        model: a shipped bundle's name, a bundle's folder or URI, a run folder, or a registry, whose
            champion it is as the Reader is made.
        column: of batches, the one with scans: contents of image files, paths, URIs, or pixels.
            None: the first that is there of content, bytes, image, path, file, filename and
            file_name.
        policy: when a digit is accepted, in place of what `max_error` and `source` say.
        with_notes: also tell what is odd about each scan, in `notes`.
        ink: see `read`; of a batch each scan is read by itself, so that all batches of a pipeline
            are read alike.
        engine: how the networks are run.
        max_error: see `read`.
        source: see `read`.

    Raises:
        BundleError: `model` is no bundle, or has no policy for the error budget.
        ValueError: `ink` is something else.

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
        ink: str = "auto",
        engine: EngineSettings = ONE_CORE,
        max_error: float | str = DEFAULT_BUDGET,
        source: str = "",
    ) -> None:
        bundle = with_budget(load_bundle(model), max_error, source)
        if policy is not None:
            bundle = with_policy(bundle, policy)
        self._bundle, self._settings = bundle, engine
        self._column, self._with_notes = column, with_notes
        if ink not in INK:
            raise ValueError(f"ink must be one of {', '.join(INK)}, not {ink}")
        self._light = INK[ink]

    def read(self, scans: Scan | Iterable[Scan]) -> list[Reading]:
        """Read scans; see the function `read`."""
        if isinstance(scans, (str, bytes, os.PathLike, np.ndarray)):
            scans = [scans]
        contents = list(map(_content, scans))
        readings = self._readings(contents, len(contents), self._light)
        if self._light is not None or (light := agreed_light(readings)) is None:
            return list(readings)
        doubtful = np.flatnonzero(in_doubt(readings, light))
        again = self._readings([contents[k] for k in doubtful], len(doubtful), light)
        found = list(readings)
        for k, reading in zip(doubtful, again, strict=True):
            found[k] = reading
        return found

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
        readings = self._readings(_contents(scans), len(scans), self._light)
        return with_columns(batch, reading_columns(readings, with_notes=self._with_notes))

    def _readings(self, contents: Iterable[Content], count: int, light: bool | None) -> Readings:
        engine = kept_engine(self._bundle, self._settings)
        return read_contents(contents, count, engine, with_notes=self._with_notes, light=light)


def _contents(scans: Sequence[Any]) -> Iterator[Content]:
    """Yield what scans' readings start from; a path in data does not lead to any host there is."""
    if scans and all(isinstance(scan, str) for scan in scans):
        yield from file_contents(scans, ())
        return
    for scan in scans:
        yield file_content(scan, ()) if isinstance(scan, str) else _content(scan)


def read_scans(
    scans: Sequence[Scan], engine: Engine, normalizer: Normalizer | None = None
) -> Readings:
    """Read N scans; see `read`. One that can't be read is a row with its reason."""
    return read_contents(map(_content, scans), len(scans), engine, normalizer=normalizer)


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
