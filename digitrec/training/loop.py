"""The training loop: plain torch on tensors in memory, for one worker or one of several."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from digitrec.model.network import scale
from digitrec.training.recipes import Recipe

# An evaluation needs no gradient, so its batches are bounded by the CPU's cache alone.
EVALUATION_BATCH = 500


@dataclass(frozen=True, slots=True)
class Labelled:
    """Images uint8 [N, 28, 28] and labels int64 [N] on one device."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def labelled(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], device: torch.device
) -> Labelled:
    """Put images uint8 [N, 28, 28] and labels uint8 [N] on `device` (copied: torch may write)."""
    return Labelled(
        torch.tensor(images, device=device), torch.tensor(labels, device=device).to(torch.int64)
    )


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """Give the epoch's shuffle of `count` items: int64 [count], a function of seed and epoch."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(count, generator=generator)


def train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Labelled,
    recipe: Recipe,
    epoch: int,
    rank: int = 0,
    world_size: int = 1,
) -> Tensor:
    """Train one epoch; give the sum of the losses of this worker's images, float32 scalar.

    Every worker takes its stride of every batch, so that the batch over all workers has
    `recipe.batch_size` images. The loss is scaled so that averaging the gradients over the
    workers, as DistributedDataParallel does, gives the gradient of the whole batch's mean loss,
    also where the batch does not divide evenly.
    """
    network.train()
    order = epoch_order(len(data), recipe.seed, epoch).to(data.images.device)
    total = torch.zeros((), device=data.images.device)
    for batch in order.split(recipe.batch_size):
        mine = batch[rank::world_size]
        logits = network(scale(data.images[mine]))
        loss = F.cross_entropy(logits, data.labels[mine], reduction="sum")
        optimizer.zero_grad(set_to_none=True)
        (loss * (world_size / len(batch))).backward()
        optimizer.step()
        total += loss.detach()
    return total


@torch.inference_mode()
def evaluate(network: nn.Module, data: Labelled, rank: int = 0, world_size: int = 1) -> Tensor:
    """Give [sum of losses, number right] of this worker's share of `data`, float64 [2].

    The shares are disjoint strides that cover the set, so their sum counts every image once.
    """
    network.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=data.images.device)
    for mine in torch.arange(len(data))[rank::world_size].split(EVALUATION_BATCH):
        logits, labels = network(scale(data.images[mine])), data.labels[mine]
        sums[0] += F.cross_entropy(logits, labels, reduction="sum")
        sums[1] += (logits.argmax(1) == labels).sum()
    return sums
