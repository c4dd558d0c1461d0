"""The same training without some of the corrections each time, all at once: as tasks of Ray."""

from collections.abc import Iterator, Sequence

import numpy as np
import ray
import torch
from numpy.typing import NDArray
from torch import Tensor

from digitrec.errors import RunError
from digitrec.training.data import Arrays, stacked
from digitrec.training.loop import begin, held_to, labelled, mixed, train_epoch
from digitrec.training.recipes import Recipe

Weights = dict[str, Tensor]


def train_folds(
    recipe: Recipe,
    known: tuple[Arrays, NDArray[np.float32]],
    corrections: Sequence[Arrays],
    start: Weights,
    *,
    use_gpu: bool,
) -> Iterator[tuple[int, Weights]]:
    """Train from the same weights on each of several sets of corrections, beside what is known.

    Args:
        recipe: see `further`.
        known: what all of them learn from, and the `strengths` of its images.
        corrections: of each training.
        start: the champion's weights.
        use_gpu: each has a GPU to itself.

    Yields:
        Of each training, as it ends, its number and the weights that it leaves.

    Raises:
        RunError: one failed, and failed again on every retry.
    """
    reference = ray.put(known)
    task = ray.remote(num_cpus=1, num_gpus=int(use_gpu))(learn_on)
    tasks = {task.remote(recipe, reference, some, start): k for k, some in enumerate(corrections)}
    while tasks:
        [done], _ = ray.wait(list(tasks))
        try:
            weights = ray.get(done)
        except ray.exceptions.RayError as why:
            raise RunError(f"the training of a fold failed for good: {why}") from why
        yield tasks.pop(done), weights


def learn_on(
    recipe: Recipe,
    known: tuple[Arrays, NDArray[np.float32]],
    corrections: Arrays,
    start: Weights,
) -> Weights:
    """Train on one set of corrections, in this process; see `train_folds`."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    arrays, strengths = known
    count = len(corrections[1])
    data = labelled(
        *stacked([arrays, corrections]),
        device,
        np.concatenate([strengths, np.ones(count, np.float32)]),
        count,
    )
    network, optimizer = begin(recipe, device, start)
    champion = held_to(network, recipe)
    for epoch in range(1, recipe.epochs + 1):
        train_epoch(network, optimizer, data, recipe, epoch, champion=champion)
    weights = {name: value.cpu() for name, value in network.state_dict().items()}
    return mixed(weights, start, recipe.kept)
