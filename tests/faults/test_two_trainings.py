"""Two trainings on one folder, as a job that is tried again beside one that lives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from digitrec.model.bundle import load_bundle
from digitrec.training.epoch_log import parse_records

pytestmark = pytest.mark.slow

PATIENCE = 300


def resumed(out: Path) -> "subprocess.Popen[str]":
    """Call `digitrec train --resume` in a process of its own."""
    program = "import sys; from digitrec.cli import main; sys.exit(main())"
    arguments = ["train", "--epochs", "2", "--resume", "--quiet", "--out", str(out)]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.usefixtures("mnist_train")
def test_the_second_is_refused_and_the_first_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "run"
    both = [resumed(out), resumed(out)]
    told = [process.communicate(timeout=PATIENCE)[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 2], told
    assert f"another run is writing to {out}" in told[codes.index(2)]
    assert "Traceback" not in told[codes.index(2)]
    records = parse_records((out / "log.jsonl").read_text())
    assert [record.epoch for record in records] == [1, 2]
    load_bundle(out)
    assert {path.name for path in (out / "checkpoints").glob("epoch-*")} == {
        "epoch-0001", "epoch-0002",
    }  # fmt: skip
    assert not (out / "_lock").exists()
