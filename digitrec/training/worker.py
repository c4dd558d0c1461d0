"""What one Ray Train worker does: its share of every epoch, and a report after each.

It imports little, because every worker process imports it anew.
"""

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import ray
import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint
from torch import Tensor, nn

from digitrec.training.data import WorkerData
from digitrec.training.epoch_log import EpochRecord
from digitrec.training.loop import (
    begin,
    epoch_batches,
    evaluate,
    held_to,
    labelled,
    train_epoch,
)
from digitrec.training.recipes import Recipe

STATE = "state.pt"

R = TypeVar("R")


def train_worker(config: dict[str, Any]) -> None:
    """Train on one Ray Train worker, from its last checkpoint if there is one.

    Args:
        config: `recipe` (a Recipe), `data`, an object reference to a `WorkerData`, `start`, the
            weights to begin with, or None, and `corrections`, how many of the last images are
            such.
    """
    recipe: Recipe = config["recipe"]
    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    device = ray.train.torch.get_device()
    # Workers share a machine's cores: a second thread each would make all of them slower.
    torch.set_num_threads(1)
    data: WorkerData = ray.get(config["data"])
    train_arrays, test_arrays, strengths = data
    training = labelled(*train_arrays, device, strengths, config["corrections"])
    test = labelled(*test_arrays, device)
    network, optimizer = begin(recipe, device, config["start"])
    champion = held_to(network, recipe)
    images = sum(map(len, epoch_batches(training, recipe, 1)))  # of every epoch
    records = restore(network, optimizer, EpochRecord)
    replica = ray.train.torch.prepare_model(network) if world_size > 1 else network
    for epoch in range(len(records) + 1, recipe.epochs + 1):
        start = time.perf_counter()
        train_sum = train_epoch(
            replica, optimizer, training, recipe, epoch, rank, world_size, champion
        )
        train_loss = over_workers(train_sum, world_size) / images
        seconds = time.perf_counter() - start
        test_loss, test_accuracy = (
            over_workers(evaluate(network, test, rank, world_size), world_size) / len(test)
        ).tolist()
        records.append(
            EpochRecord(
                epoch=epoch,
                train_loss=train_loss.item(),
                test_loss=test_loss,
                test_accuracy=test_accuracy,
                learning_rate=optimizer.param_groups[0]["lr"],
                seconds=seconds,
                images_per_second=images / seconds,
            )
        )
        report(network, optimizer, records, rank)


def over_workers(values: Tensor, world_size: int) -> Tensor:
    """Sum a tensor over all workers, and wait for it."""
    values = values.to(torch.float64)
    if world_size > 1:
        torch.distributed.all_reduce(values)
    return values.cpu()


def report(
    network: nn.Module, optimizer: torch.optim.Optimizer, records: list[Any], rank: int
) -> None:
    """Report an epoch to Ray Train: every rank its numbers, rank 0 the checkpoint."""
    metrics = asdict(records[-1])
    if rank != 0:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        state = {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "records": [asdict(record) for record in records],
        }
        torch.save(state, Path(folder) / STATE)
        name = f"epoch-{records[-1].epoch:04d}"
        ray.train.report(metrics, Checkpoint.from_directory(folder), checkpoint_dir_name=name)


def restore(network: nn.Module, optimizer: torch.optim.Optimizer, kind: type[R]) -> list[R]:
    """Take up the last checkpoint, if there is one; give the records of the epochs behind it."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return []
    state = load_state(checkpoint)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return [kind(**record) for record in state["records"]]


def load_state(checkpoint: Checkpoint) -> Any:
    """Return what a checkpoint holds: `network`, `optimizer` and the `records` so far."""
    with checkpoint.as_directory() as folder:
        return torch.load(Path(folder) / STATE, map_location="cpu", weights_only=True)
