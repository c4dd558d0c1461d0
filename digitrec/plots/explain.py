"""The picture that shows why a scan was read so."""

from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from digitrec.evaluation.explain import Explanation
from digitrec.normalize.scan import Normalized, grey
from digitrec.plots.style import NEUTRAL, RIGHT, drawing

INK = "#1f5fb4"  # in the second picture


def explanation(name: str, one: Explanation, path: Path) -> None:
    """Draw the scan, its ink, what the network saw, the probabilities, and what it is like."""
    assert one.pixels is not None
    assert one.normalized is not None
    rows = 2 if one.nearest else 1
    with drawing(path, 11, 6 if rows == 2 else 3.9) as figure:
        figure.suptitle(f"{name}: {one.answer}", fontsize=14, weight="bold")
        above, *below = figure.subfigures(
            rows, 1, height_ratios=(1.9, 1)[:rows], squeeze=False
        ).flat
        above.suptitle(one.words, fontsize=12)
        scan, ink, seen, probabilities = above.subplots(1, 4, width_ratios=(1, 1, 1, 1.25))
        _scan(scan, one.pixels, one.normalized)
        _ink(ink, one.pixels, one.normalized)
        _seen(seen, one.normalized)
        _probabilities(probabilities, one)
        for figure_below in below:
            _nearest(figure_below, one)


def _scan(axes: Axes, pixels: NDArray[np.uint8], normalized: Normalized) -> None:
    height, width = pixels.shape[:2]
    axes.set_title(f"1. the scan, {width}×{height} pixels,\nand the box around its ink")
    _still(axes)
    if pixels.ndim == 2:
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    else:
        axes.set_facecolor("white")
        axes.imshow(pixels)
    if not normalized.blank:
        left, top, box_width, box_height = normalized.box
        place = (left - 0.5, top - 0.5)
        axes.add_patch(Rectangle(place, box_width, box_height, fill=False, edgecolor="#d9822b"))


def _ink(axes: Axes, pixels: NDArray[np.uint8], normalized: Normalized) -> None:
    axes.set_title("2. what counts as ink, in blue:\nthe rest was left out")
    _still(axes)
    axes.imshow(255 - (255 - grey(pixels)) // 2, cmap="gray", vmin=0, vmax=255)
    ink = np.zeros(pixels.shape[:2], np.uint8)
    if not normalized.blank:
        left, top, width, height = normalized.box
        place = ink[top : top + height, left : left + width]
        place[:] = cv2.resize(normalized.ink, place.shape[::-1], interpolation=cv2.INTER_AREA)
    shows = ink / max(int(ink.max()), 1)
    axes.imshow(np.dstack([np.full((*ink.shape, 3), to_rgb(INK)), shows]))


def _seen(axes: Axes, normalized: Normalized) -> None:
    axes.set_title("3. what the network saw:\n28×28 pixels, as in MNIST")
    _still(axes)
    axes.imshow(normalized.image, cmap="gray_r", vmin=0, vmax=255)


def _probabilities(axes: Axes, one: Explanation) -> None:
    axes.set_title("4. what it made of that,\nin %")
    if one.reading.probabilities is None:
        axes.axis("off")
        axes.text(0.5, 0.5, "nothing: the scan is blank", ha="center", transform=axes.transAxes)
        return
    shares = 100 * one.reading.probabilities
    colours = [RIGHT if digit == one.reading.digit else NEUTRAL for digit in range(10)]
    bars = axes.barh(range(10), shares, color=colours)
    axes.bar_label(bars, [f"{share:.1f}" if share >= 0.05 else "" for share in shares], padding=3)
    axes.set(yticks=range(10), ylabel="digit", xlim=(0, 125), xticks=(0, 50, 100))
    axes.invert_yaxis()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _nearest(figure: Figure, one: Explanation) -> None:
    figure.suptitle("5. the most alike of 200 examples that people wrote for MNIST", fontsize=12)
    axes = figure.subplots(1, len(one.nearest) + 1)
    axes[0].set_title("the scan", fontsize=11)
    axes[0].imshow(one.normalized.image if one.normalized else None, cmap="gray_r")
    for example_axes, example in zip(axes[1:], one.nearest, strict=True):
        example_axes.set_title(f"a {example.label}", fontsize=11)
        example_axes.imshow(example.image, cmap="gray_r", vmin=0, vmax=255)
    for each in axes:
        _still(each)


def _still(axes: Axes) -> None:
    """Show no ticks, only a thin frame: it tells where a picture of white paper ends."""
    axes.set(xticks=(), yticks=())
    for spine in axes.spines.values():
        spine.set_color("#bbbbbb")
