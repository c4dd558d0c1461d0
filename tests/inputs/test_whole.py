import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from digitrec.errors import ScanError
from digitrec.inputs.decode import decode

NOISE = np.random.default_rng(0)
PAPER = (NOISE.random((112, 112)) * 60 + 190).astype(np.uint8)
PAPER[20:90, 50:60] = 10
RGB = np.dstack([PAPER] * 3)


def saved(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def png(raw: bytes, interlaced: int = 0, between: bytes = b"", side: int = 112) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, interlaced)
    exif = chunk(b"eXIf", between) if between else b""
    pixels = chunk(b"IDAT", zlib.compress(raw))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + exif + pixels + chunk(b"IEND", b"")


def rows(count: int) -> bytes:
    return b"".join(b"\0" + PAPER[row].tobytes() for row in range(count))


def ended_early(jpeg: bytes, share: float) -> bytes:
    """A JPEG that ends validly after so much of its pixels' data."""
    start = jpeg.find(b"\xff\xda")
    place = start + int((len(jpeg) - start) * share)
    while jpeg[place - 1] == 0xFF:
        place -= 1
    return jpeg[:place] + b"\xff\xd9"


def tall_tiff(**options: object) -> bytes:
    """A TIFF of 84 rows whose header says 112, in one strip."""
    content = bytearray(saved(PAPER[:84], "TIFF", **options))
    [directory] = struct.unpack_from("<I", content, 4)
    [count] = struct.unpack_from("<H", content, directory)
    for place in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from("<HH", content, place)
        if tag in (257, 278):
            struct.pack_into("<H" if kind == 3 else "<I", content, place + 8, 112)
    return bytes(content)


HALVES = {
    "a PNG": png(rows(84)),
    "a PNG that lacks one row": png(rows(111)),
    "a PNG with EXIF": png(rows(84), between=b"MM\0*\0\0\0\x08\0\0"),
    "an interlaced PNG": png(b"\0" * 6000, interlaced=1),
    "a JPEG": ended_early(saved(PAPER, "JPEG"), 0.75),
    "a colour JPEG": ended_early(saved(RGB, "JPEG"), 0.6),
    "a JPEG with restarts": ended_early(saved(RGB, "JPEG", restart_marker_rows=1), 0.6),
    "a progressive JPEG": ended_early(saved(RGB, "JPEG", progressive=True), 0.75),
    "a progressive JPEG's beginning": ended_early(saved(RGB, "JPEG", progressive=True), 0.05),
    "a JPEG in a TIFF": tall_tiff(compression="jpeg"),
}


@pytest.mark.parametrize("name", HALVES)
def test_half_an_image_that_ends_validly_is_truncated(name: str) -> None:
    with pytest.raises(ScanError) as why:
        decode(HALVES[name])
    assert why.value.code == "truncated"


@pytest.mark.parametrize("seed", range(40))
def test_a_jpeg_is_truncated_only_where_it_is(seed: int) -> None:
    chance = np.random.default_rng(seed)
    height, width = chance.integers(20, 70, 2)
    pixels = np.full((height, width), 240, np.uint8)
    if seed % 2:
        pixels -= chance.integers(0, 20, pixels.shape, np.uint8)
    pixels[3:-3, 5:9] = 0
    jpeg = saved(
        pixels,
        "JPEG",
        quality=int(chance.integers(50, 100)),
        progressive=bool(chance.integers(2)),
        restart_marker_blocks=int(chance.integers(5)),
    )
    assert decode(jpeg).pixels.shape == (height, width)
    assert decode(jpeg + b"what a camera appends").pixels.shape == (height, width)
    with pytest.raises(ScanError):  # `unreadable` where the cut goes through a table
        decode(ended_early(jpeg, 0.6))


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8, 9, 28])
def test_a_whole_png_passes_whichever_way_it_was_written(side: int) -> None:
    exif = b"MM\0*\0\0\0\x08\0\0"  # which brings it to the slower decoder, with its check
    steps = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
    raw = b""
    for left, top, across, down in (*steps, (0, 1, 1, 2)):
        part = PAPER[:side, :side][top::down, left::across]
        raw += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    interlaced = decode(png(raw, interlaced=1, between=exif, side=side)).pixels
    assert np.array_equal(interlaced, PAPER[:side, :side])
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        buffer = io.BytesIO()
        image = Image.fromarray(RGB[:side, :side]).convert(mode)
        image.save(buffer, "PNG", exif=b"Exif\0\0" + exif)
        assert decode(buffer.getvalue()).pixels.shape[:2] == (side, side)


SHORT = {
    "PNG": saved(PAPER, "PNG"),
    "JPEG": saved(PAPER, "JPEG"),
    "GIF": saved(PAPER, "GIF"),
    "BMP": saved(PAPER, "BMP"),
    "WebP": saved(RGB, "WEBP"),
    "WebP without loss": saved(RGB, "WEBP", lossless=True),
    "TIFF": saved(PAPER, "TIFF"),
    "TIFF, deflated": saved(PAPER, "TIFF", compression="tiff_deflate"),
    "PGM": saved(PAPER, "PPM"),
    "PGM in words": b"P2 112 112 255\n" + b" ".join(b"%d" % value for value in PAPER.ravel()),
    "PGM of 16 bits": b"P5 112 112 65535\n" + PAPER.astype(">u2").tobytes(),
}


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", SHORT)
def test_a_file_cut_short_is_truncated_in_every_format(name: str, share: float) -> None:
    content = SHORT[name]
    with pytest.raises(ScanError) as why:
        decode(content[: int(len(content) * share)])
    assert why.value.code == "truncated"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04" + bytes(60), "zip archive"),
        (b"\x1f\x8b" + bytes(60), "gzip archive"),
        (bytes(257) + b"ustar" + bytes(300), "tar archive"),
        (b"%PDF-1.7\n" + bytes(60), "PDF"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "HEIC"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"\x93NUMPY" + bytes(60), "NumPy"),
    ],
)
def test_what_is_no_image_is_called_what_it_is(content: bytes, words: str) -> None:
    with pytest.raises(ScanError, match=words) as why:
        decode(content)
    assert why.value.code == "not-an-image"
