"""What a file takes in memory while it is decoded, whatever its few bytes say."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from digitrec.inputs.decode import decode

PEAK = """
import sys
from digitrec import read

def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1])

content = open(sys.argv[1], "rb").read()
read([])
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
