"""Labels that are wrong, by accident or on purpose, do not get a worse champion past the gate."""

import csv
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from digitrec.datasets.labelled import load_labelled
from digitrec.evaluation.labelled_set import measure
from digitrec.model.bundle import load_bundle
from digitrec.model.engine import open_engine
from digitrec.registry import challenger, evidence
from digitrec.registry.challenger import Effort
from digitrec.registry.gate import loss
from digitrec.registry.retrain import KEPT, RetrainSettings, retrain

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_local", "mnist_train")]

Labels = NDArray[np.int64]
RANDOM = np.random.default_rng(3)
HELD_BACK = ("writer08", "writer09", "writer10")


def shuffled(labels: Labels) -> Labels:
    return RANDOM.permutation(labels)


def all_sevens(labels: Labels) -> Labels:
    return np.full_like(labels, 7)


def five_percent_wrong(labels: Labels) -> Labels:
    wrong = labels.copy()
    some = RANDOM.choice(len(labels), len(labels) // 20, replace=False)
    wrong[some] = (wrong[some] + RANDOM.integers(1, 10, len(some))) % 10
    return wrong


def fours_as_nines(labels: Labels) -> Labels:
    wrong = labels.copy()
    fours = np.flatnonzero(labels == 4)
    wrong[RANDOM.choice(fours, round(0.3 * len(fours)), replace=False)] = 9
    return wrong


@pytest.fixture(scope="module", autouse=True)
def drawn_once() -> Iterator[None]:
    """What a network has learnt from is the same in all of these retrainings; less is read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(challenger, "training_parts", cache(challenger.training_parts))
        patch.setattr(challenger, "FOLDS", 2)
        patch.setattr(evidence, "SUITE_IMAGES", 100)
        yield


def table(real_digits: Path, out: Path, poison: Callable[[Labels], Labels]) -> Path:
    """Write the corrections of seven writers, with labels that are wrong."""
    with (real_digits / "truth.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["writer"] not in HELD_BACK]
    labels = poison(np.array([int(row["label"]) for row in rows]))
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "group"))
        writer.writerows(
            (real_digits / row["path"], label, row["writer"])
            for row, label in zip(rows, labels.tolist(), strict=True)
        )
    return out


def held_back(real_digits: Path, out: Path, model: str) -> tuple[int, float]:
    """Give how many of the other writers' digits a bundle reads wrong, and its mean log-loss."""
    with (real_digits / "truth.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["writer"] in HELD_BACK]
    out.write_text(
        "path,label\n" + "".join(f"{real_digits / row['path']},{row['label']}\n" for row in rows)
    )
    measured = measure(open_engine(load_bundle(model)), load_labelled(str(out)))
    return int((~measured.right).sum()), float(loss(measured).mean())


@pytest.mark.parametrize("poison", [shuffled, all_sevens, five_percent_wrong, fours_as_nines])
def test_wrong_labels_give_no_worse_champion(
    poison: Callable[[Labels], Labels], real_digits: Path, tmp_path: Path
) -> None:
    registry = str(tmp_path / "registry")
    corrections = table(real_digits, tmp_path / "corrections.csv", poison)
    settings = RetrainSettings(
        registry=registry,
        corrections=(str(corrections),),
        model="small",
        effort=Effort(epochs=2),
    )
    outcome = retrain(settings)
    assert outcome.verdict is not None
    print(poison.__name__, outcome.state, *outcome.verdict.reasons, sep="\n  ")
    before = held_back(real_digits, tmp_path / "others.csv", "small")
    after = held_back(real_digits, tmp_path / "others.csv", registry)
    print(f"  others, wrong and nats: {before} before, {after} by the champion now")
    assert after[0] <= before[0]
    assert after[1] <= before[1]
    if poison is not five_percent_wrong:
        assert outcome.state == KEPT
        assert outcome.verdict.reasons
