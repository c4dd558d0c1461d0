"""How digitrec's pictures look: one figure a file, written whole, in the same few colours."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from digitrec.storage.files import replacing

RIGHT, WRONG, NEUTRAL = "#2a7a3b", "#c0272d", "#444444"


@contextmanager
def drawing(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield a figure of so many inches, and save it when the block ends well."""
    figure = Figure(figsize=(width, height), layout="constrained")
    yield figure
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def finish_curve(axes: Axes) -> None:
    """Give curves over epochs whole numbers, a grid and a legend."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()


def fix_ticks(axis: Axis, places: Sequence[float], numbers: Sequence[float]) -> None:
    """Give a logarithmic axis these ticks alone, each with a number."""
    axis.set_ticks(places, [f"{number:g}" for number in numbers])
    axis.set_minor_locator(NullLocator())


def show_scan(axes: Axes, image: NDArray[np.uint8]) -> None:
    """Show a normalized scan uint8 [H, W], ink dark on white."""
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
    axes.axis("off")
