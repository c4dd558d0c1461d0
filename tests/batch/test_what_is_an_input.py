"""What a run makes of its inputs: lists that lead nowhere, what is left out, links."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import dataset, parquet

from digitrec.batch.run import SMALL
from digitrec.cli import main


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "_batch1").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("_MG_0001.JPG", "_batch1/a.jfif", "b.pnm", ".git/c.png", ".d.png"):
        (folder / name).write_bytes(b"P5 1 1 255 0")
    (folder / "link.png").symlink_to("b.pnm")
    return folder


@pytest.mark.parametrize("follow", [True, False])
def test_what_is_left_out_is_in_the_record(scans: Path, tmp_path: Path, follow: bool) -> None:
    links = [] if follow else ["--no-follow-links"]
    assert main(["classify", str(scans), "--out", f"{tmp_path}/out", "--quiet", *links]) == 0
    counts = json.loads((tmp_path / "out/_run.json").read_text())["counts"]
    assert counts["inputs"] == 3 + follow
    assert counts["ignored"] == {".git/": 1, "hidden": 1, **({} if follow else {"links": 1})}


@pytest.mark.parametrize("kind", ["txt", "csv", "parquet"])
def test_a_list_that_leads_nowhere_is_refused(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table, paths = tmp_path / f"list.{kind}", ["gone/1.png", "gone/2.png"]
    if kind == "parquet":
        parquet.write_table(pa.table({"path": paths}), table)
    else:
        table.write_text("".join(f"{line}\n" for line in (["path"] * (kind == "csv") + paths)))
    assert main(["classify", str(table), "--out", f"{tmp_path}/out", "--quiet"]) == 2
    assert "none of the 2 paths in" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_list_with_odd_rows_gives_each_its_row(tmp_path: Path, scans: Path) -> None:
    rows = [f"{scans}/b.pnm", None, "x\0.png", "../\0/x.png", "simplecache::http://127.0.0.1:1/x"]
    parquet.write_table(pa.table({"scan": rows}), tmp_path / "LIST.PARQUET")
    out = tmp_path / "out"
    command = ["classify", f"{tmp_path}/LIST.PARQUET", "--path-column", "scan"]
    assert main([*command, "--out", str(out), "--quiet"]) == 0
    (part,) = out.glob("part-*.parquet")
    reasons = [r for r in parquet.read_table(part)["reason"].to_pylist() if "unreadable" in str(r)]
    assert len(reasons) == 4
    assert "unreadable: the list has no path in row 2" in reasons
    assert sum("is not allowed in a list" in reason for reason in reasons) == 1


@pytest.mark.usefixtures("ray_local")
def test_on_ray_every_row_of_odd_lists_has_its_row_too(tmp_path: Path, scans: Path) -> None:
    rows = [f"{scans}/b.pnm", None, "", "x\0.png", "../\0/x.png", "new\nline.png", "gone.png"]
    (tmp_path / "new\nline.png").write_bytes(b"P5 1 1 255 0")
    columns = {"odd": rows, "numbers": range(SMALL), "structs": [{"name": "a.png"}, None]}
    for name, column in columns.items():
        parquet.write_table(pa.table({"path": column}), tmp_path / f"{name}.parquet")
    out, lists = tmp_path / "out", [f"{tmp_path}/{name}.parquet" for name in columns]
    assert main(["classify", *lists, "--out", str(out), "--quiet"]) == 0

    table = dataset.dataset(out, format="parquet").to_table()
    reasons = dict(zip(table["path"].to_pylist(), table["reason"].to_pylist(), strict=True))
    assert len(reasons) == table.num_rows == len(rows) + SMALL + 2
    without = [("odd", 2), ("odd", 3), ("structs", 1), ("structs", 2)]
    for name, row in [*without, *(("numbers", row) for row in range(1, SMALL + 1))]:
        said = reasons.pop(f"{tmp_path}/{name}.parquet#row {row}")
        assert said == f"unreadable: the list has no path in row {row}"
    assert reasons == {
        f"{scans}/b.pnm": None,
        f"{tmp_path}/new\nline.png": None,
        f"{tmp_path}/x\0.png": "unreadable: embedded null byte",
        f"{tmp_path}/../\0/x.png": "unreadable: embedded null byte",
        f"{tmp_path}/gone.png": "vanished: no such file",
    }


def test_a_name_in_a_list_that_is_not_utf_8_is_read(tmp_path: Path, scans: Path) -> None:
    name = f"{scans}/".encode() + b"\xff.pnm"
    Path(os.fsdecode(name)).write_bytes(b"P5 1 1 255 0")
    names = pa.array([f"{scans}/b.pnm".encode(), name]).view(pa.string())
    parquet.write_table(pa.table({"path": names}), tmp_path / "list.parquet")
    out = tmp_path / "out"
    assert main(["classify", f"{tmp_path}/list.parquet", "--out", str(out), "--quiet"]) == 0
    table = dataset.dataset(out, format="parquet").to_table()
    assert table["path"].to_pylist() == [f"{scans}/b.pnm", f"{scans}/\\xff.pnm"]
    assert table["reason"].to_pylist() == [None, None]


def test_a_list_of_mostly_names_that_no_file_can_have_is_no_outage(
    tmp_path: Path, scans: Path
) -> None:
    rows = [f"{scans}/b.pnm", *(f"{k}\0.png" for k in range(20))]
    parquet.write_table(pa.table({"path": rows}), tmp_path / "list.parquet")
    out = tmp_path / "out"
    assert main(["classify", f"{tmp_path}/list.parquet", "--out", str(out), "--quiet"]) == 0
    assert json.loads((out / "_run.json").read_text())["counts"]["inputs"] == 21
