from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import dataset, parquet

from digitrec.batch import pack as packing
from digitrec.batch.classify import classify
from digitrec.batch.pack import pack
from digitrec.batch.run import RunSettings
from digitrec.errors import InputError, RunError


@pytest.fixture
def scans(scans: Path) -> Path:
    """Forty digits, half of them deeper, a text and an empty file, with odd names among them."""
    (scans / "deep").mkdir()
    for path in sorted(scans.glob("*.png"))[1::2]:
        path.rename(scans / "deep" / path.name)
    (scans / "00-7.png").rename(scans / "a#b c.png")
    (scans / "text.png").write_text("text")
    (scans / "empty.png").touch()
    return scans


def run_of(given: Path, out: Path) -> RunSettings:
    return RunSettings(inputs=(str(given),), out=str(out), quiet=True)


def rows(result: Path) -> dict[str, tuple[object, ...]]:
    """Give path → digit, decision, reason; of packed scans the member's path."""
    table = dataset.dataset(result, format="parquet").to_table().to_pylist()
    return {
        row["path"].split(".parquet#")[-1]: (
            row["digit"],
            row["decision"],
            row["reason"],
        )
        for row in table
    }


def test_shards_read_as_the_files_did(scans: Path, tmp_path: Path) -> None:
    packed = pack(run_of(scans, tmp_path / "shards")).run
    assert packed["counts"]["inputs"] == packed["counts"]["packed"] == 42
    assert packed["counts"]["errors"] == {}
    classify(run_of(scans, tmp_path / "plain"))
    classify(run_of(tmp_path / "shards", tmp_path / "by folder"))
    classify(run_of(tmp_path / "shards/shard-000000.parquet", tmp_path / "by shard"))
    plain = rows(tmp_path / "plain")
    assert len(plain) == 42
    assert rows(tmp_path / "by folder") == rows(tmp_path / "by shard") == plain
    table = dataset.dataset(tmp_path / "by shard", format="parquet").to_table()
    paths = table["path"].to_pylist()
    assert f"{tmp_path}/shards/shard-000000.parquet#{scans}/a#b c.png" in paths


def test_many_shards_of_several_row_groups(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "LARGEST_SIZE", 7)
    monkeypatch.setattr(packing, "MOST_SCANS", 15)
    run = pack(run_of(scans, tmp_path / "shards")).run
    shards = sorted((tmp_path / "shards").glob("shard-*"))
    assert [parquet.ParquetFile(shard).num_row_groups for shard in shards] == [3, 3, 2]
    assert run["counts"]["rows"] == 42
    classify(run_of(tmp_path / "shards", tmp_path / "result"))
    classify(run_of(scans, tmp_path / "plain"))
    assert rows(tmp_path / "result") == rows(tmp_path / "plain")


def test_what_can_not_be_read_is_packed_as_its_reason(scans: Path, tmp_path: Path) -> None:
    listed = sorted(str(path) for path in scans.rglob("*.png"))
    gone = RunSettings(
        inputs=(*listed, str(scans / "nowhere.png")), out=str(tmp_path / "shards"), quiet=True
    )
    (scans / "nowhere.png").symlink_to("missing")
    run = pack(gone).run
    assert run["counts"] == {
        "inputs": 43, "rows": 43, "packed": 42, "error": 1,
        "reviews": {}, "errors": {"vanished": 1}, "ignored": {},
    }  # fmt: skip
    classify(run_of(tmp_path / "shards", tmp_path / "result"))
    found = rows(tmp_path / "result")
    assert len(found) == 43
    assert found[str(scans / "nowhere.png")] == (None, "error", "vanished: no such file")


def test_packing_goes_on_and_adds(scans: Path, tmp_path: Path) -> None:
    given = run_of(scans, tmp_path / "shards")
    pack(given)
    assert not pack(given).worked
    (scans / "new.png").write_bytes((scans / "02-1.png").read_bytes())
    assert pack(replace(given, update=True)).run["counts"]["inputs"] == 43
    assert len(list((tmp_path / "shards").glob("shard-*"))) == 2


def test_shards_and_lists_are_not_packed_again(scans: Path, tmp_path: Path) -> None:
    pack(run_of(scans, tmp_path / "shards"))
    (tmp_path / "list.txt").write_text("scans/02-1.png\n")
    for given in (tmp_path / "shards", tmp_path / "list.txt"):
        with pytest.raises(InputError, match="no lists and no shards"):
            pack(run_of(given, tmp_path / "more"))
    assert not (tmp_path / "more").exists()


def test_a_lost_shard_stops_the_run_or_costs_its_rows(scans: Path, tmp_path: Path) -> None:
    """It is listed, and gone when its rows are read."""
    from digitrec.batch.listing import Listing, list_chunks
    from digitrec.storage.folder import open_folder

    pack(run_of(scans, tmp_path / "shards"))
    given = run_of(tmp_path / "shards", tmp_path / "result")
    classify(given)
    out = open_folder(tmp_path / "result")
    assert list(list_chunks(out, Listing(inputs=()))) == [0]
    for name in ("part-000000.parquet", "_run.json"):
        content = (tmp_path / "result" / name).read_bytes()
        (tmp_path / "result" / name).write_bytes(content.replace(b"complete", b"running"))
    out.delete("part-000000.parquet")
    shard = tmp_path / "shards/shard-000000.parquet"
    shard.rename(tmp_path / "shards/shard-000001.parquet")
    with pytest.raises(RunError, match=r"more than half .*vanished: no such shard.*mounted"):
        classify(given)
    assert classify(replace(given, allow_missing=True)).run["counts"]["errors"] == {"vanished": 42}
