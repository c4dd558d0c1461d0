"""A challenger: the champion's networks trained further, on corrections beside what they know."""

import io
import logging
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitrec.errors import InputError
from digitrec.model.bundle import Bundle, is_bundle, load_bundle, save_bundle, save_cascade
from digitrec.model.calibration import fit_of
from digitrec.model.card import MEMBERS, WEIGHTS, calibration_of
from digitrec.model.champion import bundle_folder
from digitrec.model.network import NETWORKS
from digitrec.model.policy import DIGITS
from digitrec.registry.evidence import SEEN, UNSEEN, Folds
from digitrec.registry.pool import TRAINED, Corrections, read_used
from digitrec.registry.store import WORK, Registry
from digitrec.storage.folder import within
from digitrec.training.data import (
    CORRECTIONS,
    Arrays,
    joined,
    measuring_set,
    strengths,
    training_parts,
)
from digitrec.training.fit import gpu_wanted
from digitrec.training.folds import train_folds
from digitrec.training.recipes import Recipe, further
from digitrec.training.run_folder import BUNDLE, open_run_folder
from digitrec.training.train import Material, Start, TrainSettings, train_on

log = logging.getLogger(__name__)

# The fields of a recipe that say what it is trained on.
MATERIAL = ("seed", "hold_out", "coarse", "drawn", "junk", "papers", "ink")
CHALLENGER, NETWORK = "challenger", "network"
FOLDS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """How a challenger is trained."""

    epochs: int | None = None  # None: as `further` has it
    workers: int = 1
    device: str = "auto"
    data: Path | None = None  # folder with MNIST's four files; None: the cache


@dataclass(frozen=True, slots=True)
class Made:
    """A challenger, and what shows how it reads what it has not seen."""

    location: str  # of the challenger's bundle
    folds: Folds
    runs: dict[str, str]  # network → the run folder of its training


def make_challenger(
    registry: Registry, key: str, champion: Bundle, corrections: Corrections, effort: Effort
) -> Made:
    """Train a challenger, and the same without each of some folds of the corrections.

    What is there of it from a call that was stopped is gone on with.

    Args:
        registry: keeps what is being made, in `work/<key>`.
        key: names the champion, the corrections and the effort.
        champion: whose networks are trained further.
        corrections: all of the registry's; the golden ones are left out.
        effort: how.

    Raises:
        InputError: the champion's card names no recipe, or MNIST can't be had.
        RunError: the training failed, and failed again on every retry.
    """
    work = within(registry.location, f"{WORK}/{key}")
    of = folds_of(corrections, read_used(registry.folder, champion.card.id)[TRAINED])
    folds = [within(work, f"fold-{number + 1}") for number in range(int(of.max(initial=-1)) + 1)]
    kept = bundle_folder(registry.folder, champion.card.id)
    runs: dict[str, str] = {}
    teaching: _Teaching | None = None
    for name, bundle in networks_of(champion).items():
        weights = (kept.below(name) if champion.members else kept).read(WEIGHTS)
        teaching = _Teaching.of(bundle, state_of(weights), effort, teaching)
        runs[name] = within(work, f"{CHALLENGER}/{name}")
        teaching.train(runs[name], corrections.only(~corrections.golden), effort)
        unseen = {
            within(fold, name): corrections.only(~corrections.golden & (of != number))
            for number, fold in enumerate(folds)
        }
        teaching.train_folds(unseen, effort)
    location, *others = (
        _assembled(place, champion) for place in (within(work, CHALLENGER), *folds)
    )
    return Made(location, Folds([load_bundle(one) for one in others], of), runs)


def folds_of(corrections: Corrections, seen: Collection[str] = ()) -> NDArray[np.int64]:
    """Deal the corrections that are trained on into folds.

    What a group wrote stays together; where there are too few groups, near-copies do.

    Args:
        corrections: all of the registry's.
        seen: the SHA-256 of those that the champion was trained on, with whose weights all begin.

    Returns:
        int64 [N]: of each its fold, `UNSEEN` of the golden ones, and `SEEN` of those that no fold
        is without.
    """
    of = np.where(corrections.golden, UNSEEN, SEEN).astype(np.int64)
    trained = np.flatnonzero(~corrections.golden)
    units = corrections.units[trained].astype(str)
    if len(np.unique(units)) < FOLDS:
        units = corrections.clusters[trained].astype(str)
    names, numbers, counts = np.unique(units, return_inverse=True, return_counts=True)
    if len(names) < 2:
        return of
    folds = min(FOLDS, len(names))
    sizes, fold = np.zeros(folds, np.int64), np.zeros(len(names), np.int64)
    for unit in np.argsort(-counts, kind="stable"):
        fold[unit] = int(np.argmin(sizes))
        sizes[fold[unit]] += counts[unit]
    of[trained] = fold[numbers]
    of[[name in seen for name in corrections.sha256]] = SEEN
    return of


def networks_of(champion: Bundle) -> dict[str, Bundle]:
    """Return the networks that a bundle is made of, by name: one, or a cascade's two."""
    if champion.members:
        return dict(zip(MEMBERS, champion.members, strict=True))
    return {NETWORK: champion}


@dataclass(frozen=True, slots=True)
class _Teaching:
    """What all trainings of a network share: it, and what it is trained on beside corrections."""

    bundle: Bundle
    recipe: Recipe
    start: Start
    parts: dict[str, Arrays]

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        weights: dict[str, Any],
        effort: Effort,
        before: "_Teaching | None",
    ) -> "_Teaching":
        """Gather it; what another network of the champion was trained on is not drawn twice."""
        recipe = further(recipe_of(bundle), bundle.card.id, effort.epochs)
        start = Start(bundle.card.id, weights)
        if recipe.given is not None:
            log.warning(
                "%s learnt from labelled sets of its own too, which are not here: see that what "
                "they showed is not forgotten",
                bundle.name,
            )
        if before is not None and _drawn_alike(before.recipe, recipe):
            return cls(bundle, recipe, start, before.parts)
        log.info("drawing what the %s network was trained on", recipe.network)
        return cls(bundle, recipe, start, training_parts(recipe, effort.data, bundle.ink))

    def learnt(self, corrections: Corrections) -> Arrays:
        """Return what the network can learn of corrections: without junk, only of digits."""
        some = np.ones(len(corrections), bool) if self.recipe.junk else corrections.labels < DIGITS
        return corrections.scans[some], corrections.labels[some]

    def train(self, run: str, corrections: Corrections, effort: Effort) -> None:
        """Train the network by Ray Train, unless that is done."""
        if is_bundle(within(run, BUNDLE)):
            return
        settings = TrainSettings(
            recipe=self.recipe, out=run, workers=effort.workers, device=effort.device, resume=True
        )
        parts = {**self.parts, CORRECTIONS: self.learnt(corrections)}
        material = Material(parts, *measuring_set(self.recipe, effort.data))
        with open_run_folder(run, self.recipe, resume=True) as folder:
            train_on(settings, folder, material, ink=self.bundle.ink, start=self.start)

    def train_folds(self, unseen: Mapping[str, Corrections], effort: Effort) -> None:
        """Train the network on some of the corrections each, all at once: those not done.

        Args:
            unseen: where each bundle is to lie, and the corrections that it learns from.
            effort: how.
        """
        missing = {out: some for out, some in unseen.items() if not is_bundle(out)}
        known = joined(self.parts), strengths(self.parts, self.recipe)
        use_gpu = gpu_wanted(effort.device, 1)
        trained = train_folds(
            self.recipe,
            known,
            [self.learnt(some) for some in missing.values()],
            self.start.weights,
            use_gpu=use_gpu,
        )
        outs = list(missing)
        for done, (number, weights) in enumerate(trained, 1):
            network = NETWORKS[self.recipe.network]()
            network.load_state_dict(weights)
            save_bundle(
                outs[number],
                network.eval(),
                recipe=asdict(self.recipe),
                data={},
                calibration=calibration_of(self.bundle.card),
                ink=self.bundle.ink,
            )
            log.info("fold %d of %d of the %s network", done, len(outs), self.recipe.network)


def _drawn_alike(one: Recipe, other: Recipe) -> bool:
    """Tell whether two recipes are trained on the same images."""
    return all(getattr(one, name) == getattr(other, name) for name in MATERIAL)


def recipe_of(bundle: Bundle) -> Recipe:
    """Return the recipe that a network was trained by.

    Raises:
        InputError: its card names none that this program knows.
    """
    try:
        return Recipe(**bundle.card.recipe)
    except (TypeError, ValueError) as why:
        raise InputError(
            f"{bundle.name} can't be trained further: its card names no recipe ({why})"
        ) from why


def state_of(weights: bytes) -> dict[str, Any]:
    """Return the weights that a bundle's file holds, by name: batch normalization is folded in."""
    import torch

    return dict(torch.load(io.BytesIO(weights), weights_only=True)["state_dict"])


def _assembled(location: str, champion: Bundle) -> str:
    """Make one bundle of a training's networks, calibrated as the champion is; give its place."""
    if not champion.members:
        return within(location, NETWORK)
    small, large = (within(location, member) for member in MEMBERS)
    out = within(location, "cascade")
    save_cascade(out, small, large, *fit_of(champion), parent_id=champion.card.id)
    return out
