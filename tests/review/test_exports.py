"""What people hand back, however broken: answers, refusals with their place, or one sentence."""

import json
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from digitrec.errors import InputError
from digitrec.review.exports import read_exports

HEAD = "path,label,group,model,predicted,confidence,reviewer,time,part,row,number,digest,page\n"
ROW = "a.png,7,,abc,1,0.5,Anna,2026-11-26T10:00:00+00:00,0,3,,00ff,p1\n"
TASK = {
    "data": {"path": "a.png"},
    "meta": {"path": "a.png", "part": 0, "row": 3, "page": "p1", "result": "/r"},
    "annotations": [
        {
            "result": [{"from_name": "digit", "type": "choices", "value": {"choices": ["7"]}}],
            "completed_by": {"email": "anna@example.org"},
            "updated_at": "2026-11-26T10:00:00Z",
        }
    ],
}


def read(
    tmp_path: Path, content: str | bytes, name: str = "export.csv"
) -> tuple[list[str], list[str]]:
    """Give the labels that are read, and why others are not."""
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    given = read_exports([str(file)])
    return [one.label for one in given.answers], [
        f"{one.where.removeprefix(f'{tmp_path}/')}: {one.why}" for one in given.refused
    ]


def test_a_pages_export_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, HEAD + ROW) == (["7"], [])
    [answer] = read_exports([str(tmp_path / "export.csv")]).answers
    assert (answer.path, answer.part, answer.row, answer.number) == ("a.png", 0, 3, None)
    assert (answer.reviewer, answer.digest, answer.page) == ("Anna", "00ff", "p1")
    assert answer.where == f"{tmp_path}/export.csv, row 2"


def test_a_spreadsheet_may_have_saved_it(tmp_path: Path) -> None:
    table = (HEAD + ROW).replace(",", ";").replace(";7;", ";7.0;").replace(";3;", ";3.0;")
    assert read(tmp_path, table.encode("utf-16"))[0] == ["7"]
    assert read(tmp_path, b"\xef\xbb\xbf" + table.encode()) == (["7"], [])
    assert read(tmp_path, table.replace(";", "\t")) == (["7"], [])
    assert read(tmp_path, "Label,Path\n03,b.png\n\n,,\nBlank,c.png\n") == (["3", "blank"], [])


def test_label_studios_export_is_read(tmp_path: Path) -> None:
    skipped = {**TASK, "annotations": [{"was_cancelled": True, "result": []}]}
    empty = {**TASK, "annotations": [{"result": [], "completed_by": 4}]}
    content = json.dumps([TASK, skipped, empty])
    labels, refused = read(tmp_path, content, "export.json")
    assert labels == ["7"]
    assert refused == ["export.json, task 3: it has no label"]
    [answer] = read_exports([str(tmp_path / "export.json")]).answers
    assert (answer.reviewer, answer.row, answer.result) == ("anna@example.org", 3, "/r")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("a.png,12,,,,,,,,,,,", "the label '12' is none: 0 to 9, blank and not-a-digit count"),
        ("a.png,seven,,,,,,,,,,,", "the label 'seven' is none"),
        ("a.png,?,,,,,,,,,,,", "the label '?' is none"),
        ("a.png,٣,,,,,,,,,,,", "the label '٣' is none"),
        ("a.png,,,,,,,,,,,,", "it has no label"),
        (",7,,,,,,,,,,,", "it names no scan"),
        ("a.png,7,,,,,,,zero,1,,,", "'zero' in column part is no whole number"),
        ("a.png,7,,,,,,,0,-1,,,", "'-1' in column row is no whole number"),
        ("a.png", "it has no label"),
    ],
)
def test_a_row_that_is_no_answer_is_told_with_its_place(row: str, why: str, tmp_path: Path) -> None:
    labels, [refused] = read(tmp_path, HEAD + ROW + row + "\n" + ROW)
    assert labels == ["7", "7"]
    assert refused.startswith(f"export.csv, row 3: {why}")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is no export of a review page: it has no columns path and label"),
        ("path,answer\na,1\n", "has no columns path and label"),
        ("{", "is damaged"),
        ("[1, 2]", "neither the progress of a review page nor an export of Label Studio"),
        ('{"answers": 3}', "neither the progress"),
        ("[" * 100_000, "is damaged"),
        ("path,label\n" + "x" * 2**21 + ",1\n", "can't be read as a table: field larger"),
    ],
)
def test_what_is_no_export_is_a_sentence(content: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, content)


def test_what_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read: No such file"):
        read_exports([str(tmp_path / "export.csv")])
    with pytest.raises(InputError, match="can't be read: Is a directory"):
        read_exports([str(tmp_path)])


# What JSON can hold, with the keys that count among others.
keys = st.sampled_from(
    ["answers", "annotations", "meta", "data", "path", "label", "part", "row", "result", "value"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@hypothesis.given(values, st.sampled_from(["answers", "annotations", ""]))
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_no_json_breaks_it(tmp_path: Path, value: object, kind: str) -> None:
    content = {"answers": {"answers": [value]}, "annotations": [{"annotations": [value]}]}
    try:
        labels, _ = read(tmp_path, json.dumps(content.get(kind, value)), "export.json")
    except InputError:
        return
    assert set(labels) <= {*"0123456789", "blank", "not-a-digit"}


@hypothesis.given(st.binary(max_size=60), st.booleans())
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_no_bytes_break_it(tmp_path: Path, tail: bytes, has_head: bool) -> None:
    try:
        read(tmp_path, HEAD.encode() * has_head + tail)
    except InputError:
        return
