"""Why a scan was read so: what was taken for ink, what the network saw, and what that is like."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitrec.datasets.examples import Example, nearest
from digitrec.ink import look_at
from digitrec.inputs.decode import decode
from digitrec.inputs.fetch import content
from digitrec.model.engine import Engine
from digitrec.normalize.arrays import SIDE
from digitrec.normalize.scan import Normalized, at_working_size, inspect
from digitrec.pipeline import read_contents
from digitrec.readings import BLANK, ERROR, Reading

# A second digit is worth a word from this probability on.
POSSIBLE = 0.05


@dataclass(frozen=True, slots=True)
class Explanation:
    """What there is to say of how one scan was read."""

    reading: Reading
    pixels: NDArray[np.uint8] | None  # uint8 [H, W], [H, W, 3] or [H, W, 4]; None: unreadable
    normalized: Normalized | None  # what was read, by the quick path or by a closer look
    nearest: tuple[Example, ...]  # what of MNIST the scan is most like; none for a blank one

    @property
    def answer(self) -> str:
        """What was read, in a few words."""
        reading = self.reading
        if reading.digit is None or reading.probabilities is None:
            return reading.reason or reading.decision
        *_, second, first = np.argsort(reading.probabilities)
        words = f"{first}, {100 * reading.probabilities[first]:.1f} % sure"
        if reading.probabilities[second] >= POSSIBLE:
            words += f"; or {second}, {100 * reading.probabilities[second]:.1f} %"
        return words

    @property
    def words(self) -> str:
        """What was odd, in a line: about the scan, or that MNIST has nothing like it."""
        notes = [self.reading.notes] if self.reading.notes else []
        if self.nearest and all(example.label != self.reading.digit for example in self.nearest):
            labels = ", ".join(str(example.label) for example in self.nearest)
            notes.append(f"most like examples of {labels}, of no {self.reading.digit}")
        return "; ".join(notes) or "nothing odd"


def explain(path: str, engine: Engine, light: bool | None = None) -> Explanation:
    """Read the scan in an image file, and tell what happened on the way.

    Args:
        path: the file's.
        engine: what reads the digit.
        light: as `read_contents` takes it.
    """
    found = content(path)
    readings = read_contents([found], 1, engine, with_notes=True, light=light)
    [reading] = readings
    if reading.decision == ERROR or not isinstance(found, bytes):
        return Explanation(reading, None, None, ())
    pixels = decode(found).pixels
    normalized = inspect(pixels)
    if readings.looked[0]:
        normalized = _looked(pixels, engine, light) or normalized
    if reading.decision == BLANK:
        normalized = normalized._replace(blank=True, image=np.zeros((SIDE, SIDE), np.uint8))
    alike = () if reading.digit is None else tuple(nearest(normalized.image))
    return Explanation(reading, pixels, normalized, alike)


def _looked(pixels: NDArray[np.uint8], engine: Engine, light: bool | None) -> Normalized | None:
    """Return what a closer look finds in a scan, its place in pixels of the scan."""
    small = at_working_size(pixels)
    [look] = look_at([small], engine.ink, light=light)
    if look.found is None:
        return None
    scale = max(pixels.shape[:2]) / max(small.shape[:2])
    left, top = int(look.found.left * scale), int(look.found.top * scale)
    return look.found._replace(scale=scale, left=left, top=top)
