"""What a person may do to a command: an answer in one sentence, and no traceback."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digitrec.cli import main
from digitrec.datasets.labelled import png
from tests.small_mnist.make import Digits

pytestmark = pytest.mark.slow


@pytest.fixture
def scans(small_test: Digits, tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    (folder / "7").mkdir(parents=True)
    (folder / "7/siebén.png").write_bytes(png(small_test[0][0]))
    return folder


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "digitrec", *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


def sentence(answer: subprocess.CompletedProcess[str], code: int) -> str:
    """Give the one sentence that a command said, with this exit code."""
    assert answer.returncode == code, answer.stderr
    return the_one_of(answer.stderr)


def the_one_of(told: str) -> str:
    """Give the one sentence in what was told."""
    assert "Traceback" not in told
    lines = [line for line in told.splitlines() if line.startswith("digitrec")]
    assert len(lines) == 1, told
    return lines[0]


@pytest.mark.parametrize("letters", ["ascii", "latin-1"])
def test_a_terminal_of_few_letters(scans: Path, letters: str) -> None:
    answer = run("predict", scans / "7/siebén.png", PYTHONIOENCODING=letters)
    assert answer.returncode == 0
    assert re.fullmatch(r" 7  \((9\d|100)\.\d % sure\)\n", answer.stdout.split(":")[1])
    odd = run("classify", scans, "--out", f"{scans}-→", PYTHONIOENCODING=letters)
    assert odd.returncode == 0, odd.stderr
    gone = run("predict", scans / "→.png", PYTHONIOENCODING=letters)
    assert "no file" in sentence(gone, 2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", ["predict", "evaluate", "data"])
def test_a_full_disk_behind_stdout(scans: Path, command: str, tmp_path: Path) -> None:
    words = {
        "predict": ["predict", scans / "7/siebén.png"],
        "evaluate": ["evaluate", scans, "--quiet"],
        "data": ["data", "draw", "--count", "3", "--out", tmp_path / "drawn", "--quiet"],
    }[command]
    with open("/dev/full", "w") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "digitrec", *map(str, words)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    told = answer.stderr.strip()
    assert answer.returncode == 1
    assert re.fullmatch(rf"digitrec {command}: (the answer .*: )?No space left on device", told)


def test_stdout_that_is_closed(scans: Path) -> None:
    words = [sys.executable, "-m", "digitrec", "predict", str(scans / "7/siebén.png")]
    answer = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *words], stderr=subprocess.PIPE, text=True, check=False
    )
    assert "Traceback" not in answer.stderr


COMMANDS = {
    "classify": ["classify", "SCANS", "--quiet"],
    "pack": ["pack", "SCANS", "--quiet"],
    "evaluate": ["evaluate", "small", "SCANS", "--quiet"],
    "predict": ["predict", "--explain", "SCANS/7/siebén.png"],
    "cascade": ["cascade", "small", "large", "--like", "cascade"],
    "data export": ["data", "export"],
    "data draw": ["data", "draw", "--count", "2", "--quiet"],
    "train": ["train", "--epochs", "1"],
    "study": ["study", "--epochs", "1"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", ["file", "below a file", "/proc/nowhere", "long"])
def test_a_folder_that_can_not_be_made(
    scans: Path, tmp_path: Path, command: str, place: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    out = {
        "file": tmp_path / "file",
        "below a file": tmp_path / "file/result",
        "/proc/nowhere": "/proc/nowhere",
        "long": tmp_path / ("x" * 300),
    }[place]
    words = [word.replace("SCANS", str(scans)) for word in COMMANDS[command]]
    # In this process: whether a process of its own says the same is seen by the other tests.
    assert main([*words, "--out", str(out)]) == 2
    assert the_one_of(capfd.readouterr().err)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"<html>not found</html>", "t10k-images-idx3-ubyte.gz"),
        (b"\x1f\x8b\x08", "t10k-images-idx3-ubyte.gz"),
        (b"1234", "t10k-images-idx3-ubyte"),
    ],
)
def test_files_that_are_none_of_mnist(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    told = sentence(run("data", "export", "--data", tmp_path, "--out", tmp_path / "out"), 2)
    assert name in told


def test_a_folder_for_predict_and_an_archive(scans: Path, tmp_path: Path) -> None:
    assert "is a folder: digitrec classify reads folders" in sentence(run("predict", scans), 2)
    shutil.make_archive(str(tmp_path / "scans"), "zip", scans)
    answer = run("predict", tmp_path / "scans.zip")
    assert answer.returncode == 0
    assert "a zip archive" in answer.stdout


def test_decoders_keep_off_the_terminal(scans: Path) -> None:
    """libpng writes to stderr by itself."""
    from tests.inputs import test_whole as half

    (scans / "7/half.png").write_bytes(half.png(half.rows(84)))
    for words in (["predict", scans / "7/half.png"], ["evaluate", scans, "--quiet"]):
        answer = run(*words)
        assert answer.returncode == 0
        assert answer.stderr == ""
    answer = run("predict", scans / "nowhere.png")
    assert "no file" in sentence(answer, 2)


def test_predict_says_what_is_to_be_reviewed(small_test: Digits, tmp_path: Path) -> None:
    strip = np.concatenate(list(small_test[0][:10]), axis=1)
    Image.fromarray(255 - strip).save(tmp_path / "strip.png")
    answer = run("predict", tmp_path / "strip.png")
    assert f"{tmp_path}/strip.png: to review, perhaps " in answer.stdout
    assert "unclear: " in answer.stdout
