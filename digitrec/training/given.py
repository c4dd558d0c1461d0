"""Labelled sets that a run is given to learn from, beside MNIST or in its place."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitrec.datasets.labelled import LabelledSet, joined, load_labelled
from digitrec.errors import InputError
from digitrec.evaluation.labelled_set import measure
from digitrec.evaluation.scores import Measured
from digitrec.model.bundle import load_bundle
from digitrec.model.engine import InkEngine, NetworkEngine
from digitrec.model.policy import short_hash
from digitrec.readings import ERROR
from digitrec.training.data import GIVEN, Arrays, described, stacked
from digitrec.training.sources import MNIST, Sources

HELD_SHARE = 0.1  # of the scans, where there is no MNIST to measure on


@dataclass(frozen=True, slots=True)
class Given:
    """Labelled sets, read and normalized."""

    parts: dict[str, Arrays]  # to train on, by the names that a card has for them
    # What is held back, and the same as it is read; None: nothing is.
    held: LabelledSet | None
    measuring: Arrays | None
    notes: tuple[str, ...]  # what was left out and held back, for the log

    @property
    def id(self) -> str | None:
        """Identify it, so that a run goes on with the same; None: it is nothing."""
        return short_hash([described(self.parts), self.held is None]) if self.parts else None


def read_given(sources: Sources, ink: bytes | None = None) -> Given:
    """Read labelled sets and bring them to 28×28, as they will be read.

    What can't be read, and what shows no ink, is left out.

    Args:
        sources: of which a tenth is held back if there is no MNIST: whole groups where it is known
            who wrote what, else by content.
        ink: the ink network's ONNX file that looks at scans; None: the one that digitrec ships.

    Raises:
        InputError: there is no such set, it shows nothing, or too little to hold any back.
    """
    bundle = load_bundle("small")
    engine = NetworkEngine(bundle, ink=InkEngine(ink or bundle.ink, "the ink network"))
    parts: dict[str, Arrays] = {}
    held: list[tuple[LabelledSet, Arrays]] = []
    notes: list[str] = []
    for name in sources.labelled:
        labelled = load_labelled(name)
        measured = measure(engine, labelled)
        part = f"{GIVEN}{labelled.name}"
        shows = _shown(part, measured, notes)
        out = np.zeros(len(shows), bool) if sources.mnist else _held_back(part, measured, shows)
        trained = shows & ~out
        parts[part] = measured.scans[trained], measured.labels[trained]
        if not sources.mnist:
            notes.append(f"{part}: {out.sum():,} of {shows.sum():,} held back to measure on")
            held.append((_only(labelled, out), (measured.scans[out], measured.labels[out])))
    if not held:
        return Given(parts, None, None, tuple(notes))
    sets, arrays = zip(*held, strict=True)
    return Given(parts, joined(sets), stacked(arrays), tuple(notes))


def _shown(part: str, measured: Measured, notes: list[str]) -> NDArray[np.bool_]:
    """Tell which scans show something: bool [N]; note how many do not."""
    unread = measured.decisions == ERROR
    shows = np.asarray(~unread & measured.scans.any(axis=(1, 2)), bool)
    if not shows.any():
        raise InputError(f"{part.removeprefix(GIVEN)} has no scan that shows anything")
    if not shows.all():
        without = (~shows & ~unread).sum()
        notes.append(f"{part}: left out {unread.sum():,} unreadable and {without:,} without ink")
    return shows


def _held_back(part: str, measured: Measured, shows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Choose what is held back: bool [N]."""
    groups = [None] * len(shows) if measured.groups is None else measured.groups
    units: dict[str, list[int]] = {}
    for k in np.flatnonzero(shows).tolist():
        content = measured.scans[k].tobytes() if groups[k] is None else str(groups[k]).encode()
        units.setdefault(hashlib.sha256(content).hexdigest(), []).append(k)
    if len(units) < 2:
        raise InputError(
            f"{part.removeprefix(GIVEN)} can't be trained on alone, as all of it is one writer's "
            f"or the same: nothing could be held back; --data {MNIST} beside it"
        )
    out, wanted = np.zeros(len(shows), bool), HELD_SHARE * shows.sum()
    for unit in sorted(units)[:-1]:
        if out.sum() < wanted:
            out[units[unit]] = True
    return out


def _only(labelled: LabelledSet, which: NDArray[np.bool_]) -> LabelledSet:
    chosen = np.flatnonzero(which).tolist()
    groups = None if labelled.groups is None else labelled.groups[chosen]
    scans = [labelled.scans[k] for k in chosen]
    return LabelledSet(
        f"{GIVEN}{labelled.name}, held back",
        scans,
        labelled.labels[chosen],
        groups,
        labelled.remotes,
    )
