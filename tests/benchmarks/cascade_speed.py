"""How fast the shipped bundles are: `digitrec classify` with each of them, on the same scans.

    python -m tests.benchmarks.cascade_speed

The scans are MNIST's 70,000 images as PNGs, as they are, and 40,000 of them as scans of 95×95
pixels, which take longer to decode and to normalize. Each round classifies a folder
with each bundle, one after the other. `steady` is that of `digitrec.batch.stats.speed`; `network
alone` is one thread on normalized scans in memory, without reading, decoding and writing.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from digitrec.datasets import mnist
from digitrec.datasets.labelled import png
from digitrec.model.bundle import load_bundle
from digitrec.model.engine import open_engine

MODELS = ("small", "cascade", "large")
ALONE = 4096  # scans at a time, as a chunk has
Pixels = NDArray[np.uint8]


def scanned(image: Pixels) -> Pixels:
    """Give an image as a scan of 95×95 pixels, dark on paper."""
    large = cv2.resize(image, (91, 91), interpolation=cv2.INTER_CUBIC)
    return np.pad(np.asarray(245 - 0.85 * large, np.uint8), 2, constant_values=245)


def make_scans(folder: Path, count: int, change: Callable[[Pixels], Pixels]) -> None:
    """Write the first of MNIST's 70,000 images, changed, in folders of a thousand."""
    images = np.concatenate([mnist.load(split)[0] for split in ("test", "train")])
    for k, image in enumerate(images[:count]):
        path = folder / f"{k // 1000:02d}" / f"{k:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(change(image)))


def classified(scans: Path, model: str, *more: str) -> float:
    """Classify a folder, with more options; give the steady scans a second."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "digitrec.cli", "classify", str(scans), "--out", out]
        options = ["--model", model, "--quiet", "--json", *more]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return float(json.loads(done.stdout)["steady_images_per_second"])


def alone(model: str) -> float:
    """Give scans a second of the network alone."""
    engine, scans = open_engine(load_bundle(model)), mnist.load("test")[0][:ALONE]
    engine.answers(scans)
    start = time.perf_counter()
    engine.answers(scans)
    return ALONE / (time.perf_counter() - start)


def row(title: str, rounds: list[list[float]]) -> str:
    """Write medians, and each bundle's share of the small one's speed."""
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    shares = [statistics.median(each[k] / each[0] for each in rounds) for k in range(len(MODELS))]
    cells = (f"{m:>10,.0f} ({s:.2f})" for m, s in zip(medians, shares, strict=True))
    return f"{title:<22}" + "".join(cells)


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{'scans/s (of small)':<22}" + "".join(f"{model:>17}" for model in MODELS))
    rounds = range(options.rounds)
    print(row("network alone", [[alone(model) for model in MODELS] for _ in rounds]), flush=True)
    for title, count, change in (
        ("28×28, as they are", 70_000, lambda image: image),
        ("95×95, dark on paper", 40_000, scanned),
    ):
        with tempfile.TemporaryDirectory() as folder:
            make_scans(Path(folder), count, change)
            speeds = [[classified(Path(folder), model) for model in MODELS] for _ in rounds]
            print(row(title, speeds), flush=True)


if __name__ == "__main__":
    main()
