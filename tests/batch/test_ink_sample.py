"""What is ink, where a scan alone does not tell: the first chunk says it for all of a run."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digitrec.batch.chunks import Chunk
from digitrec.batch.classify import Classifier, classify
from digitrec.batch.ink_sample import INK_FILE, kept_light, light_of
from digitrec.batch.run import RunSettings
from digitrec.datasets.labelled import png
from digitrec.errors import InputError
from digitrec.model.engine import Engine
from digitrec.pipeline import read_contents
from digitrec.readings import Readings
from digitrec.storage.folder import Folder, open_folder
from tests.conftest import digits, leave_unfinished, record
from tests.drawing import Pixels, digit, shown
from tests.small_mnist.make import Digits

FIRST = 30  # scans of the first chunk


def tight(image: Pixels) -> Pixels:
    """Cut a digit out without any paper around: light ink."""
    rows, columns = np.flatnonzero((image > 60).any(1)), np.flatnonzero((image > 60).any(0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def bold(which: int, pen: int = 9) -> Pixels:
    """Draw a digit of which alone nobody can say what is ink."""
    return shown(digit(which, 40, 26, pen=pen, margin=0), 20, 235)


@pytest.fixture(autouse=True)
def chunks_of_thirty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Classifier, "size", lambda self, number: FIRST)


def write(scans: list[Pixels], folder: Path) -> None:
    folder.mkdir()
    for k, scan in enumerate(scans):
        (folder / f"{k:02d}.png").write_bytes(png(scan))


@pytest.fixture
def crops(small_test: Digits) -> list[Pixels]:
    """Thirty tight crops of light ink, and twenty of which nobody can say it."""
    return [*map(tight, small_test[0][:FIRST]), *(bold(k % 10, 9 - k // 10) for k in range(20))]


@pytest.fixture
def run(tmp_path: Path, crops: list[Pixels]) -> RunSettings:
    write(crops, tmp_path / "crops")
    return RunSettings(inputs=(str(tmp_path / "crops"),), out=str(tmp_path / "result"), quiet=True)


def answers(
    crops: list[Pixels], engine: Engine, light: bool | None, only: Iterable[str] | None = None
) -> dict[str, int | None]:
    """Read crops as one who knows their ink: by file name."""
    readings = read_contents(crops, len(crops), engine, light=light)
    found = {f"{k:02d}.png": one.digit for k, one in enumerate(readings)}
    return found if only is None else {name: found[name] for name in only}


def second_chunk(out: str) -> dict[str, int | None]:
    """Give the digits of the second part; the listing says which scans those are."""
    return digits(Path(out, "part-000001.parquet"))


# ---- The verdict ----


def test_the_first_chunks_verdict_is_taken_by_the_later_ones(
    run: RunSettings, crops: list[Pixels], engine: Engine
) -> None:
    told = classify(run).run
    assert (told["ink"], told["light_ink"]) == ("auto", True)
    assert told["looked_closer"] >= 10
    assert json.loads(Path(run.out, INK_FILE).read_text()) == {"light": True}
    later = second_chunk(run.out)
    assert later == answers(crops, engine, light=True, only=later)
    assert later != answers(crops, engine, light=False, only=later)
    assert digits(run.out) == answers(crops, engine, light=True)


def test_dark_ink_is_told_as_well(run: RunSettings, crops: list[Pixels], tmp_path: Path) -> None:
    write([255 - crop for crop in crops], tmp_path / "dark")
    told = classify(replace(run, inputs=(str(tmp_path / "dark"),))).run
    assert (told["ink"], told["light_ink"]) == ("auto", False)


def test_a_run_that_goes_on_takes_what_was_kept(
    run: RunSettings, crops: list[Pixels], engine: Engine
) -> None:
    classify(run)
    first = Path(run.out, "part-000000.parquet").stat().st_mtime_ns
    leave_unfinished(run.out)
    Path(run.out, "part-000001.parquet").unlink()
    Path(run.out, INK_FILE).write_text('{"light": false}')
    told = classify(run).run
    assert (told["gone_on"], told["light_ink"]) == (1, False)
    assert Path(run.out, "part-000000.parquet").stat().st_mtime_ns == first
    later = second_chunk(run.out)
    assert later == answers(crops, engine, light=False, only=later)


def test_a_verdict_that_was_lost_is_made_again_from_the_first_chunk(
    run: RunSettings, crops: list[Pixels], engine: Engine
) -> None:
    classify(run)
    leave_unfinished(run.out)
    Path(run.out, "part-000001.parquet").unlink()
    Path(run.out, INK_FILE).unlink()
    assert classify(run).run["light_ink"] is True
    later = second_chunk(run.out)
    assert later == answers(crops, engine, light=True, only=later)


def test_scans_that_do_not_agree_are_each_read_by_themselves(
    run: RunSettings, crops: list[Pixels], engine: Engine, tmp_path: Path
) -> None:
    mixed = [255 - crop if k % 2 else crop for k, crop in enumerate(crops)]
    write(mixed, tmp_path / "mixed")
    told = classify(replace(run, inputs=(str(tmp_path / "mixed"),))).run
    assert (told["ink"], told["light_ink"]) == ("auto", None)
    assert json.loads(Path(run.out, INK_FILE).read_text()) == {"light": None}
    assert digits(run.out) == answers(mixed, engine, light=None)


# ---- What a user says ----


@pytest.mark.parametrize("ink", ["dark", "light"])
def test_what_a_user_says_wins(
    run: RunSettings, crops: list[Pixels], engine: Engine, ink: str
) -> None:
    told = classify(run, ink=ink).run
    assert (told["ink"], told["light_ink"]) == (ink, None)
    assert not Path(run.out, INK_FILE).exists()
    assert digits(run.out) == answers(crops, engine, light=ink == "light")


def test_a_result_of_other_ink_is_not_gone_on_with(run: RunSettings) -> None:
    classify(run, ink="dark")
    leave_unfinished(run.out)
    with pytest.raises(InputError, match="ink"):
        classify(run, ink="light")
    assert record(run.out)["ink"] == "dark"


# ---- The sample ----


def test_it_is_asked_once_and_kept(run: RunSettings, engine: Engine, crops: list[Pixels]) -> None:
    classify(run)
    folder = open_folder(run.out)
    folder.delete(INK_FILE)
    asked: list[int] = []

    def read(chunk: Chunk) -> Readings:
        asked.append(len(chunk))
        return read_contents(crops[: len(chunk)], len(chunk), engine)

    assert kept_light(folder) is None
    assert light_of(folder, read) is True
    assert light_of(folder, read) is True
    assert asked == [FIRST]
    assert kept_light(folder) == {"light": True}


def test_a_damaged_verdict_is_none(tmp_path: Path) -> None:
    folder: Folder = open_folder(tmp_path)
    folder.write(INK_FILE, b'{"lig')
    assert kept_light(folder) is None


def test_a_few_scans_agree_on_nothing(run: RunSettings, tmp_path: Path) -> None:
    write([bold(which) for which in range(10)], tmp_path / "few")
    assert classify(replace(run, inputs=(str(tmp_path / "few"),))).run["light_ink"] is None
