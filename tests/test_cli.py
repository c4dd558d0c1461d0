"""Wrong usage gets one sentence and exit code 2, before anything starts."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from digitrec import __version__
from digitrec.batch.run import SMALL
from digitrec.cli import main
from digitrec.datasets.labelled import export_mnist, png
from digitrec.model.shipped import SHIPPED
from tests.small_mnist.make import Digits


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.png").write_bytes(png(np.full((9, 9), 255, np.uint8)))
    return folder


WRONG = [
    ("train --epochs 0", "epochs must be 1 or more, not 0"),
    ("train --epochs three", "invalid int value: 'three'"),
    ("train --learning-rate -1", "learning_rate must be a number above 0, not -1.0"),
    ("train --learning-rate nan", "learning_rate must be a number above 0"),
    ("train --batch-size 0", "batch_size must be 1 or more, not 0"),
    ("train --workers 0", "workers must be 1 or more, not 0"),
    ("train --recipe best", "invalid choice: 'best'"),
    ("train --device tpu", "invalid choice: 'tpu'"),
    ("train --resume", "--resume needs --out"),
    ("train --network ink --steps 0", "steps must be 1 or more, not 0"),
    ("train --network ink --recipe robust", "leave --recipe out"),
    ("train --network ink --hold-out nothing", "leave --hold-out out"),
    ("train --network ink --ink-network {tmp}", "holds no ink network"),
    ("train --network ink --batch-size 1 --workers 2", "batch_size must be 2 or more"),
    ("train --steps 10", "--steps is for --network ink alone"),
    ("train --ink-network {tmp}/nowhere", "holds no ink network"),
    ("train --data {tmp}/nowhere", "no labelled set"),
    ("train --data {scans}", "is no labelled set"),
    ("train --data mnist:test", "of MNIST only mnist:train is trained on"),
    ("train --network ink --data {scans}", "--data takes its folder"),
    ("train --out {scans}", "holds something else than a run"),
    ("train --out {scans}/a.png", "is a file"),
    ("train --out nosuchscheme://x/y", "can't be opened"),
    ("classify {tmp}/nowhere --out {tmp}/r", "no file or folder"),
    ("classify {scans} --out {scans}", "holds something else than a result"),
    ("classify {scans} --out {scans}/a.png/r", "can't be used"),
    ("classify {scans} --out {tmp}/r --model {scans}/a.png", "is no bundle"),
    ("classify {scans} --out {tmp}/r --model huge", "is no bundle"),
    ("classify {scans}", "the following arguments are required: --out"),
    ("classify nosuchscheme://bucket/x --out {tmp}/r", "can't be opened"),
    ("classify {scans} --out nosuchscheme://bucket/r", "can't be opened"),
    ("classify {scans}/*.jpg --out {tmp}/r", "no file or folder"),
    ("classify {tmp} {scans}/list.parquet --out {tmp}/r", "no file or folder"),
    ("pack {tmp}/nowhere --out {tmp}/r", "no file or folder"),
    ("pack {scans} --out {scans}", "holds something else than a result"),
    ("predict {tmp}/nowhere.png", "no file"),
    ("predict {scans}/a.png --model {tmp}", "is no bundle"),
    ("evaluate {tmp}/nowhere", "no labelled set"),
    ("evaluate mnist:blurry", "MNIST has no set blurry"),
    ("evaluate panel {tmp}/nowhere", "no labelled set"),
    ("evaluate small {scans}", "no scans in class folders"),
    ("data export", "the following arguments are required: --out"),
    ("data export --out {scans}", "holds something already"),
    ("classify {scans} --out {tmp}/r --registry {tmp}/nowhere", "is no registry"),
    ("models", "the following arguments are required: WHAT"),
    ("models list {tmp}/nowhere", "is no registry: digitrec retrain --registry makes one"),
    ("models list nosuchscheme://x/y", "can't be opened"),
    ("models check {scans}/a.png", "is no registry"),
    ("models promote {tmp}/nowhere huge", "huge is no bundle"),
    ("models promote {scans} small", "holds something else than a registry"),
    ("", "the following arguments are required: COMMAND"),
    ("clasify x", "invalid choice: 'clasify'"),
]


@pytest.mark.usefixtures("small_mnist")
@pytest.mark.parametrize(("command", "sentence"), WRONG, ids=[command for command, _ in WRONG])
def test_wrong_usage(
    command: str,
    sentence: str,
    scans: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_ray(*_: object, **__: object) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr("ray.init", no_ray)
    before = sorted(tmp_path.rglob("*"))
    try:
        code = main(command.format(tmp=tmp_path, scans=scans).split())
    except SystemExit as stop:  # argparse's own way out
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1, err
    assert not out
    assert sorted(tmp_path.rglob("*")) == before


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "digitrec.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_help_teaches_and_version_says() -> None:
    assert run("--version").stdout == f"digitrec {__version__}\n"
    for command in ("train", "data export", "predict", "classify", "pack", "evaluate"):
        answer = run(*command.split(), "--help")
        assert answer.returncode == 0
        assert f"example:\n  digitrec {command}" in answer.stdout


@pytest.mark.slow
def test_predict_answers_in_words_and_json(small_test: Digits, tmp_path: Path) -> None:
    seven, text = tmp_path / "seven.png", tmp_path / "text.png"
    seven.write_bytes(png(small_test[0][0]))
    text.write_text("text")
    words = run("predict", seven, text)
    assert words.returncode == 0
    first, second = words.stdout.splitlines()
    assert re.fullmatch(rf"{seven}: 7  \((9\d|100)\.\d % sure\)", first)
    assert second.startswith(f"{text}: not-an-image: ")
    first, second = map(json.loads, run("predict", "--json", seven, text).stdout.splitlines())
    assert (first["digit"], first["decision"], len(first["probabilities"])) == (7, "accept", 10)
    assert (second["digit"], second["decision"]) == (None, "error")


@pytest.mark.slow
@pytest.mark.usefixtures("mnist_test")
def test_export_classify_evaluate(tmp_path: Path) -> None:
    """The journey of a folder, as a person types it; in full size in test_journeys."""
    scans, result, pictures = tmp_path / "scans", tmp_path / "result", tmp_path / "pictures"
    export_mnist("test", scans)
    for digit in scans.iterdir():
        for extra in sorted(digit.iterdir())[20:]:
            extra.unlink()
    classified = run("classify", scans, "--out", result)
    assert classified.returncode == 0, classified.stderr
    assert "200 scans: 193 accepted, 7 to review, 0 blank, 0 errors" in classified.stdout
    assert f"result       {result}" in classified.stdout
    assert "classify: 200, mostly " in classified.stderr
    # The summary's last line is a command: it works.
    look = classified.stdout.splitlines()[-1].split(maxsplit=3)[3]
    looked = subprocess.run(
        look.replace("python", sys.executable, 1), shell=True, capture_output=True, text=True
    )
    assert "[200 rows x 9 columns]" in looked.stdout, looked.stderr
    again = run("classify", scans, "--out", result)
    assert again.returncode == 0
    assert f"{result} is complete already" in again.stdout
    shards = tmp_path / "shards"
    assert (
        "200 scans packed, 0 of them could not be read"
        in run("pack", scans, "--out", shards).stdout
    )
    packed = run("classify", shards, "--out", tmp_path / "packed", "--json")
    assert json.loads(packed.stdout)["counts"]["accept"] == 193
    evaluated = run("evaluate", "--json", "--quiet", scans, "mnist:test", "--out", pictures)
    assert evaluated.returncode == 0, evaluated.stderr
    assert evaluated.stderr == ""
    scorecard = json.loads(evaluated.stdout)
    assert scorecard == json.loads((pictures / "scorecard.json").read_text())
    assert scorecard["scorecard"]["mnist:test"]["images"] == 10_000
    assert scorecard["scorecard"][str(scans)]["accuracy"] > 0.95
    assert (pictures / "mnist-test" / "confusion.png").is_file()
    assert (pictures / "mnist-test" / "mistakes.png").is_file()
    assert (pictures / "panel.png").is_file()
    assert (pictures / "coverage.png").is_file()
    shutil.copytree(SHIPPED["small"], tmp_path / "other")
    beside = run("evaluate", "--quiet", "small", tmp_path / "other", scans, "--out", tmp_path / "2")
    assert beside.returncode == 0, beside.stderr
    assert re.search(r"-- small --+  -+ .*other -", beside.stdout.splitlines()[0])
    models = json.loads((tmp_path / "2" / "scorecard.json").read_text())["models"]
    assert [one["model"] for one in models] == ["small", str(tmp_path / "other")]
    assert models[0]["scorecard"] == models[1]["scorecard"]


@pytest.mark.slow
def test_an_interrupt_is_no_traceback(tmp_path: Path, scans: Path) -> None:
    import signal

    for k in range(SMALL):  # one too many to do without Ray
        os.link(scans / "a.png", scans / f"{k}.png")
    process = subprocess.Popen(
        [sys.executable, "-m", "digitrec.cli", "classify", scans, "--out", tmp_path / "result"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "result" / "_run.json").exists():  # Ray is about to start
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert err.endswith("digitrec classify: stopped; the same command goes on from there\n")
