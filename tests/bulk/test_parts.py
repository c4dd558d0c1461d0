from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from digitrec.bulk.parts import (
    SCHEMA,
    Tally,
    check_rows,
    claim_result,
    part_table,
    read_run,
    tally,
    write_part,
    write_run,
)
from digitrec.errors import InputError, RunError
from digitrec.model.engine import Engine
from digitrec.reading import Readings, read_scans


@pytest.fixture
def readings(engine: Engine, mnist_test: tuple[np.ndarray, np.ndarray]) -> Readings:
    """A seven, a blank and a text."""
    white = np.full((4, 6), 255, np.uint8)
    return read_scans([mnist_test[0][0], white, b"text"], engine)


def test_rows_are_the_contracts(readings: Readings, tmp_path: Path) -> None:
    table = part_table(["a.png", "b\\c.png", "d\udcff.png"], readings)
    write_part(tmp_path, 12, table)
    [file] = tmp_path.iterdir()
    assert file.name == "part-000012.parquet"
    assert parquet.read_metadata(file).row_group(0).column(0).compression == "ZSTD"
    again = parquet.read_table(file)
    assert again.schema.equals(SCHEMA)
    seven, blank, error = again.to_pylist()
    assert seven["path"] == "a.png"
    assert (seven["digit"], seven["decision"], seven["reason"]) == (7, "accept", None)
    assert len(seven["probabilities"]) == 10
    assert seven["confidence"] == max(seven["probabilities"])
    no_digit = {"digit": None, "confidence": None, "probabilities": None}
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
    ]


def test_a_failed_write_leaves_the_old_part(readings: Readings, tmp_path: Path) -> None:
    table = part_table(["a", "b", "c"], readings)
    write_part(tmp_path, 0, table)
    with pytest.raises(AttributeError):
        write_part(tmp_path, 0, "no table")  # type: ignore[arg-type]
    [file] = tmp_path.iterdir()
    assert parquet.read_table(file).num_rows == 3


def test_tallies_add_up_and_travel(readings: Readings) -> None:
    part = tally(readings)
    total = Tally()
    total.add(part)
    total.add(Tally.from_json(part.to_json()))
    assert total.rows == 6
    assert total.decisions == {"accept": 2, "blank": 2, "error": 2}
    assert total.digits == {"7": 2}
    assert total.errors == {"not-an-image": 2}
    assert total.seconds["infer"] == 2 * part.seconds["infer"] > 0


def test_a_result_folder_is_claimed_once(tmp_path: Path) -> None:
    claim_result(tmp_path / "new/result")
    claim_result(tmp_path / "new/result")  # still empty
    write_run(tmp_path / "new/result", {"state": "complete"})
    with pytest.raises(InputError, match="holds a result already"):
        claim_result(tmp_path / "new/result")
    write_run(tmp_path / "new/result", {"state": "running"})
    with pytest.raises(InputError, match="holds an unfinished result"):
        claim_result(tmp_path / "new/result")
    assert read_run(tmp_path / "new/result") == {"schema_version": 1, "state": "running"}
    with pytest.raises(InputError, match="something else"):
        claim_result(tmp_path / "new")
    with pytest.raises(InputError, match="can't be used"):
        claim_result(tmp_path / "new/result/_run.json")


def test_a_missing_part_is_found_out(readings: Readings, tmp_path: Path) -> None:
    write_part(tmp_path, 0, part_table(["a", "b", "c"], readings))
    check_rows(tmp_path, 3)
    with pytest.raises(RunError, match="3 rows for 4 inputs"):
        check_rows(tmp_path, 4)


def test_an_empty_part_has_the_schema_too(engine: Engine) -> None:
    table = part_table([], read_scans([], engine))
    assert table.schema.equals(SCHEMA)
    assert isinstance(table, pa.Table)
