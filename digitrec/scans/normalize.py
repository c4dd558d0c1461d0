"""Pixels of any size → 28×28 uint8, bright ink on black, the way MNIST was made.

MNIST's digits were cropped to their ink, shrunk with anti-aliasing until the longer side had 20
pixels, and put into 28×28 so that their centre of mass lies at the centre (Yadav and Bottou,
"Cold case: the lost MNIST digits", 2019). The same is done here to a scan, after finding its
paper and its ink.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

# Goes into every bundle's card: a new number where the output for some scan changes.
NORMALIZER_VERSION = "1"

SIDE = 28
BOX = 20
CENTRE = 14
# Scans larger than this are shrunk first: digits need no more, and time grows with the pixels.
WORKING_SIDE = 512
# Ink must stand out from the paper by this many of 255 grey levels; else the cell is blank.
MIN_CONTRAST = 24
# A connected piece of less than this share of the largest piece is a speck.
SPECK_SHARE = 0.04
# The paper's texture reaches so many times the median deviation along the border.
TEXTURE = 5

# Pixel centres lie at half coordinates: the centre of mass of a lone pixel at column 3 is 3.5.
_AXIS = np.arange(SIDE) + 0.5


def normalize(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Normalise one scan.

    Args:
        pixels: uint8 [H, W] (grey), [H, W, 3] (RGB) or [H, W, 4] (RGBA), any H and W from 1.
            The border tells the paper's colour, so that bright ink on dark paper does as well.

    Returns:
        uint8 [28, 28], 255 the fullest ink. All zero where the scan is blank. A scan that is
        normalised already comes back unchanged.
    """
    grey = _grey(pixels)
    if _is_normalized(grey):
        return grey
    ink = _ink(_shrunk(grey))
    return np.zeros((SIDE, SIDE), np.uint8) if ink is None else _placed(_boxed(ink))


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring a scan to grey uint8 [H, W]; what is transparent shows white paper."""
    if pixels.ndim == 2:
        return pixels
    grey = np.asarray(cv2.cvtColor(pixels[:, :, :3], cv2.COLOR_RGB2GRAY), np.uint8)
    if pixels.shape[2] == 4:
        alpha = pixels[:, :, 3].astype(np.uint16)
        grey = ((grey * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return grey


def _is_normalized(grey: NDArray[np.uint8]) -> bool:
    """Tell whether a scan has MNIST's size, box, centre and contrast already."""
    if grey.shape != (SIDE, SIDE) or max(cv2.boundingRect(grey)[2:]) != BOX:
        return False
    moments = cv2.moments(grey)
    mass = moments["m00"]
    return (
        int(moments["m10"] / mass + 0.5) == CENTRE
        and int(moments["m01"] / mass + 0.5) == CENTRE
        and int(grey.max()) >= 250
    )


def _shrunk(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    longer = max(grey.shape)
    return grey if longer <= WORKING_SIDE else _resized(grey, WORKING_SIDE / longer)


def _resized(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    height, width = (max(1, round(side * factor)) for side in image.shape)
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


def _ink(grey: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Give the ink of a scan as uint8 of its shape, 0 for paper; None where there is none."""
    strength = _strength(grey)
    threshold, mask = cv2.threshold(strength, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    marked = mask.astype(bool)
    if not marked.any() or strength[marked].mean() - strength[~marked].mean() < MIN_CONTRAST:
        return None
    # The stroke's soft edge counts too, but not the paper's own texture, which widens the box.
    reach = 2 * max(1, round(max(grey.shape) / 48)) + 1
    strokes = _without_specks(np.asarray(mask, np.uint8))
    near = cv2.dilate(strokes, np.ones((reach, reach), np.uint8))
    texture = min(threshold / 3, TEXTURE * float(np.median(_border(strength))))
    return np.where((near > 0) & (strength > texture), strength, np.uint8(0))


def _border(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def _strength(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give the distance of each pixel from the paper, on the side where the ink is."""
    paper = np.uint8(np.median(_border(grey)))
    darker, lighter = paper - np.minimum(grey, paper), np.maximum(grey, paper) - paper
    dark_ink = cv2.norm(darker, cv2.NORM_L2SQR) >= cv2.norm(lighter, cv2.NORM_L2SQR)
    return darker if dark_ink else lighter


def _without_specks(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.concatenate([[False], areas >= SPECK_SHARE * areas.max()]).astype(np.uint8)
    return np.asarray(kept[pieces], np.uint8)


def _boxed(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crop to the ink, bring the longer side to 20 pixels and the fullest ink to 255."""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    crop = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    box = _resized(crop, BOX / max(crop.shape))
    fullest = max(int(box.max()), 1)
    return np.asarray(cv2.convertScaleAbs(box, alpha=255.0 / fullest), np.uint8).reshape(box.shape)


def _placed(box: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put a box of at most 20×20 into 28×28, its centre of mass at the centre."""
    placed = np.zeros((SIDE, SIDE), np.uint8)
    total = max(int(box.sum(dtype=np.int64)), 1)
    place = []
    for axis, side in enumerate(box.shape):
        mass = int(box.sum(1 - axis) @ _AXIS[:side] / total)
        start = min(max(CENTRE - mass, 0), SIDE - side)
        place.append(slice(start, start + side))
    placed[tuple(place)] = box
    return placed
