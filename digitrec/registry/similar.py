"""Near-copies: the same scan resized, encoded again, or cropped, shifted or turned a little.

Two scans are compared after both were brought to one place and spread by the moments of their ink,
which do not jump by a pixel as a box does. Of those that are alike coarsely, what is left of one
when the other, a little moved, scaled, thicker or softer, is taken away must be next to nothing.
Each scan has two views, of which any may be alike: as it is normalized, and the ink that stands
out, before any stroke was thickened. Where that is no digit alone on its paper, a slight crop may
change what is taken for ink, and the limit is lower.

So hardly a copy is missed. Of copies of 300 scanned digits of about 90×90 pixels (JPEG at a quality
of 60 to 95, resized 0.5 to 2 times, other modes of PNG, turned by up to 1°, noise, other contrast,
more paper around) 0.2 % at most of any kind are, and 0.7 % of those cropped by up to 6 % on each
side, which may cut the digit; 1 % of those to which four such things were done. Of MNIST's digits,
28×28 pixels as they are, 0.3 % at most are, but 3 % of those resized. The price is paid by
digits that are alike: of 20,000 of MNIST's by 160 writers one in 250 that is no 1, and three 1s of
five, have such a double; of the 300 scans none. Of two of them one is left out where their groups
are on both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitrec.inputs.decode import decode
from digitrec.model.bundle import load_bundle
from digitrec.model.engine import kept_engine
from digitrec.normalize.arrays import SIDE
from digitrec.normalize.scan import NOTHING, grey, inspect, is_plain
from digitrec.reader import read_scans
from digitrec.registry.sides import Pairs

SPREAD = 7.0  # pixels that the ink of a scan is from its centre of mass, as all are compared
FINE, COARSE = 0.7, 1.0  # widths in pixels of the blur
# Least correlations of near-copies: coarse ones; where both are plain; and where one is not.
COARSELY, PLAINLY, ODDLY = 0.94, 0.993, 0.985
# So alike, coarsely, are normalized scans at least of which one has some more or less of the ink.
AT_LEAST = 0.6
# No strokes fill so much of a box that is no narrower than this: a shaded cell does, or a desk.
FILLED, NARROW = 0.75, 0.5
BLOCK, PAIRS = 1000, 5000  # scans, and pairs of them, that are compared at a time

Grey = NDArray[np.uint8]
Soft = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Views:
    """What of N scans is compared."""

    scans: Grey  # [N, 28, 28], normalized
    # [N, 28, 28], the ink that stands out, zero where that is no strokes; where nothing does, what
    # differs from the paper.
    outlines: Grey
    plain: NDArray[np.bool_]  # [N], that ink is a digit alone on its paper

    def __getitem__(self, chosen: list[int]) -> "Views":
        return Views(self.scans[chosen], self.outlines[chosen], self.plain[chosen])

    def followed_by(self, others: "Views") -> "Views":
        """Put others behind these."""
        return Views(
            np.concatenate([self.scans, others.scans]),
            np.concatenate([self.outlines, others.outlines]),
            np.concatenate([self.plain, others.plain]),
        )


def views_of(contents: Sequence[bytes]) -> Views:
    """Look at scans as they are compared.

    Args:
        contents: of image files.

    Raises:
        ScanError: one can't be decoded.
    """
    found, plain = np.zeros((len(contents), SIDE, SIDE), np.uint8), np.zeros(len(contents), bool)
    for k, content in enumerate(contents):
        pixels = decode(content).pixels
        seen = inspect(pixels)
        if seen.blank:
            found[k] = _uneven(pixels)
        elif not _is_solid(seen.ink):
            found[k] = _outline(seen.ink)
        plain[k] = is_plain(seen, pixels)
    scans = read_scans(contents, kept_engine(load_bundle("small"))).scans
    return Views(scans, found, plain)


def _is_solid(ink: Grey) -> bool:
    """Tell whether ink [H, W] is a surface, on which a digit may be written, and no strokes."""
    short, long = sorted(ink.shape)
    return bool(short > NARROW * long and (ink > 0).mean() > FILLED)


def _outline(ink: Grey) -> Grey:
    """Bring ink [H, W] of any size to 28×28, its strokes as they are."""
    soft = ink.astype(np.float32)
    factor = _moments(soft)[2]
    if factor < 1:
        size = [max(round(side * factor), 1) for side in soft.shape[::-1]]
        soft = np.asarray(cv2.resize(soft, size, interpolation=cv2.INTER_AREA), np.float32)
    moved = _moved(soft)
    return np.asarray(np.rint(moved * (255 / max(float(moved.max()), 1e-6))), np.uint8)


def _uneven(pixels: Grey) -> Grey:
    """Return how far each place of a scan is from its usual grey, the farthest being 255."""
    small = cv2.resize(grey(pixels), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    away = np.abs(small.astype(np.float32) - np.median(small))
    farthest = away.max()
    if farthest < NOTHING:
        return np.zeros((SIDE, SIDE), np.uint8)
    return np.asarray(away * (255 / farthest), np.uint8)


def near_copies(views: Views, first: int) -> Pairs:
    """Find the near-copies among N scans: int [P, 2], of each pair the earlier one first.

    Args:
        views: of the scans.
        first: from here on they are new; the earlier ones are not compared with each other.
    """
    images = np.concatenate([views.scans, views.outlines])
    owners = np.tile(np.arange(len(views.scans)), 2)
    there = _shows(images)
    found = [_flat(~(there[: len(views.scans)] | there[len(views.scans) :]), first)]
    if there.any():
        alike = np.concatenate(_compared(images[there], owners[there], views.plain, first))
        if len(alike):
            found.append(alike[_agree(views.scans, alike)])
    pairs = np.concatenate(found)
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    return np.unique(pairs, axis=0)


def _shows(images: Grey) -> NDArray[np.bool_]:
    """Tell in which of N images there is anything: bool [N]."""
    return np.asarray(images.max(axis=(1, 2)) > 0, bool)


def _flat(empty: NDArray[np.bool_], first: int) -> Pairs:
    """Pair each new scan that shows nothing at all with the first that does."""
    flat = np.flatnonzero(empty)
    new = flat[flat >= first]
    return np.column_stack([np.full(len(new), flat[0] if len(flat) else 0), new]).astype(np.intp)


def _compared(
    images: Grey, owners: NDArray[np.intp], plain: NDArray[np.bool_], first: int
) -> list[Pairs]:
    """Compare each new image with all."""
    fine = _centred(images)
    coarse = _coarse(fine)
    flat = fine.reshape(len(fine), -1)
    new, found = np.flatnonzero(owners >= first), [np.empty((0, 2), np.intp)]
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
            one, other = owners[others], owners[block[which]]
            copies = close > np.where(plain[one] & plain[other], PLAINLY, ODDLY)
            found.append(np.column_stack([one[copies], other[copies]]))
    return found


def _agree(scans: Grey, pairs: Pairs) -> NDArray[np.bool_]:
    """Tell of which pairs the normalized scans are alike at all, if both show something: [P]."""
    named, places = np.unique(pairs, return_inverse=True)
    coarse, one = _coarse(_centred(scans[named])), places.reshape(-1, 2)
    shown = _shows(scans[named])[one].all(axis=1)
    alike = np.einsum("pd,pd->p", coarse[one[:, 0]], coarse[one[:, 1]]) > AT_LEAST
    return np.asarray(alike | ~shown)


def _centred(images: Grey) -> Soft:
    """Bring all to one place and spread, blurred `FINE` and of length 1: float32 [N, 28, 28]."""
    found = np.empty(images.shape, np.float32)
    for k, image in enumerate(images):
        found[k] = cv2.GaussianBlur(_moved(image.astype(np.float32)), (0, 0), FINE)
        found[k] /= max(float(np.linalg.norm(found[k])), 1e-6)
    return found


def _moments(ink: Soft) -> tuple[float, float, float]:
    """Return the centre of ink [H, W], and by which factor it gets the spread of all."""
    mass = max(float(ink.sum()), 1e-6)
    across, down = np.arange(ink.shape[1], dtype=np.float32), np.arange(ink.shape[0])
    columns, rows = ink.sum(axis=0), ink.sum(axis=1)
    x, y = float(columns @ across) / mass, float(rows @ down) / mass
    spread = float(columns @ (across - x) ** 2 + rows @ (down - y) ** 2) / mass
    return x, y, SPREAD / max(spread**0.5, 0.5)


def _moved(ink: Soft) -> Soft:
    """Bring ink [H, W] to one place and spread: float32 [28, 28]."""
    x, y, factor = _moments(ink)
    middle = (SIDE - 1) / 2
    way = np.array([[factor, 0, middle - factor * x], [0, factor, middle - factor * y]])
    return np.asarray(cv2.warpAffine(ink, way, (SIDE, SIDE), flags=cv2.INTER_LINEAR), np.float32)


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
