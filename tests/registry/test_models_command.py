"""`digitrec models`, and the commands that take a registry or tell it of a run."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from digitrec import cli
from digitrec.batch.classify import classify
from digitrec.batch.run import RunSettings
from digitrec.datasets.labelled import png
from digitrec.model.bundle import load_bundle
from digitrec.registry.runs import series
from digitrec.registry.store import Registry, make_registry
from tests.conftest import leave_unfinished, record
from tests.small_mnist.make import Digits

SMALL, CASCADE = (load_bundle(name).card.id for name in ("small", "cascade"))
Output = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "registry")


@pytest.fixture
def registry(place: str) -> Registry:
    """A registry in which the cascade took the small network's place."""
    registry = make_registry(place, "small")
    registry.promote(registry.register("cascade"), expected=SMALL, why="better")
    return registry


def say(capsys: Output, *words: str, code: int = 0) -> str:
    """Run a command; give what it prints."""
    assert cli.main(list(words)) == code
    said = capsys.readouterr()
    return said.err if code else said.out


def told(capsys: Output, *words: str) -> Any:
    return json.loads(say(capsys, *words, "--json"))


def test_promote_makes_a_registry_and_says_how_to_undo_it(place: str, capsys: Output) -> None:
    assert say(capsys, "models", "promote", place, "small") == f"champion     {SMALL}\n"
    assert say(capsys, "models", "promote", place, "cascade").splitlines() == [
        f"champion     {CASCADE}, in place of {SMALL}",
        f"undo         digitrec models rollback {place}",
    ]
    assert say(capsys, "models", "rollback", place).splitlines() == [
        f"champion     {SMALL}, in place of {CASCADE}",
        f"undo         digitrec models promote {place} {CASCADE}",
    ]
    assert told(capsys, "models", "promote", place, CASCADE[:5])["champion"] == CASCADE
    assert told(capsys, "models", "rollback", place, "--to", SMALL[:5])["kind"] == "rollback"
    assert "is the champion" in say(capsys, "models", "promote", place, "small", code=2)
    assert "had no champion before" in say(capsys, "models", "rollback", place, code=2)


def test_list_tells_champion_and_challengers(
    registry: Registry, place: str, capsys: Output
) -> None:
    registry.register("large")
    registry.add("gate", bundle=SMALL, passed=False)
    large, cascade, small = told(capsys, "models", "list", place)
    assert [one["what"] for one in (large, cascade, small)] == [
        "challenger", "champion", "former champion",
    ]  # fmt: skip
    card = load_bundle("cascade").card
    assert cascade["mnist_test_accuracy"] == card.scorecard["mnist:test"]["accuracy"]
    assert cascade["coverage"] == 0.965
    assert (cascade["passed"], small["passed"]) == (None, False)
    lines = say(capsys, "models", "list", place).splitlines()
    titles = "id made, UTC parent what it is gate MNIST % cover % budget %"
    assert " ".join(lines[0].split()) == titles
    assert lines[2].split()[0] == CASCADE
    assert lines[2].endswith("champion         -          99.72    96.50       0.1")
    assert "former champion  stopped" in lines[3]


def test_show_tells_what_happened_and_what_it_scored(
    registry: Registry, place: str, capsys: Output
) -> None:
    lines = [{"words": "MNIST is read worse", "passed": False}, {"words": "", "passed": True}]
    registry.add("gate", bundle=CASCADE, passed=False, lines=lines)
    registry.rollback()
    registry.rollback(to=CASCADE)
    registry.add("removal", scans=["x"], bundles=[CASCADE])
    said = say(capsys, "models", "show", place)
    for words in (
        f"bundle       {CASCADE}, champion of {place}",
        f"promoted to champion in place of {SMALL}: better",
        "stopped by the gate; MNIST is read worse",
        f"{SMALL} took its place, by a rollback",
        "scans were removed that it was trained on",
        f"champion again, in place of {SMALL}, by a rollback",
        "0.1       mnist:calibration  10,000    96.50    0.095",
        "mnist:test          10,000    99.72    96.49    0.000  0.0017",
        "no runs: digitrec classify --registry",
    ):
        assert words in said
    one = told(capsys, "models", "show", place, SMALL)
    assert one["log"][2]["words"] == f"{CASCADE} took its place: better"
    assert len(one["policies"]) == 3
    assert one["scorecard"] == load_bundle("small").card.scorecard


def test_compare_puts_two_beside_each_other(registry: Registry, place: str, capsys: Output) -> None:
    lines = say(capsys, "models", "compare", place, "champion", SMALL[:4]).splitlines()
    assert lines[0].split() == [CASCADE, SMALL]
    assert "cover % at 0.1 %             96.50             90.94" in lines
    [test] = [line for line in lines if line.startswith("mnist:test")]
    assert test.split()[1:4] == ["99.72", "99.53", "-0.19"]
    first, second = told(capsys, "models", "compare", place, CASCADE, SMALL)
    assert first["bytes"] > second["bytes"] > 0


def test_check_exits_with_1_where_something_is_wrong(
    registry: Registry, place: str, capsys: Output
) -> None:
    assert say(capsys, "models", "check", place) == (
        f"{place}: 4 entries and 2 bundles, as they must be\n"
    )
    Path(place, "log", "_x.tmp").touch()
    assert "left over    log/_x.tmp is no entry" in say(capsys, "models", "check", place)
    Path(place, "log", "000002.json").unlink()
    assert cli.main(["models", "check", place]) == 1
    out, err = capsys.readouterr()
    assert "wrong        log/000002.json is missing" in out
    assert "is damaged, in" in err


def test_what_is_no_registry_or_bundle_is_a_sentence(place: str, capsys: Output) -> None:
    assert "is no registry" in say(capsys, "models", "list", place, code=2)
    assert "is no bundle" in say(capsys, "models", "promote", place, "nothing", code=2)
    assert not Path(place).exists()
    make_registry(place, "small")
    assert "no bundle 'nothing'" in say(capsys, "models", "promote", place, "nothing", code=2)
    assert "is no registry" in say(
        capsys, "classify", "x", "--out", "y", "--registry", "nowhere", code=2
    )


def test_predict_and_evaluate_take_a_registry(
    registry: Registry, place: str, scans: Path, capsys: Output, tmp_path: Path, small_test: Digits
) -> None:
    file = str(scans / "00-7.png")
    assert told(capsys, "predict", file, "--model", place) == told(capsys, "predict", file)
    for k in range(20):
        (tmp_path / "lab" / str(small_test[1][k])).mkdir(parents=True, exist_ok=True)
        (tmp_path / "lab" / str(small_test[1][k]) / f"{k}.png").write_bytes(png(small_test[0][k]))
    words = ("evaluate", place, str(tmp_path / "lab"))
    assert told(capsys, *words)["model_id"] == CASCADE
    registry.rollback()
    assert told(capsys, *words)["model_id"] == SMALL
    assert told(capsys, "predict", file, "--model", place) == told(
        capsys, "predict", file, "--model", "small"
    )


def test_classify_says_whose_champion_read_and_tells_the_registry(
    registry: Registry, place: str, scans: Path, tmp_path: Path, capsys: Output
) -> None:
    out = str(tmp_path / "result")
    words = ("classify", str(scans), "--out", out, "--model", place, "--registry", place, "--quiet")
    assert f"model        {CASCADE}, champion of {place}\n" in say(capsys, *words)
    assert record(out)["registry"] == place
    assert "is complete already" in say(capsys, *words)
    [run] = series(registry).runs
    assert (run.model_id, run.scans, run.verdict) == (CASCADE, 40, "unknown")
    assert run.review_share == record(out)["counts"]["review"] / 40
    assert run.distance == record(out)["check"]["distance"] >= 1
    registry.rollback()
    assert "of other model" in say(capsys, *words, code=2)
    assert f"model        {SMALL}, champion" in say(capsys, *words, "--overwrite")
    assert [run.model_id for run in series(registry).runs] == [CASCADE, SMALL]
    said = say(capsys, "models", "show", place, "--out", str(tmp_path / "pictures"))
    assert f"{CASCADE}     40" in said
    assert (tmp_path / "pictures" / "drift.png").stat().st_size > 10_000


def test_without_a_registry_there_is_none(settings: RunSettings) -> None:
    assert classify(settings).run["registry"] is None


def test_a_run_keeps_the_champion_of_its_beginning(
    registry: Registry, place: str, settings: RunSettings
) -> None:
    classify(settings, place)
    leave_unfinished(settings.out)
    registry.rollback()
    assert load_bundle(place).card.id == SMALL
    gone_on = classify(settings, place).run
    assert (gone_on["model_id"], gone_on["gone_on"]) == (CASCADE, 1)
    leave_unfinished(settings.out)
    anew = classify(replace(settings, overwrite=True), place).run
    assert (anew["model_id"], anew["gone_on"]) == (SMALL, 0)


def test_a_run_that_can_not_be_told_of_is_complete_all_the_same(
    registry: Registry, place: str, scans: Path, tmp_path: Path, capsys: Output,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", place)

    monkeypatch.setattr(Registry, "add", refuse)
    out = str(tmp_path / "result")
    words = ("classify", str(scans), "--out", out, "--registry", place, "--quiet")
    said = say(capsys, *words, code=1)
    assert f"{out} is complete, but {place} has no entry of it: [Errno 13]" in said
    assert record(out)["state"] == "complete"


def test_an_audit_is_told_once_for_the_same_answers(
    registry: Registry, place: str, scans: Path, tmp_path: Path, capsys: Output
) -> None:
    out, sample = str(tmp_path / "result"), tmp_path / "sample"
    say(capsys, "classify", str(scans), "--out", out, "--max-error", "none", "--quiet")
    say(capsys, "audit", "draw", out, "-n", "10", "--out", str(sample), "--seed", "1")
    words = ("audit", "bound", out, str(sample), "--registry", place)
    say(capsys, *words)
    assert series(registry).audits == ()  # nothing is answered yet
    rows = list(csv.DictReader((sample / "sample.csv").open(newline="")))
    for row in rows:
        row["label"] = Path(row["path"]).stem[-1]
    with (sample / "sample.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for _ in range(2):
        say(capsys, *words)
    [audit] = series(registry).audits
    assert (audit.answered, audit.model_id) == (10, CASCADE)
    assert 0 <= audit.observed < audit.bound < 1
    assert "audit, UTC" in say(capsys, "models", "show", place)
    assert registry.check() == []
