"""Whether an image file holds all the pixels that its header promises.

Codecs fill what is missing with grey or black and say nothing, where the stream of pixels ends
early but validly: half a digit would be read as a whole one.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from digitrec.errors import ScanError

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
INFLATED_AT_ONCE = 2**20

# Within a scan of a JPEG, what ends it: no stuffed zero, no restart marker, no filling.
JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
SOS, EOI = 0xDA, 0xD9
SOF, SOF_PROGRESSIVE = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA), 0xC2
# Where a decoder still waits for pixels it takes these: with whichever restart marker it needs.
MORE = b"".join(
    filling.tobytes() + bytes((0xFF, 0xD0 + number % 8))
    for number, filling in enumerate(
        np.random.default_rng(0).integers(1, 255, (32, 32), dtype=np.uint8)
    )
)
# Up to so many pixels a JPEG is compared in full, above at an eighth of its width and height.
COMPARED_IN_FULL = 2**22

TIFF_COMPRESSION, TIFF_ROWS_PER_STRIP, TIFF_PLANAR, TIFF_JPEG_TABLES = 259, 278, 284, 347
# What rounding can make of a block in which all is alike, from colour to grey.
NEARLY_FLAT = 8

STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES = 273, 279, 324, 325
TILE_WIDTH, TILE_HEIGHT, SAMPLES = 322, 323, 277
JPEG_IN_TIFF = 7


def check_whole(content: bytes, image: Image.Image) -> None:
    """Check that the pixels of an image that was decoded were all in its file.

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
        whole = _ends_in_detail(image) or _jpeg_is_whole(content)
    elif kind == "TIFF":
        whole = _tiff_is_whole(content, image)
    else:  # the decoders of the others count
        return
    if not whole:
        raise ScanError("truncated", "the file holds fewer pixels than its header says")


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
    """Tell whether a zlib stream holds as many bytes, without holding them all."""
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


def _ends_in_detail(image: Image.Image) -> bool:
    """Tell whether a JPEG's last block has detail: what a decoder fills in has none."""
    if getattr(image, "info", {}).get("progressive"):
        return False
    width, height = image.size
    corner = image.crop(((width - 1) // 8 * 8, (height - 1) // 8 * 8, width, height))
    return int(np.ptp(np.asarray(corner.convert("L")))) > NEARLY_FLAT


def _jpeg_is_whole(content: bytes) -> bool:
    """Tell whether a JPEG's pixels stay as they are where more data follow its last scan."""
    scans, end = _scans_of_jpeg(content)
    if end is None:
        return True
    if content[scans[0].frame + 1] == SOF_PROGRESSIVE and not _brings_all_detail(content, scans):
        return False
    with_more = content[:end] + MORE + content[end:]
    return bool(np.array_equal(_grey(content), _grey(with_more)))


class _Scan(NamedTuple):
    """Where in a JPEG the headers of one of its scans lie."""

    frame: int  # the marker that begins the frame
    start: int  # the marker that begins the scan


def _scans_of_jpeg(content: bytes) -> tuple[list[_Scan], int | None]:
    """Find a JPEG's scans, and the marker that ends its first image; None where there is none."""
    place, frame = 2, 0
    scans: list[_Scan] = []
    while True:
        if scans:
            found = JPEG_MARKER.search(content, place)
            place = found.start() if found else len(content)
        if place + 2 > len(content):
            return scans, None
        marker = content[place + 1]
        if marker == EOI:
            return scans, place if scans else None
        if marker in SOF:
            frame = place
        if marker == SOS:
            scans.append(_Scan(frame, place))
        if place + 4 > len(content):
            return scans, None
        place += 2 + int(struct.unpack_from(">H", content, place + 2)[0])


def _brings_all_detail(content: bytes, scans: list[_Scan]) -> bool:
    """Tell whether a progressive JPEG's scans bring all of its first component, to the last bit."""
    first = content[scans[0].frame + 10]
    brought: set[int] = set()
    for scan in scans:
        count = content[scan.start + 4]
        components = content[scan.start + 5 : scan.start + 5 + 2 * count : 2]
        low, high, bits = content[scan.start + 5 + 2 * count : scan.start + 8 + 2 * count]
        if first in components and bits & 15 == 0:
            brought.update(range(low, high + 1))
    return len(brought) == 64


def _grey(jpeg: bytes) -> Any:
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        full = image.width * image.height <= COMPARED_IN_FULL
        image.draft("L", image.size if full else (1, 1))
        return np.asarray(image)


def _tiff_is_whole(content: bytes, image: Any) -> bool:
    tags = image.tag_v2
    tiled = TILE_OFFSETS in tags
    offsets = tags.get(TILE_OFFSETS if tiled else STRIP_OFFSETS, ())
    sizes = tags.get(TILE_BYTES if tiled else STRIP_BYTES, ())
    width, height = _tiff_size(tags)
    across, down = width, min(int(tags.get(TIFF_ROWS_PER_STRIP, height)), height)
    if tiled:
        across, down = int(tags[TILE_WIDTH]), int(tags[TILE_HEIGHT])
    planes = int(tags.get(SAMPLES, 1)) if tags.get(TIFF_PLANAR, 1) == 2 else 1
    if len(offsets) < -(-width // across) * -(-height // down) * planes:
        return False
    if tags.get(TIFF_COMPRESSION) != JPEG_IN_TIFF:
        return True  # libtiff counts what the other codecs give
    tables = bytes(tags.get(TIFF_JPEG_TABLES, b"\xff\xd8\xff\xd9"))
    for place, (offset, size) in enumerate(zip(offsets, sizes, strict=False)):
        rows = down if tiled else min(down, height - place % -(-height // down) * down)
        strip = tables[:-2] + content[offset + 2 : offset + size]
        if _jpeg_height(strip) < rows or not _jpeg_is_whole(strip):
            return False
    return True


def _tiff_size(tags: Any) -> tuple[int, int]:
    """Width and height as stored; Pillow's own are those after EXIF's turn."""
    return int(tags[256]), int(tags[257])


def _jpeg_height(jpeg: bytes) -> int:
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        return image.height
