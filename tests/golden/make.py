"""Makes the golden files: what the quick path gives for forty drawn scans.

    python -m tests.golden.make            normalized.png anew, after a change that was meant
    python -m tests.golden.make --scans    also draw the scans anew

Nobody's handwriting: OpenCV's fonts, and the strokes of `tests/drawing.py`.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from digitrec.inputs.decode import decode
from digitrec.normalize.scan import NORMALIZER_VERSION, SIDE, normalize
from tests.drawing import (
    Pixels,
    box_lines,
    darkened,
    digit,
    grain,
    shown,
    under_light,
)

FOLDER = Path(__file__).parent
SCANS, NORMALIZED = FOLDER / "scans", FOLDER / "normalized.png"
COLUMNS = 8
VERSION = "normalizer version"  # a text in the file
BLUE, RED, CREAM, ORANGE = (35, 60, 165), (190, 30, 45), (250, 238, 208), (245, 160, 90)
BOARD, CHALK = (38, 92, 66), (228, 232, 222)
Scan = tuple[str, Pixels]


def printed(text: str, font: int, thickness: int, scale: float = 2.0) -> Pixels:
    """Print a digit in one of OpenCV's fonts: dark on white."""
    (width, height), _ = cv2.getTextSize(text, font, scale, thickness)
    ink = np.zeros((height + 30, width + 24), np.uint8)
    cv2.putText(ink, text, (12, height + 15), font, scale, 255, thickness, cv2.LINE_AA)
    return shown(ink, 250, 20)


def fonts() -> Iterator[Scan]:
    """Draw digits in OpenCV's fonts."""
    yield "simplex-3", printed("3", cv2.FONT_HERSHEY_SIMPLEX, 5)
    yield "duplex-8", printed("8", cv2.FONT_HERSHEY_DUPLEX, 3)
    yield "complex-4", printed("4", cv2.FONT_HERSHEY_COMPLEX, 3)
    yield "script-9", printed("9", cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, 4)
    yield "small-2", printed("2", cv2.FONT_HERSHEY_PLAIN, 1)


def pens() -> Iterator[Scan]:
    """Draw with fine and broad pens, in colour, on light and dark paper."""
    yield "hairline-0", shown(digit(0, 200, 160, pen=2), 248, 40)
    yield "one-pixel-1", shown(digit(1, 120, 80, pen=1), 248, 40)
    yield "felt-2", shown(digit(2, 100, 100, pen=16, margin=0.1), 245, 30)
    yield "marker-8", shown(digit(8, 100, 80, pen=18, margin=0.12), 245, 30)
    yield "blue-ink-5", shown(digit(5), 252, BLUE)
    yield "red-ink-3", shown(digit(3), CREAM, RED)
    yield "chalk-2", grain(shown(digit(2, 80, 80, pen=7), BOARD, CHALK), 6)
    yield "white-on-black-6", shown(digit(6, 60, 60, pen=5), 0, 255)
    yield "grey-paper-4", shown(digit(4), 150, 60)
    yield "faint-7", grain(shown(digit(7), 235, 195), 2)


def papers() -> Iterator[Scan]:
    """Draw on forms and dirty, shaded and rough paper."""
    yield "box-3", darkened(shown(digit(3, 95, 95, pen=7)), box_lines(95, 95, "trbl"), 90)
    leaning = box_lines(95, 95, "bl", away=3, lean=2.5)
    yield "leaning-lines-5", darkened(shown(digit(5, 95, 95, pen=7)), leaning, 60)
    orange = shown(box_lines(95, 80, "trbl", thickness=3, away=2), 255, ORANGE)
    yield "orange-box-9", np.minimum(orange, shown(digit(9, 95, 80, pen=6), 255, (20, 20, 30)))
    cut = np.roll(digit(6, 95, 95, pen=7), -62, axis=1)
    cut[:, 40:] = 0
    yield "neighbour-1", darkened(shown(digit(1, 95, 95, pen=7)), cut)
    yield "specks-0", specked(shown(digit(0, 80, 70, pen=7), 240, 30))
    across, down = np.meshgrid(np.linspace(-1, 1, 90), np.linspace(-1, 1, 120))
    yield (
        "shadow-8",
        under_light(shown(digit(8), 240, 30), 0.75 - 0.25 * np.tanh(9 * across + down)),
    )
    yield "gradient-4", under_light(shown(digit(4), 240, 30), 0.75 + 0.25 * down)
    lamp = under_light(shown(digit(2), CREAM, BLUE), 1 - 0.3 * (across**2 + down**2))
    yield "lamp-2", grain(lamp, 4)
    stains = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 90, (90, 80)), (0, 0), 3)
    rough = np.clip(shown(digit(6, 90, 80, pen=8), 210, 60) + stains, 0, 255).astype(np.uint8)
    yield "stains-6", rough
    yield "noisy-9", grain(shown(digit(9, 70, 56, pen=6), 225, 50), 20)
    yield "blurred-3", cv2.GaussianBlur(shown(digit(3, 80, 64, pen=7), 240, 30), (0, 0), 3)  # type: ignore[misc]


def specked(pixels: Pixels) -> Pixels:
    """Scatter dust over a scan."""
    for x, y in ((8, 9), (60, 12), (35, 40), (12, 66), (63, 70)):
        cv2.circle(pixels, (x, y), 1, 60, -1)
    return pixels


def sizes() -> Iterator[Scan]:
    """Draw tiny, large and tightly cropped digits."""
    yield "tiny-7", shown(digit(7, 8, 8, pen=1, margin=0.05))
    yield "tiny-5", shown(digit(5, 16, 12, pen=2, margin=0.15))
    small = np.pad(digit(3, 120, 90), ((130, 350), (610, 100)))
    yield "corner-of-a-page-3", shown(small, 250, 30)
    yield "page-2", shown(digit(2, 600, 800, pen=40), 250, 30)
    yield "tight-7", shown(digit(7, 60, 44, pen=6, margin=0))
    yield "tight-1", shown(digit(1, 60, 24, pen=8, margin=0))
    yield (
        "broken-5",
        np.maximum(shown(digit(5)), 255 * (np.arange(120)[:, None] % 40 < 4)).astype(np.uint8),
    )


def files() -> Iterator[Scan]:
    """Draw with transparency, in pure black and white, and nothing."""
    ink = digit(3, 80, 60, pen=6)
    yield "transparent-3", np.dstack([np.zeros((80, 60, 3), np.uint8), ink])
    yield "white-on-nothing-3", np.dstack([np.full((80, 60, 3), 255, np.uint8), ink])
    yield "one-bit-2", (shown(digit(2, 100, 80, pen=7)) > 128) * np.uint8(255)
    bayer = np.tile([[32, 160], [224, 96]], (60, 45))
    yield "dithered-6", (shown(digit(6), 255, 90) > bayer) * np.uint8(255)
    yield "empty-paper", grain(np.full((60, 60), 225, np.uint8), 4)
    yield "empty-box", shown(box_lines(80, 80, "trbl", away=3), 250, 60)
    speck = np.full((70, 70), 240, np.uint8)
    speck[30:33, 40:43] = 40
    yield "lone-speck", speck


def drawn() -> list[Scan]:
    """Draw all scans, in the order of the golden file's tiles."""
    return [scan for room in (fonts, pens, papers, sizes, files) for scan in room()]


def write_scans() -> None:
    SCANS.mkdir(exist_ok=True)
    for old in SCANS.glob("*.png"):
        old.unlink()
    for k, (name, pixels) in enumerate(drawn()):
        file = SCANS / f"{k:02d}-{name}.png"
        image = Image.fromarray(pixels)
        image = image.convert("1") if set(np.unique(pixels)) == {0, 255} else image
        image.save(file, optimize=True)


def mosaic() -> Pixels:
    """Normalize all scans, and lay them out in rows."""
    tiles = [normalize(decode(file.read_bytes()).pixels) for file in sorted(SCANS.glob("*.png"))]
    tiles += [np.zeros((SIDE, SIDE), np.uint8)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[k : k + COLUMNS]) for k in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def write_normalized() -> None:
    """Write the mosaic, and in it which normalizer made it."""
    made_by = PngInfo()
    made_by.add_text(VERSION, NORMALIZER_VERSION)
    Image.fromarray(mosaic()).save(NORMALIZED, optimize=True, pnginfo=made_by)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", action="store_true", help="draw the scans anew, too")
    if parser.parse_args().scans:
        write_scans()
    write_normalized()
