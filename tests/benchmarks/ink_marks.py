"""What the ink network marks, kind of print by kind of print, and what is then read.

    python -m tests.benchmarks.ink_marks digitrec/assets/ink/ink.onnx [FOLDER…]

For each kind of `KINDS`, those held back from training marked with a star: how well marks fit what
is handwriting (intersection over union), and what becomes of written and of empty scans, by the
path as it is and with the ink network before it. What it marks is cleaned in a simple way: large
pieces are kept, ink's grey within them is put on white paper, and this goes to the normalizer and
the shipped networks. A FOLDER has class folders 0 to 9, or scans that show nothing.

Digits are MNIST's validation part, with a pen of any width, and drawn ones. Last comes the time
that a scan takes on one core, at several batch sizes.
"""

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.synthetic.ink_samples import as_marks, draw_written, with_a_pen
from digitrec.datasets.synthetic.papers import HELD_BACK, KINDS
from digitrec.datasets.synthetic.sets import draw_digit
from digitrec.inputs.decode import decode
from digitrec.model.bundle import load_bundle
from digitrec.model.engine import Engine, open_engine
from digitrec.normalize.squared import INK_SIDE, squared, squared_cover, squared_place
from digitrec.reader import Readings, read_scans
from digitrec.training.ink_data import validation_digits

Scan = NDArray[np.uint8]
SEED = 2**31 + 1  # no training step has it
NOTHING = -1  # the label of an empty scan
MARK, PIECE, LEAST_PIXELS, LEAST_HEIGHT = 0.5, 0.1, 16, 9
CERTAIN = 1.0  # the least logit that there is handwriting; below it what is marked is unclear
COUNTED = ("wrong", "accepted wrong", "review", "blank", "empty accepted", "empty review",
           "empty blank")  # fmt: skip
WHITE = np.full((28, 28), 255, np.uint8)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Scans, the digit that each shows or NOTHING, and marks bool [N, 64, 64] where known."""

    scans: list[Scan]
    labels: NDArray[np.int64]
    marks: NDArray[np.bool_] | None = None


# ---- What is measured on ----


def drawn(kind: str, count: int, images: Scan, digits: Scan) -> Labelled:
    """Draw written scans, and half as many empty ones, with one kind of print."""
    rng = np.random.default_rng([SEED, list(KINDS).index(kind)])
    scans, marks, labels = [], [], []
    for k in range(count + count // 2):
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
    ink = 255 - draw_digit(label, rng)
    x, y, width, height = cv2.boundingRect((ink > 40).astype(np.uint8))
    return ink[y : y + height, x : x + width]


def folder(path: Path) -> Labelled:
    """Read the scans of class folders, or of a folder of scans that show nothing."""
    files = sorted(path.glob("[0-9]/*")) or sorted(path.glob("*.png"))
    classes = [file.parent.name for file in files]
    labels = [int(name) if file.parent != path else NOTHING
              for name, file in zip(classes, files, strict=True)]  # fmt: skip
    return Labelled([grey(file) for file in files], np.array(labels))


def grey(file: Path) -> Scan:
    """Decode a file to grey."""
    pixels = decode(file.read_bytes()).pixels
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        shows = pixels[:, :, 3:].astype(np.float32) / 255
        pixels = np.rint(pixels[:, :, :3] * shows + 255 * (1 - shows)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels)


# ---- From marks to what is read ----


def cleaned(scan: Scan, chance: NDArray[np.float32]) -> Scan | None:
    """Put the ink within the large pieces of what is marked on white paper; None: there is none.

    Args:
        scan: uint8 [H, W].
        chance: that a pixel is handwriting: float32 [64, 64].
    """
    count, pieces, stats, _ = cv2.connectedComponentsWithStats((chance > MARK).astype(np.uint8))
    if count < 2:
        return None
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.isin(pieces, 1 + np.flatnonzero(areas >= PIECE * areas.max()))
    rows = np.flatnonzero(kept.any(axis=1))
    if kept.sum() < LEAST_PIXELS or np.ptp(rows) + 1 < LEAST_HEIGHT:
        return None
    near = cv2.dilate(kept.astype(np.uint8), np.ones((3, 3)))
    return on_white(scan, np.where(near, chance, 0).astype(np.float32))


def on_white(scan: Scan, chance: NDArray[np.float32]) -> Scan:
    """Give ink its share of the step from the paper around it, within what is marked."""
    height, width = scan.shape
    place = squared_place((height, width))
    inner = chance[place.top : place.top + place.height, place.left : place.left + place.width]
    fine = cv2.resize(inner, (width, height), interpolation=cv2.INTER_LINEAR)
    inside = float(np.median(scan[fine > min(0.6, 0.9 * fine.max())]))
    near = cv2.dilate((fine > 0.3).astype(np.uint8), np.ones((5, 5)))
    ring = (near > 0) & (fine < 0.1)
    outside = float(np.median(scan[ring])) if ring.any() else 255.0 * (inside < 128)
    step = outside - inside
    ink = np.clip((outside - scan) / (step if abs(step) > 1 else 1), 0, 1)
    return np.rint(255 - 255 * ink * np.clip(2 * fine, 0, 1)).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Ink:
    """What the network says of scans: logits float32 [N, 64, 64] and [N]."""

    marks: NDArray[np.float32]
    written: NDArray[np.float32]


def asked(session: onnxruntime.InferenceSession, scans: Sequence[Scan]) -> Ink:
    """Ask the ink network."""
    squares = np.stack([squared(scan) for scan in scans])
    parts = [session.run(None, {"scans": squares[k : k + 32]}) for k in range(0, len(squares), 32)]
    marks, written = zip(*parts, strict=True)
    return Ink(np.concatenate(marks), np.concatenate(written))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of scans: their digits int [N] and decisions [N]."""

    digits: NDArray[np.int8]
    decisions: NDArray[np.object_]


def as_it_is(scans: Sequence[Scan], engine: Engine) -> Outcome:
    """Read scans by the path as it is."""
    found: Readings = read_scans(list(scans), engine)
    return Outcome(found.digits, found.decisions)


def with_ink(scans: Sequence[Scan], ink: Ink, engine: Engine) -> Outcome:
    """Read what the ink network marks; what is neither surely written nor surely empty: review."""
    chances = 1 / (1 + np.exp(-ink.marks))
    clean = [cleaned(scan, chance) for scan, chance in zip(scans, chances, strict=True)]
    outcome = as_it_is([WHITE if one is None else one for one in clean], engine)
    none = np.array([one is None for one in clean])
    unclear = np.where(none, ink.written > 0, ink.written < CERTAIN)
    # What is marked and can't be read, or not marked and still likely: a person looks at it.
    decisions = np.where(unclear & (outcome.decisions != "error"), "review", outcome.decisions)
    return Outcome(outcome.digits, decisions.astype(object))


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


def overlap(ink: Ink, some: Labelled) -> list[float]:
    """Give the intersection over union of each written scan's marks, where they are known."""
    if some.marks is None:
        return []
    written, found = some.labels != NOTHING, ink.marks > 0
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


def row(some: Labelled, engine: Engine, session: onnxruntime.InferenceSession) -> Row:
    """Measure one set."""
    ink = asked(session, some.scans)
    written = int((some.labels != NOTHING).sum())
    return Row(
        written,
        len(some.labels) - written,
        overlap(ink, some),
        Counter(counts(as_it_is(some.scans, engine), some.labels)),
        Counter(counts(with_ink(some.scans, ink, engine), some.labels)),
    )


def speed(session: onnxruntime.InferenceSession) -> str:
    """Give the microseconds a scan, at several batch sizes: the least and the median of 40."""
    shown = []
    for size in (1, 8, 16, 32, 64):
        scans = np.random.default_rng(0).integers(0, 256, (size, INK_SIDE, INK_SIDE), np.uint8)
        session.run(None, {"scans": scans})
        times = []
        for _ in range(40):
            start = time.process_time()
            session.run(None, {"scans": scans})
            times.append(1e6 * (time.process_time() - start) / size)
        shown.append(f"{size}: {min(times):.0f} ({np.median(times):.0f})")
    return "microseconds a scan, by batch size: " + ", ".join(shown)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", type=Path, metavar="ONNX")
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER")
    parser.add_argument("--count", type=int, default=100, help="written scans of each kind")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(options.network.read_bytes(), settings, providers)
    engine, validation = open_engine(load_bundle("cascade")), validation_digits()
    print(f"| as it is → with ink | written, empty | IoU | {' | '.join(COUNTED)} |")
    print("|---|" + (2 + len(COUNTED)) * "---|")
    for path in options.folders:
        name = "/".join(path.parts[-2:])
        print(row(folder(path), engine, session).line(name), flush=True)
    totals = {"all trained kinds": Row(), "all held back*": Row()}
    for kind in sorted(KINDS, key=lambda kind: kind in HELD_BACK):
        held = kind in HELD_BACK
        found = row(drawn(kind, options.count, *validation), engine, session)
        totals["all held back*" if held else "all trained kinds"].add(found)
        print(found.line(kind + "*" if held else kind), flush=True)
    for name, total in totals.items():
        print(total.line(name))
    print(speed(session))


if __name__ == "__main__":
    main()
