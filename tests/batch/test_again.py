"""A complete result that is looked at again: `--update`, `--retry-errors`, and outages."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from digitrec.batch import run as run_module
from digitrec.batch.classify import Classifier, classify
from digitrec.batch.pack import pack
from digitrec.batch.run import RunSettings
from digitrec.errors import InputError, RunError
from tests.conftest import digits

NOTHING = {"new": 0, "changed": 0, "gone": 0}
pytestmark = pytest.mark.usefixtures("five_parts")


def parts(out: str) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in Path(out).glob("*-*.parquet")}


def scan_again(scans: Path, name: str, as_name: str) -> None:
    """Put another scan under a name that is there."""
    shutil.copy(scans / as_name, scans / name)


def test_update_reads_what_changed_drops_what_is_gone_and_adds_what_is_new(
    settings: RunSettings, scans: Path
) -> None:
    classify(settings)
    before, untouched = digits(settings.out), parts(settings.out)
    scan_again(scans, "00-7.png", "01-2.png")
    (scans / "02-1.png").unlink()
    shutil.copy(scans / "03-0.png", scans / "99-0.png")
    run = classify(replace(settings, update=True)).run
    assert run["again"] == {"new": 1, "changed": 1, "gone": 1}
    expected = {**before, "00-7.png": 2, "99-0.png": 0}
    del expected["02-1.png"]
    assert digits(settings.out) == expected
    assert run["counts"]["inputs"] == run["counts"]["rows"] == sum(run["digits"].values()) == 40
    # What holds neither was not touched.
    after = parts(settings.out)
    assert sum(after[name] == when for name, when in untouched.items()) >= 3
    assert classify(replace(settings, update=True)).run["again"] == NOTHING
    assert parts(settings.out) == after


def test_update_reads_the_changed_scans_and_no_others(
    settings: RunSettings, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classify(settings)
    scan_again(scans, "00-7.png", "01-2.png")
    read: list[str] = []
    from digitrec.inputs import fetch

    real = fetch.read_stamped

    def noted(path: str, *more: object) -> object:
        read.append(Path(path).name)
        return real(path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(fetch, "read_stamped", noted)
    classify(replace(settings, update=True))
    assert read == ["00-7.png"]


def test_a_whole_chunk_that_is_gone(settings: RunSettings, scans: Path) -> None:
    classify(settings)
    for path in sorted(scans.iterdir())[:20]:
        path.unlink()
    assert classify(replace(settings, update=True)).run["again"]["gone"] == 20
    assert set(digits(settings.out)) == {path.name for path in scans.iterdir()}
    assert classify(replace(settings, update=True)).run["again"] == NOTHING


@pytest.mark.parametrize("dies_at", [0, 1, 2, 3, 4])
def test_an_update_that_was_killed_goes_on(
    settings: RunSettings, scans: Path, dies_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    classify(settings)
    for k, path in enumerate(sorted(scans.iterdir())):
        if k % 4 == 0:
            path.unlink()
        elif k % 4 == 1:
            scan_again(scans, path.name, "01-2.png" if k != 1 else "03-0.png")
    called: list[int] = []
    do = Classifier.__call__

    def dying(self: Classifier, number: int, *, here: bool = False) -> object:
        called.append(number)
        if len(called) == dies_at + 1:
            raise KeyboardInterrupt
        return do(self, number, here=here)

    monkeypatch.setattr(Classifier, "__call__", dying)
    with pytest.raises(RunError, match="stopped"):
        classify(replace(settings, update=True))
    classify(replace(settings, update=True))
    fresh = replace(settings, out=settings.out + "-fresh")
    classify(fresh)
    assert digits(settings.out) == digits(fresh.out)


def test_a_list_that_names_a_scan_no_more(
    settings: RunSettings, scans: Path, tmp_path: Path
) -> None:
    names = sorted(str(path) for path in scans.iterdir())
    (tmp_path / "list.txt").write_text("\n".join(names))
    listed = replace(settings, inputs=(str(tmp_path / "list.txt"),))
    classify(listed)
    (tmp_path / "list.txt").write_text("\n".join(names[5:]))
    assert classify(replace(listed, update=True)).run["again"] == {**NOTHING, "gone": 5}
    assert len(digits(settings.out)) == 35


def test_packed_scans_that_changed(settings: RunSettings, scans: Path, tmp_path: Path) -> None:
    shards = replace(settings, out=str(tmp_path / "shards"))
    of_shards = replace(settings, inputs=(shards.out,))
    pack(shards)
    classify(of_shards)
    before = digits(settings.out)
    assert pack(replace(shards, update=True)).run["again"] == NOTHING
    assert classify(replace(of_shards, update=True)).run["again"] == NOTHING
    scan_again(scans, "00-7.png", "01-2.png")
    (scans / "02-1.png").unlink()
    assert pack(replace(shards, update=True)).run["again"] == {"new": 0, "changed": 1, "gone": 1}
    classify(replace(of_shards, update=True))
    expected = {**before, "00-7.png": 2}
    del expected["02-1.png"]
    assert digits(settings.out) == expected


@pytest.mark.usefixtures("ray_local")
@pytest.mark.parametrize("in_tasks", [False, True])
def test_update_on_ray(
    settings: RunSettings, scans: Path, in_tasks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from digitrec.batch import ray_data

    if in_tasks:
        monkeypatch.setattr(ray_data, "CHECKED_HERE", 0)
    classify(settings)
    before = digits(settings.out)
    scan_again(scans, "00-7.png", "01-2.png")
    (scans / "02-1.png").unlink()
    monkeypatch.setattr(run_module, "SMALL", 0)
    run = classify(replace(settings, update=True)).run
    assert run["again"] == {"new": 0, "changed": 1, "gone": 1}
    expected = {**before, "00-7.png": 2}
    del expected["02-1.png"]
    assert digits(settings.out) == expected


def test_files_with_further_frames_are_counted_once(settings: RunSettings, scans: Path) -> None:
    frame = Image.open(scans / "00-7.png")
    frame.save(scans / "50.gif", save_all=True, append_images=[Image.new("L", frame.size)])
    frame.save(scans / "51.gif", save_all=True, append_images=[Image.new("L", frame.size)])
    assert classify(settings).run["first_frames"] == 2
    assert classify(replace(settings, update=True)).run["first_frames"] == 2
    os.utime(scans / "50.gif", (1, 1))
    assert classify(replace(settings, update=True)).run["first_frames"] == 2
    (scans / "51.gif").unlink()
    assert classify(replace(settings, update=True)).run["first_frames"] == 1


# A passing outage is no fact about a scan.


@pytest.fixture
def listed(settings: RunSettings, scans: Path, tmp_path: Path) -> RunSettings:
    """The scans by a list of their paths, and of itself: that is there, and no scan."""
    paths = [*sorted(scans.iterdir()), tmp_path / "list.txt"]
    (tmp_path / "list.txt").write_text("".join(f"{path}\n" for path in paths))
    return replace(settings, inputs=(str(tmp_path / "list.txt"),))


def test_inputs_that_are_not_mounted_stop_the_run(
    listed: RunSettings, scans: Path, tmp_path: Path
) -> None:
    scans.rename(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=r"more than half .*vanished: no such file.* mounted"):
        classify(listed)
    (tmp_path / "elsewhere").rename(scans)
    run = classify(listed).run
    assert run["counts"]["errors"] == {"not-an-image": 1}
    assert run["counts"]["accept"] == 40


def test_it_is_a_fact_if_the_user_says_so_and_is_looked_at_again_on_request(
    listed: RunSettings, scans: Path, tmp_path: Path
) -> None:
    scans.rename(tmp_path / "elsewhere")
    run = classify(replace(listed, allow_missing=True)).run
    assert run["counts"]["errors"] == {"not-an-image": 1, "vanished": 40}
    assert not classify(listed).worked
    with pytest.raises(RunError, match="more than half"):
        classify(replace(listed, retry_errors=True))
    (tmp_path / "elsewhere").rename(scans)
    run = classify(replace(listed, retry_errors=True)).run
    assert run["again"] == {**NOTHING, "changed": 40}
    assert run["counts"]["accept"] == 40
    assert run["counts"]["errors"] == {"not-an-image": 1}


def test_a_few_missing_scans_are_rows(settings: RunSettings, scans: Path, tmp_path: Path) -> None:
    names = [str(path) for path in sorted(scans.iterdir())]
    names[3:6] = [f"{tmp_path}/gone-{k}.png" for k in range(3)]
    (tmp_path / "list.txt").write_text("\n".join(names))
    listed = replace(settings, inputs=(str(tmp_path / "list.txt"),))
    assert classify(listed).run["counts"]["errors"] == {"vanished": 3}


def test_an_update_of_an_empty_mount_point_drops_nothing(
    settings: RunSettings, scans: Path
) -> None:
    classify(settings)
    before = digits(settings.out)
    for path in scans.iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no scans in"):
        classify(replace(settings, update=True))
    assert digits(settings.out) == before
    assert not classify(settings).worked
