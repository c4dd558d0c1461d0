"""Pixels of every kind, sense and nonsense, on which nothing may break."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tests.drawing import Pixels

CHANNELS = (1, 3, 4)
Levels = NDArray[np.float64]  # [H, W], to be clipped to 0…255


def _uniform(rng: Generator, height: int, width: int) -> Levels:
    level = float(rng.choice(np.array([0, 255, rng.integers(256)])))
    return np.full((height, width), level, np.float64)


def _noise(rng: Generator, height: int, width: int) -> Levels:
    return rng.integers(0, 256, (height, width)).astype(float)


def _two_levels(rng: Generator, height: int, width: int) -> Levels:
    low, high = rng.uniform(0, 256, 2)
    chosen = rng.random((height, width)) < rng.random()
    return np.asarray(low + (high - low) * chosen, np.float64)


def _texture(rng: Generator, height: int, width: int) -> Levels:
    return rng.normal(rng.integers(256), rng.uniform(0, 60), (height, width))


def _slopes(rng: Generator, height: int, width: int) -> Levels:
    """Slopes of light, some of which start again at black."""
    down, across = (np.linspace(0, rng.integers(-255, 256), side) for side in (height, width))
    slopes: Levels = np.add.outer(down, across) % float(rng.choice([256, 600]))
    return slopes


def _rectangles(rng: Generator, height: int, width: int) -> Levels:
    levels = _uniform(rng, height, width)
    for _ in range(rng.integers(1, 6)):
        (y, x), (tall, wide) = rng.integers(0, (height, width)), rng.integers(1, 40, 2)
        levels[y : y + tall, x : x + wide] = rng.integers(256)
    return levels


def _strokes(rng: Generator, height: int, width: int) -> Levels:
    levels = _uniform(rng, height, width)
    for _ in range(rng.integers(1, 5)):
        points = rng.integers(0, (width, height), (rng.integers(2, 6), 2)).astype(np.int32)
        cv2.polylines(levels, [points], True, float(rng.integers(256)), int(rng.integers(1, 9)))
    return levels


def _dots(rng: Generator, height: int, width: int) -> Levels:
    levels = _uniform(rng, height, width)
    for _ in range(rng.integers(1, 60)):
        levels[rng.integers(height), rng.integers(width)] = rng.integers(256)
    return levels


def _diagonals(rng: Generator, height: int, width: int) -> Levels:
    """A regular pattern: checked, or lines at 45°."""
    across = np.indices((height, width)).sum(axis=0)
    low, high = rng.uniform(0, 256, 2)
    chosen = across % rng.integers(2, 6) == 0
    return np.asarray(low + (high - low) * chosen, np.float64)


def _dithered(rng: Generator, height: int, width: int) -> Levels:
    levels = _strokes(rng, height, width)
    return np.where(levels > rng.integers(0, 256, (height, width)), 255.0, 0.0)


def _printed_lines(rng: Generator, height: int, width: int) -> Levels:
    levels = _uniform(rng, height, width)
    for turns in range(4):
        if rng.random() < 0.7:
            side = np.rot90(levels, turns)
            away, thickness = rng.integers(0, len(side) // 4 + 1), rng.integers(1, 4)
            side[away : away + thickness] = rng.integers(256)
    return levels


def _nearly_normalized(rng: Generator, height: int, width: int) -> Levels:
    """Ink in a box of 20 by up to 20 somewhere on black; of 28×28 if there is room."""
    levels = np.zeros((min(height, 28), min(width, 28)))
    y, x = rng.integers(0, 9, 2)
    box = rng.integers(0, 256, (20, rng.integers(1, 21))) * (rng.random((20, 1)) < rng.random())
    seen = levels[y : y + 20, x : x + box.shape[1]]
    seen[:] = box[: seen.shape[0], : seen.shape[1]]
    return levels


CONTENTS: dict[str, Callable[[Generator, int, int], Levels]] = {
    kind.__name__.strip("_"): kind
    for kind in (
        _uniform, _noise, _two_levels, _texture, _slopes, _rectangles, _strokes, _dots, _diagonals,
        _dithered, _printed_lines, _nearly_normalized,
    )
}  # fmt: skip


def pixels_of(content: str, height: int, width: int, channels: int, seed: int) -> Pixels:
    """Make pixels of one kind.

    Args:
        content: one of `CONTENTS`.
        height: in pixels.
        width: in pixels.
        channels: 1 for [H, W], 3 for RGB, 4 for RGBA.
        seed: the same gives the same.
    """
    rng = np.random.default_rng(seed)
    kind = CONTENTS[content]
    levels = kind(rng, height, width)
    if channels == 1:
        return _to_bytes(levels)
    if rng.random() < 0.5:  # the same in other shades
        planes = [levels * share for share in rng.choice([0, 0.5, 1, rng.random()], channels)]
    else:
        planes = [levels, *(kind(rng, height, width) for _ in range(channels - 1))]
    return _to_bytes(np.dstack(planes))


def _to_bytes(levels: Levels) -> Pixels:
    return np.clip(levels, 0, 255).astype(np.uint8)


def any_pixels(seed: int) -> Pixels:
    """Make pixels of any kind, shape and number of channels; a twentieth of them are large."""
    rng = np.random.default_rng([seed, 1])
    most = 330 if rng.random() < 0.05 else 70
    height, width = (int(side) for side in rng.integers(1, most, 2))
    shape = [(height, width), (height, width), (1, width), (height, 1), (28, 28)][rng.integers(5)]
    content = str(rng.choice(list(CONTENTS)))
    return pixels_of(content, *shape, int(rng.choice(CHANNELS)), seed)
