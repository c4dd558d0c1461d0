import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from digitrec.cli import main
from digitrec.datasets.labelled import png
from digitrec.evaluation.explain import explain
from digitrec.model.engine import Engine
from tests.small_mnist.make import Digits


@pytest.fixture
def scans(small_test: Digits, tmp_path: Path) -> Path:
    """A 7 in dark ink that touches the border, a blank and a text file."""
    folder = tmp_path / "scans"
    folder.mkdir()
    large = cv2.resize(small_test[0][0], (84, 84), interpolation=cv2.INTER_CUBIC)
    bottom = np.flatnonzero(large.max(axis=1))[-1]
    (folder / "seven.png").write_bytes(png(255 - large[: bottom - 3]))
    (folder / "blank.png").write_bytes(png(np.full((40, 30), 250, np.uint8)))
    (folder / "text.png").write_text("no picture")
    return folder


def test_what_there_is_to_say(engine: Engine, scans: Path) -> None:
    seven = explain(str(scans / "seven.png"), engine)
    assert seven.answer.startswith("7, ")
    assert seven.words == "looked at closely; touches the border"
    assert seven.normalized is not None
    assert seven.pixels is not None
    left, top, width, height = seven.normalized.box
    dark = np.argwhere(seven.pixels < 128)
    assert (top, left) <= tuple(dark.min(axis=0))
    assert (top + height, left + width) > tuple(dark.max(axis=0))
    assert [example.label for example in seven.nearest].count(7) >= 3


def test_of_a_blank_and_of_what_is_no_picture(engine: Engine, scans: Path) -> None:
    blank = explain(str(scans / "blank.png"), engine)
    assert (blank.answer, blank.nearest) == ("blank", ())
    assert blank.words == "nothing stands out enough: 0 of 255"
    text = explain(str(scans / "text.png"), engine)
    assert text.answer.startswith("not-an-image: ")
    assert text.pixels is None


def test_an_answer_unlike_all_examples_is_said(engine: Engine, tmp_path: Path) -> None:
    """A circle with a beam through it: the network must say some digit; MNIST has none like it."""
    scan = np.full((90, 90), 255, np.uint8)
    cv2.line(scan, (5, 45), (84, 45), 0, 5)
    cv2.line(scan, (45, 5), (45, 84), 0, 5)
    (tmp_path / "cross.png").write_bytes(png(scan))
    cross = explain(str(tmp_path / "cross.png"), engine)
    labels = {example.label for example in cross.nearest}
    assert ("of no" in cross.words) == (cross.reading.digit not in labels)


def test_predict_draws_a_picture_for_each_scan(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other" / "seven.png"
    other.parent.mkdir()
    other.write_bytes((scans / "seven.png").read_bytes())
    files = [str(path) for path in (*sorted(scans.iterdir()), other)]
    out = tmp_path / "why"
    assert main(["predict", "--explain", *files, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"{files[0]}: blank\n  nothing stands out enough" in said
    assert f"touches the border\n  why: {out / 'seven.png'}\n" in said
    assert "text.png: not-an-image" in said
    assert sorted(path.name for path in out.iterdir()) == ["blank.png", "seven-2.png", "seven.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in out.iterdir())


def test_predict_tells_a_program_the_same(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--json", str(scans / "seven.png")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["digit"], answer["notes"]) == (7, "looked at closely; touches the border")
