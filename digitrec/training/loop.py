"""The training loop: plain torch on tensors in memory, for one worker or one of several."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from digitrec.model.network import NETWORKS, scale, standardize, unit
from digitrec.training.augment import augment
from digitrec.training.recipes import Recipe, learning_rate_at

# An evaluation needs no gradient, so its batches are bounded by the CPU's cache alone.
EVALUATION_BATCH = 500


@dataclass(frozen=True, slots=True)
class Labelled:
    """Images uint8 [N, 28, 28] and labels int64 [N] on one device; label 10 is no digit.

    `strengths`, float32 [N], say how much of a recipe's augmentation each image gets.
    """

    images: Tensor
    labels: Tensor
    strengths: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def labelled(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    device: torch.device,
    strengths: NDArray[np.float32] | None = None,
) -> Labelled:
    """Put images uint8 [N, 28, 28] and labels uint8 [N] on `device` (copied: torch may write)."""
    if strengths is None:
        strengths = np.ones(len(labels), np.float32)
    return Labelled(
        torch.tensor(images, device=device),
        torch.tensor(labels, device=device).to(torch.int64),
        torch.tensor(strengths, device=device),
    )


def begin(recipe: Recipe, device: torch.device) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Make a network with its first weights, a function of the recipe's seed, and its optimizer."""
    torch.manual_seed(recipe.seed)
    # Channels last: a step takes half the time on a CPU.
    network = NETWORKS[recipe.network](batch_norm=recipe.batch_norm)
    network = network.to(device).to(memory_format=torch.channels_last)
    # Without weight decay this is Adam.
    return network, torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """Return the epoch's shuffle of `count` items: int64 [count], a function of seed and epoch."""
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
    device = data.images.device
    batches = epoch_order(len(data), recipe.seed, epoch).to(device).split(recipe.batch_size)
    # Other numbers than the shuffle's, of this epoch and worker alone: resumed, it is the same.
    generator = torch.Generator(device).manual_seed(
        (recipe.seed * 1_000_003 + epoch) * 1_009 + 1 + rank
    )
    total = torch.zeros((), device=device)
    for number, batch in enumerate(batches):
        mine = batch[rank::world_size]
        images = unit(data.images[mine])
        if recipe.augments:
            images = augment(images, recipe, generator, data.strengths[mine])
        loss = loss_of(network(standardize(images)), data.labels[mine], junk=recipe.junk > 0)
        for group in optimizer.param_groups:
            progress = (epoch - 1 + number / len(batches)) / recipe.epochs
            group["lr"] = learning_rate_at(recipe, progress)
        optimizer.zero_grad(set_to_none=True)
        (loss * (world_size / len(batch))).backward()
        optimizer.step()
        total += loss.detach()
    return total


def loss_of(logits: Tensor, labels: Tensor, *, junk: bool) -> Tensor:
    """Return the sum of the cross-entropies of logits float32 [N, 10] with labels int64 [N].

    Where there is junk, an eleventh class stands for it, whose logit is always 0: so the network
    learns to give digits logits above 0 and everything else logits below, without a parameter
    more. The sigmoid of the logits' log-sum-exp then tells how much a scan looks like a digit
    (the energy score of Liu et al., "Energy-based out-of-distribution detection", 2020, with a
    fixed scale).
    """
    if junk:
        logits = F.pad(logits, (0, 1))
    return F.cross_entropy(logits, labels, reduction="sum")


@torch.inference_mode()
def evaluate(network: nn.Module, data: Labelled, rank: int = 0, world_size: int = 1) -> Tensor:
    """Return [sum of losses, number right] of this worker's share of `data`, float64 [2].

    The shares are disjoint strides that cover the set, so their sum counts every image once.
    """
    network.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=data.images.device)
    for mine in torch.arange(len(data))[rank::world_size].split(EVALUATION_BATCH):
        logits, labels = network(scale(data.images[mine])), data.labels[mine]
        sums[0] += F.cross_entropy(logits, labels, reduction="sum")
        sums[1] += (logits.argmax(1) == labels).sum()
    return sums
