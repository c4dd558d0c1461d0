"""What every training run has from Ray Train, whatever it trains."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import ray
import ray.train
import ray.train.torch
from ray.train import FailureConfig, RunConfig, ScalingConfig

from digitrec.errors import InputError, RunError
from digitrec.runtime.ray_session import is_cluster
from digitrec.training.epoch_log import EpochWriter, R, announcing, following, write_records
from digitrec.training.run_folder import LOG, RunFolder
from digitrec.training.worker import load_state

# A worker that dies is replaced, and the run goes on from its last epoch, this many times.
MAX_FAILURES = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """What one training run is told, beside its recipe."""

    out: str  # run folder: a path, or a URI that pyarrow opens
    workers: int = 1
    device: str = "auto"  # auto, cpu or cuda
    data: Path | None = None  # folder with MNIST's four files; None: the cache
    resume: bool = False
    # The run folder of an ink network, or a folder with `ink.onnx`: the one for the bundle, None
    # being the one that digitrec ships; or the one that an ink network begins as, None being none.
    ink_network: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers must be 1 or more, not {self.workers}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Training(Generic[R]):
    """What Ray Train shall do."""

    worker: Callable[[dict[str, Any]], None]  # reports a record of every epoch, by `report`
    config: dict[str, Any]  # given to it
    record: type[R]
    epochs: int
    plan: str  # said at the beginning


def fit(
    training: Training[R],
    options: RunOptions,
    folder: RunFolder,
    check_lock: Callable[[], None],
    *,
    use_gpu: bool,
) -> tuple[Any, list[R]]:
    """Run Ray Train.

    Returns:
        The network's weights as the last epoch's checkpoint holds them, and all epochs' records,
        which the log has then.

    Raises:
        RunError: it failed, and failed again on every retry; or it was stopped.
    """
    log.info("%s", _plan(training.plan, options, folder, use_gpu=use_gpu))
    trainer = _trainer(training, options, folder, use_gpu=use_gpu)
    with announcing(folder.local / "tensorboard", training.epochs) as announce:

        def on_record(record: R) -> None:
            announce(record)
            try:
                check_lock()
                folder.publish()
            except (OSError, RunError) as why:  # the next epoch, or the end, tries again
                log.warning("the log could not be copied to %s: %s", folder.name, why)

        with following(folder.local / LOG, training.record, on_record), _endings_said(folder):
            result = trainer.fit()
    assert result.checkpoint is not None  # every epoch leaves one
    check_lock()
    state = load_state(result.checkpoint)
    records = [training.record(**record) for record in state["records"]]
    write_records(folder.local / LOG, records)
    return state["network"], records


def _trainer(
    training: Training[R], options: RunOptions, folder: RunFolder, *, use_gpu: bool
) -> ray.train.torch.TorchTrainer:
    # Ray looks at its workers every 2 s by default: longer than a small epoch, and twice more at
    # the end of every run.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    return ray.train.torch.TorchTrainer(
        training.worker,
        train_loop_config=training.config,
        scaling_config=ScalingConfig(num_workers=options.workers, use_gpu=use_gpu),
        run_config=RunConfig(
            name="checkpoints",
            storage_path=folder.path,
            storage_filesystem=folder.filesystem,
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
            callbacks=[EpochWriter(folder.local / LOG)],  # type: ignore[list-item]
        ),
    )


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


def _plan(plan: str, options: RunOptions, folder: RunFolder, *, use_gpu: bool) -> str:
    workers = "1 worker" if options.workers == 1 else f"{options.workers} workers"
    shown = folder.name if folder.filesystem is None else folder.local
    return (
        f"{plan}; {workers} on {'cuda' if use_gpu else 'cpu'}\n"
        f"watch it: tensorboard --logdir {shown}/tensorboard"
    )


def gpu_wanted(device: str, workers: int) -> bool:
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


@contextmanager
def text_log(path: Path) -> Iterator[None]:
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
