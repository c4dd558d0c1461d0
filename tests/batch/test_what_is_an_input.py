"""What a run makes of its inputs: lists that lead nowhere, what is left out, links."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

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
