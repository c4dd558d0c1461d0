"""What another call on the same folder does: nothing, go on, add, replace, or refuse."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import dataset

from digitrec.batch.classify import classify
from digitrec.batch.run import RunSettings
from digitrec.errors import InputError, RunError
from digitrec.inputs.units import Found
from digitrec.pipeline import STAGES
from tests.conftest import digits, leave_unfinished


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr("ray.init", refuse)


def written(out: str) -> dict[str, int]:
    """When each part was written."""
    return {path.name: path.stat().st_mtime_ns for path in Path(out).glob("part-*")}


def test_a_small_input_runs_here(settings: RunSettings) -> None:
    outcome = classify(settings)
    assert outcome.worked
    assert outcome.run["counts"]["accept"] == 40
    assert outcome.run == json.loads((Path(settings.out) / "_run.json").read_text())
    found = digits(settings.out)
    assert all(int(name[3]) == digit for name, digit in found.items())
    stages = ["start-up", "listing", *STAGES, "write", "check"]
    assert list(outcome.run["seconds"]) == stages


def test_a_complete_result_is_left_alone(settings: RunSettings, scans: Path) -> None:
    first = classify(settings)
    before = written(settings.out)
    (scans / "99-7.png").touch()
    second = classify(settings)
    assert not second.worked
    assert second.run == first.run
    assert written(settings.out) == before


def test_update_adds_what_is_new(settings: RunSettings, scans: Path) -> None:
    classify(settings)
    before = written(settings.out)
    (scans / "99-7.png").write_bytes((scans / "00-7.png").read_bytes())
    outcome = classify(replace(settings, update=True))
    assert outcome.run["counts"]["inputs"] == outcome.run["counts"]["accept"] == 41
    assert sum(outcome.run["digits"].values()) == 41
    assert outcome.run["again"] == {"new": 1, "changed": 0, "gone": 0}
    assert digits(settings.out)["99-7.png"] == 7
    after = written(settings.out)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 1
    # With nothing new it adds nothing.
    assert classify(replace(settings, update=True)).run["counts"]["inputs"] == 41
    assert written(settings.out) == after


def test_an_unfinished_result_is_gone_on_with(settings: RunSettings, scans: Path) -> None:
    first = classify(settings)
    expected = digits(settings.out)
    out = Path(settings.out)
    leave_unfinished(settings.out)
    (out / "part-000000.parquet").unlink()
    (out / "_part-000000.parquet.0123abcd.tmp").write_text("half")
    (out / "_chunks" / "000000.begun").write_text("3")
    outcome = classify(settings)
    assert outcome.run["state"] == "complete"
    assert outcome.run["gone_on"] == 1
    assert outcome.run["started"] == first.run["started"]
    assert digits(settings.out) == expected
    assert not list(out.glob("*.tmp"))


def test_another_input_model_or_command_is_refused(
    settings: RunSettings, scans: Path, tmp_path: Path
) -> None:
    from digitrec.batch.pack import pack

    classify(settings)
    before = written(settings.out)
    other_inputs = replace(settings, inputs=(str(scans / "00-7.png"),))
    with pytest.raises(InputError, match=r"holds a result of other inputs .*--overwrite"):
        classify(other_inputs)
    with pytest.raises(InputError, match="holds what classify wrote"):
        pack(settings)
    run = json.loads((tmp_path / "result/_run.json").read_text())
    unfinished = {**run, "state": "running", "model_id": "0123456789ab"}
    (tmp_path / "result/_run.json").write_text(json.dumps(unfinished))
    with pytest.raises(InputError, match=r"unfinished result of other model .0123456789ab, now"):
        classify(settings)
    assert written(settings.out) == before
    replaced = classify(replace(other_inputs, overwrite=True))
    assert replaced.run["counts"]["inputs"] == 1
    assert digits(settings.out) == {"00-7.png": 7}


def test_overwriting_that_broke_off_is_known(settings: RunSettings) -> None:
    classify(settings)
    (Path(settings.out) / "_run.json").write_text('{"state": "clearing"}')
    assert classify(settings).run["counts"]["inputs"] == 40
    assert len(digits(settings.out)) == 40


def test_what_is_no_result_is_left_alone(settings: RunSettings) -> None:
    out = Path(settings.out)
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="holds something else than a result"):
            classify(replace(settings, overwrite=overwrite))
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]
    (out / "_run.json").write_text("{")
    with pytest.raises(InputError, match=r"can't be used: its _run\.json"):
        classify(settings)


@pytest.mark.parametrize("left", [0, 0.01, 0.7])
@pytest.mark.parametrize("name", ["part-000000.parquet", "_chunks/000000.parquet"])
def test_a_damaged_file_is_named_and_made_again(
    settings: RunSettings, name: str, left: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as a power cut leaves: the name is on the disk, and what was written is not."""
    classify(settings)
    expected = digits(settings.out)
    file = Path(settings.out, name)
    leave_unfinished(settings.out)
    file.write_bytes(file.read_bytes()[: int(left * file.stat().st_size)])
    assert classify(settings).run["counts"]["inputs"] == 40
    assert digits(settings.out) == expected
    assert any(word in caplog.text for word in (name, "part 0"))


def test_two_runs_at_once_and_a_rerun_right_after_a_kill(settings: RunSettings) -> None:
    """Another process holds the folder as a run does; the second refuses, until it is killed."""
    holder = (
        "import sys, time; from digitrec.storage.lock import exclusive\n"
        "from digitrec.storage.folder import open_folder\n"
        "with exclusive(open_folder(sys.argv[1]), sys.argv[1]):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", holder, settings.out], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another run is writing to"):
            classify(settings)
        assert not list(Path(settings.out).glob("part-*"))
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    assert classify(settings).run["counts"]["inputs"] == 40


def test_a_trace_shows_who_did_what(settings: RunSettings) -> None:
    classify(replace(settings, profile=True))
    events = json.loads((Path(settings.out) / "_trace.json").read_text())["traceEvents"]
    bars = {event["name"]: event for event in events if event["ph"] == "X"}
    assert {"40 scans", "read", "decode", "normalize", "infer", "write"} <= set(bars)
    assert all(bar["dur"] >= 0 and bar["ts"] > 1e15 for bar in bars.values())


def test_an_input_in_the_output_is_refused(settings: RunSettings, tmp_path: Path) -> None:
    """Overwriting would delete it."""
    from digitrec.batch.pack import pack

    shards = replace(settings, out=str(tmp_path / "shards"))
    pack(shards)
    for given in (shards.out, f"{shards.out}/shard-000000.parquet"):
        for overwrite in (False, True):
            with pytest.raises(InputError, match=r"lies in --out|holds what pack wrote"):
                classify(replace(shards, inputs=(given,), overwrite=overwrite))
    assert (tmp_path / "shards/shard-000000.parquet").is_file()


def test_shards_packed_anew_are_not_mixed_up(
    settings: RunSettings, scans: Path, tmp_path: Path
) -> None:
    """Neither by a run that was stopped in between, nor by an update."""
    from digitrec.batch.pack import pack

    shards = replace(settings, out=str(tmp_path / "shards"))
    pack(shards)
    of_shards = replace(settings, inputs=(shards.out,))
    classify(of_shards)
    (scans / "00-7.png").rename(scans / "99-7.png")
    pack(replace(shards, overwrite=True))
    # Stopped before, gone on with after: the old rows say so; an update has the new ones.
    (Path(settings.out) / "part-000000.parquet").unlink()
    leave_unfinished(settings.out)
    assert classify(of_shards).run["counts"]["errors"] == {"vanished": 40}
    assert classify(replace(of_shards, update=True)).run["counts"]["accept"] == 40
    assert set(digits(settings.out)) == {path.name for path in scans.iterdir()}


def test_relative_inputs_are_those_of_their_folder(
    settings: RunSettings, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = replace(settings, inputs=("scans",))
    classify(relative)
    (tmp_path / "elsewhere/scans").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="of other working folder"):
        classify(relative)


def test_a_listing_that_another_run_replaced_is_found_out(settings: RunSettings) -> None:
    from digitrec.batch.chunks import read_chunk, write_chunk
    from digitrec.storage.folder import open_folder

    classify(settings)
    folder = open_folder(settings.out)
    chunk = read_chunk(folder, 0)
    [piece] = chunk.pieces
    doubled = Found([piece.paths[0], *piece.paths[:-1]])
    write_chunk(folder, replace(chunk, pieces=(doubled,)))
    out = Path(settings.out)
    leave_unfinished(settings.out)
    (out / "part-000000.parquet").unlink()
    with pytest.raises(RunError, match="another run has written to"):
        classify(settings)


def test_a_part_of_no_chunk_is_found_out(settings: RunSettings) -> None:
    classify(settings)
    out = Path(settings.out)
    leave_unfinished(settings.out)
    (out / "part-000007.parquet").write_bytes((out / "part-000000.parquet").read_bytes())
    with pytest.raises(RunError, match=r"part 7 .*is none of this run: delete it"):
        classify(settings)


def test_an_update_lists_again_what_an_unfinished_run_had_listed(
    settings: RunSettings, scans: Path
) -> None:
    classify(settings)
    leave_unfinished(settings.out)
    (scans / "99-7.png").write_bytes((scans / "00-7.png").read_bytes())
    assert classify(replace(settings, update=True)).run["counts"]["inputs"] == 41


def test_a_damaged_record_is_said(settings: RunSettings) -> None:
    classify(settings)
    out = Path(settings.out)
    for name, content in (("_run.json", "{}"), ("_chunks/end.json", "{")):
        before = (out / name).read_text()
        leave_unfinished(settings.out)
        (out / name).write_text(content)
        with pytest.raises((InputError, RunError), match=r"can't be used|the run failed"):
            classify(settings)
        (out / name).write_text(before)


def test_relative_inputs_are_the_drivers_wherever_the_workers_are(
    settings: RunSettings, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster's workers have another working folder than the shell that named the inputs."""
    monkeypatch.chdir(scans.parent)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    classify(replace(settings, inputs=("scans",)))
    table = dataset.dataset(settings.out, format="parquet").to_table()
    assert set(table["path"].to_pylist()) == {str(path) for path in scans.iterdir()}
