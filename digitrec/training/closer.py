"""What a closer look gives of written and of empty papers: to train on what will be read."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.synthetic.ink_samples import (
    apart,
    as_marks,
    draw_written,
    with_a_pen,
    written_ink,
)
from digitrec.datasets.synthetic.papers import TRAINED
from digitrec.datasets.synthetic.scanner import Scanned
from digitrec.ink import Look, look_at
from digitrec.model.engine import InkEngine
from digitrec.normalize.marks import MARK
from digitrec.normalize.squared import squared_cover

NOT_A_DIGIT = 10  # the label of what shows none
EMPTY_SHARE = 0.35  # of the papers
SEVERAL_SHARE = 0.1  # of the written ones have several digits, which are none
# Of the pixels that are marked or written, those that are both: a digit from the first share on,
# up to the second it is something else.
FOUND, MISSED = 0.65, 0.35
# What these print is a digit, or a part of one.
DIGIT_LIKE = ("cell-number", "neighbour-digit", "show-through", "watermark", "seven-segments")
UNLIKE = tuple(kind for kind in TRAINED if kind not in DIGIT_LIKE)
AT_ONCE = 128


def looked_at(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    count: int,
    seed: int,
    ink: InkEngine,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Look closely at papers on which digits are written, and at empty ones.

    Args:
        images: MNIST's, uint8 [M, 28, 28]; half of what is written is theirs, half is drawn.
        labels: uint8 [M].
        count: how many papers are drawn; those on which nothing is marked give nothing.
        seed: the same one gives the same papers.
        ink: the network that marks.

    Returns:
        Normalized scans uint8 [N, 28, 28] and labels uint8 [N]: NOT_A_DIGIT where what was marked
        is print, or too little of what was written.
    """
    rng = np.random.default_rng([seed, 3])
    kept_scans, kept_labels = [], []
    coming = islice(_papers(images, labels, rng), count)
    while papers := list(islice(coming, AT_ONCE)):
        looks = look_at([scanned.scan for scanned, _ in papers], ink)
        for (scanned, label), look in zip(papers, looks, strict=True):
            if look.found is not None and (shown := _shown(scanned, label, look)) is not None:
                kept_scans.append(look.found.image)
                kept_labels.append(shown)
    return np.stack(kept_scans), np.array(kept_labels, np.uint8)


def _papers(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], rng: Generator
) -> Iterator[tuple[Scanned, int]]:
    """Yield scans of papers, and what is written on each."""
    while True:
        is_empty = rng.random() < EMPTY_SHARE
        kinds = rng.choice(UNLIKE if is_empty else TRAINED, int(rng.integers(0, 3))).tolist()
        if is_empty:
            yield draw_written(None, kinds, rng), NOT_A_DIGIT
            continue
        writing, label = _digit(images, labels, rng)
        if rng.random() < SEVERAL_SHARE:
            others = [_digit(images, labels, rng)[0] for _ in range(rng.integers(1, 4))]
            writing, label = apart([writing, *others], rng), NOT_A_DIGIT
        yield draw_written(writing, kinds, rng), label


def _digit(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], rng: Generator
) -> tuple[NDArray[np.uint8], int]:
    """Write a digit, MNIST's or a drawn one: cut to its ink, uint8 [H, W], and its label."""
    if rng.random() < 0.5:
        which = int(rng.integers(len(images)))
        return with_a_pen(images[which], rng), int(labels[which])
    label = int(rng.integers(10))
    return written_ink(label, rng), label


def _shown(scanned: Scanned, label: int, look: Look) -> int | None:
    """Say what a look shows: the digit, none, or, where it is hard to say, None."""
    if not scanned.cover.any():
        return label
    left, top, width, height = look.shown
    cover = scanned.cover[top : top + height, left : left + width]
    written, marked = as_marks(squared_cover(cover)), look.chance > MARK
    share = (written & marked).sum() / max((written | marked).sum(), 1)
    if share >= FOUND:
        return label
    # Of several digits marks may hold one alone, which is a digit.
    return NOT_A_DIGIT if share < MISSED and label != NOT_A_DIGIT else None
