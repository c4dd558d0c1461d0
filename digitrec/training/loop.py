"""The training loop: plain torch on tensors in memory, for one worker or one of several."""

import copy
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

    `strengths`, float32 [N], say how much of a recipe's augmentation each image gets. The last
    `corrections` images are what people corrected.
    """

    images: Tensor
    labels: Tensor
    strengths: Tensor
    corrections: int = 0

    def __len__(self) -> int:
        return len(self.labels)


def labelled(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    device: torch.device,
    strengths: NDArray[np.float32] | None = None,
    corrections: int = 0,
) -> Labelled:
    """Put images uint8 [N, 28, 28] and labels uint8 [N] on `device` (copied: torch may write)."""
    if strengths is None:
        strengths = np.ones(len(labels), np.float32)
    return Labelled(
        torch.tensor(images, device=device),
        torch.tensor(labels, device=device).to(torch.int64),
        torch.tensor(strengths, device=device),
        corrections,
    )


def begin(
    recipe: Recipe, device: torch.device, start: dict[str, Tensor] | None = None
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Make a network with its first weights, and its optimizer.

    Args:
        recipe: its seed gives the weights, where there are no others.
        device: where it is trained.
        start: the weights to begin with.
    """
    torch.manual_seed(recipe.seed)
    # Channels last: a step takes half the time on a CPU.
    network = NETWORKS[recipe.network](batch_norm=recipe.batch_norm)
    if start is not None:
        network.load_state_dict(start)
    network = network.to(device).to(memory_format=torch.channels_last)
    # Without weight decay this is Adam.
    return network, torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )


def held_to(network: nn.Module, recipe: Recipe) -> nn.Module | None:
    """Return the champion that a network is to agree with, itself as it begins; None: with none."""
    return copy.deepcopy(network).eval() if recipe.distilled else None


def mixed(
    trained: dict[str, Tensor], start: dict[str, Tensor] | None, kept: float
) -> dict[str, Tensor]:
    """Return the mean of a network's weights and those that it began with, these by a share `kept`.

    What was learnt anew stays for the most part, and what is forgotten comes back (Wortsman et
    al., "Robust fine-tuning of zero-shot models", 2022).
    """
    if start is None or not kept:
        return trained
    return {name: torch.lerp(value, start[name], kept) for name, value in trained.items()}


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """Return the epoch's shuffle of `count` items: int64 [count], a function of seed and epoch."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(count, generator=generator)


def epoch_batches(data: Labelled, recipe: Recipe, epoch: int) -> list[Tensor]:
    """Return the epoch's batches, int64 [B] each: shuffled, each with its share of corrections.

    Without corrections every image is in one batch. With them a batch has as many as the recipe
    says, however few there are, and all are used equally often; of the rest an epoch of so many
    steps sees other images than the one before.
    """
    known = len(data) - data.corrections
    corrected = round(recipe.corrections * recipe.batch_size) if data.corrections else 0
    if not corrected and recipe.steps is None:
        return list(epoch_order(len(data), recipe.seed, epoch).split(recipe.batch_size))
    others = recipe.batch_size - corrected
    steps = -(-known // others)
    if recipe.steps is not None:
        steps = min(steps, recipe.steps)
    old = _in_turn(known, steps * others, recipe.seed, epoch)
    new = known + _in_turn(data.corrections, steps * corrected, recipe.seed + 1, epoch)
    return list(torch.cat([old.view(steps, others), new.view(steps, corrected)], 1))


def _in_turn(count: int, wanted: int, seed: int, epoch: int) -> Tensor:
    """Return the next so many of endless shuffles of `count` items: int64 [wanted]."""
    first = (epoch - 1) * wanted
    turns = range(first // max(count, 1), -(-(first + wanted) // max(count, 1)))
    shuffled = [epoch_order(count, seed, turn) for turn in turns]
    begin = first % max(count, 1)
    return torch.cat([*shuffled, torch.empty(0, dtype=torch.int64)])[begin : begin + wanted]


def train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Labelled,
    recipe: Recipe,
    epoch: int,
    rank: int = 0,
    world_size: int = 1,
    champion: nn.Module | None = None,
) -> Tensor:
    """Train one epoch; give the sum of the losses of this worker's images, float32 scalar.

    Every worker takes its stride of every batch, so that the batch over all workers has
    `recipe.batch_size` images. The loss is scaled so that averaging the gradients over the
    workers, as DistributedDataParallel does, gives the gradient of the whole batch's mean loss,
    also where the batch does not divide evenly.

    Args:
        network: is trained.
        optimizer: its own.
        data: on its device.
        recipe: says how.
        epoch: from 1 on.
        rank: of this worker.
        world_size: how many there are.
        champion: the network that is to be agreed with on all but corrections, by the recipe's
            share `distilled`.
    """
    network.train()
    device = data.images.device
    batches = [batch.to(device) for batch in epoch_batches(data, recipe, epoch)]
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
        scaled = standardize(images)
        logits, labels = network(scaled), data.labels[mine]
        if champion is None:
            loss = loss_of(logits, labels, junk=recipe.junk > 0)
        else:
            with torch.no_grad():
                told = champion(scaled)
            corrected = mine >= len(data) - data.corrections
            share = torch.where(corrected, 0.0, recipe.distilled)
            apart = distances(logits, told, junk=recipe.junk > 0)
            losses = loss_of(logits, labels, junk=recipe.junk > 0, reduction="none")
            loss = ((1 - share) * losses + share * apart).sum()
        for group in optimizer.param_groups:
            progress = (epoch - 1 + number / len(batches)) / recipe.epochs
            group["lr"] = learning_rate_at(recipe, progress)
        optimizer.zero_grad(set_to_none=True)
        (loss * (world_size / len(batch))).backward()
        optimizer.step()
        total += loss.detach()
    return total


def loss_of(logits: Tensor, labels: Tensor, *, junk: bool, reduction: str = "sum") -> Tensor:
    """Return the cross-entropies of logits float32 [N, 10] with labels int64 [N].

    Where there is junk, an eleventh class stands for it, whose logit is always 0: so the network
    learns to give digits logits above 0 and everything else logits below, without a parameter
    more. The sigmoid of the logits' log-sum-exp then tells how much a scan looks like a digit
    (the energy score of Liu et al., "Energy-based out-of-distribution detection", 2020, with a
    fixed scale).

    Args:
        logits: as the network gives them.
        labels: 0 to 9, and 10 for no digit, where there is junk.
        junk: see above.
        reduction: `sum`, or `none`: float32 [N].
    """
    if junk:
        logits = F.pad(logits, (0, 1))
    return F.cross_entropy(logits, labels, reduction=reduction)


def distances(logits: Tensor, told: Tensor, *, junk: bool) -> Tensor:
    """Return how far logits float32 [N, 10] are from what a champion says: float32 [N].

    The divergence of the two distributions (Hinton et al., "Distilling the knowledge in a neural
    network", 2015): 0 where they are the same. So a network keeps what it is certain of and what it
    doubts, where labels would make it certain of what it has seen often.
    """
    if junk:
        logits, told = F.pad(logits, (0, 1)), F.pad(told, (0, 1))
    said, wanted = F.log_softmax(logits, 1), F.log_softmax(told, 1)
    return F.kl_div(said, wanted, reduction="none", log_target=True).sum(1)


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
