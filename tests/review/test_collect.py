"""Answers → what is taken, what is told, and what is written of it."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyarrow import dataset, parquet

from digitrec import cli
from digitrec.batch.audit import bound, draw
from digitrec.batch.classify import classify
from digitrec.batch.pack import pack
from digitrec.batch.run import RunSettings
from digitrec.errors import InputError
from digitrec.review.collect import collect
from digitrec.review.make import make
from tests.review.conftest import exported
from tests.review.test_make import data_of

Rows = list[dict[str, Any]]


def answered(page: Path, reviewer: str = "Anna", **labels: str) -> Rows:
    """Give the rows that a page exports once all is confirmed, but for some: `k3="8"`."""
    data = data_of(page)
    return [
        {
            **{name: item[name] for name in ("path", "part", "row", "number", "digest")},
            "predicted": item["predicted"],
            "label": labels.get(f"k{k}", item["predicted"] or Path(item["path"]).stem[-1]),
            "reviewer": reviewer,
            "time": "2026-11-26T10:00:00+00:00",
            "page": data["page"],
            "result": data["origin"]["result"],
            "sample": data["origin"]["sample"],
        }
        for k, item in enumerate(data["items"])
    ]


@pytest.fixture
def page(doubted: str, tmp_path: Path) -> Path:
    make(doubted, str(tmp_path / "page.html"), count=2000)
    return tmp_path / "page.html"


def table(path: Path) -> Rows:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_corrections_name_scans_that_open_again(page: Path, tmp_path: Path) -> None:
    export = exported(tmp_path / "anna.csv", answered(page, k3="8", k5="blank"))
    found = collect([export], out=str(tmp_path / "corrections.csv"))
    assert (found.settled, found.confirmed, found.open, found.refused) == (40, 38, [], [])
    assert sum(found.corrected.values()) == 2
    rows = table(tmp_path / "corrections.csv")
    assert list(rows[0]) == [
        "path", "label", "group", "model", "predicted", "confidence", "reviewer", "time",
    ]  # fmt: skip
    assert len(rows) == 40
    assert sum(row["label"] == row["predicted"] for row in rows) == 38
    for row in rows:
        assert Path(row["path"]).is_absolute()
        assert Path(row["path"]).is_file()
        assert row["reviewer"] == "Anna"
        assert 0 < float(row["confidence"]) <= 1


def test_parquet_holds_the_scans_too(page: Path, tmp_path: Path) -> None:
    export = exported(tmp_path / "anna.csv", answered(page))
    collect([export], out=str(tmp_path / "corrections.parquet"))
    rows = parquet.read_table(tmp_path / "corrections.parquet").to_pylist()
    assert len(rows) == 40
    for row in rows:
        assert row["content"] == Path(row["path"]).read_bytes()
        assert row["group"] is None


def test_packed_scans_need_parquet(
    settings: RunSettings, all_in_doubt: None, tmp_path: Path
) -> None:
    packed = replace(settings, out=str(tmp_path / "packed"))
    pack(packed)
    run = replace(settings, inputs=(packed.out,))
    classify(run)
    make(run.out, str(tmp_path / "page.html"), count=2000)
    export = exported(tmp_path / "anna.csv", answered(tmp_path / "page.html"))
    with pytest.raises(InputError, match=r"is packed in a shard: --out corrections.parquet holds"):
        collect([export], out=str(tmp_path / "corrections.csv"))
    assert not (tmp_path / "corrections.csv").exists()
    collect([export], out=str(tmp_path / "corrections.parquet"))
    rows = parquet.read_table(tmp_path / "corrections.parquet").to_pylist()
    assert {row["path"].split("#")[0] for row in rows} == {f"{packed.out}/shard-000000.parquet"}
    assert all(row["content"].startswith(b"\x89PNG") for row in rows)


def test_the_corrected_result_is_a_copy(page: Path, doubted: str, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in Path(doubted).rglob("*") if path.is_file()}
    rows = answered(page, k3="8")[:30]
    export = exported(tmp_path / "anna.csv", rows)
    copy = tmp_path / "copy"
    collect([export], out=str(tmp_path / "c.csv"), corrected=str(copy))
    assert {path: path.read_bytes() for path in before} == before
    original = dataset.dataset(doubted, format="parquet").to_table()
    found = dataset.dataset(copy, format="parquet").to_table()
    assert found.schema.names == [*original.schema.names, "corrected", "reviewer", "time"]
    assert found.select(original.schema.names).equals(original)
    said = {row["path"]: row["corrected"] for row in found.to_pylist()}
    assert {row["path"]: row["label"] for row in rows} == {
        path: label for path, label in said.items() if label is not None
    }
    run = json.loads((copy / "_run.json").read_text())
    assert (run["state"], run["command"], run["corrected"]) == ("complete", "review", 30)
    with pytest.raises(InputError, match="holds something already"):
        collect([export], out=str(tmp_path / "c.csv"), corrected=str(copy))
    with pytest.raises(InputError, match="lies within the result"):
        collect([export], out=str(tmp_path / "c.csv"), corrected=f"{doubted}/copy")


def test_what_two_people_do_not_answer_alike_is_left_to_a_third(
    page: Path, doubted: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "c.csv")
    anna = exported(tmp_path / "anna.csv", answered(page, k3="8", k7="blank"))
    ben = exported(tmp_path / "ben.csv", answered(page, "Ben", k3="8", k9="1")[:38])
    found = collect([anna, ben], out=out, rest=str(tmp_path / "rest.html"))
    assert len(found.open) == 4  # 7 and 9 are not alike, 38 and 39 are one person's
    assert any("Anna says blank" in words and "Ben says" in words for words in found.open)
    assert (found.settled, found.rest) == (36, str(tmp_path / "rest.html"))
    assert {row["reviewer"] for row in table(tmp_path / "c.csv")} == {"Anna, Ben"}
    assert sum(found.corrected.values()) == 1
    rest = tmp_path / "rest.html"
    assert len(data_of(rest)["items"]) == 4
    third = exported(tmp_path / "third.csv", answered(rest, "Cleo"))
    assert collect([anna, ben, third], out=out).settled == 40


def test_each_answer_that_is_not_used_is_told(page: Path, tmp_path: Path) -> None:
    rows = answered(page)
    rows[0] = {**rows[0], "path": "elsewhere.png"}
    rows[1] = {**rows[1], "label": "eleven"}
    rows[2] = {**rows[2], "digest": "0" * 16}
    rows.append({**rows[3], "label": "not-a-digit"})
    rows[4] = {**rows[4], "part": 99}  # its path alone tells
    rows[5] = {**rows[5], "part": None, "row": None}
    export = exported(tmp_path / "anna.csv", rows)
    found = collect([export], out=str(tmp_path / "c.csv"))
    why = {one.where.removeprefix(f"{export}, "): one.why for one in found.refused}
    assert why["row 2"] == "the result has no scan elsewhere.png"
    assert why["row 3"].startswith("the label 'eleven' is none")
    assert "and not-a-digit by one person: which?" in why["row 5"]
    assert "by one person: which?" in why["row 42"]
    assert why[rows[2]["path"]] == "it is another scan than the one that was answered"
    assert found.settled == 36
    assert len(found.open) == 1


def test_a_scan_that_has_changed_since_is_told(fresh: str, scans: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    make(fresh, str(page), count=2000)
    export = exported(tmp_path / "anna.csv", answered(page))
    (scans / "00-7.png").unlink()
    found = collect([export], out=str(tmp_path / "c.csv"))
    assert [one.why for one in found.refused] == ["vanished: no such file"]
    assert len(table(tmp_path / "c.csv")) == found.settled == 39


def test_exports_without_any_use_are_refused(page: Path, tmp_path: Path) -> None:
    rows = answered(page)[:1]
    out = str(tmp_path / "c.csv")

    def given(**changes: object) -> list[str]:
        return [exported(tmp_path / "anna.csv", [{**rows[0], **changes}])]

    with pytest.raises(InputError, match=r"no answer can be used: .*row 2: the label 'x' is none"):
        collect(given(label="x"), out=out)
    with pytest.raises(InputError, match="the result has no scan"):
        collect(given(path="x"), out=out)
    with pytest.raises(InputError, match="do not say of which result they are: name it with --res"):
        collect(given(result=""), out=out)
    with pytest.raises(InputError, match=r"must end in .csv or .parquet"):
        collect(given(), out=str(tmp_path / "c.txt"))
    both = [*given(), exported(tmp_path / "ben.csv", [{**rows[0], "result": "/other"}])]
    with pytest.raises(InputError, match="of more than one result"):
        collect(both, out=out)
    with pytest.raises(InputError, match="holds no result of classify"):
        collect(given(result=str(tmp_path)), out=out)
    assert not Path(out).exists()


def test_a_samples_answers_bound_the_result(
    settings: RunSettings, five_parts: None, tmp_path: Path
) -> None:
    classify(settings)
    sample = tmp_path / "sample"
    draw(settings.out, 20, sample, seed=3)
    page = tmp_path / "page.html"
    make(settings.out, str(page), count=1, sample=sample)
    export = exported(tmp_path / "anna.csv", answered(page, k4="not-a-digit"))
    found = collect([export])
    assert (found.settled, found.sample, found.corrections) == (20, str(sample), None)
    assert (bound(settings.out, sample).answered, bound(settings.out, sample).wrong) == (20, 1)
    ben = exported(tmp_path / "ben.csv", answered(page, "Ben", k4="blank"))
    rest = tmp_path / "rest.html"
    assert collect([export, ben], rest=str(rest)).rest == str(rest)
    [item] = data_of(rest)["items"]
    assert (item["number"], item["predicted"]) == (5, "")
    collect([export], out=str(tmp_path / "c.csv"))
    assert sum(row["label"] != row["predicted"] for row in table(tmp_path / "c.csv")) == 1


def test_what_is_said(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    anna = exported(tmp_path / "anna.csv", answered(page, k0="blank"))
    ben = exported(tmp_path / "ben.csv", answered(page, "Ben"))
    assert cli.main(["review", "collect", "anna.csv"]) == 0
    said = capsys.readouterr().out
    assert "settled      40 scans: 39 as read, 1 otherwise" in said
    assert "→ blank: 1" in said
    assert "digitrec retrain --registry REGISTRY --corrections corrections.csv" in said
    assert cli.main(["review", "collect", anna, ben]) == 0
    said = capsys.readouterr().out
    assert "open         1 scans, which people do not answer alike:" in said
    assert "--rest rest.html makes a page of what is open" in said
    assert cli.main(["review", "collect", anna, ben, "--json", "--rest", "rest.html"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["confirmed"], content["rest"]) == (39, "rest.html")
    assert cli.main(["review", "collect", "gone.csv"]) == 2
    assert "gone.csv can't be read: No such file" in capsys.readouterr().err


def test_a_name_that_is_no_text_needs_parquet(
    settings: RunSettings, scans: Path, all_in_doubt: None, tmp_path: Path
) -> None:
    for k, path in enumerate(sorted(scans.iterdir())):
        if k > 1:
            path.unlink()
    (scans / "00-7.png").rename(scans / 'a\nb\\,"<b>-7.png')
    os.rename(scans / "01-2.png", bytes(scans) + b"/\xff-2.png")
    classify(settings)
    page = tmp_path / "page.html"
    make(settings.out, str(page), count=9)
    export = exported(tmp_path / "anna.csv", answered(page))
    with pytest.raises(InputError, match=r"has a name that is not plain text|is packed"):
        collect([export], out=str(tmp_path / "c.csv"))
    assert collect([export], out=str(tmp_path / "c.parquet")).settled == 2
    rows = parquet.read_table(tmp_path / "c.parquet").to_pylist()
    assert all(row["content"].startswith(b"\x89PNG") for row in rows)


def test_label_studios_answers_are_collected(doubted: str, tmp_path: Path) -> None:
    make(doubted, str(tmp_path / "tasks.json"), count=2000, form="label-studio")
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    for k, task in enumerate(tasks):
        [choice] = task["predictions"][0]["result"]
        if k == 3:
            choice = {**choice, "value": {"choices": ["not-a-digit"]}}
        task["annotations"] = [{"result": [choice], "completed_by": 7, "updated_at": "2026-11-26"}]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    found = collect([str(tmp_path / "export.json")], out=str(tmp_path / "c.csv"))
    assert (found.settled, found.confirmed, found.refused) == (40, 39, [])
    assert {row["reviewer"] for row in table(tmp_path / "c.csv")} == {"7"}
