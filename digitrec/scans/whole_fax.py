"""Whether a TIFF's strips in fax codes hold all of their rows (ITU-T T.4 and T.6).

libtiff makes white of rows that are not there, and says so to nobody. So the strips are decoded
twice more, each with rows behind its last one, the second time with others. Where no row is
missing, these are not read, and the pixels are the same both times.
"""

import io
import re
from dataclasses import dataclass
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
# So many rows are added: one would do, but libtiff refuses some strips that lack even one.
MOST_ROWS = 2**14
HEADER = b"II*\0\x08\0\0\0"
# Above, it is not looked: a page has a hundredth of the bytes. Tiles may be larger than the page.
MOST_BYTES, MOST_PIXELS = 2**22, 2**26
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Fax:
    """Strips, or tiles, in fax codes."""

    pieces: list[bytes]
    width: int
    down: int  # rows in each but the last one
    height: int  # rows in all
    compression: int
    options: dict[int, int]  # tag → value
    reversed: bool  # the lowest bit of a byte is the first


def fax_is_short(fax: Fax) -> bool:
    """Tell whether rows are missing at the end of a strip; of the last one, it may be begun."""
    if fax.width < LEAST_WIDTH or fax.width * fax.height > MOST_PIXELS:
        return False
    if sum(map(len, fax.pieces)) > MOST_BYTES:
        return False
    pieces = [piece.translate(REVERSED) if fax.reversed else piece for piece in fax.pieces]
    ended = [_without_end(piece, fax) for piece in pieces]
    try:
        one, other = (_pixels(fax, [_bytes(bits + tail) for bits in ended]) for tail in _tails(fax))
    except OSError:
        return False
    return one != other


def _without_end(piece: bytes, fax: Fax) -> str:
    """Give a strip's bits up to where its rows end."""
    bits = _bits(piece)
    if fax.compression == RLE:  # each row begins with a byte
        return bits
    two = bool(fax.options.get(FAX[GROUP_3], 0) & TWO_DIMENSIONS)
    found = (END if fax.compression == GROUP_4 else ENDS[two]).search(bits)
    if found is None:
        return bits[: len(bits.rstrip("0")) + CODE_ZEROS]
    spare = found.group().index("1") - 11
    return bits[: found.start() + min(spare, CODE_ZEROS)]


def _tails(fax: Fax) -> list[str]:
    """Give as many rows as a strip has, as bits in the same code, twice: no row is as its like.

    They are black and half black by turns: so none is coded by what it shares with the one above.
    """
    tails = []
    for first in (0, 1):
        rows = np.ones((min(fax.down, MOST_ROWS), fax.width), bool)
        rows[first::2, : fax.width // 2] = False
        buffer = io.BytesIO()
        Image.fromarray(rows).save(
            buffer,
            "TIFF",
            compression=NAMES[fax.compression],
            tiffinfo=fax.options,
            strip_size=rows.size,
        )
        saved: Any = Image.open(buffer)
        [start], [size] = saved.tag_v2[STRIPOFFSETS], saved.tag_v2[STRIPBYTECOUNTS]
        tails.append(_bits(buffer.getvalue()[start : start + size]))
    return tails


def _bits(content: bytes) -> str:
    return f"{int.from_bytes(b'1' + content):b}"[6:]  # with a one before, so that no zero is lost


def _bytes(bits: str) -> bytes:
    count = -(-len(bits) // 8)
    return int("1" + bits.ljust(8 * count, "0"), 2).to_bytes(count + 1)[1:]


def _pixels(fax: Fax, pieces: list[bytes]) -> bytes:
    """Decode strips, as a TIFF of their own.

    Raises:
        OSError: libtiff refuses them.
    """
    sizes = tuple(map(len, pieces))
    described: dict[int, int | tuple[int, ...]] = {
        IMAGEWIDTH: fax.width,
        IMAGELENGTH: fax.height,
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
