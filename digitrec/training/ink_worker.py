"""What one Ray Train worker does for an ink network: its share of every step of every epoch."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from torch import nn

from digitrec.datasets.synthetic.ink_samples import InkSamples
from digitrec.training.ink import InkMeasured, begin_ink, mark_quality, mark_sums, train_ink_epoch
from digitrec.training.ink_batches import drawn_shares
from digitrec.training.ink_data import HELD, SEEN
from digitrec.training.ink_recipe import InkRecipe
from digitrec.training.worker import over_workers, report, restore


@dataclass(frozen=True, kw_only=True, slots=True)
class InkRecord:
    """What one epoch of an ink network measured; a line of `log.jsonl`. See `InkMeasured`."""

    epoch: int  # from 1
    train_loss: float  # mean over the epoch's samples, as the weights changed
    # On papers with the kinds of print that are trained on, and with those that are held back.
    seen_iou: float
    seen_empty_marked: float
    seen_written_missed: float
    held_back_iou: float
    held_back_empty_marked: float
    held_back_written_missed: float
    learning_rate: float
    seconds: float  # of training, and of waiting for samples; without the measuring
    samples_per_second: float  # trained on, all workers together

    def told(self, epochs: int) -> str:
        """Return a line that tells it, of a run of so many epochs."""
        return (
            f"epoch {self.epoch}/{epochs}  train loss {self.train_loss:.4f}  "
            f"IoU {self.seen_iou:.3f}, held-back kinds {self.held_back_iou:.3f}  "
            f"{self.seconds:.1f} s  {self.samples_per_second:.0f} samples/s"
        )

    def curves(self) -> dict[str, float]:
        """Return its points for TensorBoard, by the names of their curves."""
        return {
            "loss/train": self.train_loss,
            "iou/seen": self.seen_iou,
            "iou/held_back": self.held_back_iou,
            "empty_marked/seen": self.seen_empty_marked,
            "empty_marked/held_back": self.held_back_empty_marked,
            "written_missed/seen": self.seen_written_missed,
            "written_missed/held_back": self.held_back_written_missed,
            "learning_rate": self.learning_rate,
            "speed/seconds": self.seconds,
            "speed/samples_per_second": self.samples_per_second,
        }


def train_ink_worker(config: dict[str, Any]) -> None:
    """Train on one Ray Train worker, from its last checkpoint if there is one.

    Args:
        config: `recipe` (an InkRecipe), `begin` (the network's first weights; None: at random),
            `images` and `measured`, object references to what samples are drawn from and to what
            is measured on, and `at_once`: how many shares this worker lets be drawn at a time.
    """
    recipe: InkRecipe = config["recipe"]
    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    # The other cores draw.
    torch.set_num_threads(1)
    measured: Mapping[str, InkSamples] = ray.get(config["measured"])
    network, optimizer = begin_ink(recipe, ray.train.torch.get_device())
    if config["begin"] is not None:
        network.load_state_dict(config["begin"])
    records = restore(network, optimizer, InkRecord)
    replica = ray.train.torch.prepare_model(network) if world_size > 1 else network
    first = len(records) + 1
    shares = drawn_shares(recipe, config["images"], config["at_once"], first, rank, world_size)
    samples = recipe.steps * recipe.batch_size
    for epoch in range(first, recipe.epochs + 1):
        start = time.perf_counter()
        mine = islice(shares, recipe.steps)
        train_sum = train_ink_epoch(replica, optimizer, mine, recipe, epoch, world_size)
        train_loss = over_workers(train_sum, world_size).item() / samples
        seconds = time.perf_counter() - start
        seen, held_back = (
            _quality(network, measured[name], rank, world_size) for name in (SEEN, HELD)
        )
        records.append(
            InkRecord(
                epoch=epoch,
                train_loss=train_loss,
                seen_iou=seen.iou,
                seen_empty_marked=seen.empty_marked,
                seen_written_missed=seen.written_missed,
                held_back_iou=held_back.iou,
                held_back_empty_marked=held_back.empty_marked,
                held_back_written_missed=held_back.written_missed,
                learning_rate=optimizer.param_groups[0]["lr"],
                seconds=seconds,
                samples_per_second=samples / seconds,
            )
        )
        report(network, optimizer, records, rank)


def _quality(network: nn.Module, samples: InkSamples, rank: int, world_size: int) -> InkMeasured:
    """Measure a network on samples, each worker on its share of them."""
    sums = over_workers(mark_sums(network, samples, rank, world_size), world_size)
    return mark_quality(sums.numpy())
