"""What the gate judges by: all that champion and challenger are held against each other on."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitrec.datasets import mnist
from digitrec.datasets.answers import NO_DIGIT
from digitrec.datasets.corruptions import CORRUPTIONS, CorruptedImages
from digitrec.datasets.empty import EMPTY, EmptyScans
from digitrec.datasets.labelled import LabelledSet, calibration_indices, load_labelled
from digitrec.datasets.synthetic.negatives import JUNK
from digitrec.datasets.synthetic.sets import draw_junk_scan
from digitrec.evaluation.budgets import coverages
from digitrec.evaluation.labelled_set import measure, measure_each
from digitrec.inputs.decode import decode
from digitrec.model.bundle import Bundle
from digitrec.model.engine import Engine, open_engine
from digitrec.model.policies import with_policy
from digitrec.registry.gate import Coverage, Evidence, Gain, Pair, loss
from digitrec.registry.pool import Corrections

SUITE_IMAGES = 400  # of MNIST's test set, in each of the suite's corruptions
EMPTY_EACH = 30  # scans without a digit, of each kind
SEED = 17  # of what is chosen and drawn: the same for every challenger
RESAMPLES = 400
TIMED_SCANS, ROUNDS = 500, 25
# Digits otherwise presented, where that is more than a matter of form.
SUITE = tuple(one for one in CORRUPTIONS.values() if one.kind != "exact")

UNSEEN, SEEN = -1, -2  # corrections that the challenger has not seen; that each bundle has

Engines = tuple[Engine, Engine]
Said = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Folds:
    """Bundles that were each trained without some of the N corrections."""

    bundles: Sequence[Bundle]
    of: NDArray[np.int64]  # [N]: which has not seen a correction; UNSEEN and SEEN are others


def gather(
    champion: Bundle,
    challenger: Bundle,
    folds: Folds,
    corrections: Corrections,
    data: Path | None = None,
    say: Said = lambda words: None,
) -> Evidence:
    """Read all that the gate judges by, with the champion and the challenger.

    Args:
        champion: the bundle in use, under the error budget that it keeps.
        challenger: the one that wants its place, likewise.
        folds: what shows of each correction how it is read by one who has not seen it.
        corrections: all of the registry's.
        data: folder with MNIST's four files; None: the cache.
        say: is told what is read next.

    Raises:
        MnistError: MNIST can't be had.
    """
    engines = open_engine(champion), open_engine(challenger)
    say("MNIST's test set")
    on_mnist = _pair(engines, load_labelled("mnist:test", data))
    say(f"{len(SUITE)} corruptions of it")
    suite = list(_suite(engines, data))
    say("scans without a digit")
    empty = _pair(engines, without_digits())
    say(f"{len(corrections.labels):,} corrections")
    every = LabelledSet("corrections", corrections.contents, corrections.labels, corrections.groups)
    read = _pair(engines, every)
    say("the calibration part")
    return Evidence(
        labels=corrections.labels,
        champion=read.champion,
        mnist=on_mnist,
        golden=list(_golden(read, corrections)),
        suite=suite,
        empty=empty,
        coverages=_coverages(champion, challenger, data),
        gains=_gains(read, folds, corrections),
        seconds=_seconds(engines, on_mnist.champion.scans[:TIMED_SCANS]),
        sources=(_sources(champion), _sources(challenger)),
    )


def _sources(bundle: Bundle) -> frozenset[str]:
    """Return the sources of scans that a bundle has policies for."""
    return frozenset(one.source for one in bundle.card.policies)


def judged_by(corrections: Corrections, data: Path | None) -> NDArray[np.bool_]:
    """Tell which corrections are MNIST's own images by which the gate judges: bool [N].

    Whoever tries all this on MNIST's test set would else train on it. They are told by their
    pixels, as they are or as they were normalized.
    """
    images = [mnist.load("test", data)[0], _calibration(data)]
    known = {image.tobytes() for some in images for image in some}
    return np.array(
        [
            scan.tobytes() in known or decode(content).pixels.tobytes() in known
            for scan, content in zip(corrections.scans, corrections.contents, strict=True)
        ],
        bool,
    )


def _calibration(data: Path | None) -> NDArray[np.uint8]:
    images, _ = mnist.load("train", data)
    return np.asarray(images[calibration_indices(images)])


def without_digits() -> LabelledSet:
    """Draw scans that show no digit: empty papers and cells, letters, scribbles and the like."""
    scans = [scan for kind in EMPTY.values() for scan in EmptyScans(kind, EMPTY_EACH, SEED)]
    for kind in JUNK:
        rng = np.random.default_rng([SEED, len(scans)])
        scans += [draw_junk_scan(rng, kind) for _ in range(EMPTY_EACH)]
    return LabelledSet("no digit", scans, np.full(len(scans), NO_DIGIT, np.uint8))


def _pair(engines: Engines, labelled: LabelledSet) -> Pair:
    champion, challenger = measure_each([(engine, None) for engine in engines], labelled)
    return Pair(champion, challenger)


def _suite(engines: Engines, data: Path | None) -> Iterator[Pair]:
    """Read the same images of MNIST's test set in each of the suite's ways."""
    images, labels = mnist.load("test", data)
    count = min(SUITE_IMAGES, len(labels))
    chosen = np.sort(np.random.default_rng(SEED).choice(len(labels), count, replace=False))
    for corruption in SUITE:
        scans = CorruptedImages(images[chosen], corruption)
        labelled = LabelledSet(f"mnist:{corruption.name}", scans, labels[chosen])
        yield replace(_pair(engines, labelled), units=chosen)


def _golden(read: Pair, corrections: Corrections) -> Iterator[Pair]:
    """Yield each source's golden corrections, of all that were read."""
    for source in np.unique(corrections.sources[corrections.golden].astype(str)):
        rows = np.flatnonzero(corrections.golden & (corrections.sources.astype(str) == source))
        name = f"golden corrections{f' of {source}' if source else ''}"
        yield Pair(
            replace(read.champion.only(rows), name=name),
            replace(read.challenger.only(rows), name=name),
        )


def _gains(read: Pair, folds: Folds, corrections: Corrections) -> list[Gain]:
    """Return what is gained on all corrections, each read by one who has not seen it.

    Those that all have seen show nothing: the champion itself was trained on them.
    """
    after = loss(read.challenger)
    for number, bundle in enumerate(folds.bundles):
        rows = np.flatnonzero(folds.of == number)
        if not len(rows):
            continue
        unseen = LabelledSet(
            "corrections", [corrections.contents[k] for k in rows], corrections.labels[rows]
        )
        after[rows] = loss(measure(open_engine(bundle), unseen))
    gained = loss(read.champion) - after
    return [
        Gain(title, gained[some], corrections.units[some], corrections.clusters[some])
        for title, some in (
            ("all corrections gain", folds.of != SEEN),
            ("golden corrections gain", corrections.golden),
        )
    ]


def _coverages(champion: Bundle, challenger: Bundle, data: Path | None) -> list[Coverage]:
    """Certify the champion's budgets for both on the calibration part, and on resamples of it."""
    card = champion.card
    asked = {one.budget: one.certainty for one in card.policies if not one.source}
    if not asked:
        return []
    labelled = load_labelled("mnist:calibration", data)
    before, after = measure_each(
        [(open_engine(with_policy(one, one.card.policy)), None) for one in (champion, challenger)],
        labelled,
    )
    count = len(labelled.labels)
    drawn = np.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))
    samples = np.vstack([np.arange(count)[None], drawn])
    found = []
    for budget, certainty in asked.items():
        shares = [
            coverages(one, budget, certainty, card.starts, samples) for one in (before, after)
        ]
        change = shares[1][1:] - shares[0][1:]
        found.append(Coverage(budget, float(shares[0][0]), float(shares[1][0]), change))
    return found


def _seconds(engines: Engines, scans: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the CPU time that each engine takes for normalized scans uint8 [N, 28, 28].

    They take turns, and the least time of several counts: what else the machine does disturbs both.
    """
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for engine, spent in zip(engines, times, strict=True):
            began = time.process_time()
            engine.answers(scans)
            spent.append(time.process_time() - began)
    return min(times[0]), min(times[1])
