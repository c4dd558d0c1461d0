import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from digitrec import cli
from digitrec.report.claims import BATCH_32, CLAIMS, FASTER, REPORTS, SLOW, SLOWEST, Curves
from digitrec.training.epoch_log import EpochRecord, write_records
from digitrec.training.recipes import REPORT, STUDY

RECIPES = {recipe.name: recipe for recipe in (REPORT, *STUDY.values())}


def record(epoch: int, train_loss: float, test_loss: float, accuracy: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch, train_loss=train_loss, test_loss=test_loss, test_accuracy=accuracy,
        learning_rate=0.1, seconds=1.0, images_per_second=1.0,
    )  # fmt: skip


def curves(test_loss: Sequence[float], accuracy: float = 0.99, train_loss: float = 0.01) -> Curves:
    losses = np.array(test_loss)
    return Curves(np.full(len(losses), train_loss), losses, np.full(len(losses), accuracy))


def test_claims_hold_for_runs_that_are_as_the_report_says_and_not_for_others() -> None:
    falling, rising = np.linspace(2, 1, 30), [*np.linspace(0.1, 0.03, 10), *[0.06] * 20]
    as_said = {
        REPORTS: curves(falling, train_loss=1e-4),
        BATCH_32: curves(rising),
        FASTER: curves([0.9 * value for value in rising]),
        SLOWEST: curves(falling, accuracy=0.6),
        SLOW: curves(falling, accuracy=0.85),
    }
    otherwise = {
        REPORTS: curves(falling, accuracy=0.95),
        BATCH_32: curves(falling / 100),
        FASTER: curves(falling / 50),
        SLOWEST: curves(rising, accuracy=0.96),
        SLOW: curves(falling, accuracy=0.95),
    }
    for runs, expected in ((as_said, True), (otherwise, False)):
        for claim in CLAIMS:
            holds, measured = claim.check(runs)
            assert holds is expected, (claim.says, measured)
    assert as_said[BATCH_32].lowest == "0.0300 (10)"
    assert as_said[SLOW].best == "85.00 % (1)"


def leave_finished(out: Path, name: str) -> None:
    """Leave what a run of one epoch leaves."""
    (out / name / "bundle").mkdir(parents=True)
    (out / name / "bundle/card.json").write_text("{}")
    (out / name / "recipe.json").write_text(json.dumps(asdict(RECIPES[name])))
    write_records(out / name / "log.jsonl", [record(1, 0.5, 0.4, 0.9)])


@pytest.mark.usefixtures("ray_local", "mnist_test")
def test_it_trains_what_is_not_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (REPORTS, SLOW, BATCH_32):
        leave_finished(tmp_path, name)
    assert cli.main(["study", "--epochs", "1", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "2 runs of 1 epochs, 2 at a time" in printed.err
    assert (tmp_path / "table.md").read_text() in printed.out
    assert "Of 1 epochs: the report's claims are about 30." in printed.out
    told = json.loads((tmp_path / "study.json").read_text())
    assert set(told) == set(RECIPES)
    assert told[SLOW] == [asdict(record(1, 0.5, 0.4, 0.9))]
    assert 2 < told[SLOWEST][0]["test_loss"] < 2.5  # it has hardly begun
    assert told[FASTER][0]["test_accuracy"] > 0.96
    assert f"| {FASTER} | 128 | 0.001 |" in printed.out
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    assert figures == {"all-runs.png", *(f"figure-{number}.png" for number in range(6, 12))}
    assert list((tmp_path / FASTER / "tensorboard").glob("events*"))
    # Once more: nothing is trained, and the same is said.
    assert cli.main(["study", "--epochs", "1", "--out", str(tmp_path)]) == 0
    again = capsys.readouterr()
    assert again.err == ""
    assert again.out == "".join(
        line for line in printed.out.splitlines(keepends=True) if "(raylet)" not in line
    )


@pytest.mark.usefixtures("ray_local", "mnist_test")
def test_a_run_that_can_not_be_trained_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in set(RECIPES) - {SLOW}:
        leave_finished(tmp_path, name)
    (tmp_path / SLOW).mkdir()
    (tmp_path / SLOW / "else.txt").write_text("what somebody needs")
    assert cli.main(["study", "--epochs", "1", "--out", str(tmp_path), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"digitrec study: run {SLOW}: ")
    assert "holds something else than a run" in said
    assert cli.main(["study", "--epochs", "0", "--out", str(tmp_path / "new")]) == 2
    assert not (tmp_path / "new").exists()
