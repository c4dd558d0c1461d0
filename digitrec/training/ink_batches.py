"""The ink network's recipe, and the batches of a run, drawn ahead by several processes.

Apart from the loop, so that a process that draws does not wait for torch.
"""

import multiprocessing
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from digitrec.datasets.synthetic.ink_samples import InkSamples, draw_samples
from digitrec.datasets.synthetic.papers import TRAINED

# Drawn ahead for each process, so that none waits.
AHEAD = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class InkRecipe:
    """The settings of one run: AdamW, its step size rising over 5 % of the run, then falling."""

    batch_size: int = 512  # samples a step
    epochs: int = 20
    steps: int = 800  # an epoch
    learning_rate: float = 0.006  # the highest
    weight_decay: float = 0.01
    seed: int = 0  # of the first weights and of all samples
    kinds: tuple[str, ...] = TRAINED  # of print, of `KINDS`

    def __post_init__(self) -> None:
        for field in ("batch_size", "epochs", "steps"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be 1 or more, not {getattr(self, field)}")


INK = InkRecipe()


# What a process draws with: sent to it once.
_given: list[tuple[InkRecipe, NDArray[np.uint8]]] = []


def _give(recipe: InkRecipe, images: NDArray[np.uint8]) -> None:
    import cv2

    cv2.setNumThreads(1)
    _given[:] = [(recipe, images)]


def _draw_step(step: int) -> InkSamples:
    recipe, images = _given[0]
    return draw_samples(recipe.batch_size, [recipe.seed, step], images, recipe.kinds)


def drawn_batches(
    recipe: InkRecipe, images: NDArray[np.uint8], processes: int, first_epoch: int = 1
) -> Iterator[InkSamples]:
    """Yield the batches of a run's steps from an epoch on, drawn ahead by so many processes."""
    steps = iter(range((first_epoch - 1) * recipe.steps, recipe.epochs * recipe.steps))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        processes, context, initializer=_give, initargs=(recipe, images)
    ) as pool:
        ahead = deque(pool.submit(_draw_step, step) for step in islice(steps, AHEAD * processes))
        while ahead:
            batch = ahead.popleft().result()
            if (step := next(steps, None)) is not None:
                ahead.append(pool.submit(_draw_step, step))
            yield batch
