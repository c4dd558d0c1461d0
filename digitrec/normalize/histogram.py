"""How often each of 256 levels comes, and what follows from that."""

from numba.extending import register_jitable

from digitrec.normalize.arrays import Counts, Image


@register_jitable
def median(counts: Counts) -> int:
    """Return the median of values 0…255 from how often each comes."""
    total = 0
    for value in range(256):
        total += counts[value]
    seen = 0
    for value in range(256):
        seen += counts[value]
        if 2 * seen >= total:
            return value
    return 255


@register_jitable
def count_sides(image: Image, counts: Counts) -> None:
    """Count the values along the four sides: int32 [4, 256], in the order of LINES' sides."""
    height, width = image.shape
    counts[:, :] = 0
    for x in range(width):
        counts[0, image[0, x]] += 1
        counts[1, image[height - 1, x]] += 1
    for y in range(height):
        counts[2, image[y, 0]] += 1
        counts[3, image[y, width - 1]] += 1


@register_jitable
def border_median(counts: Counts) -> int:
    """Return the median over four tables of counts, adding all to the first."""
    for value in range(256):
        counts[0, value] += counts[1, value] + counts[2, value] + counts[3, value]
    return median(counts[0])


@register_jitable
def count_levels(image: Image, counts: Counts) -> None:
    """Count the levels of an image in the first of four tables."""
    counts[:, :] = 0
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):  # four: equal neighbours need not wait for each other
            counts[x & 3, image[y, x]] += 1
    for value in range(256):
        counts[0, value] += counts[1, value] + counts[2, value] + counts[3, value]


@register_jitable
def otsu(strength: Image, counts: Counts) -> tuple[int, float]:
    """Return Otsu's threshold, and how far the means of the two classes are apart."""
    height, width = strength.shape
    count_levels(strength, counts)
    mass = 0.0
    for value in range(256):
        mass += value * counts[0, value]
    total = float(height * width)
    below, below_mass, best, threshold, contrast = 0.0, 0.0, 0.0, 0, 0.0
    for value in range(255):
        below += counts[0, value]
        below_mass += value * counts[0, value]
        if below == total:
            break
        if counts[0, value] == 0:
            continue
        apart = (mass - below_mass) / (total - below) - below_mass / below
        between = below * (total - below) * apart * apart
        if between > best:
            best, threshold, contrast = between, value, apart
    return threshold, contrast
