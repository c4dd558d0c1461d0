from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from digitrec.batch.chunks import End
from digitrec.batch.parts import (
    PartError,
    check_part,
    numbers_of,
    part_name,
    part_table,
    write_part,
)
from digitrec.batch.stats import Stats, counts, speed, stats_of
from digitrec.budget.looks import FEATURES
from digitrec.errors import RunError
from digitrec.model.engine import Engine
from digitrec.model.policy import ACCEPT
from digitrec.reader import read_scans
from digitrec.readings import ERROR, Readings
from digitrec.schema import SCHEMA
from digitrec.storage.folder import open_folder
from tests.small_mnist.make import Digits


@pytest.fixture
def readings(engine: Engine, small_test: Digits) -> Readings:
    """A seven, a blank and a text."""
    white = np.full((4, 6), 255, np.uint8)
    return read_scans([small_test[0][0], white, b"text"], engine)


OURS = {"run_id": "1", "model_id": "a"}
NO_LOOKS = np.zeros((0, len(FEATURES)), np.uint8)


def table_of(readings: Readings, *names: str) -> pa.Table:
    return part_table(names, readings)


def test_rows_are_the_contracts(readings: Readings, tmp_path: Path) -> None:
    table = part_table(["a.png", "b\\\\c.png", "d\\xff.png"], readings)
    write_part(open_folder(tmp_path), 12, table, stats_of(table, NO_LOOKS, 0, 0, {}), OURS)
    [file] = tmp_path.iterdir()
    assert file.name == "part-000012.parquet"
    assert parquet.read_metadata(file).row_group(0).column(0).compression == "ZSTD"
    again = parquet.read_table(file)
    assert again.schema.equals(SCHEMA)  # but for metadata
    seven, blank, error = again.to_pylist()
    assert seven["path"] == "a.png"
    assert (seven["digit"], seven["decision"], seven["reason"]) == (7, "accept", None)
    assert len(seven["probabilities"]) == 10
    assert seven["confidence"] == max(seven["probabilities"])
    no_digit = {"digit": None, "confidence": None, "probabilities": None, "digit_score": None}
    assert blank == no_digit | {
        "path": "b\\\\c.png", "decision": "blank", "reason": None, "width": 6, "height": 4
    }  # fmt: skip
    assert error == no_digit | {
        "path": "d\\xff.png", "decision": "error", "reason": error["reason"],
        "width": None, "height": None,
    }  # fmt: skip
    assert error["reason"].startswith("not-an-image: ")


def test_the_schema_as_text() -> None:
    assert [f"{field.name}: {field.type}" for field in SCHEMA] == [
        "path: string",
        "digit: int8",
        "confidence: float",
        "probabilities: fixed_size_list<item: float>[10]",
        "decision: dictionary<values=string, indices=int32, ordered=0>",
        "reason: string",
        "width: int32",
        "height: int32",
        "digit_score: float",
    ]
    assert SCHEMA.field("digit_score").nullable


def test_a_failed_write_leaves_the_old_part(readings: Readings, tmp_path: Path) -> None:
    table, folder = table_of(readings, "a", "b", "c"), open_folder(tmp_path)
    write_part(folder, 0, table, stats_of(table, NO_LOOKS, 0, 0, {}), OURS)
    with pytest.raises(AttributeError):
        write_part(folder, 0, "no table", stats_of(table, NO_LOOKS, 0, 0, {}), OURS)  # type: ignore[arg-type]
    [file] = tmp_path.iterdir()
    assert parquet.read_table(file).num_rows == 3


def test_tallies_add_up_and_travel(readings: Readings) -> None:
    part = stats_of(table_of(readings, "a", "b", "c"), readings.looks(), 1, 2, readings.seconds)
    total = Stats()
    total.add(part)
    total.add(Stats.from_json(part.to_json()))
    assert total.rows == 6
    assert (total.first_frames, total.looked) == (2, 4)
    assert total.decisions == {"accept": 2, "blank": 2, "error": 2}
    assert total.digits == {"7": 2}
    assert total.errors == {"not-an-image": 2}
    assert {sum(bins) for bins in total.looks.values()} == {2}  # the seven, twice
    assert total.doubt == pytest.approx(2 * (1 - readings.confidences[0]), abs=1e-6)
    assert total.seconds["infer"] == 2 * part.seconds["infer"] > 0


def test_a_part_is_held_against_its_chunk(readings: Readings, tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    expected = ["a", "b", "b"]  # two units of one name are two
    table = table_of(readings, *expected)
    part = stats_of(table, NO_LOOKS, 0, 0, {})
    looks = readings.looks()
    write_part(folder, 3, table, part, OURS, [7, -8, 0], looks)
    again = check_part(folder, part_name(3), expected, OURS)
    assert again.stats.decisions == part.decisions
    assert again.stats.rows == 3
    assert again.stamps.tolist() == [7, -8, 0]
    assert np.array_equal(again.looks, looks)
    assert numbers_of(folder, "part") == {3}
    for other in (["a", "b"], ["a", "b", "c"], ["b", "a", "b"], ["a", "b", "b", "b"]):
        with pytest.raises(PartError, match="other rows than its chunk"):
            check_part(folder, part_name(3), other, OURS)
    for key in OURS:
        with pytest.raises(PartError, match=f"is of another run .{key} {OURS[key]}, not x"):
            check_part(folder, part_name(3), expected, {**OURS, key: "x"})
    (tmp_path / part_name(3)).write_bytes(b"PAR1")
    with pytest.raises(PartError, match="can't be used"):
        check_part(folder, part_name(3), expected, OURS)
    with pytest.raises(PartError, match="is missing"):
        check_part(folder, part_name(4), expected, OURS)


def test_an_empty_part_has_the_schema_too(engine: Engine) -> None:
    table = part_table([], read_scans([], engine))
    assert table.schema.equals(SCHEMA)
    assert isinstance(table, pa.Table)


def test_counts_must_add_up() -> None:
    total = Stats(rows=3)
    total.decisions.update({ACCEPT: 2, ERROR: 1})
    total.errors.update({"truncated": 1})
    assert counts(total, End(1, "0", 3, {".txt": 2}, {}, 0.1), (ACCEPT, ERROR)) == {
        "inputs": 3, "rows": 3, "accept": 2, "error": 1,
        "reviews": {}, "errors": {"truncated": 1}, "ignored": {".txt": 2},
    }  # fmt: skip
    with pytest.raises(RunError, match="4 inputs gave 3 rows"):
        counts(total, End(1, "0", 4, {}, {}, 0.1), (ACCEPT, ERROR))
    with pytest.raises(RunError, match="not complete"):
        counts(total, End(1, "0", 3, {}, {}, 0.1), (ACCEPT,))


def test_steady_leaves_out_every_workers_first_part() -> None:
    total = Stats(rows=400, seconds={"decode": 3.0, "infer": 1.0})
    total.spans = [("a", 10.0, 12.0, 100), ("b", 10.5, 12.5, 100), ("a", 12.0, 13.0, 100)]
    total.spans += [("b", 12.5, 14.0, 100)]
    assert speed(total, began=4.0, ended=14.5) == {
        "elapsed": 10.5,
        "start_up": 6.0,
        "first_part": 8.0,
        "images_per_second": 100.0,
        "steady_images_per_second": 100.0,
        "limited_by": "decode 75 %",
    }
    assert speed(Stats(), began=1.0, ended=3.0) == {"elapsed": 2.0, "start_up": 0.0}
