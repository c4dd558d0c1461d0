"""What became of scans without a digit: counted, as a table and as a picture."""

import json
from pathlib import Path

import numpy as np
import pytest

from digitrec import cli
from digitrec.datasets import empty as datasets_empty
from digitrec.datasets.empty import EMPTY, EmptySet
from digitrec.evaluation.empty import measure_empty, table
from digitrec.model.engine import Engine
from digitrec.plots import suite

Mnist = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def known(mnist_test: Mnist) -> EmptySet:
    """Seven blank scans, two that are read and accepted, and one that can't be read."""
    paper = [np.full((40, 40), 240, np.uint8)] * 7
    return EmptySet("empty:known", [*paper, *mnist_test[0][:2], b"no picture"])


def test_decisions_are_counted(engine: Engine, known: EmptySet) -> None:
    steps: list[int] = []
    [entry, other] = measure_empty({"a": engine, "b": engine}, known, steps.append)
    assert entry.scores == {"images": 10, "accept": 2, "review": 0, "blank": 7, "error": 1}
    assert (entry.name, entry.model, other.model) == ("empty:known", "a", "b")
    assert entry.share("blank") == 0.7
    assert steps == [10]


def test_a_line_for_each_set_and_one_for_all(engine: Engine, known: EmptySet) -> None:
    engines = {"a": engine, "b": engine}
    blank = EmptySet("empty:blank", known.scans[:5])
    entries = measure_empty(engines, known) + measure_empty(engines, blank)
    lines = table(entries).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["empty:known", "empty:blank", "all"]
    assert lines[2].split()[1:] == ["10", *(2 * ["20.00", "0.00", "70.00"])]
    assert lines[4].split()[3:] == ["15", *(2 * ["13.33", "0.00", "80.00"])]
    assert len({len(line) for line in lines[1:]}) == 1
    assert "all of them" not in table(measure_empty({"a": engine}, known))


def test_a_picture(engine: Engine, known: EmptySet, tmp_path: Path) -> None:
    suite.empty(measure_empty({"a": engine, "b": engine}, known), tmp_path / "two.png")
    suite.empty(measure_empty({"a": engine}, known), tmp_path / "one.png")
    for name in ("one", "two"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_tells_prints_and_draws_what_became_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = datasets_empty.EmptyScans
    monkeypatch.setattr(datasets_empty, "EmptyScans", lambda kind: drawn(kind, 20))
    out = tmp_path / "out"
    named = ["evaluate", "--quiet", "small", "empty:paper", "empty:lone-line", "--out", str(out)]
    assert cli.main(named) == 0
    printed = capsys.readouterr().out
    assert "read right" not in printed
    assert "empty:lone-line" in printed
    scores = json.loads((out / "scorecard.json").read_text())["scorecard"]
    paper = scores["empty:paper"]
    assert (paper["images"], paper["accept"], paper["error"]) == (20, 0, 0)
    assert paper["review"] + paper["blank"] == 20
    assert paper["blank"] >= 18
    assert sorted(path.name for path in out.iterdir()) == [
        *("corruptions.png", "empty.png", "scorecard.json")
    ]
    assert cli.main(["evaluate", "--quiet", "--json", "small", "empty:paper"]) == 0
    assert json.loads(capsys.readouterr().out)["scorecard"].keys() == {"empty:paper"}


def test_a_wrong_kind_gets_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "empty:desert"]) == 2
    assert f"expected one of {', '.join(EMPTY)}" in capsys.readouterr().err
