"""What a file takes in memory while it is decoded, whatever its few bytes say."""

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from digitrec.inputs.decode import (
    HELD,
    HELD_BY_DEEP_COLOURS,
    HELD_BY_WEBP,
    HELD_OTHERWISE,
    MAX_HELD,
    decode,
)

PEAK = """
import sys
import numpy as np
from digitrec import read

def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1])

content = open(sys.argv[1], "rb").read()
read(np.eye(40, dtype=np.uint8) * 255, "small")  # what the networks take is not the file's
before = peak()
[reading] = read([content], "small")
print((peak() - before) // 1024, reading.reason)
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
    elif kind == "grey png with alpha":
        Image.new("LA", (SIDE, SIDE), (255, 255)).save(buffer, "PNG", compress_level=1)
    elif kind == "palette gif":
        Image.new("P", (SIDE, SIDE), 1).save(buffer, "GIF")
    elif kind == "grey jpeg":
        Image.new("L", (SIDE, SIDE), 255).save(buffer, "JPEG", quality=10)
    else:
        Image.new("L", (SIDE, SIDE), 255).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no VmHWM here")
@pytest.mark.parametrize(
    ("kind", "passes"),
    [
        ("webp", False),
        ("float tiff", False),
        ("rgba png", False),
        ("grey png with alpha", False),
        ("palette gif", False),
        ("grey jpeg", True),
        ("grey png", True),
    ],
)
def test_a_small_file_takes_no_more_memory_than_the_bound(
    kind: str, passes: bool, tmp_path: Path
) -> None:
    megabytes, told = peak(bomb(kind), tmp_path)
    assert megabytes < 512
    assert told.startswith("too-large: ") != passes, told


def peak(content: bytes, folder: Path) -> tuple[int, str]:
    """What reading a file takes, in MB; and what comes of it."""
    (folder / "bomb").write_bytes(content)
    command = [sys.executable, "-c", PEAK, str(folder / "bomb")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    megabytes, _, told = answer.strip().partition(" ")
    return int(megabytes), told


TURNED = Image.Exif()
TURNED[ExifTags.Base.Orientation] = 6
# Modes of which the bound lets fewer pixels pass: bytes a pixel, mode, format, and how it is saved.
LARGEST: dict[str, tuple[int, str, str, dict[str, object]]] = {
    "turned png": (HELD["RGB"], "RGB", "PNG", {"exif": TURNED, "compress_level": 1}),
    "turned png with alpha": (HELD_OTHERWISE, "RGBA", "PNG", {"exif": TURNED, "compress_level": 1}),
    "turned grey png with alpha": (HELD_OTHERWISE, "LA", "PNG", {"exif": TURNED}),
    "animated png": (HELD["RGB"], "RGB", "PNG", {"save_all": True, "compress_level": 1}),
    "animated png with a clear colour": (
        *(HELD["RGB"], "RGB", "PNG"),
        {"save_all": True, "compress_level": 1, "transparency": (1, 2, 3)},
    ),
    "animated gif": (HELD["P"], "P", "GIF", {"save_all": True, "disposal": 2}),
    "animated gif with a clear colour": (
        *(HELD["P"], "P", "GIF"),
        {"save_all": True, "disposal": 2, "transparency": 0},
    ),
    "animated webp": (HELD_BY_WEBP, "RGBA", "WEBP", {"save_all": True, "method": 0, "quality": 0}),
    "turned webp": (HELD_BY_WEBP, "RGB", "WEBP", {"exif": TURNED, "method": 0, "quality": 0}),
    "float tiff": (HELD["F"], "F", "TIFF", {"compression": "tiff_lzw"}),
    "tiff of 32 bits": (HELD["I"], "I", "TIFF", {"compression": "tiff_lzw"}),
    "tiff of 16 bits": (HELD["I;16"], "I;16", "TIFF", {"compression": "tiff_lzw"}),
    "grey png, a level is clear": (HELD_OTHERWISE, "L", "PNG", {"transparency": 1}),
    "png of 16 bits, a level is clear": (HELD_OTHERWISE, "I;16", "PNG", {"transparency": 1}),
    "png twice as high as wide": (HELD["RGB"], "RGB", "PNG", {"dpi": (200, 100)}),
}


def largest(kind: str) -> bytes:
    """A small file of as many pixels as are allowed of its mode; an animated one has two frames."""
    held, mode, saved_as, options = LARGEST[kind]
    side = int((MAX_HELD / held) ** 0.5)
    image, buffer = Image.new(mode, (side, side)), io.BytesIO()
    if options.get("save_all"):
        other = image.copy()
        other.paste(1, (0, 0, 9, 9))
        options = {**options, "append_images": [other]}
    image.save(buffer, saved_as, **options)
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no VmHWM here")
@pytest.mark.parametrize("kind", LARGEST)
def test_what_just_passes_takes_no_more_memory_than_the_bound(kind: str, tmp_path: Path) -> None:
    megabytes, told = peak(largest(kind), tmp_path)
    assert megabytes < 512
    # With a clear colour they take more, and so many pixels are too many.
    assert told.startswith("too-large: ") == kind.endswith("with a clear colour"), told


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no VmHWM here")
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_16_bits_keep_to_the_bound(channels: int, tmp_path: Path) -> None:
    side = int((MAX_HELD / HELD_BY_DEEP_COLOURS) ** 0.5)
    pixels = np.full((side, side, channels), 255, np.uint16)
    pixels[:9] = 0
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG", exif=TURNED)
    exif = buffer.getvalue()[33 : buffer.getvalue().index(b"IDAT") - 4]
    content = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    megabytes, told = peak(content[:33] + exif + content[33:], tmp_path)
    assert megabytes < 512
    assert told == "None"


def test_a_photograph_is_decoded_at_half_its_size() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (6000, 4000), "white").save(buffer, "JPEG", quality=10)
    assert decode(buffer.getvalue()).pixels.shape == (2000, 3000, 3)
