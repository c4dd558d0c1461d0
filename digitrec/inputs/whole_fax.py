"""Whether a TIFF's strips in fax codes hold all of their rows (ITU-T T.4 and T.6).

libtiff makes white of rows that are not there, and says so to nobody. So the strips are decoded
once more, and twice: each with rows behind its last one, the second time with others. Where no
row is missing, these are not read, and the pixels are the same both times.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    COMPRESSION,
    IMAGELENGTH,
    IMAGEWIDTH,
    PHOTOMETRIC_INTERPRETATION,
    ROWSPERSTRIP,
    SAMPLESPERPIXEL,
    STRIPBYTECOUNTS,
    STRIPOFFSETS,
    ImageFileDirectory_v2,
)

# The fax codes among TIFF's compressions, and the tag of each one's options.
RLE, GROUP_3, GROUP_4 = 2, 3, 4
FAX = {RLE: 292, GROUP_3: 292, GROUP_4: 293}
NAMES = {RLE: "tiff_ccitt", GROUP_3: "group3", GROUP_4: "group4"}
TWO_DIMENSIONS = 1  # of Group 3's options
# No code, nor two in a row, has eleven zeros: these and a one end a line, and several of them all.
END = re.compile("0{11,}1")
ENDS = {False: re.compile("0{11,}10{11,}1"), True: re.compile("0{11,}110{11,}1")}
# So many zeros may a code end with; what is more is filling.
CODE_ZEROS = 3
# Narrower rows are coded by what they share with the one above, whatever they are.
LEAST_WIDTH = 8
MORE_ROWS = 8
HEADER = b"II*\0\x08\0\0\0"
# Above, it is not looked: a page has a hundredth of the bytes. Tiles may be larger than the page.
MOST_BYTES, MOST_PIXELS, MOST_ROWS = 2**22, 2**26, 2**16
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Fax:
    """Strips, or tiles, in fax codes."""

    pieces: list[bytes]
    width: int
    down: int  # rows in each
    height: int  # rows in all: the last one may have fewer
    compression: int
    options: dict[int, int]  # tag → value
    reversed: bool  # the lowest bit of a byte is the first


def fax_is_short(fax: Fax) -> bool:
    """Return whether rows are missing at the end of a strip.

    Not seen is that of the last row only a part is missing; nor anything in very narrow or very
    large ones, and in codes of group 3 whose first row has no mark of its beginning.
    """
    room = len(fax.pieces) * fax.down
    if fax.width < LEAST_WIDTH or fax.width * room > MOST_PIXELS or room > MOST_ROWS:
        return False
    if sum(map(len, fax.pieces)) > MOST_BYTES:
        return False
    strips = [_bits(piece.translate(REVERSED) if fax.reversed else piece) for piece in fax.pieces]
    if fax.compression == GROUP_3 and not all(map(END.match, strips)):
        return False  # not as the standard has it: libtiff guesses what it is by all that is there
    ended = [_without_end(strip, fax) for strip in strips]
    both = [_bytes(strip + tail) for tail in _tails(fax) for strip in ended]
    try:
        pixels = _pixels(fax, both)
    except OSError:
        return False
    line = (fax.width + 7) // 8
    rows, other = fax.height * line, room * line
    return pixels[:rows] != pixels[other : other + rows]


def _without_end(bits: str, fax: Fax) -> str:
    """Return a strip's bits up to where its rows end."""
    if fax.compression == RLE:  # each row begins with a byte
        return bits
    two = bool(fax.options.get(FAX[GROUP_3], 0) & TWO_DIMENSIONS)
    found = (END if fax.compression == GROUP_4 else ENDS[two]).search(bits)
    if found is None:
        return bits[: len(bits.rstrip("0")) + CODE_ZEROS]
    spare = found.group().index("1") - 11
    return bits[: found.start() + min(spare, CODE_ZEROS)]


def _tails(fax: Fax) -> Iterator[str]:
    """Yield more rows as bits in a strip's code, twice: no row is as the other time."""
    for first in (0, 1):
        rows = _more_rows(first, fax.width, fax.compression, tuple(fax.options.items()))
        # Strips that still lack one libtiff refuses, or reads anew as if they were otherwise coded.
        yield rows if fax.compression == GROUP_4 else rows * (1 + fax.down // MORE_ROWS)


@lru_cache(512)
def _more_rows(
    first: int, width: int, compression: int, options: tuple[tuple[int, int], ...]
) -> str:
    """Encode rows that are black and half black by turns: none shares anything with the last."""
    rows = np.ones((MORE_ROWS, width), bool)
    rows[first::2, : width // 2] = False
    buffer = io.BytesIO()
    Image.fromarray(rows).save(
        buffer,
        "TIFF",
        compression=NAMES[compression],
        tiffinfo=dict(options),
        strip_size=rows.size,
    )
    saved: Any = Image.open(buffer)
    [start], [size] = saved.tag_v2[STRIPOFFSETS], saved.tag_v2[STRIPBYTECOUNTS]
    return _bits(buffer.getvalue()[start : start + size])


def _bits(content: bytes) -> str:
    return f"{int.from_bytes(b'1' + content):b}"[6:]  # with a one before, so that no zero is lost


def _bytes(bits: str) -> bytes:
    count = -(-len(bits) // 8)
    return int("1" + bits.ljust(8 * count, "0"), 2).to_bytes(count + 1)[1:]


def _pixels(fax: Fax, pieces: list[bytes]) -> bytes:
    """Decode strips of `down` rows, as a TIFF of their own.

    Raises:
        OSError: libtiff refuses them.
    """
    sizes = tuple(map(len, pieces))
    described: dict[int, int | tuple[int, ...]] = {
        IMAGEWIDTH: fax.width,
        IMAGELENGTH: len(pieces) * fax.down,
        BITSPERSAMPLE: 1,
        COMPRESSION: fax.compression,
        PHOTOMETRIC_INTERPRETATION: 0,
        # What is written adds to each where the strips begin.
        STRIPOFFSETS: (0, *accumulate(sizes[:-1])),
        SAMPLESPERPIXEL: 1,
        ROWSPERSTRIP: fax.down,
        STRIPBYTECOUNTS: sizes,
        **fax.options,
    }
    tags: Any = ImageFileDirectory_v2()
    for tag, value in described.items():
        tags[tag] = value
    content = HEADER + tags.tobytes(len(HEADER)) + b"".join(pieces)
    with Image.open(io.BytesIO(content), formats=("TIFF",)) as image:
        return image.tobytes()
