"""Pixels that are not square, as their file says, are made square."""

import io

import numpy as np
import pytest
from PIL import Image

from digitrec.inputs.decode import decode
from digitrec.inputs.resolution import ENLARGED_UP_TO, made_square
from digitrec.model.engine import Engine
from digitrec.reader import read_scans

RING = np.full((60, 40), 255, np.uint8)
RING[10:50, 8:32], RING[18:42, 14:26] = 0, 255


def saved(kind: str, dpi: tuple[int, int], pixels: np.ndarray = RING, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, dpi=dpi, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "BMP"])
@pytest.mark.parametrize(
    ("dpi", "shape"),
    [((200, 100), (120, 40)), ((100, 200), (60, 80)), ((204, 98), (125, 40)), ((300, 300), None)],
)
def test_the_coarser_side_is_enlarged(
    kind: str, dpi: tuple[int, int], shape: tuple[int, int] | None
) -> None:
    decoded = decode(saved(kind, dpi))
    assert decoded.pixels.shape[:2] == (shape or RING.shape)
    assert decoded.size == (40, 60)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "BMP"])
@pytest.mark.parametrize("dpi", [(0, 0), (0, 72), (300, 1), (1, 300), (204, 196), (71, 72)])
def test_what_no_scanner_has_and_what_is_nearly_square_changes_nothing(
    kind: str, dpi: tuple[int, int]
) -> None:
    assert decode(saved(kind, dpi)).pixels.shape[:2] == RING.shape


def test_a_ratio_without_a_unit_counts() -> None:
    buffer = io.BytesIO()
    Image.fromarray(RING).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    place = content.index(b"JFIF\0") + 7
    content[place : place + 5] = b"\0\0\2\0\1"
    assert decode(bytes(content)).pixels.shape == (120, 40)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG", "PNG"])
def test_a_turned_scan_is_made_square_the_other_way(kind: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    decoded = decode(saved(kind, (200, 100), exif=exif))
    assert decoded.pixels.shape[:2] == (40, 120)
    assert decoded.size == (60, 40)


def test_a_reading_tells_the_size_of_the_file(engine: Engine) -> None:
    readings = read_scans([saved("TIFF", (204, 98))], engine)
    assert (readings.widths[0], readings.heights[0]) == (40, 60)
    assert readings.digits[0] == 0


def test_large_scans_are_shrunk_instead() -> None:
    side = int(ENLARGED_UP_TO**0.5) + 1
    assert made_square(np.zeros((side, side), np.uint8), 2).shape == (side, side // 2)
    assert made_square(np.zeros((side, side, 3), np.uint8), 0.5).shape == (side // 2, side, 3)
