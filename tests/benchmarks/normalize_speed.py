"""What normalizing costs, beside decoding, a plain resize, and the same steps in OpenCV's calls.

    python -m tests.benchmarks.normalize_speed

Each step takes the same scans, in rounds that take turns, in one process on one core. `OpenCV` is
the core of the normalizer, as one would write it with OpenCV and NumPy: grey by luminance, paper
from the border, Otsu's threshold, connected components, stroke width by a distance transform, crop,
resize, centre of mass. It knows neither colours nor uneven light, printed lines or cut-off strokes:
what it does is less. Last comes the start: what a fresh process waits for its machine code.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitrec.datasets import mnist
from digitrec.datasets.corruptions import CORRUPTIONS, CorruptedImages
from digitrec.inputs.decode import decode
from digitrec.normalize.plain_resize import plain_resize
from digitrec.normalize.scan import normalize

Pixels = NDArray[np.uint8]
SIDE, BOX, CENTRE = 28, 20, 14
MIN_CONTRAST, SPECK_SHARE, TEXTURE = 24, 0.04, 5
THIN, THICK, WANTED = 1.6, 3.2, 2.6
AXIS = np.arange(SIDE) + 0.5
CREAM = np.array((1.0, 0.95, 0.83))
DECODE, PLAIN, OURS, OPENCV = "decode", "plain resize", "normalize", "OpenCV"

LOAD = """
import time
start = time.perf_counter()
from digitrec.normalize.scan import load
imported = time.perf_counter()
load()
print(imported - start, time.perf_counter() - imported)
"""


# ---- The same in OpenCV's calls ----


def with_opencv(pixels: Pixels) -> Pixels:
    """Normalize a scan [H, W], or [H, W, 3] (RGB)."""
    if pixels.ndim == 3:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    if is_normalized(pixels):
        return pixels
    ink = ink_of(pixels)
    return np.zeros((SIDE, SIDE), np.uint8) if ink is None else placed(boxed(ink))


def is_normalized(grey: Any) -> bool:
    if grey.shape != (SIDE, SIDE) or max(cv2.boundingRect(grey)[2:]) != BOX:
        return False
    moments = cv2.moments(grey)
    mass = moments["m00"]
    return (
        int(moments["m10"] / mass + 0.5) == CENTRE
        and int(moments["m01"] / mass + 0.5) == CENTRE
        and int(grey.max()) >= 250
    )


def ink_of(grey: Pixels) -> Pixels | None:
    """Give the ink of a scan, uint8 of its shape, 0 for paper; None where there is none."""
    strength = strength_of(grey)
    threshold, mask = cv2.threshold(strength, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    marked = mask.astype(bool)
    if not marked.any() or strength[marked].mean() - strength[~marked].mean() < MIN_CONTRAST:
        return None
    reach = 2 * max(1, round(max(grey.shape) / 48)) + 1
    near = cv2.dilate(without_specks(mask), np.ones((reach, reach), np.uint8))
    texture = min(threshold / 3, TEXTURE * float(np.median(border(strength))))
    return np.where((near > 0) & (strength > texture), strength, np.uint8(0))


def border(image: Pixels) -> Pixels:
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def strength_of(grey: Pixels) -> Pixels:
    """Give how far each pixel is from the paper, on the side where the ink is."""
    paper = np.uint8(np.median(border(grey)))
    darker, lighter = paper - np.minimum(grey, paper), np.maximum(grey, paper) - paper
    dark_ink = cv2.norm(darker, cv2.NORM_L2SQR) >= cv2.norm(lighter, cv2.NORM_L2SQR)
    return darker if dark_ink else lighter


def without_specks(mask: Any) -> Pixels:
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.concatenate([[False], areas >= SPECK_SHARE * areas.max()]).astype(np.uint8)
    return kept[pieces]


def boxed(ink: Pixels) -> Pixels:
    """Crop to the ink, bring strokes to MNIST's width, the longer side to 20, full ink to 255."""
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    crop = with_mnist_strokes(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    factor = BOX / max(crop.shape)
    height, width = (max(1, round(side * factor)) for side in crop.shape)
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    box = cv2.resize(crop, (width, height), interpolation=method)
    return np.asarray(cv2.convertScaleAbs(box, alpha=255.0 / max(int(box.max()), 1)), np.uint8)


def with_mnist_strokes(crop: Pixels) -> Pixels:
    """Dilate or erode by what the mean distance from the edge says about the strokes' width."""
    framed = with_frame(crop, 1)
    _, mask = cv2.threshold(framed, crop.max() // 2, 255, cv2.THRESH_BINARY)
    distances = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    # Distances from the middle of the nearest pixel outside: 1, 2, … up to half the width.
    width = (4 * float(cv2.mean(distances, mask)[0]) - 2) * BOX / max(crop.shape)
    if THIN <= width <= THICK:
        return crop
    wanted = THIN if width < THIN else WANTED
    size = 1 + round(abs(wanted - width) * max(crop.shape) / BOX)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    if width > THICK:
        return np.asarray(cv2.erode(framed, disc, borderValue=0), np.uint8)
    return np.asarray(cv2.dilate(with_frame(crop, size // 2), disc))


def with_frame(image: Any, width: int) -> Pixels:
    kind = cv2.BORDER_CONSTANT
    return np.asarray(cv2.copyMakeBorder(image, width, width, width, width, kind), np.uint8)


def placed(box: Pixels) -> Pixels:
    """Put a box of at most 20×20 into 28×28, its centre of mass at the centre."""
    out = np.zeros((SIDE, SIDE), np.uint8)
    total = max(int(box.sum(dtype=np.int64)), 1)
    place = []
    for axis, side in enumerate(box.shape):
        mass = int(box.sum(1 - axis) @ AXIS[:side] / total)
        start = min(max(CENTRE - mass, 0), SIDE - side)
        place.append(slice(start, start + side))
    out[tuple(place)] = box
    return out


# ---- Measuring ----


def workloads(count: int) -> dict[str, list[bytes]]:
    """Make PNG files of some sizes and kinds."""
    images = mnist.load("test")[0][:count]
    ruled = [np.asarray(scan) for scan in CorruptedImages(images, CORRUPTIONS["box-lines"])]
    fine = [np.asarray(scan) for scan in CorruptedImages(images, CORRUPTIONS["thin"])]
    cream = [(scan[:, :, None] * CREAM).astype(np.uint8) for scan in ruled]
    kinds = {
        "28×28": [255 - image for image in images],
        "28×28, normalized": list(images),
        "95×95, box-lines": ruled,
        "95×95, on cream, RGB": cream,
        "112×112, thin": fine,
    }
    return {
        kind: [cv2.imencode(".png", scan[..., ::-1] if scan.ndim == 3 else scan)[1].tobytes()
               for scan in scans]
        for kind, scans in kinds.items()
    }  # fmt: skip


def microseconds(step: Callable[[Any], object], inputs: list[Any]) -> float:
    """Time a step over all inputs, a scan."""
    start = time.perf_counter()
    for given in inputs:
        step(given)
    return 1e6 * (time.perf_counter() - start) / len(inputs)


def measured(files: dict[str, list[bytes]], rounds: int) -> dict[tuple[str, str], list[float]]:
    """Take turns: each round all steps with all kinds of scans; the first is not counted."""
    steps: dict[str, Callable[[Any], object]] = {
        PLAIN: plain_resize, OURS: normalize, OPENCV: with_opencv
    }  # fmt: skip
    pixels = {kind: [decode(content).pixels for content in some] for kind, some in files.items()}
    times: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds + 1):
        for kind in files:
            spent = {DECODE: microseconds(decode, files[kind])}
            spent |= {name: microseconds(step, pixels[kind]) for name, step in steps.items()}
            for name, value in spent.items():
                if turn:
                    times.setdefault((kind, name), []).append(value)
    return times


def start_up(data: str | None) -> tuple[float, float]:
    """Give the seconds of importing the normalizer and of its machine code, in a fresh process."""
    environment = os.environ if data is None else {**os.environ, "DIGITREC_DATA": data}
    command = [sys.executable, "-c", LOAD]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    imported, loaded = told.stdout.split()
    return float(imported), float(loaded)


def ratio(some: list[float], others: list[float]) -> float:
    """Give the median of a step's time divided by another's in the same round."""
    return statistics.median(one / other for one, other in zip(some, others, strict=True))


def show(times: dict[tuple[str, str], list[float]], kinds: list[str]) -> None:
    """Print the median (and the least) of the rounds, and what they are in proportion."""
    names = (DECODE, PLAIN, OURS, OPENCV)
    print("microseconds a scan: median of the rounds (least)")
    titles = "".join(f"{name:>17}" for name in names)
    print(f"{'':<22}{titles}   normalize ÷ decode   OpenCV ÷ normalize")
    for kind in kinds:
        rounds = {name: times[kind, name] for name in names}
        cells = "".join(
            f"{statistics.median(some):8.1f} ({min(some):6.1f})" for some in rounds.values()
        )
        dearer = ratio(rounds[OURS], rounds[DECODE])
        cheaper = ratio(rounds[OPENCV], rounds[OURS])
        print(f"{kind:<22}{cells}{dearer:21.2f}{cheaper:21.1f}")


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    files = workloads(options.scans)
    show(measured(files, options.rounds), list(files))
    warm = [start_up(None) for _ in range(5)]
    imported, loaded = (statistics.median(column) for column in zip(*warm, strict=True))
    print(f"start: {imported:.2f} s to import, {loaded:.2f} s for machine code from the cache")
    with tempfile.TemporaryDirectory() as empty:
        print(f"       {start_up(empty)[1]:.1f} s to compile, with an empty cache")


if __name__ == "__main__":
    main()
