"""A training run on Ray Train: from a recipe to a run folder with a bundle in it."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from torch import Tensor, nn

from digitrec.datasets.labelled import load_labelled
from digitrec.errors import InputError, RunError
from digitrec.evaluation.labelled_set import measure
from digitrec.evaluation.scores import Measured
from digitrec.model.bundle import (
    Bundle,
    load_bundle,
    save_bundle,
    write_calibration,
    write_scorecard,
)
from digitrec.model.calibration import calibrate
from digitrec.model.card import Calibration, Card
from digitrec.model.engine import NetworkEngine, open_engine
from digitrec.model.network import NETWORKS, folded
from digitrec.model.policy import Policy
from digitrec.plots.labelled_set import predictions, reliability
from digitrec.plots.training import curves, samples
from digitrec.runtime.ray_session import is_cluster, ray_session
from digitrec.storage.files import file_name
from digitrec.training.data import (
    Arrays,
    WorkerData,
    described,
    joined,
    measuring_set,
    strengths,
    training_parts,
)
from digitrec.training.epoch_log import (
    EpochRecord,
    EpochWriter,
    announcing,
    following,
    write_records,
)
from digitrec.training.recipes import Recipe
from digitrec.training.run_folder import BUNDLE, LOG, TEXT_LOG, RunFolder, open_run_folder
from digitrec.training.worker import load_state, train_worker

# A worker that dies is replaced, and the run goes on from its last epoch, this many times.
MAX_FAILURES = 3

log = logging.getLogger(__name__)


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
    """What a finished run left: one record an epoch, and its bundle's card."""

    records: list[EpochRecord]
    card: Card


def train(settings: TrainSettings) -> Trained:
    """Train a recipe on Ray Train and leave the run folder complete.

    Raises:
        InputError: the data, the run folder or the device can't be used; nothing was started.
        RunError: the training failed, and failed again on every retry.
    """
    parts = training_parts(settings.recipe, settings.data)
    name, measuring = measuring_set(settings.recipe, settings.data)
    with (
        open_run_folder(settings.out, settings.recipe, resume=settings.resume) as folder,
        ray_session(),
    ):
        use_gpu = _use_gpu(settings.device, settings.workers)
        check_lock = folder.begin(settings.recipe)
        with _text_log(folder.local / TEXT_LOG):
            data = joined(parts), measuring, strengths(parts, settings.recipe)
            state = _fit(settings, folder, data, check_lock, use_gpu=use_gpu)
            check_lock()
            records = [EpochRecord(**record) for record in state["records"]]
            write_records(folder.local / LOG, records)
            network = _network(settings.recipe, state["network"])
            _save(settings.recipe, folder.local / BUNDLE, network, parts, measuring)
            bundle, measured = _measure(settings, folder.local / BUNDLE, name)
            _draw(records, parts, measured, folder.local / "plots")
        check_lock()
        folder.publish()
    return Trained(records, bundle.card)


def _fit(
    settings: TrainSettings,
    folder: RunFolder,
    data: WorkerData,
    check_lock: Callable[[], None],
    *,
    use_gpu: bool,
) -> Any:
    """Run Ray Train; give the state that the last epoch's checkpoint holds."""
    recipe = settings.recipe
    # Ray looks at its workers every 2 s by default: longer than a small epoch, and twice more at
    # the end of every run.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    log.info("%s", _plan(settings, folder, use_gpu=use_gpu))
    trainer = ray.train.torch.TorchTrainer(
        train_worker,
        train_loop_config={"recipe": recipe, "data": ray.put(data)},
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
            try:
                check_lock()
                folder.publish()
            except (OSError, RunError) as why:  # the next epoch, or the end, tries again
                log.warning("the log could not be copied to %s: %s", folder.name, why)

        with following(folder.local / LOG, on_record), _endings_said(folder):
            result = trainer.fit()
    assert result.checkpoint is not None  # every epoch leaves one
    return load_state(result.checkpoint)


@contextmanager
def _endings_said(folder: RunFolder) -> Iterator[None]:
    """Turn the ways in which Ray Train gives up into errors that say so.

    It answers Ctrl-C by leaving the program, and keeps its own handler for good.
    """
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as why:
        raise RunError(f"stopped; --resume --out {folder.name} goes on from here") from why
    except ray.train.TrainingFailedError as why:
        raise RunError(f"the training failed for good: {why}") from why
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, on_interrupt)


def _plan(settings: TrainSettings, folder: RunFolder, *, use_gpu: bool) -> str:
    recipe = settings.recipe
    workers = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    shown = folder.name if folder.filesystem is None else folder.local
    return (
        f"recipe {recipe.name}: {recipe.epochs} epochs, batches of {recipe.batch_size}, "
        f"Adam at {recipe.learning_rate:g} ({recipe.schedule}), seed {recipe.seed}, "
        f"{'augmented' if recipe.augments else 'no augmentation'}; "
        f"{workers} on {'cuda' if use_gpu else 'cpu'}\n"
        f"watch it: tensorboard --logdir {shown}/tensorboard"
    )


def _use_gpu(device: str, workers: int) -> bool:
    """Decide where to train, and refuse what this machine can never give."""
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    if device == "cuda" and gpus < workers:
        raise InputError(
            f"--device cuda with --workers {workers} needs as many GPUs: Ray has {gpus}"
        )
    use_gpu = device == "cuda" or (device == "auto" and gpus >= workers)
    # A cluster may grow, even from none at all; a laptop does not, and Ray would wait for ever.
    cpus = int(resources.get("CPU", 0))
    if not use_gpu and not is_cluster() and workers > cpus:
        raise InputError(f"--workers {workers} needs as many CPUs: this machine has {cpus}")
    return use_gpu


def _network(recipe: Recipe, trained: dict[str, Tensor]) -> nn.Module:
    """Return the network that a bundle has, of the weights that a checkpoint has."""
    network = NETWORKS[recipe.network](batch_norm=recipe.batch_norm)
    network.load_state_dict(trained)
    return folded(network)


def _save(
    recipe: Recipe,
    folder: Path,
    network: nn.Module,
    parts: dict[str, Arrays],
    measuring: Arrays,
) -> None:
    """Write the bundle: calibrated on the validation part, or as the recipe says."""
    calibration = Calibration(recipe.temperature, Policy(min_digit_score=recipe.min_digit_score))
    save_bundle(
        folder, network, recipe=asdict(recipe), data=described(parts), calibration=calibration
    )
    if recipe.hold_out == "validation":
        logits = NetworkEngine(load_bundle(folder)).logits(measuring[0])
        write_calibration(folder, calibrate(logits, measuring[1], junk=recipe.junk > 0))


def _measure(settings: TrainSettings, folder: Path, name: str) -> tuple[Bundle, Measured]:
    """Measure the bundle and write what it scored into its card; give it as it is then."""
    measured = measure(open_engine(load_bundle(folder)), load_labelled(name, settings.data))
    write_scorecard(folder, {name: measured.scores()})
    return load_bundle(folder), measured


def _draw(
    records: list[EpochRecord], parts: dict[str, Arrays], measured: Measured, folder: Path
) -> None:
    """Draw the pictures."""
    curves(records, folder, measured.name)
    for name, part in parts.items():
        samples(*part, folder / f"samples-{file_name(name)}.png", name)
    predictions(measured, folder / "predictions.png")
    reliability(measured, folder / "reliability.png")


@contextmanager
def _text_log(path: Path) -> Iterator[None]:
    """Keep what `digitrec` says through `logging` in a file too."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("digitrec")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()
