"""Letters that nobody drew for training: printed ones, and those of a plotter's pen.

What a network was taught to refuse says little of how well it refuses. These are for measuring.
"""

import functools
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from digitrec.datasets.synthetic.letters import LETTERS

# Shaped like digits, for people as well.
LIKE_DIGITS = "OoDQIiljJSsZzBbGgq"
SCAN_SIDE, SIZE = 112, 64  # of a scan and of a letter in it, in pixels
# Fonts that come with matplotlib, of several kinds.
FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-BoldItalic.ttf",
    "DejaVuSansMono-Bold.ttf",
    "STIXGeneralBol.ttf",
    "cmr10.ttf",
    "cmti10.ttf",
)
# Hershey's alphabets of strokes for plotters (1967), as OpenCV has them.
PLOTTED = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)


def printed(letters: str = "".join(LETTERS)) -> list[NDArray[np.uint8]]:
    """Print every letter in every font: scans uint8 [H, W], dark on white."""
    return [_printed(letter, font) for font in FONTS for letter in letters]


def _printed(letter: str, font: str) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    image = Image.new("L", (SCAN_SIDE, SCAN_SIDE), 255)
    middle = (SCAN_SIDE / 2, SCAN_SIDE / 2)
    ImageDraw.Draw(image).text(middle, letter, font=_font(font), fill=0, anchor="mm")
    return np.array(image)


@functools.cache
def _font(name: str):  # type: ignore[no-untyped-def]  # Pillow's type of it is of no use here
    import matplotlib
    from PIL import ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / name), SIZE)


def plotted(count: int, seed: int = 0, letters: str = "".join(LETTERS)) -> list[NDArray[np.uint8]]:
    """Write letters with a plotter's pen, each slanted and turned at random: uint8 [H, W]."""
    rng = np.random.default_rng(seed)
    return [
        _plotted(letters[k % len(letters)], PLOTTED[k // len(letters) % len(PLOTTED)], rng)
        for k in range(count)
    ]


def _plotted(letter: str, font: int, rng: Generator) -> NDArray[np.uint8]:
    ink = np.zeros((SCAN_SIDE, SCAN_SIDE), np.uint8)
    pen = int(rng.integers(2, 7))
    (width, height), _ = cv2.getTextSize(letter, font, 2.0, pen)
    place = ((SCAN_SIDE - width) // 2, (SCAN_SIDE + height) // 2)
    cv2.putText(ink, letter, place, font, 2.0, 255, pen, cv2.LINE_AA)
    turn, slant = rng.normal(0, 0.08), rng.normal(0, 0.15)
    form = np.array([[1, turn - slant], [-turn, 1]])
    middle = np.full(2, SCAN_SIDE / 2)
    matrix = np.column_stack([form, middle - form @ middle])
    return 255 - np.asarray(cv2.warpAffine(ink, matrix, (SCAN_SIDE, SCAN_SIDE)), np.uint8)
