"""Values of whatever range a file holds → 0…255, by what all of its pixels show.

A file says for how many bits it has room, not how many are used: cameras put 10 or 12 bits into 16,
programs 8 bits into 16 or a mask of 0 and 1 into 8, and real numbers are of any range. A scan shows
something bright, paper or ink: so the least of the usual ranges that holds its brightest is taken
for what was meant, which only scales. What would be stretched by that and is mere noise, as on an
empty page in the dark, stays dark.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Bits that values of 16 and 32 bits are used for.
DEPTHS = (8, 10, 12, 16, 24, 31)
# Ranges of real numbers, the usual ones, and how far sharpening may have brought some beyond.
RANGES = ((0, 1), (-1, 1), (0, 255), (0, 1023), (0, 4095))
USUAL = ((0, 1), (0, 255))
OVERSHOT = 0.1
# What stands for nothing in real numbers is NaN, infinite, or so large.
NOTHING = 1e30
# So many pixels, and so large a share, may be dead or hot; no stroke is as small.
OUTLIERS, OUTLIERS_SHARE = 3, 0.001
SAMPLED = 2**20
# Averaging squares of 3×3 pixels leaves a ninth of the variance of noise, of thin lines a quarter.
NOISE_LEFT = 0.2
ROWS_AT_ONCE = 256


def from_integers(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring values 0 and above, of 8 to 32 bits, to 0…255: uint8 of the same shape [H, W(, C)]."""
    if values.itemsize > 1:
        length = int(values.max()).bit_length()
        bits = next(bits for bits in DEPTHS if length <= bits)
        if bits < 16 and is_noise(values):
            bits = 16
        values = (values >> (bits - 8)).astype(np.uint8)
    # In whatever number of channels: the norm is the quickest that tells.
    if cv2.norm(values, cv2.NORM_INF) == 1 and not is_noise(values):
        return np.asarray(values * np.uint8(255), np.uint8)
    return values


def from_real_numbers(
    values: NDArray[np.float32], nodata: float | None = None
) -> NDArray[np.uint8]:
    """Bring real numbers [H, W] to 0…255, in their own place: uint8 [H, W].

    Pixels without a value get the paper's: the median, or the other end of the range where only a
    mask's inside has values.

    Args:
        values: float32, of any range; they are changed.
        nodata: what the file says that it has for "no value".
    """
    sound = np.abs(values) < NOTHING
    if nodata is not None:
        sound &= values != np.float32(nodata)
    known = _sample(values[sound])
    if not known.size:
        return np.zeros(values.shape, np.uint8)
    start, end = _range(known)
    middle, share = float(np.median(known)), float(sound.mean())
    outside = end if 2 * middle < start + end else start
    reach = end - start
    # A value for nothing that lies in the range, such as 0, is as good as any other.
    values[~((values >= start - reach) & (values <= end + reach))] = (
        middle if share > 0.5 else outside
    )
    if (start, end) not in USUAL and is_noise(values):
        values.fill(middle)
    values -= np.float32(start)
    values *= np.float32(255 / reach)
    np.clip(values, 0, 255, out=values)
    np.rint(values, out=values)
    return from_integers(values.astype(np.uint8))


def _sample(known: NDArray[np.float32]) -> NDArray[np.float32]:
    return known[:: -(-known.size // SAMPLED)] if known.size > SAMPLED else known


def _range(known: NDArray[np.float32]) -> tuple[float, float]:
    """Return what stands for black and for white, from values without dead and hot pixels."""
    few = max(OUTLIERS, int(OUTLIERS_SHARE * known.size))
    few = min(few, (known.size - 1) // 8)
    ordered = np.partition(known, (few, known.size - 1 - few))
    low, high = float(ordered[few]), float(ordered[-1 - few])
    core = known[(known >= 2 * low - high) & (known <= 2 * high - low)]
    low, high = float(core.min()), float(core.max())
    beyond = OVERSHOT * (high - low)
    for start, end in RANGES:
        if start <= low + beyond and high <= end + beyond:
            return start, end
    return min(low, 0.0), high


def is_noise(values: NDArray[Any]) -> bool:
    """Return whether the pixels [H, W(, C)] know nothing of their neighbours."""
    count = np.zeros(2)
    sums, squares = np.zeros((2, 4)), np.zeros((2, 4))
    for top in range(0, len(values), ROWS_AT_ONCE):
        strip = values[top : top + ROWS_AT_ONCE].astype(np.float32)
        for k, one in enumerate((strip, cv2.blur(strip, (3, 3)))):
            mean, deviation = (each.ravel() for each in cv2.meanStdDev(one))
            pixels, channels = one.shape[0] * one.shape[1], len(mean)
            count[k] += pixels
            sums[k, :channels] += pixels * mean
            squares[k, :channels] += pixels * (deviation**2 + mean**2)
    variance, left = (squares / count[:, None] - (sums / count[:, None]) ** 2).sum(axis=1)
    return bool(left < NOISE_LEFT * variance)
