"""Thousands of damaged image files: a row each, no dead job, no worker that grows without end."""

import io
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from pyarrow import dataset

from digitrec.batch.manifest import read_run
from digitrec.storage.folder import open_folder

pytestmark = pytest.mark.slow

FILES = 6000
MOST_BYTES = 2 * 10**9
PATIENCE = 300  # seconds
ENDINGS = {"PNG": "png", "JPEG": "jpg", "TIFF": "tif", "WEBP": "webp", "BMP": "bmp", "GIF": "gif"}


def seeds() -> list[tuple[str, bytes]]:
    """Whole files of every format, in the variants that decoders treat apart."""
    grey = np.random.default_rng(0).integers(0, 256, (40, 30), dtype=np.uint8)
    rgb = Image.fromarray(np.dstack([grey, grey[::-1], 255 - grey]))
    image, frames = Image.fromarray(grey), [Image.fromarray(grey // k) for k in (2, 3)]
    variants: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("PNG", image, {}),
        ("PNG", rgb, {}),
        ("PNG", rgb.quantize(16), {}),
        ("PNG", Image.fromarray(grey.astype(np.uint16) * 257), {}),
        ("PNG", image, {"save_all": True, "append_images": frames}),
        ("JPEG", rgb, {}),
        ("JPEG", image, {"progressive": True}),
        ("JPEG", rgb.convert("CMYK"), {}),
        ("TIFF", rgb, {}),
        ("TIFF", rgb, {"compression": "tiff_lzw"}),
        ("TIFF", rgb, {"compression": "tiff_adobe_deflate"}),
        ("TIFF", rgb, {"compression": "jpeg"}),
        ("TIFF", image.convert("1"), {"compression": "group4"}),
        ("TIFF", Image.fromarray(grey.astype(np.float32)), {}),
        ("TIFF", image, {"save_all": True, "append_images": frames}),
        ("WEBP", rgb, {}),
        ("WEBP", rgb, {"lossless": True}),
        ("WEBP", image, {"save_all": True, "append_images": frames}),
        ("BMP", rgb, {}),
        ("BMP", rgb.quantize(16), {}),
        ("GIF", image, {}),
        ("GIF", image, {"save_all": True, "append_images": frames}),
    ]
    files = []
    for kind, picture, options in variants:
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        files.append((ENDINGS[kind], buffer.getvalue()))
    return files


def mutated(content: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Damage a file in one to four ways."""
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(max(len(damaged), 1))
        # Most of what a decoder trusts stands at the beginning.
        place = place if chance.random() < 0.5 else place % 64
        match chance.randrange(7):
            case 0:
                damaged[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                damaged[place : place + 1] = bytes([damaged[place] ^ 1 << chance.randrange(8)])
            case 2:  # a size or an offset of extremes
                extreme = chance.choice([0, 1, 0x7F, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])
                order = chance.choice(["little", "big"])
                damaged[place : place + 4] = extreme.to_bytes(4, order)  # type: ignore[arg-type]
            case 3:
                del damaged[max(place, 8) :]
            case 4:
                del damaged[place : place + chance.randint(1, 32)]
            case 5:
                damaged[place:place] = damaged[place : place + chance.randint(1, 64)]
            case 6:
                other = chance.choice(others)
                start = chance.randrange(len(other))
                damaged[place:place] = other[start : start + chance.randint(1, 200)]
        if not damaged:
            break
    return bytes(damaged)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    chance, files = random.Random(2024), seeds()
    contents = [content for _, content in files]
    folder = tmp_path / "corpus"
    folder.mkdir()
    for k in range(FILES):
        ending, content = files[k % len(files)]
        (folder / f"{k:04d}.{ending}").write_bytes(mutated(content, contents, chance))
    return folder


def largest_worker(driver: int) -> int:
    """The memory of the largest process below a driver that reads scans, in bytes."""
    largest = 0
    for process in psutil.Process(driver).children(recursive=True):
        try:
            if "ray::MapBatches" in " ".join(process.cmdline()):
                largest = max(largest, process.memory_info().rss)
        except psutil.Error:
            continue
    return largest


def test_every_damaged_file_is_a_row(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "result"
    command = [sys.executable, "-m", "digitrec.cli", "classify", str(corpus), "--out", str(out)]
    process = subprocess.Popen([*command, "--quiet"], stdout=subprocess.DEVNULL)
    largest, deadline = 0, time.monotonic() + PATIENCE
    while process.poll() is None:
        assert time.monotonic() < deadline
        largest = max(largest, largest_worker(process.pid))
        time.sleep(0.1)
    assert process.returncode == 0
    assert 0 < largest < MOST_BYTES
    table = dataset.dataset(out, format="parquet").to_table()
    assert sorted(table["path"].to_pylist()) == sorted(str(path) for path in corpus.iterdir())
    counts = read_run(open_folder(out))["counts"]  # type: ignore[index]
    assert counts["inputs"] == counts["rows"] == FILES
    codes = Counter(reason.split(":")[0] for reason in table["reason"].to_pylist() if reason)
    assert codes == counts["errors"] | counts["reviews"]
    assert set(counts["errors"]) <= {"not-an-image", "truncated", "too-large", "unreadable"}
    assert set(counts["reviews"]) <= {"low-confidence", "not-a-digit", "unclear"}
    # The damage was damage, and not all of it was fatal.
    assert 0.2 * FILES < counts["error"] < 0.9 * FILES
