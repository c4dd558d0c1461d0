"""What becomes of digits on print and dirt, and of print and dirt alone, kind by kind.

    python -m tests.benchmarks.ink_marks [FOLDER…] [--model BUNDLE] [--count N]

For each kind of `KINDS`, those held back from training marked with a star: how well marks fit what
is handwriting (intersection over union), and what becomes of written and of empty scans, by the
quick path alone and by the whole one, with its closer look. A FOLDER has class folders 0 to 9, or
scans that show nothing.

Digits are MNIST's validation part, with a pen of any width, and drawn ones. Last comes the time
that marking takes on one core.
"""

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.synthetic.ink_samples import (
    as_marks,
    draw_written,
    with_a_pen,
    written_ink,
)
from digitrec.datasets.synthetic.papers import HELD_BACK, KINDS
from digitrec.inputs.decode import decode
from digitrec.model.bundle import load_bundle
from digitrec.model.engine import Engine, open_engine
from digitrec.normalize.marks import MARK
from digitrec.normalize.scan import normalize
from digitrec.normalize.squared import INK_SIDE, squared, squared_cover
from digitrec.pipeline import Normalizer
from digitrec.reader import read_scans
from digitrec.readings import NO_DIGIT
from digitrec.training.data import validation_digits

Scan = NDArray[np.uint8]
SEED = 2**31 + 1  # no training step has it
NOTHING = -2  # the label of an empty scan
COUNTED = ("wrong", "accepted wrong", "review", "blank", "empty accepted", "empty review",
           "empty blank")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Labelled:
    """Scans, the digit that each shows or NOTHING, and marks bool [N, 64, 64] where known."""

    scans: list[Scan]
    labels: NDArray[np.int64]
    marks: NDArray[np.bool_] | None = None


# ---- What is measured on ----


def drawn(kind: str, count: int, images: Scan, digits: Scan) -> Labelled:
    """Draw written scans, and as many empty ones, with one kind of print."""
    rng = np.random.default_rng([SEED, list(KINDS).index(kind)])
    scans, marks, labels = [], [], []
    for k in range(2 * count):
        label = k % 10 if k < count else NOTHING
        writing = None if label == NOTHING else writing_of(label, images, digits, rng)
        scanned = draw_written(writing, [kind], rng)
        scans.append(scanned.scan)
        marks.append(as_marks(squared_cover(scanned.cover)))
        labels.append(label)
    return Labelled(scans, np.array(labels), np.stack(marks))


def writing_of(label: int, images: Scan, digits: Scan, rng: Generator) -> Scan:
    """Give a digit, MNIST's or a drawn one, cut to its ink."""
    if rng.random() < 0.5:
        return with_a_pen(images[rng.choice(np.flatnonzero(digits == label))], rng)
    return written_ink(label, rng)


def folder(path: Path) -> Labelled:
    """Read the scans of class folders, or of a folder of scans that show nothing."""
    files = sorted(path.glob("[0-9]/*")) or sorted(path.glob("*.png"))
    classes = [file.parent.name for file in files]
    labels = [int(name) if file.parent != path else NOTHING
              for name, file in zip(classes, files, strict=True)]  # fmt: skip
    return Labelled([decode(file.read_bytes()).pixels for file in files], np.array(labels))


# ---- What is read ----


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of scans: their digits int [N] and decisions [N]."""

    digits: NDArray[np.int8]
    decisions: NDArray[np.object_]


def outcome(scans: Sequence[Scan], engine: Engine, normalizer: Normalizer | None = None) -> Outcome:
    """Read scans by the whole path, or by a normalizer alone."""
    found = read_scans(list(scans), engine, normalizer)
    return Outcome(np.where(found.has_digit, found.digits, NO_DIGIT), found.decisions)


# ---- Tables ----


def counts(outcome: Outcome, labels: NDArray[np.int64]) -> dict[str, int]:
    """Count what matters, of written scans or of empty ones."""
    decisions, right = outcome.decisions, outcome.digits == labels
    accepted = decisions == "accept"
    written = labels != NOTHING
    which = (
        written & ~right,
        written & accepted & ~right,
        written & (decisions == "review"),
        written & (decisions == "blank"),
        ~written & accepted,
        ~written & (decisions == "review"),
        ~written & (decisions == "blank"),
    )
    return {name: int(one.sum()) for name, one in zip(COUNTED, which, strict=True)}


def overlap(some: Labelled, engine: Engine) -> list[float]:
    """Give the intersection over union of each written scan's marks, where they are known."""
    if some.marks is None:
        return []
    squares = np.stack([squared(scan) for scan in some.scans])
    written, found = some.labels != NOTHING, engine.ink.look(squares).chance > MARK
    common = (found & some.marks).sum((1, 2))
    either = (found | some.marks).sum((1, 2))
    return list((common[written] / np.maximum(either[written], 1)).tolist())


@dataclass(slots=True)
class Row:
    """What one set or several together gave: a line of the table."""

    written: int = 0
    empty: int = 0
    overlaps: list[float] = field(default_factory=list)
    now: Counter[str] = field(default_factory=Counter)
    then: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Row") -> None:
        """Take another's scans too."""
        self.written, self.empty = self.written + other.written, self.empty + other.empty
        self.overlaps += other.overlaps
        self.now.update(other.now)
        self.then.update(other.then)

    def line(self, name: str) -> str:
        """Write it as a line of Markdown."""
        iou = f"{np.mean(self.overlaps):.3f}" if self.overlaps else ""
        cells = [f"{self.now[key]} → {self.then[key]}" for key in COUNTED]
        return f"| {name} | {self.written}, {self.empty} | {iou} | {' | '.join(cells)} |"


def row(some: Labelled, engine: Engine) -> Row:
    """Measure one set."""
    written = int((some.labels != NOTHING).sum())
    return Row(
        written,
        len(some.labels) - written,
        overlap(some, engine),
        Counter(counts(outcome(some.scans, engine, normalize), some.labels)),
        Counter(counts(outcome(some.scans, engine), some.labels)),
    )


def speed(engine: Engine) -> str:
    """Give the microseconds a scan that marking takes: the least and the median of 40."""
    scans = np.random.default_rng(0).integers(0, 256, (64, INK_SIDE, INK_SIDE), np.uint8)
    engine.ink.look(scans)
    times = []
    for _ in range(40):
        start = time.process_time()
        engine.ink.look(scans)
        times.append(1e6 * (time.process_time() - start) / len(scans))
    return f"microseconds a scan that marking takes: {min(times):.0f} ({np.median(times):.0f})"


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER")
    parser.add_argument("--model", default="cascade", metavar="BUNDLE")
    parser.add_argument("--count", type=int, default=100, help="scans of each kind, empty as well")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    engine, validation = open_engine(load_bundle(options.model)), validation_digits()
    print(f"| quick path → whole | written, empty | IoU | {' | '.join(COUNTED)} |")
    print("|---|" + (2 + len(COUNTED)) * "---|")
    for path in options.folders:
        print(row(folder(path), engine).line("/".join(path.parts[-2:])), flush=True)
    totals = {"all trained kinds": Row(), "all held back*": Row()}
    for kind in sorted(KINDS, key=lambda kind: kind in HELD_BACK):
        held = kind in HELD_BACK
        found = row(drawn(kind, options.count, *validation), engine)
        totals["all held back*" if held else "all trained kinds"].add(found)
        print(found.line(kind + "*" if held else kind), flush=True)
    for name, total in totals.items():
        print(total.line(name))
    print(speed(engine))


if __name__ == "__main__":
    main()
