"""A training run on Ray Train: from a recipe to a run folder with a bundle in it."""

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import ray
from torch import Tensor, nn

from digitrec.datasets.labelled import LabelledSet, load_labelled
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
from digitrec.model.card import Calibration, Card, ink_id
from digitrec.model.engine import NetworkEngine, open_engine
from digitrec.model.ink_file import load_ink
from digitrec.model.network import NETWORKS, folded
from digitrec.model.policy import Policy
from digitrec.plots.labelled_set import predictions, reliability
from digitrec.plots.training import curves, samples
from digitrec.runtime.ray_session import ray_session
from digitrec.storage.files import file_name
from digitrec.training.data import (
    CORRECTIONS,
    Arrays,
    WorkerData,
    described,
    joined,
    measuring_set,
    strengths,
    training_parts,
)
from digitrec.training.epoch_log import EpochRecord
from digitrec.training.fit import RunOptions, Training, fit, gpu_wanted, text_log
from digitrec.training.given import read_given
from digitrec.training.loop import mixed
from digitrec.training.recipes import Recipe
from digitrec.training.run_folder import BUNDLE, TEXT_LOG, RunFolder, open_run_folder
from digitrec.training.sources import Sources
from digitrec.training.worker import train_worker

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSettings(RunOptions):
    """What one training run is told."""

    recipe: Recipe
    labelled: tuple[str, ...] = ()  # sets to learn from, see `load_labelled`
    with_mnist: bool = True  # beside these; False: they take its place


@dataclass(frozen=True, slots=True)
class Material:
    """What is learnt from, by name, and what each epoch is measured on."""

    parts: dict[str, Arrays]
    measured_on: str | LabelledSet  # or the name of one
    measuring: Arrays
    notes: tuple[str, ...] = ()  # for the log


@dataclass(frozen=True, slots=True)
class Start:
    """The bundle whose weights a run begins with, in place of random ones."""

    id: str
    weights: dict[str, Tensor]


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
    ink = None if settings.ink_network is None else load_ink(settings.ink_network)
    sources = Sources(settings.data, settings.labelled, settings.with_mnist)
    given = read_given(sources, ink)
    recipe = replace(settings.recipe, given=given.id)
    recipe = recipe if ink is None else replace(recipe, ink=ink_id(ink))
    settings = replace(settings, recipe=recipe)
    with open_run_folder(settings.out, recipe, resume=settings.resume) as folder:
        parts = training_parts(
            recipe, settings.data, ink, given.parts, with_mnist=settings.with_mnist
        )
        if given.held is not None and given.measuring is not None:
            material = Material(parts, given.held, given.measuring, given.notes)
        else:
            material = Material(parts, *measuring_set(recipe, settings.data), given.notes)
        return train_on(settings, folder, material, ink=ink)


def train_on(
    settings: TrainSettings,
    folder: RunFolder,
    material: Material,
    *,
    ink: bytes | None = None,
    start: Start | None = None,
) -> Trained:
    """Train on what is given; see `train`.

    Args:
        settings: with the recipe as it is to be kept.
        folder: the run's, opened.
        material: what is learnt from.
        ink: the ink network's ONNX file for the bundle; None: the one that digitrec ships.
        start: whose weights to begin with; None: random ones.
    """
    recipe, parts = settings.recipe, material.parts
    with ray_session():
        use_gpu = gpu_wanted(settings.device, settings.workers)
        check_lock = folder.begin(recipe)
        with text_log(folder.local / TEXT_LOG):
            for note in material.notes:
                log.info("%s", note)
            data = joined(parts), material.measuring, strengths(parts, recipe)
            corrections = len(parts[CORRECTIONS][1]) if CORRECTIONS in parts else 0
            training = _training(recipe, data, start, corrections)
            weights, records = fit(training, settings, folder, check_lock, use_gpu=use_gpu)
            began = None if start is None else start.weights
            network = _network(recipe, mixed(weights, began, recipe.kept))
            _save(recipe, folder.local / BUNDLE, network, material, ink, start)
            bundle, measured = _measure(settings, folder.local / BUNDLE, material.measured_on)
            _draw(records, parts, measured, folder.local / "plots")
        check_lock()
        folder.publish()
    return Trained(records, bundle.card)


def _training(
    recipe: Recipe, data: WorkerData, start: Start | None, corrections: int
) -> Training[EpochRecord]:
    config = {
        "recipe": recipe,
        "data": ray.put(data),
        "start": None if start is None else start.weights,
        "corrections": corrections,
    }
    return Training(
        worker=train_worker,
        config=config,
        record=EpochRecord,
        epochs=recipe.epochs,
        plan=f"recipe {recipe.name}: {recipe.epochs} epochs, batches of {recipe.batch_size}, "
        f"Adam at {recipe.learning_rate:g} ({recipe.schedule}), seed {recipe.seed}, "
        f"{'augmented' if recipe.augments else 'no augmentation'}"
        f"{'' if start is None else f', from the weights of {start.id}'}",
    )


def _network(recipe: Recipe, trained: dict[str, Tensor]) -> nn.Module:
    """Return the network that a bundle has, of the weights that a checkpoint has."""
    network = NETWORKS[recipe.network](batch_norm=recipe.batch_norm)
    network.load_state_dict(trained)
    return folded(network)


def _save(
    recipe: Recipe,
    folder: Path,
    network: nn.Module,
    material: Material,
    ink: bytes | None,
    start: Start | None,
) -> None:
    """Write the bundle: calibrated on the validation part, or as the recipe says."""
    policy = Policy(min_digit_score=recipe.min_digit_score)
    calibration = Calibration(recipe.temperature, policy, recipe.reread_below)
    save_bundle(
        folder,
        network,
        recipe=asdict(recipe),
        data=described(material.parts),
        calibration=calibration,
        parent_id=None if start is None else start.id,
        ink=ink,
    )
    if recipe.hold_out == "validation":
        engine = NetworkEngine(load_bundle(folder))
        scans, labels = material.measuring
        logits = engine.logits(scans)
        calibration = calibrate(logits, labels, junk=recipe.junk > 0, reread=recipe.reread)
        write_calibration(folder, calibration)


def _measure(
    settings: TrainSettings, folder: Path, measured_on: str | LabelledSet
) -> tuple[Bundle, Measured]:
    """Measure the bundle and write what it scored into its card; give it as it is then."""
    if isinstance(measured_on, str):
        measured_on = load_labelled(measured_on, settings.data)
    measured = measure(open_engine(load_bundle(folder)), measured_on)
    write_scorecard(folder, {measured.name: measured.scores()})
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
