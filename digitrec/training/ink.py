"""How the ink network learns: from papers that are drawn anew for every step.

    python -m digitrec.training.ink --out runs/ink

The samples are a function of the seed, the epoch and the step, however many processes draw them;
so is the network, on a CPU. An epoch is a function of its own, for a Ray Train worker to call.
"""

import argparse
import copy
import logging
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from digitrec.datasets import mnist
from digitrec.datasets.labelled import calibration_indices, validation_indices
from digitrec.datasets.synthetic.ink_samples import InkSamples, draw_samples
from digitrec.datasets.synthetic.papers import HELD_BACK
from digitrec.model.export import export_ink
from digitrec.model.ink_network import InkNet
from digitrec.storage.files import replacing, write_json
from digitrec.training.ink_batches import INK, InkRecipe, drawn_batches

# Of the samples that an epoch is measured on: no training epoch has it.
MEASURED_SEED, MEASURED_SAMPLES = 2**31, 1024
RISE = 0.05  # the share of a run in which the learning rate rises
# How much the parts of the loss count beside the pixels' cross-entropy.
MARK_WEIGHT, DICE_WEIGHT, WRITTEN_WEIGHT = 2.0, 0.3, 0.1

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InkMeasured:
    """How well marks are found: means over samples."""

    iou: float  # of those that are written on: marked and written, of marked or written
    empty_marked: float  # share of the empty ones with a mark, 16 pixels of it or more
    written_missed: float  # share of the written ones without


def training_images(data: Path | None = None) -> NDArray[np.uint8]:
    """Return MNIST's images to train on: uint8 [45000, 28, 28], without two parts held out.

    Raises:
        MnistError: MNIST can't be had.
    """
    images, _ = mnist.load("train", data)
    kept = np.ones(len(images), bool)
    kept[calibration_indices(images)] = False
    kept[validation_indices(images)] = False
    return images[kept]


def validation_digits(data: Path | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the images of MNIST's validation part, uint8 [5000, 28, 28], and their labels.

    Raises:
        MnistError: MNIST can't be had.
    """
    images, labels = mnist.load("train", data)
    chosen = validation_indices(images)
    return images[chosen], labels[chosen]


def begin_ink(recipe: InkRecipe, device: torch.device) -> tuple[InkNet, torch.optim.Optimizer]:
    """Make a network with its first weights, a function of the recipe's seed, and its optimizer."""
    torch.manual_seed(recipe.seed)
    network = InkNet().to(device)
    return network, torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )


def ink_rate_at(recipe: InkRecipe, progress: float) -> float:
    """Return the step size when a share `progress` of the run, 0 to 1, is done."""
    if progress < RISE:
        return recipe.learning_rate * (0.04 + 0.96 * progress / RISE)
    fall = (1 - progress) / (1 - RISE)
    return recipe.learning_rate * max(fall, 0.002)


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
    batches: Iterable[InkSamples],
    recipe: InkRecipe,
    epoch: int,
) -> float:
    """Train one epoch, from 1, on its batches; give the mean of their losses."""
    network.train()
    device = next(network.parameters()).device
    total = torch.zeros((), device=device)
    for number, batch in enumerate(batches):
        for group in optimizer.param_groups:
            progress = (epoch - 1 + number / recipe.steps) / recipe.epochs
            group["lr"] = ink_rate_at(recipe, progress)
        scans, target = (torch.from_numpy(one).to(device) for one in (batch.scans, batch.marks))
        marks, written = network(scans)
        loss = ink_loss(marks, written, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return float(total) / recipe.steps


@torch.inference_mode()
def measure_ink(network: nn.Module, samples: InkSamples) -> InkMeasured:
    """Measure a network on samples, some of which are empty."""
    network.eval()
    device = next(network.parameters()).device
    parts = torch.from_numpy(samples.scans).split(256)
    logits = torch.cat([network(part.to(device))[0].cpu() for part in parts])
    return mark_quality(logits.numpy() > 0, samples.marks)


def mark_quality(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> InkMeasured:
    """Hold marks against what is handwriting: both bool [N, 64, 64], both kinds among them."""
    written, marked = truth.any((1, 2)), found.sum((1, 2)) >= 16
    common, either = (found & truth).sum((1, 2)), (found | truth).sum((1, 2))
    return InkMeasured(
        iou=float((common[written] / either[written]).mean()),
        empty_marked=float(marked[~written].mean()),
        written_missed=float(1 - marked[written].mean()),
    )


def train_ink(
    recipe: InkRecipe, out: Path, data: Path | None, processes: int, device: torch.device
) -> None:
    """Train an ink network in this process; leave `ink.pt`, `ink.onnx` and `log.json`.

    Args:
        recipe: all settings.
        out: a folder; what it holds of these names is replaced.
        data: folder with MNIST's four files; None: the cache.
        processes: that draw samples.
        device: where the network learns.

    Raises:
        MnistError: MNIST can't be had.
    """
    others, _ = validation_digits(data)
    seed = [MEASURED_SEED, recipe.seed]
    sets = {
        "seen kinds": draw_samples(MEASURED_SAMPLES, seed, others, recipe.kinds),
        "held back": draw_samples(MEASURED_SAMPLES, seed, others, HELD_BACK),
    }
    network, optimizer = begin_ink(recipe, device)
    batches = drawn_batches(recipe, training_images(data), processes)
    out.mkdir(parents=True, exist_ok=True)
    records = []
    for epoch in range(1, recipe.epochs + 1):
        start = time.perf_counter()
        loss = train_ink_epoch(network, optimizer, islice(batches, recipe.steps), recipe, epoch)
        measured = {name: asdict(measure_ink(network, some)) for name, some in sets.items()}
        seconds = round(time.perf_counter() - start, 1)
        records.append({"epoch": epoch, "loss": loss, "seconds": seconds, **measured})
        log.info("%s", records[-1])
        write_json(out / "log.json", {"recipe": asdict(recipe), "epochs": records})
        with replacing(out / "ink.pt") as temporary:
            torch.save(copy.deepcopy(network).cpu().state_dict(), temporary)
    with replacing(out / "ink.onnx") as temporary:
        temporary.write_bytes(export_ink(network.cpu()))


def main() -> None:
    """Train an ink network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="MNIST's four files")
    parser.add_argument("--epochs", type=int, default=INK.epochs)
    parser.add_argument("--steps", type=int, default=INK.steps)
    parser.add_argument("--batch-size", type=int, default=INK.batch_size)
    parser.add_argument("--seed", type=int, default=INK.seed)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.INFO)
    torch.set_num_threads(1)  # the other cores draw
    recipe = InkRecipe(
        batch_size=options.batch_size,
        epochs=options.epochs,
        steps=options.steps,
        seed=options.seed,
    )
    train_ink(recipe, options.out, options.data, options.processes, torch.device(options.device))


if __name__ == "__main__":
    main()
