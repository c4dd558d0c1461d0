"""What a PNG's own chunks say: how much room its pixels take, and whether all of them are there."""

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHUNK = struct.Struct(">I4s")  # length and name; then the content and a sum of 4 bytes
HEADER = struct.Struct(">IIBBBBB")  # width, height, bits, colour, and three methods
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the kind of colour; 3 is a palette
# Interlaced, a picture is sent in seven pieces: where each begins, and its steps (PNG 3, 8.2).
PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
)  # fmt: skip
PIECE = 2**16


def chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Give the name and content of each chunk that is there, up to the end or a cut."""
    place = len(SIGNATURE)
    while place + CHUNK.size <= len(content):
        length, name = CHUNK.unpack_from(content, place)
        yield name, memoryview(content)[place + 8 : place + 8 + length]
        place += 12 + length


def bytes_a_pixel(content: bytes) -> int:
    """Give how many bytes a pixel takes, with 8 or 16 bits a channel and no palette.

    Args:
        content: of a PNG with a whole header.
    """
    bits, colour = content[24], content[25]
    channels = 4 if colour == 3 else CHANNELS.get(colour, 4)
    return channels * (2 if bits == 16 else 1)


def is_short(content: bytes) -> bool:
    """Tell whether a PNG's data ends before its last row, however well the stream itself ends.

    Decoders fill up what is missing.
    """
    missing = None
    unpacked = zlib.decompressobj()
    for name, piece in chunks(content):
        if name == b"IHDR" and len(piece) == HEADER.size:
            missing = _length(*HEADER.unpack(piece))
        elif name == b"IDAT" and missing is not None:
            try:
                while piece and missing > 0:
                    missing -= len(unpacked.decompress(piece, PIECE))
                    piece = memoryview(unpacked.unconsumed_tail)
            except zlib.error:  # the decoder has said so, or has its own way with it
                return False
    return missing is not None and missing > 0


def _length(
    width: int, height: int, bits: int, colour: int, _: int, __: int, interlaced: int
) -> int:
    """Give how many bytes a PNG's data has, unpacked: a filter's number and pixels, row by row."""
    pixel = bits * CHANNELS.get(colour, 1)
    passes = PASSES if interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, step, step_down in passes:
        columns, rows = -(-(width - left) // step), -(-(height - top) // step_down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * pixel + 7) // 8)
    return total
