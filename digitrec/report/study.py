"""The report's study: its learning rates and batch sizes, trained side by side on Ray.

Each run is an ordinary training run, called as a Ray task of no CPU that waits for its worker.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from digitrec.datasets import mnist
from digitrec.errors import GO_ON, DigitrecError, InputError, RunError
from digitrec.model.card import CARD
from digitrec.plots.study import figures
from digitrec.report.claims import CLAIMS, Claim, Curves
from digitrec.runtime.progress import progress
from digitrec.runtime.ray_session import is_cluster, ray_session
from digitrec.storage.folder import Folder, open_folder
from digitrec.storage.lock import exclusive
from digitrec.training.epoch_log import EpochRecord, parse_records
from digitrec.training.recipes import REPORT, STUDY, Recipe
from digitrec.training.run_folder import BUNDLE, LOG
from digitrec.training.train import TrainSettings, train

FIGURES, TABLE, STUDIED = "figures", "table.md", "study.json"
LOOK_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySettings:
    """What a study is told."""

    out: str  # a folder of this machine, or a URI
    epochs: int | None = None  # instead of the report's 30, for all runs
    device: str = "auto"  # auto, cpu or cuda
    data: Path | None = None  # folder with MNIST's four files; None: the cache
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Studied:
    """What a study came to: every run's epochs, by its recipe's name, and the table."""

    records: dict[str, list[EpochRecord]]
    table: str


def study(settings: StudySettings) -> Studied:
    """Train all runs that are not finished, as many at a time as the cluster has CPUs.

    Raises:
        InputError: the data, the folder or the device can't be used.
        RunError: a run failed for good, or the user stopped it; the same call goes on from there.
    """
    mnist.load("train", settings.data)  # fetched once, before all runs want it
    folder = open_folder(settings.out)
    runs = [_settings(recipe, settings) for recipe in (REPORT, *STUDY.values())]
    with exclusive(folder, settings.out) as check_lock:
        left = [run for run in runs if not _is_finished(run)]
        if left:
            with ray_session():
                _train(left, settings.quiet)
        records = {run.recipe.name: _records(run) for run in runs}
        table = _table(runs, records)
        check_lock()
        _write(folder, records, table)
    return Studied(records, table)


def _settings(recipe: Recipe, settings: StudySettings) -> TrainSettings:
    if settings.epochs is not None:
        recipe = replace(recipe, epochs=settings.epochs)
    return TrainSettings(
        recipe=recipe,
        out=f"{settings.out}/{recipe.name}",
        device=settings.device,
        data=settings.data,
        resume=True,
    )


def _records(run: TrainSettings) -> list[EpochRecord]:
    """Return the epochs that a run's log has so far."""
    try:
        return parse_records(open_folder(run.out).read(LOG).decode())
    except FileNotFoundError:
        return []


def _is_finished(run: TrainSettings) -> bool:
    has_bundle = CARD in open_folder(run.out).names(BUNDLE)
    return has_bundle and len(_records(run)) == run.recipe.epochs


def _train(runs: list[TrainSettings], quiet: bool) -> None:
    """Train runs side by side, and show how many of all their epochs are done."""
    log.info("%d runs of %d epochs, %d at a time", len(runs), runs[0].recipe.epochs, _at_once())
    total = sum(run.recipe.epochs for run in runs)
    shown = 0
    with progress("study", total, quiet=quiet, unit="epochs") as advance:
        for _ in _side_by_side(runs):
            done = sum(len(_records(run)) for run in runs)
            advance(done - shown)
            shown = done


def _at_once() -> int:
    """Return how many runs Ray has CPUs for now; one waits for a cluster's first, so that it grows.

    Raises:
        InputError: there is no CPU, and there never will be.
    """
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if not cpus and not is_cluster():
        raise InputError("a study needs a CPU: Ray's session on this machine has none")
    return max(1, cpus)


def _side_by_side(runs: list[TrainSettings]) -> Iterator[None]:
    """Call runs as Ray tasks, one for each CPU; come back now and then, until all have ended.

    Raises:
        DigitrecError: a run's own; those that were called before it are waited for.
    """
    # On the driver's node: a folder of this machine is there alone.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    task = ray.remote(num_cpus=0, max_retries=0)(_run).options(scheduling_strategy=here)
    waiting, failed = list(runs), list[tuple[str, Exception]]()
    running: dict[Any, TrainSettings] = {}
    while running or (waiting and not failed):
        while waiting and len(running) < _at_once() and not failed:
            run = waiting.pop(0)
            running[task.remote(run)] = run
        ended, _ = ray.wait(list(running), timeout=LOOK_SECONDS)
        for reference in ended:
            run = running.pop(reference)
            if (why := _failure(reference)) is not None:
                failed.append((run.recipe.name, why))
        yield
    if failed:
        name, why = failed[0]
        if isinstance(why, DigitrecError):
            raise type(why)(f"run {name}: {why}") from why
        raise RunError(f"run {name} failed: {why}; {GO_ON}") from why


def _run(settings: TrainSettings) -> None:
    train(settings)


def _failure(reference: Any) -> Exception | None:
    """Return the error with which a task has ended, if it has."""
    try:
        ray.get(reference)
    except RayTaskError as why:
        return why.cause if isinstance(why.cause, Exception) else why
    except ray.exceptions.RayError as why:
        return why
    return None


def _table(runs: list[TrainSettings], records: dict[str, list[EpochRecord]]) -> str:
    """Write what the runs came to, and the report's claims beside it, as Markdown."""
    lines = [
        "| run | batch | learning rate | training loss | test loss, lowest | at the end "
        "| accuracy, best | at the end |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        recipe, curves = run.recipe, Curves.of(records[run.recipe.name])
        lines.append(
            f"| {recipe.name} | {recipe.batch_size} | {recipe.learning_rate:g} "
            f"| {curves.train_loss[-1]:.4f} | {curves.lowest} | {curves.test_loss[-1]:.4f} "
            f"| {curves.best} | {100 * curves.accuracy[-1]:.2f} % |"
        )
    if (epochs := runs[0].recipe.epochs) < REPORT.epochs:
        lines += ["", f"Of {epochs} epochs: the report's claims are about {REPORT.epochs}."]
        return "\n".join(lines) + "\n"
    lines += ["", "| figure | the report says | measured | so it is |", "|---|---|---|---|"]
    lines += [_line(claim, records) for claim in CLAIMS]
    return "\n".join(lines) + "\n"


def _line(claim: Claim, records: dict[str, list[EpochRecord]]) -> str:
    holds, measured = claim.check({name: Curves.of(some) for name, some in records.items()})
    return f"| {claim.figure} | {claim.says} | {measured} | {'yes' if holds else 'no'} |"


def _write(folder: Folder, records: dict[str, list[EpochRecord]], table: str) -> None:
    """Write table, figures and all numbers."""
    folder.write(TABLE, table.encode())
    content = {name: [asdict(record) for record in some] for name, some in records.items()}
    folder.write(STUDIED, (json.dumps(content, indent=2) + "\n").encode())
    for name, draw in figures(records).items():
        with folder.writing(f"{FIGURES}/{name}.png") as path:
            draw(path)
