"""Samples for the ink network: a scan, and which of its pixels are handwriting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.synthetic.negatives import any_digit, letter, scribble, sign, variant
from digitrec.datasets.synthetic.papers import draw_paper, shine
from digitrec.datasets.synthetic.pen import any_hand, write
from digitrec.datasets.synthetic.scanner import Scanned, scan_paper
from digitrec.datasets.synthetic.sheet import Plane, Sheet
from digitrec.datasets.synthetic.strokes import Strokes
from digitrec.normalize.marks import LEAST_PIXELS
from digitrec.normalize.squared import INK_SIDE, squared, squared_cover

EMPTY_SHARE = 0.28  # of the samples nobody wrote on
SEVERAL_SHARE = 0.1  # of what is written is more than one thing
LEAST_CONTRAST = 6.0  # grey levels between ink and paper
SHARES, SMALL_SHARES = (0.32, 0.95), (0.14, 0.32)  # of a paper's height that writing has
# Grey levels between what is written and what is around it, and how many times its roughness.
SEEN, SEEN_ROUGH = 4.0, 1.5
MARK = 0.3  # of a pixel covered by ink makes it a mark
THINNEST = 0.028  # pen, in shares of a digit's height
TRIES, MOSTLY = 8, 0.9
PRINTS = ((0, 0.2), (1, 0.42), (2, 0.28), (3, 0.1))  # how many kinds a paper has, how often


@dataclass(frozen=True, slots=True)
class InkSamples:
    """Scans uint8 [N, 64, 64] and which of their pixels are handwriting, bool [N, 64, 64]."""

    scans: NDArray[np.uint8]
    marks: NDArray[np.bool_]


def draw_samples(
    count: int, seed: Sequence[int], images: NDArray[np.uint8], kinds: Sequence[str]
) -> InkSamples:
    """Draw samples as the ink network sees them; the same seed gives the same ones.

    Args:
        count: how many.
        seed: numbers that make these samples others than those of another seed.
        images: of digits, uint8 [M, 28, 28], bright on black: MNIST's.
        kinds: of print, of `KINDS`, that the papers have.
    """
    rng = np.random.default_rng(list(seed))
    scans = np.empty((count, INK_SIDE, INK_SIDE), np.uint8)
    marks = np.empty((count, INK_SIDE, INK_SIDE), np.bool_)
    for k in range(count):
        numbers, shares = zip(*PRINTS, strict=True)
        some = rng.choice(kinds, rng.choice(numbers, p=shares)).tolist()
        writing = None if rng.random() < EMPTY_SHARE else any_writing(images, rng)
        scanned = draw_written(writing, some, rng)
        scans[k], marks[k] = squared(scanned.scan), as_marks(squared_cover(scanned.cover))
    return InkSamples(scans, marks)


def as_marks(cover: Plane) -> NDArray[np.bool_]:
    """Say which pixels are handwriting; of strokes that are thin everywhere, their middle."""
    return cover > min(MARK, 0.5 * max(float(cover.max()), 0.1))


def any_writing(images: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """Return what somebody wrote, cut to its ink, uint8 [H, W], full ink being 255.

    MNIST's digits, drawn ones in all styles, and things that are no digits; or several of these.
    """
    if rng.random() >= SEVERAL_SHARE:
        return _one_thing(images, rng)
    return apart([_one_thing(images, rng) for _ in range(rng.integers(2, 5))], rng)


def apart(pieces: Sequence[NDArray[np.uint8]], rng: Generator) -> NDArray[np.uint8]:
    """Write pieces, each cut to its ink, at about one height, mostly in a row, none touching.

    Returns:
        uint8 [H, W], cut to the ink.
    """
    upright = rng.random() < 0.25
    high = max(10, int(np.median([len(piece) for piece in pieces])))
    gap = max(2, round(high * np.exp(rng.uniform(np.log(0.08), np.log(0.9)))))
    inks = []
    for piece in pieces:
        factor = high * rng.uniform(0.8, 1.2) / max(len(piece), 0.7 * piece.shape[1])
        size = (max(2, round(factor * piece.shape[1])), max(2, round(factor * len(piece))))
        inks.append(np.rint(255 * _resized(piece, size)).astype(np.uint8))
    shape = np.max([ink.shape for ink in inks], axis=0)
    row = []
    for ink in inks:
        down, right = (shape - ink.shape).tolist()
        above, left = int(rng.integers(down + 1)), int(rng.integers(right + 1))
        sides = ((0, gap), (left, right - left)) if upright else ((above, down - above), (0, gap))
        row.append(np.pad(ink, sides))
    return _cut(np.vstack(row) if upright else np.hstack(row))


def _one_thing(images: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    kind = rng.random()
    if kind < 0.45:
        return with_a_pen(images[rng.integers(len(images))], rng)
    if kind < 0.85:
        return drawn_ink(any_digit, rng)
    return drawn_ink((letter, sign, scribble)[rng.integers(3)], rng)


def drawn_ink(strokes: Callable[[Generator], Strokes], rng: Generator) -> NDArray[np.uint8]:
    """Write strokes in any hand, with a thin pen too."""
    return _cut(255 - write(strokes(rng), any_hand(rng, THINNEST), rng))


def written_ink(digit: int, rng: Generator) -> NDArray[np.uint8]:
    """Write a digit in any of its variants and in any hand, cut to its ink: uint8 [H, W]."""
    return drawn_ink(variant(digit, rng), rng)


def _cut(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    x, y, width, height = cv2.boundingRect((ink > 40).astype(np.uint8))
    return ink[y : y + height, x : x + width]


def with_a_pen(image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """Give an image of 28×28 a pen's edge at three times its size, with a pen of any width.

    A third stays as it is: what is scanned in few pixels looks so.
    """
    ink = _cut(image)
    if rng.random() < 0.33:
        return ink
    size = (3 * ink.shape[1], 3 * ink.shape[0])
    fine = cv2.resize(ink, size, interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
    sharp = np.clip((fine - rng.uniform(0.25, 0.68)) * rng.uniform(3, 10) + 0.5, 0, 1)
    return np.rint(255 * sharp).astype(np.uint8)


def draw_written(
    writing: NDArray[np.uint8] | None, kinds: Sequence[str], rng: Generator
) -> Scanned:
    """Draw a paper with print, write on it, and scan it.

    Args:
        writing: what is written, cut to its ink, uint8 [H, W], full ink being 255; None: nothing.
        kinds: of print, of `KINDS`; none: plain paper.
        rng: where all that is random comes from.
    """
    for _ in range(TRIES):
        scanned = _drawn(writing, kinds, rng)
        if writing is None or _is_seen(scanned):
            return scanned
    return _drawn(writing, (), rng)


def _is_seen(scanned: Scanned) -> bool:
    """Say whether what is written differs from what is around it, as the ink network sees both.

    A network that is asked for what nobody can see learns to see what is not there.
    """
    scan, marks = squared(scanned.scan), as_marks(squared_cover(scanned.cover))
    if marks.sum() < LEAST_PIXELS:
        return False
    near, wide = (cv2.dilate(marks.astype(np.uint8), np.ones((n, n), np.uint8)) for n in (3, 9))
    around = scan[(wide > 0) & (near == 0)]
    if not around.size:
        return True
    paper = float(np.median(around))
    away = abs(float(np.median(scan[marks])) - paper)
    rough = float(np.median(np.abs(around - np.float32(paper))))
    return away >= max(SEEN, SEEN_ROUGH * rough)


def _drawn(writing: NDArray[np.uint8] | None, kinds: Sequence[str], rng: Generator) -> Scanned:
    shape = _any_shape(np.exp(rng.uniform(np.log(20), np.log(130))), rng)
    cover = np.zeros(shape, np.float32)
    if writing is not None:
        shape, cover = _placed(writing, shape, rng)
    sheet, contrast = _paper_for(cover, kinds, rng)
    sheet.write(_worn(cover, rng), contrast)
    shine(sheet, rng)
    return scan_paper(sheet.grey, cover, contrast, rng)


def _paper_for(cover: Plane, kinds: Sequence[str], rng: Generator) -> tuple[Sheet, float]:
    """Draw papers until ink would show on one; give it and the ink's contrast."""
    shape = (cover.shape[0], cover.shape[1])
    for _ in range(TRIES):
        sheet = draw_paper(shape, kinds, rng)
        contrast = _contrast(sheet, rng)
        if not cover.any() or _shows(sheet, cover, contrast):
            return sheet, contrast
    plain = draw_paper(shape, (), rng)
    return plain, 0.8 * plain.paper


def _shows(sheet: Sheet, cover: Plane, contrast: float) -> bool:
    """Say whether ink would be seen: most of it on what is not dark, all of it above the grain."""
    written = cover > 0.5 * cover.max()
    if (sheet.grey[written] > 0.5 * sheet.paper).mean() < MOSTLY:
        return False
    y, x = np.nonzero(written)
    around = np.s_[y.min() : y.max() + 1, x.min() : x.max() + 1]
    grain = sheet.grey[around] - cv2.blur(sheet.grey[around], (5, 5))
    return contrast > 4.5 * float(np.median(np.abs(grain)))


def _any_shape(side: float, rng: Generator) -> tuple[int, int]:
    aspect = np.exp(rng.normal(0, 0.25)) if rng.random() < 0.6 else 1.0
    return max(12, round(side * aspect)), max(12, round(side / aspect))


def _contrast(sheet: Sheet, rng: Generator) -> float:
    """Draw how many grey levels ink is darker than its paper; on a quarter it is faint."""
    most = max(sheet.paper - 3, LEAST_CONTRAST + 1)
    if rng.random() < 0.25:
        return float(np.exp(rng.uniform(np.log(LEAST_CONTRAST), np.log(40))))
    return float(rng.uniform(min(40.0, most - 1), most))


def _worn(cover: Plane, rng: Generator) -> Plane:
    """Return the ink as pens leave it: pale in places, or grainy as a pencil's."""
    kind = rng.random()
    if kind < 0.65:
        return cover
    steps = int(rng.integers(2, 6)) if kind < 0.85 else max(cover.shape)
    noise = rng.random((steps, steps)).astype(np.float32)
    size = (cover.shape[1], cover.shape[0])
    pale = np.asarray(cv2.resize(noise, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return cover * (1 - np.float32(rng.uniform(0.2, 0.7)) * pale)


def _placed(
    writing: NDArray[np.uint8], shape: tuple[int, int], rng: Generator
) -> tuple[tuple[int, int], Plane]:
    """Put writing on a paper: the paper's shape, and the cover float32 of that shape.

    A third of it is cut to the ink, as contour finders do, or has lost a little of a side.
    """
    # What is small in a corner would be a printed cell's number, or a point between cells.
    is_small = rng.random() < 0.1 and writing.shape[1] < 1.5 * writing.shape[0]
    share = rng.uniform(*(SMALL_SHARES if is_small else SHARES))
    high = max(10, round(share * shape[0]))
    wide = max(2, round(writing.shape[1] * high / writing.shape[0] * np.exp(rng.normal(0, 0.15))))
    if wide > shape[1]:
        high, wide = max(8, round(high * shape[1] / wide)), shape[1]
    ink = _resized(writing, (wide, high))
    if rng.random() < 0.3:
        return _tight(ink, rng)
    cover = np.zeros(shape, np.float32)
    room = np.array([shape[0] - high, shape[1] - wide])
    at = room * (0.5 + np.clip(rng.normal(0, 0.15, 2), -0.5, 0.5))
    if not is_small and rng.random() < 0.4:
        at = room * rng.random(2)
    y, x = np.rint(np.clip(at, 0, np.maximum(room, 0))).astype(int)
    part = ink[: shape[0], : shape[1]]
    cover[y : y + part.shape[0], x : x + part.shape[1]] = part
    return shape, cover


def _resized(writing: NDArray[np.uint8], size: tuple[int, int]) -> Plane:
    shrinks = size[0] * size[1] < writing.size
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(writing, size, interpolation=way), np.float32) / np.float32(255)


def _tight(ink: Plane, rng: Generator) -> tuple[tuple[int, int], Plane]:
    """Cut a paper to the ink: with up to two pixels around it, or less than its ink."""
    cover = np.pad(ink, rng.integers(0, 3, (2, 2)).tolist())
    if rng.random() < 0.3:
        lost = np.rint(rng.uniform(0, 0.08, (2, 2)) * np.array(cover.shape)[:, None]).astype(int)
        (top, foot), (left, right) = lost.tolist()
        cover = cover[top : cover.shape[0] - foot, left : cover.shape[1] - right]
    return (cover.shape[0], cover.shape[1]), np.ascontiguousarray(cover)
