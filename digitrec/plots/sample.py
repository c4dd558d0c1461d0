"""The pictures of a sample that a person answers: each scan with its number."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitrec.plots.style import drawing

ROWS, COLUMNS = 5, 10  # of a sheet


def sheets(scans: Sequence[NDArray[np.uint8]], folder: Path) -> list[Path]:
    """Draw scans as they were given, with their numbers from 1 on; give the pictures' paths.

    Args:
        scans: uint8 [H, W], [H, W, 3] or [H, W, 4] each.
        folder: gets `sheet-01.png` and so on.
    """
    pictures = []
    for first in range(0, len(scans), ROWS * COLUMNS):
        some = scans[first : first + ROWS * COLUMNS]
        rows = -(-len(some) // COLUMNS)
        path = folder / f"sheet-{first // (ROWS * COLUMNS) + 1:02d}.png"
        with drawing(path, 10, 1.25 * rows) as figure:
            grid = figure.subplots(rows, COLUMNS, squeeze=False)
            for axes in grid.flat:
                axes.axis("off")
            for k, (axes, scan) in enumerate(zip(grid.flat, some, strict=False)):
                axes.imshow(scan, cmap="gray", vmin=0, vmax=255)
                axes.set_title(str(first + k + 1), fontsize=9)
        pictures.append(path)
    return pictures
