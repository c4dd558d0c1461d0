"""The whole loop as a new user would go it: classify, review, collect, retrain, classify, back."""

import re
from pathlib import Path
from typing import Any

import pytest

from digitrec import cli
from digitrec.model.champion import GATE, RUN
from digitrec.registry import gate
from digitrec.registry.store import make_registry, open_registry
from tests.browser.test_review_page import ALL_SETTLED, Open, browser, opened, said, saved
from tests.conftest import digits, record
from tests.registry.small import make_champion, make_corrections

__all__ = ["browser", "opened"]
COUNT = 240  # scans
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_local", "small_mnist")]


def test_the_loop(
    opened: Open,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Of 200 digits one is more than the margin that 10,000 are measured by.
    monkeypatch.setattr(gate, "MARGIN", 0.05)
    monkeypatch.chdir(tmp_path)
    make_registry("models", str(make_champion(tmp_path / "champion")))
    before = open_registry("models").champion()
    table = make_corrections(tmp_path / "scans", count=COUNT).read_text().splitlines()[1:]
    (tmp_path / "scans" / "corrections.csv").unlink()
    truth = {line.split(".")[0]: line.split(",")[1] for line in table}

    def digitrec(*words: str) -> str:
        assert cli.main(list(words)) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    # A champion without an error budget accepts all: a person looks at a random sample, and at it.
    digitrec("classify", "scans", "--out", "result", "--model", "models", "--registry", "models")
    assert record("result")["model_id"] == before
    digitrec("audit", "draw", "result", "-n", str(COUNT), "--out", "sample", "--seed", "3")
    digitrec("review", "make", "result", "--sample", "sample", "--out", "audit.html")
    page = opened(tmp_path / "audit.html")
    assert page.locator("#guesses button:visible").count() == 0  # nobody is told what was read
    answered(page, tmp_path, truth)
    export = saved(page, "#export", tmp_path / "exports")
    digitrec("review", "collect", str(export), "--out", "corrections.csv")
    bound = digitrec("audit", "bound", "result", "sample", "--registry", "models")
    assert f"answered     {COUNT}" in bound

    told = digitrec("retrain", "--registry", "models", "--corrections", "corrections.csv",
                    "--epochs", "8")  # fmt: skip
    after = open_registry("models").champion()
    assert after != before, told
    assert "promoted     it is the champion now" in told
    digitrec("classify", "scans", "--out", "again", "--model", "models", "--registry", "models")
    assert record("again")["model_id"] == after
    kinds = [entry.kind for entry in open_registry("models").entries()]
    assert (kinds.count(RUN), kinds.count(GATE)) == (2, 1)

    digitrec("models", "rollback", "models")
    digitrec("classify", "scans", "--out", "back", "--model", "models")
    assert digits("back") == digits("result")
    shown = digitrec("models", "show", "models", "--out", str(tmp_path / "drift.png"))
    assert (tmp_path / "drift.png").is_file()
    assert before is not None
    assert before in shown
    assert open_registry("models").check() == []


def answered(page: Any, folder: Path, truth: dict[str, str]) -> None:
    """Answer a sample one scan after the other: its pictures are named by their numbers."""
    sample = (folder / "sample" / "sample.csv").read_text().splitlines()[1:]
    for row in sample:
        scan = re.search(r"(\d{3})\.png$", row)
        assert scan
        page.keyboard.press(truth[scan[1]])
    assert said(page) == ALL_SETTLED
