"""Ink of one scan → 28×28, the way MNIST was made: the second half of the normalizer, compiled.

Strokes outside MNIST's range of widths are thickened or thinned before anything is shrunk, since
a thin pen at a high resolution would turn faint. Then, as for MNIST (Yadav and Bottou, "Cold case:
the lost MNIST digits", 2019): the longer side becomes 20 pixels by the mean over areas, the aspect
is kept, and the centre of mass comes to the centre of 28×28. `scan.py` calls this.
"""

import math

import numpy as np
from numba.extending import register_jitable

from digitrec.normalize.arrays import SIDE, Counts, Figures, Image, Soft
from digitrec.normalize.components import box_of
from digitrec.normalize.jit import compiled

BOX, CENTRE = 20, 14
# Widths of strokes, in pixels where the longer side of the digit has 20. Of MNIST's digits 98 % lie
# between 1.45 and 4.45, half of them between 2.1 and 2.8. Thick strokes close the holes of a digit.
THIN, THICK, NOT_SO_THICK = 1.6, 3.2, 2.6
# Strokes can be changed only where there are pixels: a smaller digit is enlarged to this first,
# and the soft edges that this gives made steeper by so much.
WORKING_SIDE, TINY_SIDE, TINY_STEEPNESS = 40, 15, 1.5
# Strokes are not thinned where less than this share of the ink would be left.
LEAST_LEFT = 0.15
# Places in the figures that `render` tells.
WIDTH, FACTOR = 0, 1


@register_jitable
def _levelled(ink: Image, level: float) -> Image:
    """Bring the strength of full ink to 255; what is inked stays so."""
    out = np.empty(ink.shape, np.uint8)
    scale = np.float32(255.0 / level)
    for y in range(ink.shape[0]):
        for x in range(ink.shape[1]):
            value = np.float32(ink[y, x]) * scale
            out[y, x] = min(value + np.float32(0.999), np.float32(255))
    return out


@register_jitable
def _stroke_width(ink: Image) -> float:
    """Return the mean width of strokes in pixels: twice the area, divided by the edges' length.

    The edges' length is the total variation, so that soft edges count as hard ones do.
    """
    height, width = ink.shape
    area, edges, half = 0, np.float32(0), np.float32(0.5)
    for x in range(width):
        edges += np.float32(ink[0, x]) + np.float32(ink[height - 1, x])
    for y in range(height):
        row = np.int32(0)
        for x in range(width):
            row += np.int32(ink[y, x])
        area += row
        edges += np.float32(ink[y, 0]) + np.float32(ink[y, width - 1])
        here, below = ink[y], ink[min(y + 1, height - 1)]
        length = np.float32(0)
        for x in range(width - 1):  # over two by two pixels, in which a dithered scan's dots cancel
            falling = np.float32(below[x + 1]) - np.float32(here[x])
            rising = np.float32(here[x + 1]) - np.float32(below[x])
            length += math.sqrt(half * (falling * falling + rising * rising))
        edges += length
    return 2 * area / edges


@register_jitable
def _padded(ink: Image, margin: int) -> Image:
    height, width = ink.shape
    out = np.zeros((height + 2 * margin, width + 2 * margin), np.uint8)
    for y in range(height):
        for x in range(width):
            out[y + margin, x + margin] = ink[y, x]
    return out


@register_jitable
def _negative(ink: Image) -> Image:
    out = np.empty(ink.shape, np.uint8)
    for y in range(ink.shape[0]):
        for x in range(ink.shape[1]):
            out[y, x] = 255 - ink[y, x]
    return out


@register_jitable
def _dilated(ink: Image, radius: float) -> Image:
    """Dilate with a disc; its rim is lower, so that the radius need not be whole."""
    height, width = ink.shape
    reach = math.ceil(radius)
    out = _padded(ink, 0)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            share = min(max(radius + 0.5 - math.sqrt(dy * dy + dx * dx), 0.0), 1.0)
            lower = np.uint8(255 - int(share * 255))
            if lower == 255:
                continue
            first, last = max(0, -dx), min(width, width - dx)
            for y in range(max(0, -dy), min(height, height - dy)):
                # Slices, not x + dx: an index that may be negative costs the vector instructions.
                source, target = ink[y + dy, first + dx : last + dx], out[y, first:last]
                for x in range(last - first):
                    target[x] = max(target[x], np.uint8(max(source[x], lower) - lower))
    return out


@register_jitable
def _cropped(ink: Image) -> Image:
    """Take the empty rows and columns around the ink away."""
    top, bottom, left, right = box_of(ink)
    return ink[top:bottom, left:right].copy()


@register_jitable
def _enlarged(ink: Image, times: int) -> Image:
    """Enlarge by a whole number, its soft edges steeper where there were hardly any pixels."""
    height, width = ink.shape
    steepness = np.float32(TINY_STEEPNESS if max(height, width) < TINY_SIDE else 1.0)
    large = _resized(ink, height * times, width * times)
    out = np.empty(large.shape, np.uint8)
    half, zero, full = np.float32(127.5), np.float32(0), np.float32(255)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = min(max((large[y, x] - half) * steepness + half, zero), full)
    return _cropped(out)


@register_jitable
def _area_of(ink: Image) -> int:
    """Count the pixels with at least half of full ink."""
    area = 0
    for y in range(ink.shape[0]):
        for x in range(ink.shape[1]):
            area += ink[y, x] >> 7
    return area


@register_jitable
def _with_mnist_strokes(ink: Image, figures: Figures) -> Image:
    """Bring strokes that are thinner or thicker than MNIST's into its range."""
    longer = max(ink.shape)
    wide = _stroke_width(ink) * BOX / longer
    figures[WIDTH], figures[FACTOR] = wide, 1
    if longer >= TINY_SIDE and THIN <= wide <= THICK:
        return ink
    if longer < WORKING_SIDE:
        ink = _enlarged(ink, (WORKING_SIDE + longer - 1) // longer)
        longer = max(ink.shape)
        wide = _stroke_width(ink) * BOX / longer
    if THIN <= wide <= THICK:
        return ink
    wanted = THIN if wide < THIN else NOT_SO_THICK
    figures[WIDTH], figures[FACTOR] = wide, wanted / wide
    # Strokes that grow make the digit as a whole grow, which will be 20 pixels in the end.
    radius = (wanted - wide) * longer / BOX / (1 - wanted / BOX) / 2
    if radius > 0:
        return _cropped(_dilated(_padded(ink, math.ceil(radius)), radius))
    thin = _negative(_dilated(_negative(_padded(ink, 1)), -radius))
    # Of an area that is no stroke, or strokes of very different widths, little may be left.
    if _area_of(thin) <= LEAST_LEFT * _area_of(ink):
        figures[FACTOR] = 1
        return ink
    return _cropped(thin)


@register_jitable
def _resized(image: Image, height: int, width: int) -> Soft:
    """Resize to float32 [height, width]: by the mean over areas when smaller, else linearly."""
    old_height, old_width = image.shape
    first, weights = _taps(old_width, width)
    narrow = np.zeros((old_height, width), np.float32)
    for y in range(old_height):
        for x in range(width):
            total = np.float32(0)
            for t in range(weights.shape[1]):
                total += weights[x, t] * np.float32(image[y, first[x] + t])
            narrow[y, x] = total
    first, weights = _taps(old_height, height)
    out = np.zeros((height, width), np.float32)
    for y in range(height):
        for t in range(weights.shape[1]):
            weight, source = weights[y, t], narrow[first[y] + t]
            for x in range(width):
                out[y, x] += weight * source[x]
    return out


@register_jitable
def _taps(old: int, new: int) -> tuple[Counts, Soft]:
    """Return where each new pixel's old ones begin, int32 [new], and their weights [new, T]."""
    scale = old / new
    count = min(math.ceil(scale) + 1, old)
    first = np.empty(new, np.int32)
    weights = np.zeros((new, count), np.float32)
    for k in range(new):
        if scale > 1:
            begin, end = k * scale, (k + 1) * scale
        else:  # a pixel's width around its middle: linear interpolation
            begin = min(max((k + 0.5) * scale - 0.5, 0.0), old - 1.0)
            end = begin + 1
        first[k] = min(int(begin), old - count)
        for t in range(count):
            place = first[k] + t
            weights[k, t] = max(min(end, place + 1.0) - max(begin, float(place)), 0.0) / (
                end - begin
            )
    return first, weights


@register_jitable
def _start_of(mass: float, side: int) -> int:
    """Return where in 28 a box begins, `side` long, whose centre of mass is `mass` from there."""
    return min(max(CENTRE - int(mass + 0.5), 0), SIDE - side)


@register_jitable
def _placed(box: Soft) -> Image:
    """Put float32 [h, w], at most 20×20, into 28×28 by its centre of mass, fullest ink 255."""
    height, width = box.shape
    fullest = np.float32(1e-3)
    for y in range(height):
        for x in range(width):
            fullest = max(fullest, box[y, x])
    scale, least = np.float32(255) / fullest, np.float32(1e-3)
    values = np.empty((height, width), np.uint8)
    mass, by_row, by_column = 0, 0, 0
    for y in range(height):
        for x in range(width):
            value = int(box[y, x] * scale + np.float32(0.5))
            # Ink stays ink, so that the box keeps its 20 pixels.
            if value == 0 and box[y, x] > least:
                value = 1
            values[y, x] = value
            mass += value
            by_row += value * y
            by_column += value * x
    top, left = _start_of(by_row / mass, height), _start_of(by_column / mass, width)
    out = np.zeros((SIDE, SIDE), np.uint8)
    for y in range(height):
        for x in range(width):
            out[top + y, left + x] = values[y, x]
    return out


@compiled("Tuple((uint8[:,::1], float64[::1]))(uint8[:,::1], float64)")
def render(ink: Image, level: float) -> tuple[Image, Figures]:
    """Render ink as MNIST would have it.

    Args:
        ink: uint8 [h, w], cropped: not all of a row or column at its sides is 0.
        level: the strength of full ink, 1 to 255.

    Returns:
        uint8 [28, 28], and figures float64 [2]: the strokes' WIDTH as found, in pixels where the
        longer side has 20, and the FACTOR by which they were thickened (1: they were not).
    """
    figures = np.zeros(2)
    digit = _with_mnist_strokes(_levelled(ink, level), figures)
    height, width = digit.shape
    longer = max(height, width)
    rows = max(1, int(height * BOX / longer + 0.5))
    columns = max(1, int(width * BOX / longer + 0.5))
    return _placed(_resized(digit, rows, columns)), figures


@register_jitable
def _is_grey(pixels: Image) -> bool:
    """Return whether no pixel [H, W, C] has a colour or lets the paper through."""
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            for c in range(1, pixels.shape[2]):
                if pixels[y, x, c] != (pixels[y, x, 0] if c < 3 else 255):
                    return False
    return True


@compiled("boolean(uint8[:,:,::1])")
def is_mnist_like(pixels: Image) -> bool:
    """Return whether a scan has MNIST's size, box, centre and contrast already.

    Args:
        pixels: uint8 [H, W, C], grey (C = 1), RGB or RGBA.
    """
    if pixels.shape[0] != SIDE or pixels.shape[1] != SIDE or not _is_grey(pixels):
        return False
    top, left, bottom, right = SIDE, SIDE, -1, -1
    fullest, mass, by_row, by_column = 0, 0, 0, 0
    for y in range(SIDE):
        for x in range(SIDE):
            value = int(pixels[y, x, 0])
            if value:
                mass += value
                by_row += value * y
                by_column += value * x
                top, bottom = min(top, y), y
                left, right = min(left, x), max(right, x)
                fullest = max(fullest, value)
    height, width = bottom - top + 1, right - left + 1
    if max(height, width) != BOX or fullest < 250:
        return False
    middle_y, middle_x = by_row / mass - top, by_column / mass - left
    return top == _start_of(middle_y, height) and left == _start_of(middle_x, width)
