"""What a recipe is trained on and measured on: parts of MNIST, drawn digits, and junk."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitrec.datasets import mnist
from digitrec.datasets.labelled import JOINED, calibration_indices, validation_indices
from digitrec.datasets.synthetic.sets import draw_digits, draw_junk
from digitrec.model.bundle import describe_data
from digitrec.model.engine import InkEngine
from digitrec.model.shipped import shipped_ink
from digitrec.normalize.scan import normalize
from digitrec.training.closer import NOT_A_DIGIT, looked_at
from digitrec.training.recipes import Recipe

CORRECTIONS = "corrections"  # the name of the part with what people corrected; it comes last
COARSE = (7, 16)  # pixels that a coarse scan's ink has along its longer side

GIVEN = "labelled:"  # how the names of labelled sets that a run is given begin

# Images uint8 [N, 28, 28] and labels uint8 [N].
Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]
# What a worker gets: what is trained on, what is measured on, and the `strengths` of the first.
WorkerData = tuple[Arrays, Arrays, NDArray[np.float32]]


def training_parts(
    recipe: Recipe,
    data: Path | None,
    ink: bytes | None = None,
    given: Mapping[str, Arrays] | None = None,
    *,
    with_mnist: bool = True,
) -> dict[str, Arrays]:
    """Return what a recipe is trained on, by the names that the bundle's card has for them.

    Args:
        recipe: says what of MNIST is held out, and how much is drawn.
        data: folder with MNIST's four files; None: the cache.
        ink: the ink network's ONNX file that looks at papers; None: the one that digitrec ships.
        given: labelled scans beside MNIST's digits, by name.
        with_mnist: False: they take these digits' place.
    """
    parts = {"mnist:train": digits_without(recipe.hold_out, data)} if with_mnist else {}
    parts |= given or {}
    name = "mnist:train" if with_mnist else JOINED.join(parts)
    digits = parts["mnist:train"] if with_mnist else stacked(list(parts.values()))
    if recipe.coarse:
        parts[f"{name}, coarse"] = _coarse(*digits, recipe)
    if recipe.drawn:
        parts["drawn"] = draw_digits(recipe.drawn, recipe.seed)
    if recipe.junk:
        junk = draw_junk(recipe.junk, recipe.seed)
        parts["junk"] = junk, np.full(len(junk), NOT_A_DIGIT, np.uint8)
    if recipe.papers:
        engine = InkEngine(shipped_ink() if ink is None else ink, "the ink network")
        parts["papers"] = looked_at(*digits, recipe.papers, recipe.seed, engine)
    return parts


def digits_without(hold_out: str, data: Path | None) -> Arrays:
    """Return MNIST's training digits without the parts that `hold_out`, of `HOLD_OUT`, names.

    Raises:
        MnistError: MNIST can't be had.
    """
    images, labels = mnist.load("train", data)
    kept = np.ones(len(labels), bool)
    if hold_out != "nothing":
        kept[calibration_indices(images)] = False
    if hold_out == "validation":
        kept[validation_indices(images)] = False
    return images[kept], labels[kept]


def validation_digits(data: Path | None = None) -> Arrays:
    """Return the digits of MNIST's validation part: images uint8 [5000, 28, 28], and labels.

    Raises:
        MnistError: MNIST can't be had.
    """
    images, labels = mnist.load("train", data)
    chosen = validation_indices(images)
    return images[chosen], labels[chosen]


def _coarse(images: NDArray[np.uint8], labels: NDArray[np.uint8], recipe: Recipe) -> Arrays:
    """Return some of MNIST's images as they are after a scan of few pixels.

    Some are wider than they were, as digits are that a program has fitted into a square.
    """
    rng = np.random.default_rng([recipe.seed, 2])
    chosen = rng.choice(len(images), min(recipe.coarse, len(images)), replace=False)
    scans = []
    for image in images[chosen]:
        x, y, width, height = cv2.boundingRect(image)
        side = rng.uniform(*COARSE)
        wide = width + rng.uniform(0, 0.6) * max(height - width, 0)
        size = np.maximum(np.rint(np.array([wide, height]) * (side / max(wide, height))), 2)
        ink = image[y : y + height, x : x + width]
        small = cv2.resize(ink, size.astype(int).tolist(), interpolation=cv2.INTER_AREA)
        scans.append(normalize(255 - np.pad(np.asarray(small, np.uint8), int(rng.integers(1, 3)))))
    return np.stack(scans), labels[chosen]


def joined(parts: dict[str, Arrays]) -> Arrays:
    """Put the parts behind each other."""
    return stacked(list(parts.values()))


def stacked(some: Sequence[Arrays]) -> Arrays:
    """Put labelled images behind each other."""
    images, labels = zip(*some, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def strengths(parts: dict[str, Arrays], recipe: Recipe) -> NDArray[np.float32]:
    """Return how much of the recipe's augmentation each of the joined images gets: float32 [N]."""
    limits = [_limit(name, recipe) for name in parts]
    counts = [len(labels) for _, labels in parts.values()]
    return np.repeat(np.array(limits, np.float32), counts)


def _limit(name: str, recipe: Recipe) -> float:
    if name == CORRECTIONS:
        return 1
    plain = name.startswith(("mnist:", GIVEN))
    return recipe.known_strength * (1 if plain else recipe.drawn_strength)


def described(parts: dict[str, Arrays]) -> dict[str, Any]:
    """Describe the parts for the bundle's card."""
    return {name: describe_data(*part) for name, part in parts.items()}


def measuring_set(recipe: Recipe, data: Path | None) -> tuple[str, Arrays]:
    """Return what every epoch is measured on: MNIST's test set, or the validation part.

    A run that leaves the validation part out is there to choose by it; it never sees the test set.
    """
    if recipe.hold_out != "validation":
        return "mnist:test", mnist.load("test", data)
    return "mnist:validation", validation_digits(data)
