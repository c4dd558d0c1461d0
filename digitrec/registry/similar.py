"""Near-copies: the same scan resized, encoded again, or cropped, shifted or turned a little.

Two scans are compared as they are normalized, brought to one place and spread by their moments,
which do not jump by a pixel as a box does. Of those that are alike coarsely, what is left of one
when the other, a little moved, scaled, thicker or softer, is taken away must be next to nothing.
A speck at the border makes the quick path and the closer look choose differently, so each scan is
compared in both views.

The limit is such that hardly a copy is missed: of copies of handwritten digits scanned at 100×100
pixels (JPEG at a quality of 60 to 95, resized 0.5 to 2 times, other modes of PNG, turned by up to
1°, noise, contrast, more paper around) at most 0.1 % of any kind are, and of those cropped by up
to 6 % on each side, which may cut the digit, 0.6 %. The price is paid by digits that are alike: of
20,000 of MNIST's by 160 writers, one in four that is no 1, and nearly every 1, has a near-copy. Two
that are taken for copies wrongly are on the same side, which costs them their independence.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from digitrec.inputs.decode import decode
from digitrec.normalize.arrays import SIDE
from digitrec.normalize.scan import NOTHING, grey, normalize

SPREAD = 7.0  # pixels that the ink of a scan is from its centre of mass, as all are compared
FINE, COARSE = 0.7, 1.0  # widths in pixels of the blur
COARSELY, FINELY = 0.94, 0.98  # least correlations of near-copies
BLOCK, PAIRS = 1000, 5000  # scans, and pairs of them, that are compared at a time

Grey = NDArray[np.uint8]
Soft = NDArray[np.float32]
Pairs = NDArray[np.intp]  # [P, 2]


def outlines(contents: Sequence[bytes]) -> Grey:
    """Return what each scan shows if nobody looks closely: uint8 [N, 28, 28].

    That is the quick path's view; where it finds nothing, all that differs from the paper.

    Args:
        contents: of image files, which can be decoded.
    """
    found = np.zeros((len(contents), SIDE, SIDE), np.uint8)
    for k, content in enumerate(contents):
        pixels = decode(content).pixels
        found[k] = normalize(pixels)
        if not found[k].any():
            found[k] = _uneven(pixels)
    return found


def _uneven(pixels: Grey) -> Grey:
    """Return how far each place of a scan is from its usual grey, the farthest being 255."""
    small = cv2.resize(grey(pixels), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    away = np.abs(small.astype(np.float32) - np.median(small))
    farthest = away.max()
    if farthest < NOTHING:
        return np.zeros((SIDE, SIDE), np.uint8)
    return np.asarray(away * (255 / farthest), np.uint8)


def near_copies(scans: Grey, views: Grey, first: int) -> Pairs:
    """Find the near-copies among N scans: int [P, 2], of each pair the earlier one first.

    Args:
        scans: normalized, uint8 [N, 28, 28].
        views: their outlines, uint8 [N, 28, 28].
        first: from here on they are new; the earlier ones are not compared with each other.
    """
    owners = np.concatenate([np.arange(len(scans)), np.flatnonzero((scans != views).any((1, 2)))])
    images = np.concatenate([scans, views[owners[len(scans) :]]])
    empty = ~images.any(axis=(1, 2))
    owners, images = owners[~empty], images[~empty]
    found = [_flat(scans, views, first)]
    if len(images):
        found += _compared(images, owners, first)
    pairs = np.concatenate(found)
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    return np.unique(pairs, axis=0)


def _flat(scans: Grey, views: Grey, first: int) -> Pairs:
    """Pair each new scan that shows nothing at all with the first that does."""
    flat = np.flatnonzero(~(scans.any(axis=(1, 2)) | views.any(axis=(1, 2))))
    new = flat[flat >= first]
    return np.column_stack([np.full(len(new), flat[0] if len(flat) else 0), new]).astype(np.intp)


def _compared(images: Grey, owners: NDArray[np.intp], first: int) -> list[Pairs]:
    """Compare each new image with all."""
    fine = _centred(images)
    coarse = _coarse(fine)
    flat = fine.reshape(len(fine), -1)
    new, found = np.flatnonzero(owners >= first), []
    for start in range(0, len(new), BLOCK):
        block = new[start : start + BLOCK]
        which, others = np.nonzero(coarse[block] @ coarse.T > COARSELY)
        # Two new ones are compared once.
        once = (owners[others] < first) | (block[which] < others)
        which, others = which[once], others[once]
        if which.size:
            bases = _bases(fine[block])
            close = np.concatenate(
                [
                    _explained(bases, which[k : k + PAIRS], flat[others[k : k + PAIRS]])
                    for k in range(0, len(which), PAIRS)
                ]
            )
            copies = close > FINELY
            pairs = owners[others[copies]], owners[block[which[copies]]]
            found.append(np.column_stack(pairs))
    return found


def _centred(images: Grey) -> Soft:
    """Bring all to one place and spread, blurred `FINE` and of length 1: float32 [N, 28, 28]."""
    down, across = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    found = np.empty(images.shape, np.float32)
    middle = (SIDE - 1) / 2
    for k, image in enumerate(images):
        ink = image.astype(np.float32)
        mass = ink.sum()
        x, y = (ink * across).sum() / mass, (ink * down).sum() / mass
        spread = np.sqrt((ink * ((across - x) ** 2 + (down - y) ** 2)).sum() / mass)
        factor = SPREAD / max(spread, 1.0)
        moved = np.array([[factor, 0, middle - factor * x], [0, factor, middle - factor * y]])
        there = cv2.warpAffine(ink, moved, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
        found[k] = cv2.GaussianBlur(there, (0, 0), FINE)
        found[k] /= max(float(np.linalg.norm(found[k])), 1e-6)
    return found


def _coarse(fine: Soft) -> Soft:
    """Blur further, shrink, and take what is no image's own away: float32 [N, 196]."""
    more = float(np.sqrt(COARSE**2 - FINE**2))
    small = np.stack(
        [
            cv2.resize(cv2.GaussianBlur(one, (0, 0), more), (SIDE // 2, SIDE // 2),
                       interpolation=cv2.INTER_AREA)
            for one in fine
        ]
    ).reshape(len(fine), -1)  # fmt: skip
    small -= small.mean(axis=1, keepdims=True)
    return np.asarray(small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6))


def _bases(fine: Soft) -> Soft:
    """Return what each image is and may become: orthonormal, float32 [N, 6, 784]."""
    along = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2
    down, across = np.gradient(fine, axis=1), np.gradient(fine, axis=2)
    wider = across * along + down * along[:, None]
    thicker = np.hypot(down, across)
    softer = np.stack([cv2.Laplacian(one, cv2.CV_32F) for one in fine])
    ways = np.stack([fine, across, down, wider, thicker, softer], axis=1)
    base, _ = np.linalg.qr(ways.reshape(len(fine), ways.shape[1], -1).transpose(0, 2, 1))
    return np.ascontiguousarray(base.transpose(0, 2, 1))


def _explained(bases: Soft, which: NDArray[np.intp], others: Soft) -> Soft:
    """Return how much of each other image a base explains, of 1: float32 [P]."""
    parts = np.einsum("pkd,pd->pk", bases[which], others)
    return np.asarray(np.linalg.norm(parts, axis=1))


def components(count: int, pairs: Pairs) -> NDArray[np.intp]:
    """Return for each of N scans the first that it is joined with by pairs: int [N]."""
    joined = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    _, number = connected_components(joined, directed=False)
    _, first = np.unique(number, return_index=True)
    return np.asarray(first[number], np.intp)
