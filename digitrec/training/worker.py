"""What one Ray Train worker does: its share of every epoch, and a report after each.

It imports little, because every worker process imports it anew.
"""

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.train
import ray.train.torch
import torch
from numpy.typing import NDArray
from ray.train import Checkpoint
from torch import Tensor, nn

from digitrec.training.data import Arrays
from digitrec.training.epoch_log import EpochRecord
from digitrec.training.loop import begin, evaluate, labelled, train_epoch
from digitrec.training.recipes import Recipe

STATE = "state.pt"


def train_worker(config: dict[str, Any]) -> None:
    """Train on one Ray Train worker, from its last checkpoint if there is one.

    Args:
        config: `recipe` (a Recipe) and `data`, an object reference to what is trained on and to
            what every epoch is measured on, each images uint8 [N, 28, 28] and labels uint8 [N],
            and to how much of the augmentation what is trained on gets, float32 [N].
    """
    recipe: Recipe = config["recipe"]
    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    device = ray.train.torch.get_device()
    # Workers share a machine's cores: a second thread each would make all of them slower.
    torch.set_num_threads(1)
    arrays: tuple[Arrays, Arrays, NDArray[np.float32]] = ray.get(config["data"])
    training, test = labelled(*arrays[0], device, arrays[2]), labelled(*arrays[1], device)
    network, optimizer = begin(recipe, device)
    records = _restore(network, optimizer)
    replica = ray.train.torch.prepare_model(network) if world_size > 1 else network
    for epoch in range(len(records) + 1, recipe.epochs + 1):
        start = time.perf_counter()
        train_sum = train_epoch(replica, optimizer, training, recipe, epoch, rank, world_size)
        train_loss = _over_workers(train_sum, world_size) / len(training)
        seconds = time.perf_counter() - start
        test_loss, test_accuracy = (
            _over_workers(evaluate(network, test, rank, world_size), world_size) / len(test)
        ).tolist()
        records.append(
            EpochRecord(
                epoch=epoch,
                train_loss=train_loss.item(),
                test_loss=test_loss,
                test_accuracy=test_accuracy,
                learning_rate=optimizer.param_groups[0]["lr"],
                seconds=seconds,
                images_per_second=len(training) / seconds,
            )
        )
        _report(network, optimizer, records, rank)


def _over_workers(values: Tensor, world_size: int) -> Tensor:
    """Sum a tensor over all workers, and wait for it."""
    values = values.to(torch.float64)
    if world_size > 1:
        torch.distributed.all_reduce(values)
    return values.cpu()


def _report(
    network: nn.Module, optimizer: torch.optim.Optimizer, records: list[EpochRecord], rank: int
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


def _restore(network: nn.Module, optimizer: torch.optim.Optimizer) -> list[EpochRecord]:
    """Take up the last checkpoint, if there is one; give the records of the epochs behind it."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return []
    state = load_state(checkpoint)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return [EpochRecord(**record) for record in state["records"]]


def load_state(checkpoint: Checkpoint) -> Any:
    """Give what a checkpoint holds: `network`, `optimizer` and the `records` so far."""
    with checkpoint.as_directory() as folder:
        return torch.load(Path(folder) / STATE, map_location="cpu", weights_only=True)
