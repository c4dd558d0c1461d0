"""An image whose file ends early, however well its stream ends; and what takes much memory."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from digitrec.errors import ScanError
from digitrec.scans import png
from digitrec.scans.decode import decode

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(
        ">I", zlib.crc32(name + content)
    )  # fmt: skip


def png_of(
    width: int, height: int, rows: int, colour: int = 0, bits: int = 8, more: bytes = b""
) -> bytes:
    """A PNG whose header says `height` rows and whose data, well closed, has `rows`."""
    row = b"\0" + b"\x55" * ((width * CHANNELS[colour] * bits + 7) // 8)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(256)) * 3) if colour == 3 else b""
    data = chunk(b"IDAT", zlib.compress(row * rows))
    return png.SIGNATURE + chunk(b"IHDR", header) + more + palette + data + chunk(b"IEND", b"")


def reason(content: bytes) -> str:
    with pytest.raises(ScanError) as caught:
        decode(content)
    return str(caught.value)


@pytest.mark.parametrize(
    ("colour", "bits"), [(0, 1), (0, 8), (0, 16), (2, 8), (2, 16), (3, 4), (3, 8), (4, 8), (6, 8)]
)
@pytest.mark.parametrize("rows", [0, 1, 75, 99])
def test_a_png_that_lacks_rows_is_truncated(colour: int, bits: int, rows: int) -> None:
    assert reason(png_of(60, 100, rows, colour, bits)).startswith("truncated: ")
    assert decode(png_of(60, 100, 100, colour, bits)).pixels.shape[:2] == (100, 60)


@pytest.mark.parametrize("rows", [75, 99])
def test_one_that_pillow_decodes_too(rows: int) -> None:
    """Such as one that EXIF turns."""
    exif = Image.Exif()
    exif[0x112] = 6
    turned = chunk(b"eXIf", exif.tobytes()[6:])
    assert reason(png_of(60, 100, rows, more=turned)).startswith("truncated: ")
    assert decode(png_of(60, 100, 100, more=turned)).pixels.shape == (60, 100)


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 40), height=st.integers(1, 40), colour=st.booleans())
def test_interlaced_ones_are_whole(width: int, height: int, colour: bool) -> None:
    """Held against Pillow, which reads them, and against a byte less."""
    shape = (height, width, 3) if colour else (height, width)
    pixels = np.random.default_rng(width).integers(0, 256, shape, np.uint8)
    rows = []
    for left, top, step, step_down in png.PASSES:
        piece = pixels[top::step_down, left::step]
        rows += [b"\0" + row.tobytes() for row in piece if piece.size]
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if colour else 0, 0, 0, 1)
    start = png.SIGNATURE + chunk(b"IHDR", header)
    data = b"".join(rows)
    whole = start + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(whole))), pixels)
    assert not png.is_short(whole)
    assert png.is_short(start + chunk(b"IDAT", zlib.compress(data[:-1])) + chunk(b"IEND", b""))


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "PPM", "GIF", "WEBP", "JPEG", "PNG"])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.97])
def test_a_file_that_was_cut_is_truncated_or_damaged(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind)
    content = buffer.getvalue()
    told = reason(content[: int(share * len(content))])
    if kind in ("BMP", "PPM", "JPEG", "PNG", "GIF"):
        assert told.startswith("truncated: "), told


@pytest.mark.parametrize(
    "words",
    [
        "Truncated File Read",
        "image file is TRUNCATED",
        "Not enough image data",
        "Unexpected end of file",
    ],
)
def test_it_is_found_however_it_is_written(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object) -> None:
        raise OSError(words)

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, "BMP")
    assert reason(buffer.getvalue()) == f"truncated: {words}"


PEAK = """
import resource, sys
from digitrec import read
content = open(sys.argv[1], "rb").read()
read([])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
[reading] = read([content], "small")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, reading.reason)
"""
SIDE = 8191


def bomb(kind: str) -> bytes:
    """A small file of nearly as many pixels as are allowed."""
    buffer = io.BytesIO()
    if kind == "webp":
        Image.new("RGB", (SIDE, SIDE), "white").save(buffer, "WEBP", quality=1, method=0)
    elif kind == "float tiff":
        Image.new("F", (SIDE, SIDE)).save(buffer, "TIFF", compression="tiff_adobe_deflate")
    elif kind == "rgba png":
        Image.new("RGBA", (SIDE, SIDE), "white").save(buffer, "PNG", compress_level=1)
    elif kind == "palette gif":
        Image.new("P", (SIDE, SIDE), 1).save(buffer, "GIF")
    elif kind == "grey jpeg":
        Image.new("L", (SIDE, SIDE), 255).save(buffer, "JPEG", quality=10)
    else:
        Image.new("L", (SIDE, SIDE), 255).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "passes"),
    [
        ("webp", False),
        ("float tiff", False),
        ("rgba png", False),
        ("palette gif", False),
        ("grey jpeg", True),
        ("grey png", True),
    ],
)
def test_a_small_file_takes_no_more_memory_than_the_bound(
    kind: str, passes: bool, tmp_path: Path
) -> None:
    (tmp_path / "bomb").write_bytes(bomb(kind))
    command = [sys.executable, "-c", PEAK, str(tmp_path / "bomb")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    megabytes, _, told = answer.strip().partition(" ")
    assert int(megabytes) < 512
    assert told.startswith("too-large: ") != passes, told


def test_a_photograph_is_decoded_at_half_its_size() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (6000, 4000), "white").save(buffer, "JPEG", quality=10)
    assert decode(buffer.getvalue()).pixels.shape == (2000, 3000, 3)
