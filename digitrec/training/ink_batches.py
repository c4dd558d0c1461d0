"""The samples of an ink network's run, drawn ahead by Ray tasks.

Apart from the loop, so that a process that draws does not wait for torch.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

import cv2
import numpy as np
import ray
from numpy.typing import NDArray

from digitrec.datasets.synthetic.ink_samples import InkSamples, draw_samples
from digitrec.training.ink_recipe import InkRecipe


def draw_share(
    recipe: InkRecipe, images: NDArray[np.uint8], step: int, rank: int = 0, world_size: int = 1
) -> InkSamples:
    """Draw one worker's share of a step's batch: every `world_size`-th sample of it.

    Each sample is a function of the recipe's seed, the step, from 0 in the first epoch on, and its
    place in the batch: the batch is the same however many workers draw it.
    """
    # Each core draws for itself.
    cv2.setNumThreads(1)
    drawn = [
        draw_samples(1, [recipe.seed, step, place], images, recipe.kinds)
        for place in range(rank, recipe.batch_size, world_size)
    ]
    return InkSamples(
        np.concatenate([one.scans for one in drawn]), np.concatenate([one.marks for one in drawn])
    )


def drawn_shares(
    recipe: InkRecipe,
    images: "ray.ObjectRef[NDArray[np.uint8]]",
    at_once: int,
    first_epoch: int = 1,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[InkSamples]:
    """Yield one worker's shares of all steps from an epoch on, so many drawn ahead at once.

    The tasks ask for no CPU of Ray's, since the run's own workers may hold all of them.
    """
    draw: Any = ray.remote(num_cpus=0, scheduling_strategy="SPREAD")(draw_share)
    steps = iter(range((first_epoch - 1) * recipe.steps, recipe.epochs * recipe.steps))
    ahead = deque(
        draw.remote(recipe, images, step, rank, world_size) for step in islice(steps, at_once)
    )
    while ahead:
        share: InkSamples = ray.get(ahead.popleft())
        if (step := next(steps, None)) is not None:
            ahead.append(draw.remote(recipe, images, step, rank, world_size))
        yield share
