"""A training run of an ink network: from a recipe to a run folder with the network in it."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ray
import torch
from torch import Tensor

from digitrec.datasets.synthetic.ink_samples import InkSamples
from digitrec.datasets.synthetic.papers import HELD_BACK
from digitrec.errors import InputError
from digitrec.model.bundle import describe_data, package_versions
from digitrec.model.card import CARD, ink_id
from digitrec.model.card import INK as ONNX
from digitrec.model.export import export_ink
from digitrec.model.ink_file import INK_FOLDER, load_ink
from digitrec.model.ink_network import InkNet
from digitrec.runtime.ray_session import ray_session
from digitrec.storage.files import replacing, write_json
from digitrec.training.data import Arrays
from digitrec.training.fit import RunOptions, Training, fit, gpu_wanted, text_log
from digitrec.training.ink_data import (
    HELD,
    MEASURED_SAMPLES,
    SEEN,
    measured_samples,
    training_digits,
)
from digitrec.training.ink_recipe import InkRecipe
from digitrec.training.ink_start import first_weights
from digitrec.training.ink_worker import InkRecord, train_ink_worker
from digitrec.training.run_folder import TEXT_LOG, open_run_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class InkSettings(RunOptions):
    """What one training run of an ink network is told."""

    recipe: InkRecipe


@dataclass(frozen=True, slots=True)
class InkTrained:
    """What a finished run left: one record an epoch, and its card."""

    records: list[InkRecord]
    card: dict[str, Any]


def train_ink(settings: InkSettings) -> InkTrained:
    """Train an ink network on Ray Train and leave the run folder complete.

    Raises:
        InputError: the data, the run folder or the device can't be used; nothing was started.
        RunError: the training failed, and failed again on every retry.
    """
    ink = None if settings.ink_network is None else load_ink(settings.ink_network)
    recipe = settings.recipe if ink is None else replace(settings.recipe, ink=ink_id(ink))
    if recipe.batch_size < settings.workers:
        raise InputError(f"batch_size must be {settings.workers} or more: one for each worker")
    with ExitStack() as held:
        folder = held.enter_context(open_run_folder(settings.out, recipe, resume=settings.resume))
        digits, measured = training_digits(settings.data), measured_samples(recipe, settings.data)
        begin = None if ink is None else first_weights(ink, measured[SEEN].scans)
        held.enter_context(ray_session())
        use_gpu = gpu_wanted(settings.device, settings.workers)
        check_lock = folder.begin(recipe)
        with text_log(folder.local / TEXT_LOG):
            training = _training(settings, recipe, digits, measured, begin)
            weights, records = fit(training, settings, folder, check_lock, use_gpu=use_gpu)
            card = _save(recipe, folder.local / INK_FOLDER, weights, digits, records[-1])
        check_lock()
        folder.publish()
    return InkTrained(records, card)


def _training(
    settings: InkSettings,
    recipe: InkRecipe,
    digits: Arrays,
    measured: Mapping[str, InkSamples],
    begin: dict[str, Tensor] | None,
) -> Training[InkRecord]:
    at_once = 1 + int(ray.cluster_resources().get("CPU", 0)) // settings.workers
    return Training(
        worker=train_ink_worker,
        config={
            "recipe": recipe,
            "begin": begin,
            "images": ray.put(digits[0]),
            "measured": ray.put(measured),
            "at_once": at_once,
        },
        record=InkRecord,
        epochs=recipe.epochs,
        plan=f"recipe {recipe.name}: {recipe.epochs} epochs of {recipe.steps} steps, batches of "
        f"{recipe.batch_size}, AdamW at {recipe.learning_rate:g} (rising, then falling), "
        f"seed {recipe.seed}",
    )


def _save(
    recipe: InkRecipe, out: Path, weights: dict[str, Tensor], digits: Arrays, last: InkRecord
) -> dict[str, Any]:
    """Write `ink.pt`, `ink.onnx` and, last, `card.json`; give what it says."""
    network = InkNet()
    network.load_state_dict(weights)
    onnx = export_ink(network)
    card = _card(recipe, network, onnx, digits, last)
    with replacing(out / "ink.pt") as temporary:
        torch.save(weights, temporary)
    with replacing(out / ONNX) as temporary:
        temporary.write_bytes(onnx)
    write_json(out / CARD, card)
    return card


def _card(
    recipe: InkRecipe, network: InkNet, onnx: bytes, digits: Arrays, last: InkRecord
) -> dict[str, Any]:
    settings = asdict(recipe)
    return {
        "id": ink_id(onnx),
        "architecture": type(network).__name__,
        "parameters": sum(one.numel() for one in network.parameters()),
        "kinds": settings.pop("kinds"),
        "held_back": HELD_BACK,
        "recipe": settings,
        "data": {"mnist:train, without the parts held out": describe_data(*digits)},
        "versions": package_versions(),
        "scorecard": {
            name: {
                "samples": MEASURED_SAMPLES,
                "iou": getattr(last, f"{field}_iou"),
                "empty_marked": getattr(last, f"{field}_empty_marked"),
                "written_missed": getattr(last, f"{field}_written_missed"),
            }
            for name, field in ((SEEN, "seen"), (HELD, "held_back"))
        },
    }
