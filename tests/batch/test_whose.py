"""Whose a part is: of which run, of which model; and what `--overwrite` may delete."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyarrow import dataset, parquet

from digitrec.batch.chunks import ramp
from digitrec.batch.classify import Classifier, classify
from digitrec.batch.pack import pack
from digitrec.batch.parts import IDENTITY
from digitrec.batch.run import RunSettings
from digitrec.errors import InputError, RunError
from digitrec.inputs.options import InputOptions
from tests.conftest import leave_unfinished, record


def told(part: Path) -> dict[str, str | None]:
    whose: dict[str, str | None] = json.loads(parquet.read_metadata(part).metadata[IDENTITY])
    return whose


def confidences(out: str) -> list[float]:
    return [
        row["confidence"] for row in dataset.dataset(out).sort_by("path").to_table().to_pylist()
    ]


def test_a_part_tells_whose_it_is(settings: RunSettings) -> None:
    run = classify(settings, "small").run
    whose = told(Path(settings.out, "part-000000.parquet"))
    assert set(whose) == {
        "run_id", "model_id", "calibration_id", "policy_id", "normalizer_version"
    }  # fmt: skip
    assert whose == {key: run[key] for key in whose}
    # And is read as before, alone and with all others.
    files = f"{settings.out}/part-*.parquet"
    [(count,)] = duckdb.sql(f"select count(*) from '{files}'").fetchall()
    assert count == 40


def test_a_part_of_another_model_is_not_taken_over(
    settings: RunSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    classify(replace(settings, out=str(tmp_path / "small")), "small")
    classify(settings, "large")
    expected = confidences(settings.out)
    leave_unfinished(settings.out)
    shutil.copy(tmp_path / "small/part-000000.parquet", tmp_path / "result/part-000000.parquet")
    classify(settings, "large")
    assert confidences(settings.out) == expected
    assert "part 0 of" in caplog.text
    assert "is of another run" in caplog.text


def test_a_straggler_of_the_run_before_is_not_taken_over(
    settings: RunSettings, five_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its part lands after `--overwrite` began anew, and after that part was done."""
    first = classify(settings, "small").run
    old = Path(settings.out, "part-000000.parquet").read_bytes()
    do = Classifier.__call__

    def with_straggler(self: Classifier, number: int, *, here: bool = False) -> object:
        made = do(self, number, here=here)
        if number == 3:
            Path(settings.out, "part-000000.parquet").write_bytes(old)
        return made

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "__call__", with_straggler)
        second = classify(replace(settings, overwrite=True), "small").run
    assert second["run_id"] != first["run_id"]
    parts = sorted(Path(settings.out).glob("part-*"))
    assert [told(part)["run_id"] for part in parts] == [second["run_id"]] * 5


def test_a_worker_of_a_run_that_was_replaced_writes_nothing(
    settings: RunSettings, five_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    classify(settings)
    write = Classifier._made

    def replaced_meanwhile(self: Classifier, chunk: object, here: bool) -> object:
        changed = {**record(settings.out), "run_id": "another"}
        Path(settings.out, "_run.json").write_text(json.dumps(changed))
        return write(self, chunk, here)  # type: ignore[arg-type]

    monkeypatch.setattr(Classifier, "_made", replaced_meanwhile)
    with pytest.raises(RunError, match="another run has begun in"):
        classify(replace(settings, overwrite=True))
    assert not list(Path(settings.out).glob("part-*"))


def test_overwriting_goes_on_where_it_was_stopped(
    settings: RunSettings, five_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a job does that is killed three times and tried again with the same command."""
    classify(settings)
    overwriting = replace(settings, overwrite=True)
    done: list[int] = []
    do = Classifier.__call__

    def dying(self: Classifier, number: int, *, here: bool = False) -> object:
        if len(done) in (1, 3, 4) and done[-1] is not None:
            done.append(None)  # type: ignore[arg-type]
            raise KeyboardInterrupt
        made = do(self, number, here=here)
        done.append(number)
        return made

    monkeypatch.setattr(Classifier, "__call__", dying)
    deaths = 0
    for _ in range(6):
        try:
            run = classify(overwriting).run
            break
        except RunError:
            deaths += 1
    assert deaths == 2
    assert [number for number in done if number is not None] == [0, 1, 2, 3, 4]
    assert run["gone_on"] == deaths
    assert run["counts"]["rows"] == 40


def test_overwriting_begins_anew_on_another_run_and_on_a_complete_one(
    settings: RunSettings, scans: Path
) -> None:
    ids = [classify(settings, "small").run["run_id"]]
    ids.append(classify(replace(settings, overwrite=True), "small").run["run_id"])
    leave_unfinished(settings.out)
    ids.append(classify(replace(settings, overwrite=True), "large").run["run_id"])
    assert len(set(ids)) == 3


def test_overwriting_deletes_nothing_that_others_wrote(settings: RunSettings) -> None:
    classify(settings)
    out = Path(settings.out)
    mine = ["_notes.txt", "_mine.tmp", "part-1.parquet", "report.pdf", "_chunks/notes.txt"]
    for name in mine:
        (out / name).write_text("mine")
    (out / "_mine").mkdir()
    (out / "_mine/000001.parquet").write_text("mine")
    classify(replace(settings, overwrite=True))
    for name in [*mine, "_mine/000001.parquet"]:
        assert (out / name).read_text() == "mine"


def test_a_result_of_an_older_schema_is_not_mixed_with(settings: RunSettings) -> None:
    classify(settings)
    older = {**record(settings.out), "schema_version": 1}
    del older["run_id"]
    Path(settings.out, "_run.json").write_text(json.dumps(older))
    with pytest.raises(InputError, match="of other schema version"):
        classify(settings)
    assert classify(replace(settings, overwrite=True)).run["schema_version"] == 2


# Units: what has a row is a row, whatever it is called.


def shard(file: Path, names: list[str], scans: Path, row_group: int) -> RunSettings:
    contents = [path.read_bytes() for path in sorted(scans.iterdir())]
    contents = [contents[k % len(contents)] for k in range(len(names))]
    table = pa.table({"path": names, "content": contents})
    parquet.write_table(table, file, row_group_size=row_group)
    return RunSettings(inputs=(str(file),), out=f"{file}.result", quiet=True)


@pytest.mark.parametrize(
    "names",
    [
        ["0.png", "1.png", "0.png", "1.png"],
        ["0.png", "0.png", "0.png", "0.png"],
        ["a.png", "form#2/b.png", "#", "c#"],
        ["a#b.png", "a%23b.png", "a", "b"],
    ],
)
@pytest.mark.parametrize("row_group", [1, 2, 4])
def test_every_row_of_a_shard_gets_a_row(
    scans: Path, tmp_path: Path, names: list[str], row_group: int
) -> None:
    given = shard(tmp_path / "pages.parquet", names, scans, row_group)
    run = classify(given).run
    table = dataset.dataset(given.out, format="parquet").to_table()
    assert table["path"].to_pylist() == [f"{tmp_path}/pages.parquet#{name}" for name in names]
    assert table["digit"].to_pylist() == [7, 2, 1, 0]
    assert run["counts"]["inputs"] == run["counts"]["accept"] == 4
    assert classify(replace(given, update=True)).run["again"] == {"new": 0, "changed": 0, "gone": 0}


def test_names_with_a_mark_are_packed_and_read(scans: Path, tmp_path: Path) -> None:
    for name in ("a#b.png", "a%23b.png", "#.png"):
        shutil.copy(scans / "00-7.png", scans / name)
    pack(RunSettings(inputs=(str(scans),), out=str(tmp_path / "shards"), quiet=True))
    given = RunSettings(inputs=(str(tmp_path / "shards"),), out=str(tmp_path / "r"), quiet=True)
    assert classify(given).run["counts"]["accept"] == 43


def test_a_shard_named_twice_is_read_once(scans: Path, tmp_path: Path) -> None:
    given = shard(tmp_path / "pages.parquet", ["x"] * 6, scans, 2)
    twice = replace(given, inputs=(*given.inputs, f"{tmp_path}/./pages.parquet"))
    assert classify(twice).run["counts"]["inputs"] == 6


def test_small_row_groups_share_a_part_and_a_large_one_has_several(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{k % 7}.png" for k in range(600)]
    small = shard(tmp_path / "small.parquet", names, scans, 3)
    assert classify(small, "small").run["counts"]["rows"] == 600
    assert len(list(Path(small.out).glob("part-*"))) == 2
    assert [ramp(0), ramp(1)] == [512, 512]
    monkeypatch.setattr("digitrec.inputs.shards.MOST_ROWS", 150)
    monkeypatch.setattr("digitrec.inputs.shards.BATCH", 64)
    monkeypatch.setattr(Classifier, "size", lambda self, number: 100)
    large = shard(tmp_path / "large.parquet", names, scans, 600)
    assert classify(large, "small").run["counts"]["rows"] == 600
    assert len(list(Path(large.out).glob("part-*"))) == 4
    digits = [
        dataset.dataset(out).to_table()["digit"].to_pylist() for out in (small.out, large.out)
    ]
    assert digits[0] == digits[1]


@pytest.mark.parametrize("kind", ["bytes", "image", "named", "nameless", "large"])
def test_shards_of_others(scans: Path, tmp_path: Path, kind: str) -> None:
    """As Ray's read_binary_files and Hugging Face's data sets have them, and with any names."""
    contents = [path.read_bytes() for path in sorted(scans.iterdir())][:4]
    names = ["a.png", "b#.png", "a.png", "d.png"]
    image = [{"bytes": one, "path": name} for one, name in zip(contents, names, strict=True)]
    columns: dict[str, object] = {
        "bytes": {"bytes": contents, "path": names, "label": [7, 2, 1, 0]},
        "image": {"image": image, "label": [7, 2, 1, 0]},
        "named": {"scan": contents, "page": names, "path": [1, 2, 3, 4]},
        "nameless": {"label": [7, 2, 1, 0], "image": [{**one, "path": None} for one in image]},
        "large": {
            "content": pa.array(contents, pa.large_binary()),
            "path": pa.array(names).dictionary_encode(),
        },
    }[kind]
    file = tmp_path / "theirs.PARQUET"
    parquet.write_table(pa.table(columns), file, row_group_size=3)
    options = InputOptions()
    if kind == "named":
        options = InputOptions(path_column="page", content_column="scan")
    given = RunSettings(
        inputs=(str(file),), out=str(tmp_path / "result"), quiet=True, options=options
    )
    classify(given)
    table = dataset.dataset(given.out, format="parquet").to_table()
    assert table["digit"].to_pylist() == [7, 2, 1, 0]
    if kind == "nameless":
        names = ["row 1", "row 2", "row 3", "row 4"]
    assert table["path"].to_pylist() == [f"{file}#{name}" for name in names]


def test_a_column_that_is_not_there_is_said(scans: Path, tmp_path: Path) -> None:
    given = shard(tmp_path / "pages.parquet", ["x"] * 3, scans, 2)
    with pytest.raises(InputError, match="no column scan of image files' bytes, but path"):
        classify(replace(given, options=InputOptions(content_column="scan")))
    assert not Path(given.out).exists()


def test_a_folder_of_others_parquet_is_no_riddle(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    shard(tmp_path / "theirs/0.parquet", ["x"] * 3, scans, 2)
    given = RunSettings(inputs=(str(tmp_path / "theirs"),), out=str(tmp_path / "r"), quiet=True)
    with pytest.raises(InputError, match=r"no scans in .*named: FOLDER/\*\.parquet"):
        classify(given)
    named = replace(given, inputs=(f"{tmp_path}/theirs/*.parquet",))
    assert classify(named).run["counts"]["accept"] == 3
