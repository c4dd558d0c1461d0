"""Samples of a result: that they are drawn fairly, what answers are taken, and what they bound."""

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import dataset

from digitrec import cli
from digitrec.batch.audit import bound, draw
from digitrec.batch.classify import classify
from digitrec.batch.pack import pack
from digitrec.batch.run import RunSettings
from digitrec.datasets.answers import Drawn, load_answers, read_sample
from digitrec.errors import InputError


@pytest.fixture
def result(settings: RunSettings, five_parts: None) -> str:
    """Forty scans in five parts, all of them accepted."""
    assert classify(settings).run["counts"]["accept"] == 40
    return settings.out


def answer(sample: Path, answers: dict[int, str] | None = None, until: int = 10**9) -> None:
    """Write what each scan's name says into the sample, or another answer."""
    with (sample / "sample.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        number = int(row["number"])
        if number <= until:
            row["label"] = (answers or {}).get(number, row["original"][-5])
    with (sample / "sample.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)


def names(rows: list[Drawn]) -> list[str]:
    return [Path(row.original).name for row in rows]


def test_a_sample_is_rows_of_the_result_and_their_scans(result: str, tmp_path: Path) -> None:
    drawing, rows = draw(result, 12, tmp_path / "sample", seed=3)
    assert drawing.counts == {"all": 40}
    assert len(set(names(rows))) == 12
    assert [row.number for row in rows] == list(range(1, 13))
    for row in rows:
        assert (tmp_path / "sample" / row.path).read_bytes() == Path(row.original).read_bytes()
    table = dataset.dataset(result, format="parquet").to_table(columns=["path"])
    assert set(table["path"].to_pylist()) > {row.original for row in rows}
    assert read_sample(tmp_path / "sample") == rows


def test_more_rows_of_a_draw_begin_with_the_fewer(result: str, tmp_path: Path) -> None:
    _, few = draw(result, 5, tmp_path / "sample", seed=4)
    answer(tmp_path / "sample", until=4)
    _, more = draw(result, 9, tmp_path / "sample")
    assert names(more)[:5] == names(few)
    assert [bool(row.label) for row in more] == 4 * [True] + 5 * [False]
    _, whole = draw(result, 1000, tmp_path / "all", seed=4)
    assert sorted(names(whole)) == sorted(
        path.name for path in Path(whole[0].original).parent.iterdir()
    )
    assert names(whole)[:9] == names(more)


def test_fewer_rows_than_were_drawn_lose_no_answer(result: str, tmp_path: Path) -> None:
    for per_digit in (False, True):
        sample = tmp_path / f"sample-{per_digit}"
        _, many = draw(result, 9, sample, per_digit=per_digit, seed=4)
        answer(sample)
        _, still = draw(result, 2, sample, per_digit=per_digit)
        assert names(still) == names(many)
        assert all(row.label for row in still)


def test_every_row_is_as_likely_as_any_other(result: str, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in range(60):
        seen.update(names(draw(result, 4, tmp_path / str(seed), seed=seed)[1]))
    assert len(seen) == 40
    assert max(seen.values()) <= 18  # 6 are expected; so many come by chance once in 10,000 rows


def test_packed_scans_are_drawn_too(settings: RunSettings, tmp_path: Path) -> None:
    packed = replace(settings, out=str(tmp_path / "packed"))
    pack(packed)
    run = replace(settings, inputs=(packed.out,))
    classify(run)
    _, rows = draw(run.out, 40, tmp_path / "sample", seed=1)
    for row in rows:
        scan = Path(settings.inputs[0], row.original.split("#")[1].rsplit("/", 1)[-1])
        assert (tmp_path / "sample" / row.path).read_bytes() == scan.read_bytes()


def test_answers_bound_the_run(result: str, tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    draw(result, 30, sample, seed=5)
    assert bound(result, sample).wrong_at_most == 40  # nothing was answered
    answer(sample, until=10)
    some = bound(result, sample)
    assert (some.rows, some.answered, some.wrong) == (40, 10, 0)
    answer(sample)
    most = bound(result, sample)
    assert most.wrong_at_most < some.wrong_at_most < 40
    answer(sample, {1: "blank", 7: "not-a-digit"})
    faulty = bound(result, sample)
    assert (faulty.wrong, faulty.bound) == (2, faulty.wrong_at_most / 40)
    assert faulty.wrong_at_most > most.wrong_at_most


def test_an_answer_after_one_that_is_missing_does_not_count(result: str, tmp_path: Path) -> None:
    """Else who leaves out the hard ones would have none wrong."""
    sample = tmp_path / "sample"
    draw(result, 12, sample, seed=6)
    answer(sample, {4: ""})
    found = bound(result, sample)
    assert (found.answered, found.left, found.missing) == (3, 8, 4)


def test_each_digit_is_bounded_by_itself(result: str, tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    drawing, rows = draw(result, 3, sample, per_digit=True, seed=7)
    assert len(rows) == 30
    assert sum(drawing.counts.values()) == 40
    assert Counter(name[3] for name in names(rows)) == dict.fromkeys("0123456789", 3)
    answer(sample)
    found = bound(result, sample)
    assert found.by_digit is not None
    assert {one["answered"] for one in found.by_digit.values()} == {3}
    assert found.wrong_at_most == sum(one["wrong_at_most"] for one in found.by_digit.values())
    with pytest.raises(InputError, match="drawn digit by digit"):
        load_answers(str(sample))


def test_answers_may_stand_in_another_table(result: str, tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    _, rows = draw(result, 6, sample, seed=8)
    other = sample / "answers.csv"
    lines = [f"{row.number};{names([row])[0][3]};x" for row in reversed(rows)]
    other.write_text("\ufeffnumber;label;note\n" + "\n".join(lines))  # as a spreadsheet may
    assert bound(result, other).answered == 6
    other.write_text("number,label\n1,3.0\n1,03\n2,\n2, 5 \n")
    assert bound(result, other).answered == 2


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("number,label\n7,1\n", "number 7 was not drawn, 1 to 6 were"),
        ("number,label\n0,1\n", "number 0 was not drawn"),
        ("number,label\n1,1\n1,2\n", "number 1 is answered twice, 1 and 2"),
        ("number,label\n1,blank\n1,4\n", "answered twice, blank and 4"),
        ("number,label\n1,eleven\n", "has the answer eleven: expected 0 to 9"),
        ("number,label\n1,12\n", "has the answer 12"),
        ("number,label\none,1\n", "'one' in column number is no whole number"),
        ("label\n1\n", "has no column number"),
        ("number,answer\n1,1\n", "has no column label"),
    ],
)
def test_answers_that_can_not_be_used_are_refused(
    table: str, words: str, result: str, tmp_path: Path
) -> None:
    draw(result, 6, tmp_path / "sample", seed=9)
    answers = tmp_path / "sample" / "answers.csv"
    answers.write_text(table)
    with pytest.raises(InputError, match=words):
        bound(result, answers)


def test_a_sample_is_of_one_result(result: str, settings: RunSettings, tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    draw(result, 6, sample, seed=9)
    with pytest.raises(InputError, match="drawn otherwise: choose another --out"):
        draw(result, 9, sample, of="digits")
    other = replace(settings, out=f"{result}-2")
    classify(other)
    with pytest.raises(InputError, match=r"drawn of another result, or .* has changed since"):
        bound(other.out, sample)
    with pytest.raises(InputError, match="holds no result of classify"):
        draw(str(sample), 6, tmp_path / "new")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InputError, match="holds something else than a sample"):
        draw(result, 6, tmp_path / "full")
    record = Path(result, "_run.json")
    record.write_text(record.read_text().replace('"complete"', '"running"'))
    with pytest.raises(InputError, match="is not complete"):
        draw(result, 6, tmp_path / "new")


def test_a_scan_that_is_gone_can_not_be_drawn(
    result: str, settings: RunSettings, tmp_path: Path
) -> None:
    scans = list(Path(settings.inputs[0]).iterdir())
    for scan in scans:
        scan.write_bytes(scan.read_bytes() + b" ")
    with pytest.raises(InputError, match="has changed since it was read: classify --update"):
        draw(result, 6, tmp_path / "sample")
    for scan in scans:
        scan.unlink()
    with pytest.raises(InputError, match="can't be read any more: vanished"):
        draw(result, 6, tmp_path / "sample")


def test_what_is_said(result: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = str(tmp_path / "sample")
    assert cli.main(["audit", "draw", result, "-n", "20", "--out", sample, "--seed", "1"]) == 0
    said = capsys.readouterr().out
    assert "drawn        20 of 40 accepted rows, 0 of them answered" in said
    assert f"digitrec audit bound {result} {sample}" in said
    assert "none wrong" in said
    assert Path(sample, "sheet-01.png").read_bytes().startswith(b"\x89PNG")
    answer(Path(sample), {2: "x", 4: ""}, until=6)
    assert cli.main(["audit", "bound", result, sample]) == 2
    assert "has the answer x" in capsys.readouterr().err
    answer(Path(sample), {4: ""}, until=6)
    assert cli.main(["audit", "bound", result, sample]) == 0
    said = capsys.readouterr().out
    assert "answered     3, of them 0 read wrong" in said
    assert "not counted  2 answers after number 4" in said
    assert cli.main(["audit", "bound", result, sample, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["bound"] == content["wrong_at_most"] / 40
    assert cli.main(["audit", "draw", result, "-n", "0", "--out", sample]) == 2
    assert cli.main(["audit", "draw", result, "-n", "5", "--certainty", "1", "--out", sample]) == 2
    assert np.isfinite(content["bound"])
