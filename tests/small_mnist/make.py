"""Makes the small MNIST: digits of digitrec's own drawing in the form of MNIST's four files.

    python -m tests.small_mnist.make

1,000 to train on and 200 to test with, for tests that need digits and not MNIST's: no download.
Each ten show all digits, in the order in which MNIST's test set first shows them: 7, 2, 1, 0, 4, …
The shipped small network and the cascade read all 200 right and accept them, and a test may count
on that.
"""

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitrec.datasets.synthetic.sets import draw_digits

FOLDER = Path(__file__).parent
# Split → how MNIST's files of it begin, how many digits, and the seed they are drawn with.
SPLITS = {"train": ("train", 1000, 1), "test": ("t10k", 200, 29)}
ORDER = (7, 2, 1, 0, 4, 9, 5, 6, 3, 8)
Digits = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def load_small(split: str) -> Digits:
    """Read images uint8 [N, 28, 28] and labels uint8 [N] of `train` or `test`."""
    images, labels = (gzip.decompress(file.read_bytes()) for file in files(split))
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    return pixels, np.frombuffer(labels, np.uint8, offset=8)


def files(split: str) -> tuple[Path, Path]:
    """Name a split's two files: images and labels."""
    prefix = SPLITS[split][0]
    return FOLDER / f"{prefix}-images-idx3-ubyte.gz", FOLDER / f"{prefix}-labels-idx1-ubyte.gz"


def draw(split: str) -> Digits:
    """Draw a split's digits: they are always the same."""
    _, count, seed = SPLITS[split]
    images, labels = draw_digits(count, seed)
    in_order = np.arange(count).reshape(-1, 10)[:, ORDER].ravel()
    return images[in_order], labels[in_order]


def idx(array: NDArray[np.uint8]) -> bytes:
    """Write an array as MNIST does: 0, 0, 8 for bytes, the number of axes, their lengths."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


if __name__ == "__main__":
    for split in SPLITS:
        for file, array in zip(files(split), draw(split), strict=True):
            file.write_bytes(gzip.compress(idx(array), mtime=0))
