"""Whatever interrupts a training, in the end it is the run that nothing happened to."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from digitrec.training.epoch_log import parse_records
from digitrec.training.recipes import REPORT
from digitrec.training.train import Trained, TrainSettings, train
from tests.conftest import only_first_images

SIX_EPOCHS = replace(REPORT, epochs=6)


@pytest.fixture(scope="module")
def undisturbed(
    ray_local: None, mnist_train: object, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """Six epochs of the report's recipe on MNIST cut short, by one worker."""
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    with only_first_images():
        return train(TrainSettings(recipe=SIX_EPOCHS, out=str(out)))


def train_workers() -> list[psutil.Process]:
    """The processes of this session's training workers."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "RayTrainWorker" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.usefixtures("first_images")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_is_replaced_and_the_run_ends_as_it_would_have(
    workers: int, undisturbed: Trained, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill_after_the_second_epoch() -> None:
        log = tmp_path / "killed" / "log.jsonl"
        deadline = time.monotonic() + 120
        while not killed and time.monotonic() < deadline:
            if log.is_file() and len(parse_records(log.read_text())) >= 2:
                victim = train_workers()[0]
                os.kill(victim.pid, signal.SIGKILL)
                killed.append(victim.pid)
            time.sleep(0.02)

    killer = threading.Thread(target=kill_after_the_second_epoch)
    killer.start()
    settings = TrainSettings(recipe=SIX_EPOCHS, out=str(tmp_path / "killed"), workers=workers)
    survived = train(settings)
    killer.join()
    assert killed
    assert [record.epoch for record in survived.records] == [1, 2, 3, 4, 5, 6]
    assert parse_records((tmp_path / "killed" / "log.jsonl").read_text()) == survived.records
    if workers == 1:
        assert survived.card.id == undisturbed.card.id
    # Two workers train as one, but for the order in which they add.
    for alone, together in zip(undisturbed.records, survived.records, strict=True):
        assert together.train_loss == pytest.approx(alone.train_loss, rel=0.02)
        assert together.test_accuracy == pytest.approx(alone.test_accuracy, abs=0.003)
    assert survived.records[-1].test_accuracy > 0.9


@pytest.mark.usefixtures("first_images")
def test_a_resumed_run_is_the_uninterrupted_one(undisturbed: Trained, tmp_path: Path) -> None:
    halves = str(tmp_path / "halves")
    first = train(TrainSettings(recipe=replace(REPORT, epochs=2), out=halves, resume=True))
    second = train(TrainSettings(recipe=SIX_EPOCHS, out=halves, resume=True))
    losses = [record.test_loss for record in undisturbed.records]
    assert [record.test_loss for record in first.records] == losses[:2]
    assert [record.test_loss for record in second.records] == losses
    assert second.card.id == undisturbed.card.id != first.card.id
    records = parse_records((Path(halves) / "log.jsonl").read_text())
    assert [record.epoch for record in records] == [1, 2, 3, 4, 5, 6]
    # Once more: there is nothing left to train, and nothing changes.
    again = train(TrainSettings(recipe=SIX_EPOCHS, out=halves, resume=True))
    assert again.card.id == undisturbed.card.id
