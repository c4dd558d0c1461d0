"""Whether a JPEG holds all the pixels that its header promises: in a file, or a TIFF's strip."""

import io
import re
import struct
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

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

# What rounding can make of a block in which all is alike, from colour to grey.
NEARLY_FLAT = 8


def ends_in_detail(image: Image.Image) -> bool:
    """Return whether a JPEG's last block has detail: what a decoder fills in has none."""
    if getattr(image, "info", {}).get("progressive"):
        return False
    width, height = image.size
    corner = image.crop(((width - 1) // 8 * 8, (height - 1) // 8 * 8, width, height))
    return int(np.ptp(np.asarray(corner.convert("L")))) > NEARLY_FLAT


def jpeg_is_whole(content: bytes, *, ended: bool = False) -> bool:
    """Return whether a JPEG's pixels stay as they are where more data follow its last scan.

    Args:
        content: the JPEG; it can be decoded.
        ended: a mark of the end was put behind it: where that can't be found, a header was cut.
    """
    scans, end = _scans_of_jpeg(content)
    if end is None:
        return not ended
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
    """Return whether a progressive JPEG's scans bring its first component to the last bit."""
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
