import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from digitrec.batch.classify import Classifier, classify
from digitrec.batch.pack import pack
from digitrec.batch.run import RunSettings
from digitrec.batch.verify import verify
from digitrec.cli import main


@pytest.fixture
def settings(settings: RunSettings, scans: Path, monkeypatch: pytest.MonkeyPatch) -> RunSettings:
    """Forty scans to be read in three parts, named relatively."""
    monkeypatch.setattr(Classifier, "size", lambda self, number: 16)
    monkeypatch.chdir(scans.parent)
    return replace(settings, inputs=("scans",))


def test_a_result_that_holds(settings: RunSettings, capsys: pytest.CaptureFixture[str]) -> None:
    classify(settings)
    assert main(["verify", settings.out, "--quiet"]) == 0
    assert capsys.readouterr().out == f"{settings.out}: complete, 40 rows in 3 parts, as counted\n"


def test_its_inputs_are_looked_at_from_any_folder(
    settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classify(settings)
    monkeypatch.chdir("/")
    assert verify(settings.out, look=True).inputs == {"new": 0, "changed": 0, "gone": 0}
    shutil.copy(tmp_path / "scans/00-7.png", tmp_path / "scans/01-2.png")
    shutil.copy(tmp_path / "scans/00-7.png", tmp_path / "scans/99.png")
    (tmp_path / "scans/02-1.png").unlink()
    (tmp_path / "scans/03-0.png").unlink()
    assert verify(settings.out, look=True).inputs == {"new": 1, "changed": 1, "gone": 2}
    assert verify(settings.out).problems == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("rm part-000001.parquet", "part-000001.parquet is missing"),
        ("cp part-000002.parquet part-000001.parquet", "part-000001.parquet has other rows"),
        ("cp part-000002.parquet part-000007.parquet", "part-000007.parquet belongs to no chunk"),
        ("truncate -s 100 part-000000.parquet", "part-000000.parquet can't be used"),
        ("truncate -s 0 _chunks/000000.parquet", "chunk 0 can't be used"),
        ("cp _chunks/000001.parquet _chunks/000000.parquet", "part-000000.parquet has other rows"),
        ("rm _chunks/end.json", "its listing has no end"),
        ("rm _chunks/000002.parquet part-000002.parquet", "not those that were listed"),
        ("sed -i s/complete/running/ _run.json", "it is not complete"),
        ('sed -i s/"rows.: 40"/"rows\\":41"/ _run.json', "counts 41 rows, there are 40"),
        ('sed -i s/"model_id.: .[0-9a-f]*"/"model_id\\":\\"0"/ _run.json', "is of another run"),
    ],
)
def test_a_result_that_does_not_hold(
    settings: RunSettings, damage: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import subprocess

    classify(settings)
    subprocess.run(damage, shell=True, check=True, cwd=settings.out)
    assert main(["verify", settings.out, "--quiet", "--json"]) == 1
    told = capsys.readouterr()
    assert words in told.err
    assert "Traceback" not in told.err
    assert any(words in problem for problem in json.loads(told.out)["problems"])


def test_shards_are_verified_too(settings: RunSettings, tmp_path: Path) -> None:
    shards = RunSettings(inputs=("scans",), out=str(tmp_path / "shards"), quiet=True)
    pack(shards)
    verified = verify(shards.out, look=True)
    assert (verified.rows, verified.parts, verified.problems) == (40, 1, [])
    assert verified.inputs == {"new": 0, "changed": 0, "gone": 0}


@pytest.mark.parametrize("folder", ["nowhere", "scans", "result/_chunks"])
def test_what_is_no_result_is_said(
    settings: RunSettings, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    classify(settings)
    assert main(["verify", folder]) == 2
    assert "holds no result of classify or pack" in capsys.readouterr().err
