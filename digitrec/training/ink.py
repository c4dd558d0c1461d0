"""How the ink network learns: loss, step and measures, for one worker or one of several."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from digitrec.datasets.synthetic.ink_samples import InkSamples
from digitrec.model.ink_network import InkNet
from digitrec.training.ink_recipe import InkRecipe, ink_rate_at

# How much the parts of the loss count beside the pixels' cross-entropy.
MARK_WEIGHT, DICE_WEIGHT, WRITTEN_WEIGHT = 2.0, 0.3, 0.1
MARKED = 16  # pixels: a scan with as many marks counts as written on


@dataclass(frozen=True, slots=True)
class InkMeasured:
    """How well marks are found: means over samples."""

    iou: float  # of those that are written on: marked and written, of marked or written
    empty_marked: float  # share of the empty ones with a mark, 16 pixels of it or more
    written_missed: float  # share of the written ones without


def begin_ink(recipe: InkRecipe, device: torch.device) -> tuple[InkNet, torch.optim.Optimizer]:
    """Make a network with its first weights, a function of the recipe's seed, and its optimizer."""
    torch.manual_seed(recipe.seed)
    # So a CPU's convolutions take half the time.
    network = InkNet().to(device).to(memory_format=torch.channels_last)
    return network, torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )


def ink_loss(marks: Tensor, written: Tensor, target: Tensor) -> Tensor:
    """Return the mean loss of logits float32 [N, 64, 64] and [N] for marks bool [N, 64, 64].

    Cross-entropy of pixels, and 1 less the share of common ones in each scan (Milletari et al.,
    "V-Net", 2016), which counts small writing as much as large.
    """
    truth = target.to(torch.float32)
    weight = torch.full((), MARK_WEIGHT, device=marks.device)
    pixels = F.binary_cross_entropy_with_logits(marks, truth, pos_weight=weight)
    found = marks.sigmoid()
    common, either = (found * truth).sum((1, 2)), (found + truth).sum((1, 2))
    dice = (1 - (2 * common + 1) / (either + 1)).mean()
    any_ink = F.binary_cross_entropy_with_logits(written, truth.amax((1, 2)))
    return pixels + DICE_WEIGHT * dice + WRITTEN_WEIGHT * any_ink


def train_ink_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    shares: Iterable[InkSamples],
    recipe: InkRecipe,
    epoch: int,
    world_size: int = 1,
) -> Tensor:
    """Train one epoch, from 1, on this worker's share of every batch.

    Convolutions are computed in bfloat16, weights and loss in float32.

    The loss is scaled so that averaging the gradients over the workers, as DistributedDataParallel
    does, gives that of the whole batch's mean loss. Batch normalization has each worker's share for
    itself, so several workers do not give the very weights of one.

    Returns:
        The sum of its samples' losses, float32 scalar.
    """
    network.train()
    device = next(network.parameters()).device
    total = torch.zeros((), device=device)
    for number, share in enumerate(shares):
        for group in optimizer.param_groups:
            progress = (epoch - 1 + number / recipe.steps) / recipe.epochs
            group["lr"] = ink_rate_at(recipe, progress)
        scans, target = (torch.tensor(one, device=device) for one in (share.scans, share.marks))
        with torch.autocast(device.type, torch.bfloat16):
            marks, written = network(scans)
        marks, written = marks.to(torch.float32), written.to(torch.float32)
        loss = ink_loss(marks, written, target) * len(scans)
        optimizer.zero_grad(set_to_none=True)
        (loss * (world_size / recipe.batch_size)).backward()
        optimizer.step()
        total += loss.detach()
    return total


@torch.inference_mode()
def mark_sums(
    network: nn.Module, samples: InkSamples, rank: int = 0, world_size: int = 1
) -> Tensor:
    """Measure a network on this worker's share of samples: what `mark_quality` has of it.

    The shares are disjoint strides that cover the samples; their sums are those of all.

    Returns:
        float64 [5], on the network's device.
    """
    network.eval()
    device = next(network.parameters()).device
    mine = slice(rank, None, world_size)
    parts = torch.tensor(samples.scans[mine]).split(256)
    logits = torch.cat([network(part.to(device))[0].cpu() for part in parts])
    return torch.tensor(sums_of(logits.numpy() > 0, samples.marks[mine]), device=device)


def sums_of(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Hold marks against what is handwriting: both bool [N, 64, 64].

    Returns:
        float64 [5]: how many are written on, the sum of their IoU, how many of them have no mark,
        how many are empty, how many of those have one.
    """
    written, marked = truth.any((1, 2)), found.sum((1, 2)) >= MARKED
    common, either = (found & truth).sum((1, 2)), (found | truth).sum((1, 2))
    iou = (common[written] / either[written]).sum()
    counts = written.sum(), iou, (~marked[written]).sum(), (~written).sum(), marked[~written].sum()
    return np.array(counts, np.float64)


def mark_quality(sums: NDArray[np.float64]) -> InkMeasured:
    """Return the means of what `sums_of` has summed, of both kinds of samples."""
    written, iou, missed, empty, marked = sums.tolist()
    return InkMeasured(iou / written, marked / empty, missed / written)
