"""A training run on Ray Train: from a recipe to a run folder with a bundle in it."""

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.train
import ray.train.torch
import torch
from numpy.typing import NDArray
from ray.train import Checkpoint, FailureConfig, RunConfig, ScalingConfig
from torch import Tensor, nn

from digitrec import plots
from digitrec.errors import InputError, RunError
from digitrec.model.bundle import describe_data, load_bundle, save_bundle, write_scorecard
from digitrec.model.engine import Engine
from digitrec.model.epoch_log import (
    EpochRecord,
    EpochWriter,
    announcing,
    following,
    write_records,
)
from digitrec.model.loop import evaluate, labelled, train_epoch
from digitrec.model.network import DigitNet
from digitrec.model.recipes import Recipe
from digitrec.model.run_folder import LOG, TEXT_LOG, RunFolder, open_run_folder
from digitrec.ray_session import ray_session
from digitrec.scans import mnist
from digitrec.scans.labelled import mnist_set
from digitrec.trust.evaluate import measure

# A worker that dies is replaced, and the run goes on from its last epoch, this many times.
MAX_FAILURES = 3
STATE = "state.pt"

log = logging.getLogger(__name__)

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSettings:
    """What one training run is told, beside its recipe."""

    recipe: Recipe
    out: str  # run folder: a path, or a URI that pyarrow opens
    workers: int = 1
    device: str = "auto"  # auto, cpu or cuda
    data: Path | None = None  # folder with MNIST's four files; None: the cache
    resume: bool = False

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers must be 1 or more, not {self.workers}")


@dataclass(frozen=True, slots=True)
class Trained:
    """What a finished run left: one record an epoch, and the id of its bundle."""

    records: list[EpochRecord]
    bundle_id: str


def train(settings: TrainSettings) -> Trained:
    """Train a recipe on Ray Train and leave the run folder complete.

    Raises:
        InputError: the data, the run folder or the device can't be used; nothing was started.
        RunError: the training failed, and failed again on every retry.
    """
    training, test = mnist.load("train", settings.data), mnist.load("test", settings.data)
    with (
        open_run_folder(settings.out, settings.recipe, resume=settings.resume) as folder,
        _text_log(folder.local / TEXT_LOG),
    ):
        with ray_session():
            state = _fit(settings, folder, training, test)
        records = [EpochRecord(**record) for record in state["records"]]
        write_records(folder.local / LOG, records)
        bundle_id = _finish(settings, folder.local, state["network"], records, training)
        folder.publish()
    return Trained(records, bundle_id)


def _fit(settings: TrainSettings, folder: RunFolder, training: Arrays, test: Arrays) -> Any:
    """Run Ray Train; give the state that the last epoch's checkpoint holds."""
    recipe = settings.recipe
    use_gpu = _use_gpu(settings.device, settings.workers)
    log.info(
        "recipe %s: %d epochs, batches of %d, Adam at %g, seed %d, no augmentation; "
        "%d worker%s on %s; TensorBoard: tensorboard --logdir %s",
        recipe.name,
        recipe.epochs,
        recipe.batch_size,
        recipe.learning_rate,
        recipe.seed,
        settings.workers,
        "" if settings.workers == 1 else "s",
        "cuda" if use_gpu else "cpu",
        folder.local / "tensorboard",
    )
    trainer = ray.train.torch.TorchTrainer(
        train_worker,
        train_loop_config={"recipe": recipe, "data": ray.put((training, test))},
        scaling_config=ScalingConfig(num_workers=settings.workers, use_gpu=use_gpu),
        run_config=RunConfig(
            name="checkpoints",
            storage_path=folder.path,
            storage_filesystem=folder.filesystem,
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
            callbacks=[EpochWriter(folder.local / LOG)],  # type: ignore[list-item]
        ),
    )
    with announcing(folder.local / "tensorboard", recipe.epochs) as announce:

        def on_record(record: EpochRecord) -> None:
            announce(record)
            folder.publish()

        with following(folder.local / LOG, on_record):
            try:
                result = trainer.fit()
            except ray.train.TrainingFailedError as why:
                raise RunError(f"the training failed for good: {why}") from why
    assert result.checkpoint is not None  # every epoch leaves one
    return _load(result.checkpoint)


def _use_gpu(device: str, workers: int) -> bool:
    """Decide where to train, and refuse what this machine can never give."""
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    if device == "cuda" and gpus < workers:
        raise InputError(
            f"--device cuda with --workers {workers} needs as many GPUs: Ray has {gpus}"
        )
    use_gpu = device == "cuda" or (device == "auto" and gpus >= workers)
    # A cluster may grow; a laptop does not, and Ray would wait for the CPUs for ever.
    if not use_gpu and "RAY_ADDRESS" not in os.environ and workers > resources["CPU"]:
        raise InputError(
            f"--workers {workers} needs as many CPUs: this machine has {resources['CPU']:.0f}"
        )
    return use_gpu


def train_worker(config: dict[str, Any]) -> None:
    """Train on one Ray Train worker, from its last checkpoint if there is one.

    Args:
        config: `recipe` (a Recipe) and `data`, an object reference to the training and the test
            set, each images uint8 [N, 28, 28] and labels uint8 [N].
    """
    recipe: Recipe = config["recipe"]
    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    device = ray.train.torch.get_device()
    # Workers share a machine's cores: a second thread each would make all of them slower.
    torch.set_num_threads(1)
    arrays: tuple[Arrays, Arrays] = ray.get(config["data"])
    training, test = (labelled(*split, device) for split in arrays)
    torch.manual_seed(recipe.seed)
    network = DigitNet().to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
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
    state = _load(checkpoint)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return [EpochRecord(**record) for record in state["records"]]


def _load(checkpoint: Checkpoint) -> Any:
    with checkpoint.as_directory() as folder:
        return torch.load(Path(folder) / STATE, map_location="cpu", weights_only=True)


def _finish(
    settings: TrainSettings,
    folder: Path,
    weights: dict[str, Tensor],
    records: list[EpochRecord],
    training: Arrays,
) -> str:
    """Write the bundle with its scorecard, and the pictures; give the bundle's id."""
    bundle_folder = folder / "bundle"
    data = {"mnist:train": describe_data(*training)}
    save_bundle(bundle_folder, weights, recipe=asdict(settings.recipe), data=data)
    bundle = load_bundle(bundle_folder)
    test = mnist_set("test", settings.data)
    measured = measure(Engine(bundle), test)
    write_scorecard(bundle_folder, {test.name: measured.scores()})
    pictures = folder / "plots"
    plots.curves(records, pictures)
    plots.samples(*training, pictures / "samples.png")
    plots.predictions(measured, pictures / "predictions.png")
    return bundle.card.id


@contextmanager
def _text_log(path: Path) -> Iterator[None]:
    """Keep what `digitrec` says through `logging` in a file too."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger("digitrec")
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
