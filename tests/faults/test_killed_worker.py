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
    recipe = replace(REPORT, epochs=6)
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
    settings = TrainSettings(recipe=recipe, out=str(tmp_path / "killed"), workers=workers)
    survived = train(settings)
    killer.join()
    assert killed
    assert [record.epoch for record in survived.records] == [1, 2, 3, 4, 5, 6]
    assert parse_records((tmp_path / "killed" / "log.jsonl").read_text()) == survived.records
    if workers == 1:
        assert survived.card.id == undisturbed.card.id
    assert survived.records[-1].test_accuracy > 0.9
