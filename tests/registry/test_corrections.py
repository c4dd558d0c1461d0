"""What people hand over as corrections is checked row by row, and what can't be used is listed."""

import os
import string
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pyarrow import parquet

from digitrec.batch.audit import draw
from digitrec.batch.classify import classify
from digitrec.batch.run import RunSettings
from digitrec.datasets.answers import SAMPLE, answer_of
from digitrec.datasets.labelled import png
from digitrec.errors import InputError
from digitrec.registry.additions import add
from digitrec.registry.corrections import read_corrections
from digitrec.registry.pool import load
from digitrec.storage.folder import open_folder
from tests.registry.copies import drawn, forget, write_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten scans, 0.png to 9.png, of the digits that they are named by."""
    for scan, label in drawn(10, seed=1):
        (tmp_path / f"{label}.png").write_bytes(png(scan))
    return tmp_path


def _table(folder: Path, *rows: tuple[object, ...], names: tuple[str, ...] = ()) -> str:
    return str(write_table(folder / "corrections.csv", rows, *names))


def test_a_folder_of_tables_is_taken_table_by_table(folder: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    assert read_corrections([str(inbox)]) == ([], [])  # nobody has corrected anything yet
    (inbox / "note.txt").write_text("no table")
    for label in (7, 2):
        (inbox / f"{label}.csv").write_text(f"path,label\n../{label}.png,{label}\n")
    found, problems = read_corrections([str(inbox)])
    assert [one.said.label for one in found] == ["2", "7"]
    assert not problems


def test_names_that_are_no_text_are_written_as_such(folder: Path, tmp_path: Path) -> None:
    classes = tmp_path / "classes"
    for label in (3, 4):
        (classes / str(label)).mkdir(parents=True)
    name = b"\xff.png"
    Path(os.fsdecode(os.fsencode(classes / "3") + b"/" + name)).write_bytes(
        (folder / "3.png").read_bytes()
    )
    Path(os.fsdecode(os.fsencode(classes / "4") + b"/" + name)).write_bytes(b"no image")
    registry = open_folder(tmp_path / "registry")
    added = add(registry, [str(classes)])
    assert added.new == 1
    assert str(added.problems[0]).encode().endswith(b"TIFF, BMP, DIB, GIF, WEBP, PPM")
    assert load(registry).paths.tolist() == [f"{classes}/3/\\xff.png"]
    assert len(forget(registry, [f"{classes}/3/\udcff.png"]).removed) == 1


def test_a_table_says_what_scans_show_and_who_says_so(folder: Path) -> None:
    names = ("path", "label", "writer", "source", "model", "predicted", "confidence", "reviewer")
    row = ("3.png", "3.0", "anna", "office", "4f7c", "8", "0.61", "ben")
    [scan], problems = read_corrections([_table(folder, row, names=names)])
    assert not problems
    assert scan.content == (folder / "3.png").read_bytes()
    said = scan.said
    assert (said.label, said.group, said.source, said.model) == ("3", "anna", "office", "4f7c")
    assert (said.predicted, said.confidence, said.reviewer) == (8, 0.61, "ben")
    assert not said.drawn


@pytest.mark.parametrize(
    ("label", "kept"),
    [("7", "7"), ("07", "7"), ("7.0", "7"), ("Blank", "blank"), ("not-a-digit", "not-a-digit"),
     ("10", None), ("", None), ("seven", None), ("-1", None)],
)  # fmt: skip
def test_labels_are_digits_or_say_that_there_is_none(label: str, kept: str | None) -> None:
    assert answer_of(label) == kept


def test_rows_that_cannot_be_used_are_listed_and_the_rest_counts(folder: Path) -> None:
    (folder / "text.png").write_text("no image")
    table = _table(
        folder,
        ("1.png", 1, ""), ("gone.png", 1, ""), ("2.png", "two", ""), ("text.png", 3, ""),
        ("", 4, ""), ("5.png", 5, ""), ("s3x://host/6.png", 6, ""),
    )  # fmt: skip
    scans, problems = read_corrections([table])
    assert [scan.said.path for scan in scans] == ["1.png", "5.png"]
    found = {one.row: str(one) for one in problems}
    assert set(found) == {2, 3, 4, 5, 7}
    assert "vanished" in found[2]
    assert "the label 'two': expected 0 to 9, blank or not-a-digit" in found[3]
    assert "not-an-image" in found[4]
    assert all(one.file == table for one in problems)


def test_a_scan_about_which_two_disagree_is_listed_for_both(folder: Path) -> None:
    (folder / "same.png").write_bytes((folder / "1.png").read_bytes())
    one = _table(folder, ("1.png", 1, "anna"), ("2.png", 2, "anna"))
    other = str(write_table(folder / "other.csv", [("same.png", 7, "ben"), ("2.png", 2, "ben")]))
    scans, problems = read_corrections([one, other])
    assert [(scan.said.path, scan.said.group) for scan in scans] == [("2.png", "anna")]
    assert [(p.file, p.row) for p in problems] == [(one, 1), (other, 1)]
    assert problems[0].why == "the scan is labelled 1 here and 7 elsewhere: which?"


def test_parquet_may_hold_the_scans_themselves(folder: Path) -> None:
    rows = {
        "path": ["shard#member", "2.png"],
        "label": [1.0, 2.0],
        "content": [(folder / "1.png").read_bytes(), None],
        "confidence": [float("nan"), 0.5],
        "group": [None, "anna"],
    }
    parquet.write_table(pa.table(rows), folder / "corrections.parquet")
    scans, problems = read_corrections([str(folder / "corrections.parquet")])
    assert not problems
    assert [(one.said.label, one.said.confidence, one.said.group) for one in scans] == [
        ("1", None, ""), ("2", 0.5, "anna"),
    ]  # fmt: skip


def test_class_folders_are_corrections_too(folder: Path) -> None:
    (folder / "set" / "4").mkdir(parents=True)
    (folder / "4.png").rename(folder / "set" / "4" / "a.png")
    [scan], _ = read_corrections([str(folder / "set")], source="office")
    assert (scan.said.label, scan.said.source) == ("4", "office")


def test_answers_of_a_sample_are_random_draws(settings: RunSettings, tmp_path: Path) -> None:
    classify(settings)
    sample = tmp_path / "sample"
    draw(settings.out, 5, sample, seed=1)
    with pytest.raises(InputError, match="number 1 has no label"):
        read_corrections([str(sample)])
    lines = (sample / SAMPLE).read_text().splitlines()
    named = [line.split(",") for line in lines[1:]]
    answered = [",".join([*row[:2], "7", *row[3:]]) for row in named[:3]]
    unanswered = [",".join(row) for row in named[3:]]
    (sample / SAMPLE).write_text("\n".join([lines[0], *answered, *unanswered]) + "\n")
    scans, problems = read_corrections([str(sample)])
    assert len(scans) == 3
    assert not problems
    assert all(one.said.drawn and one.said.model for one in scans)
    assert all(0 <= (one.said.least_confidence or 0.0) < 1 for one in scans)


@pytest.mark.parametrize("name", ["none.csv", "picture.png", "no-folder", "mnist:test"])
def test_what_holds_no_corrections_is_refused_in_a_sentence(folder: Path, name: str) -> None:
    (folder / "picture.png").write_bytes(b"")
    with pytest.raises(InputError, match="corrections"):
        read_corrections([str(folder / name)])


def test_a_table_without_the_columns_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="no column label"):
        read_corrections([_table(folder, ("1.png", 1), names=("path", "digit"))])
    with pytest.raises(InputError, match="has no rows"):
        read_corrections([_table(folder, names=("path", "label"))])


cells = st.text(st.sampled_from(string.printable + "é\u00a0\x00\u2028"), max_size=12)
rows_of_cells = st.lists(st.lists(cells, min_size=2, max_size=4), max_size=5)


@examples(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_of_cells, wild=st.one_of(st.just(b""), st.binary(max_size=80)))
def test_no_wild_table_ends_in_a_traceback(
    folder: Path, rows: list[list[str]], wild: bytes
) -> None:
    written = [("path", "label", "group"), ("1.png", "1", "anna"), *rows]
    table = write_table(folder / "wild.csv", written[1:], *written[0])
    table.write_bytes(table.read_bytes() + wild)
    try:
        scans, problems = read_corrections([str(table)])
    except InputError:
        return
    assert all(np.isin(one.said.label, [*string.digits, "blank", "not-a-digit"]) for one in scans)
    assert all(one.row >= 1 and one.why for one in problems)
