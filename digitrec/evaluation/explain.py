"""Why a scan was read so: what was taken for ink, what the network saw, and what that is like."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from digitrec.datasets.examples import Example, nearest
from digitrec.inputs.fetch import content
from digitrec.model.engine import Engine
from digitrec.normalize.scan import Normalized, inspect
from digitrec.reader import read_contents
from digitrec.readings import Reading

# A second digit is worth a word from this probability on.
POSSIBLE = 0.05


@dataclass(frozen=True, slots=True)
class Explanation:
    """What there is to say of how one scan was read."""

    reading: Reading
    pixels: NDArray[np.uint8] | None  # uint8 [H, W], [H, W, 3] or [H, W, 4]; None: unreadable
    normalized: Normalized | None
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


def explain(path: str, engine: Engine) -> Explanation:
    """Read the scan in an image file, and tell what happened on the way."""
    seen: list[tuple[NDArray[np.uint8], Normalized]] = []

    def watched(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        seen.append((pixels, inspect(pixels)))
        return seen[-1][1].image

    [reading] = read_contents([content(path)], 1, engine, normalizer=watched)
    if not seen:
        return Explanation(reading, None, None, ())
    [(pixels, normalized)] = seen
    alike = () if normalized.blank else tuple(nearest(normalized.image))
    return Explanation(replace(reading, notes=normalized.words), pixels, normalized, alike)
