"""Whether a TIFF's strips, or its tiles, hold all the pixels that its header promises."""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from digitrec.inputs.whole_fax import FAX, Fax, fax_is_short
from digitrec.inputs.whole_jpeg import jpeg_is_whole

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 277, 278, 279, 284
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, JPEG_TABLES = 322, 323, 324, 325, 347
JPEG, LZW, PACK_BITS, DEFLATE = 7, 5, 32773, (8, 32946)
YCBCR = 6
EOI = b"\xff\xd9"
# What is refused is looked into up to so many bytes, and so many when unpacked.
MOST_BYTES, MOST_UNPACKED = 2**22, 2**29
INFLATED_AT_ONCE = 2**20
# LZW's codes for a new table and for the end; codes of 9 to 12 bits.
CLEAR, END, SHORTEST, LONGEST = 256, 257, 9, 12


@dataclass(frozen=True, slots=True)
class Strips:
    """The strips of a TIFF's first page, or its tiles: pieces of `across` × `down` pixels."""

    pieces: list[bytes]
    rows: list[int]  # of each; the last strip of a page has what is left
    across: int
    down: int
    expected: int  # how many pieces the page needs


def strips_of(content: bytes, tags: Any) -> Strips:
    """Find the pieces of a TIFF's page.

    Args:
        content: the file's.
        tags: of the page, as Pillow gives them.
    """
    # As stored: Pillow's own width and height are those after EXIF's turn.
    width, height = int(tags[WIDTH]), int(tags[HEIGHT])
    tiled = TILE_OFFSETS in tags
    offsets = tags.get(TILE_OFFSETS if tiled else STRIP_OFFSETS, ())
    sizes = tags.get(TILE_BYTES if tiled else STRIP_BYTES, ())
    across, down = width, min(int(tags.get(ROWS_PER_STRIP, height)), height)
    if tiled:
        across, down = int(tags[TILE_WIDTH]), int(tags[TILE_HEIGHT])
    along = -(-height // down)
    planes = int(tags.get(SAMPLES, 1)) if tags.get(PLANAR, 1) == 2 else 1
    ends = [
        offset + (sizes[k] if k < len(sizes) else len(content)) for k, offset in enumerate(offsets)
    ]
    return Strips(
        [content[offset:end] for offset, end in zip(offsets, ends, strict=True)],
        [down if tiled else min(down, height - k % along * down) for k in range(len(offsets))],
        across,
        down,
        -(-width // across) * along * planes,
    )


def tile_size(image: Any) -> tuple[int, int]:
    """Return width and height of the tiles of a TIFF that Pillow opened; 0 where it has none."""
    return int(image.tag_v2.get(TILE_WIDTH, 0)), int(image.tag_v2.get(TILE_HEIGHT, 0))


def tiff_is_whole(content: bytes, image: Any) -> bool:
    """Return whether the pixels of a TIFF that libtiff decoded were all in its file.

    Args:
        content: the file's.
        image: as Pillow opened it from there.
    """
    tags = image.tag_v2
    strips = strips_of(content, tags)
    if len(strips.pieces) < strips.expected:
        return False
    if tags.get(COMPRESSION) == JPEG:
        tables = bytes(tags.get(JPEG_TABLES, b"\xff\xd8\xff\xd9"))
        # A strip that ends without a mark of its end is given one, as libtiff does.
        jpegs = [tables[:-2] + piece[2:] + EOI for piece in strips.pieces]
        return all(
            _jpeg_height(jpeg) >= rows and jpeg_is_whole(jpeg, ended=True)
            for jpeg, rows in zip(jpegs, strips.rows, strict=True)
        )
    # libtiff counts what the other codecs give.
    return not (tags.get(COMPRESSION) in FAX and fax_is_short(_fax(strips, tags)))


def tiff_is_short(content: bytes) -> bool:
    """Tell of a TIFF that libtiff refuses whether what is wrong is that its strips end early.

    Where that is not told, as in large files, in YCbCr that is not JPEG's and in rarer
    compressions: False.

    Raises:
        Exception: whatever Pillow raises where the header is damaged.
    """
    image: Any = Image.open(io.BytesIO(content), formats=("TIFF",))
    tags = image.tag_v2
    strips, compression = strips_of(content, tags), tags.get(COMPRESSION)
    if len(strips.pieces) < strips.expected or not all(strips.pieces):
        return True
    if compression in FAX:
        return fax_is_short(_fax(strips, tags))
    samples = 1 if tags.get(PLANAR, 1) == 2 else int(tags.get(SAMPLES, 1))
    line = (strips.across * samples * int(tags.get(BITS, (1,))[0]) + 7) // 8
    is_large = sum(map(len, strips.pieces)) > MOST_BYTES or line * sum(strips.rows) > MOST_UNPACKED
    if is_large or tags.get(PHOTOMETRIC) == YCBCR:
        return False
    for piece, rows in zip(strips.pieces, strips.rows, strict=True):
        length = _length(piece, compression, line * rows)
        if length is not None and length < line * rows:
            return True
    return False


def _fax(strips: Strips, tags: Any) -> Fax:
    return Fax(
        strips.pieces,
        strips.across,
        strips.down,
        sum(strips.rows),
        int(tags[COMPRESSION]),
        {option: int(tags[option])} if (option := FAX[tags[COMPRESSION]]) in tags else {},
        tags.get(FILL_ORDER) == 2,
    )


def _jpeg_height(jpeg: bytes) -> int:
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        return image.height


def _length(piece: bytes, compression: int, most: int) -> int | None:
    """Count the bytes that a strip gives until it ends, up to `most`; None: it is damaged."""
    if compression in DEFLATE:
        return _inflated(piece, most)
    if compression == PACK_BITS:
        return _unpacked(piece)
    # The first LZW in TIFFs was of another order of bits.
    if compression == LZW and piece[:1] != b"\0":
        return _unzipped(piece, most)
    return None


def _inflated(piece: bytes, most: int) -> int | None:
    stream, length = zlib.decompressobj(), 0
    try:
        while length < most and (found := stream.decompress(piece, INFLATED_AT_ONCE)):
            length, piece = length + len(found), stream.unconsumed_tail
    except zlib.error:
        return None
    return length


def _unpacked(piece: bytes) -> int:
    place = length = 0
    while place + 1 < len(piece):
        head = piece[place]
        if head < 128:
            length += min(head + 1, len(piece) - place - 1)
            place += head + 2
        else:  # a byte so many times; 128 stands for nothing
            length += 257 - head if head > 128 else 0
            place += 2 if head > 128 else 1
    return length


def _unzipped(piece: bytes, most: int) -> int | None:
    """Count the bytes that LZW's codes stand for; of each, only its length is kept."""
    fresh = [1] * 256 + [0, 0]
    lengths, length, before = fresh.copy(), 0, 0
    for code in _codes(piece, lengths):
        if code == END or length >= most:
            break
        if code == CLEAR:
            lengths[:], before = fresh, 0
            continue
        if code > len(lengths) or (code == len(lengths) and not before):
            return None
        if before:
            lengths.append(before + 1)
        before = lengths[code]
        length += before
    return length


def _codes(piece: bytes, lengths: list[int]) -> Iterator[int]:
    """Yield the codes of LZW, of as many bits as the table `lengths` asks for at the time."""
    bits = held = 0
    for byte in piece:
        held, bits = held << 8 | byte, bits + 8
        size = min(max((len(lengths) + 1).bit_length(), SHORTEST), LONGEST)
        if bits >= size:
            bits -= size
            yield held >> bits
            held &= (1 << bits) - 1
