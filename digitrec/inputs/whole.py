"""Whether an image file holds all the pixels that its header promises.

Codecs fill what is missing with grey or black and say nothing, where the stream of pixels ends
early but validly: half a digit would be read as a whole one.
"""

import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from digitrec.errors import ScanError
from digitrec.inputs.whole_jpeg import ends_in_detail, jpeg_is_whole
from digitrec.inputs.whole_tiff import tiff_is_whole

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
INFLATED_AT_ONCE = 2**20

FEWER_PIXELS = "the file holds fewer pixels than its header says"


def check_whole(content: bytes, image: Image.Image) -> None:
    """Check that the pixels of an image that was decoded were all in its file.

    Of a WebP only its length is known: any bytes are pixels in its codes, and zeros, with which a
    copy that broke off may end, are as good as others. Of strips in fax codes see `fax_is_short`.

    Args:
        content: the file's.
        image: as Pillow opened it from there, loaded, not yet turned.

    Raises:
        ScanError: `truncated`.
    """
    kind = image.format
    if kind == "PNG":
        whole = _png_is_whole(content)
    elif kind in ("JPEG", "MPO"):
        whole = ends_in_detail(image) or jpeg_is_whole(content)
    elif kind == "TIFF":
        whole = tiff_is_whole(content, image)
    else:  # the decoders of the others count
        return
    if not whole:
        raise ScanError("truncated", FEWER_PIXELS)


def _png_is_whole(content: bytes) -> bool:
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", content, 16)
    bits = depth * CHANNELS[colour]
    expected = 0
    for left, top, across, down in PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((left - width) // across), -((top - height) // down)
        if columns > 0 and rows > 0:
            expected += (1 + (columns * bits + 7) // 8) * rows
    return _inflates_to(_chunks(content, b"IDAT"), expected)


def _chunks(content: bytes, wanted: bytes) -> Iterator[bytes]:
    place = 8
    while place + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        if name == wanted:
            yield content[place + 8 : place + 8 + length]
        place += 12 + length


def _inflates_to(pieces: Iterator[bytes], expected: int) -> bool:
    """Return whether a zlib stream holds as many bytes, without holding them all."""
    stream, length = zlib.decompressobj(), 0
    try:
        for piece in pieces:
            while length < expected and not stream.eof:
                found = stream.decompress(piece, INFLATED_AT_ONCE)
                length += len(found)
                piece = stream.unconsumed_tail
                if not piece and len(found) < INFLATED_AT_ONCE:
                    break
    except zlib.error:
        return False
    return length >= expected
