"""`Reader` as a stage of a pipeline: whatever a batch is, and whatever its column holds."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import dataset, parquet

import digitrec
from digitrec import SCHEMA, Reader, read
from digitrec.datasets.labelled import png
from digitrec.errors import BundleError, InputError
from digitrec.model.policy import Policy

READ = [field.name for field in SCHEMA][1:]
NULL = "unreadable: a null is no scan: expected uint8 [H, W], [H, W, 3] or [H, W, 4]"


@pytest.fixture(scope="module")
def digits(mnist_test: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """A 7, a 2, a 1 and a 0, light on dark."""
    return list(mnist_test[0][:4])


@pytest.fixture(scope="module")
def contents(digits: list[np.ndarray]) -> list[bytes]:
    return [png(digit) for digit in digits]


@pytest.fixture
def paths(contents: list[bytes], tmp_path: Path) -> list[str]:
    for k, content in enumerate(contents):
        (tmp_path / f"{k}.png").write_bytes(content)
    return [str(tmp_path / f"{k}.png") for k in range(len(contents))]


def objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def test_what_is_exported_stays() -> None:
    assert digitrec.__all__ == ["SCHEMA", "Reader", "Reading", "__version__", "read"]
    assert (Path(digitrec.__file__).parent / "py.typed").exists()
    assert str(SCHEMA) == "\n".join(
        [
            "path: string not null",
            "digit: int8",
            "confidence: float",
            "probabilities: fixed_size_list<item: float>[10]",
            "  child 0, item: float",
            "decision: dictionary<values=string, indices=int32, ordered=0> not null",
            "reason: string",
            "width: int32",
            "height: int32",
            "digit_score: float",
        ]
    )


def test_a_table_gets_the_columns_of_a_result(contents: list[bytes], paths: list[str]) -> None:
    table = Reader()(pa.table({"path": paths, "content": contents}))
    assert table.schema.names == ["path", "content", *READ]
    for name in READ:
        assert table.schema.field(name) == SCHEMA.field(name)
    assert table.column("digit").to_pylist() == [7, 2, 1, 0]
    readings = read(contents)
    assert table.column("confidence").to_pylist() == [reading.confidence for reading in readings]


@pytest.mark.parametrize("column", ["bytes", "path", "image", "struct", "pil", "stack"])
def test_every_kind_of_column_is_read(
    digits: list[np.ndarray], contents: list[bytes], paths: list[str], column: str
) -> None:
    values: Any = {
        "bytes": objects(contents),
        "path": np.array(paths),
        "image": objects(digits),
        "struct": objects(
            [{"bytes": contents[0], "path": "x"}, *({"bytes": None, "path": p} for p in paths[1:])]
        ),
        "pil": objects([Image.open(io.BytesIO(content)) for content in contents]),
        "stack": np.stack(digits),
    }[column]
    batch = {"label": np.arange(4), "scan": values}
    given = Reader(column="scan")(batch)
    assert list(given) == ["label", "scan", *READ]
    assert given["digit"].tolist() == [7, 2, 1, 0]
    assert given["probabilities"][0].dtype == np.float32
    assert given["scan"] is values
    frame = Reader(column="scan")(
        pd.DataFrame({"label": range(4), "scan": list(values)}, [9, 8, 7, 6])
    )
    assert frame["digit"].tolist() == [7, 2, 1, 0]
    assert frame.index.tolist() == [9, 8, 7, 6]


def test_an_odd_element_is_a_row_with_its_reason(contents: list[bytes], paths: list[str]) -> None:
    odd = [None, float("nan"), 3, b"text", {}, np.zeros((2, 2, 2, 2), np.uint8), paths[0] + "x"]
    given = Reader(with_notes=True)({"content": objects([*odd, contents[0]])})
    assert given["decision"].tolist() == ["error"] * len(odd) + ["accept"]
    assert given["digit"].tolist() == [None] * len(odd) + [7]
    for name in ("confidence", "probabilities", "width", "height", "digit_score", "notes"):
        assert all(value is None for value in given[name][: len(odd)])
    assert given["reason"][0] == given["reason"][1] == NULL
    assert given["reason"][len(odd) - 1] == "vanished: no such file"
    assert {reason.split(":")[0] for reason in given["reason"][:-1]} == {
        "unreadable", "not-an-image", "vanished"
    }  # fmt: skip


def test_a_path_in_data_leads_to_no_host() -> None:
    given = Reader()({"path": np.array(["http://127.0.0.1:9/x.png", "simplecache::http://a/b"])})
    assert all("not allowed" in reason or "chains" in reason for reason in given["reason"])


def test_an_empty_batch_keeps_its_columns() -> None:
    table = Reader()(pa.table({"content": pa.array([], pa.binary())}))
    assert table.schema.names == ["content", *READ]
    assert table.num_rows == 0


def test_batches_have_the_same_dictionary_whatever_is_decided(contents: list[bytes]) -> None:
    """Arrow, and with it Ray's groupby, joins no columns of different ones."""
    reader = Reader("small")
    tables = [reader(pa.table({"content": [content]})) for content in (contents[0], b"text")]
    decisions = [table.column("decision").chunk(0) for table in tables]
    assert decisions[0].dictionary == decisions[1].dictionary
    assert [one.to_pylist() for one in decisions] == [["accept"], ["error"]]


@pytest.mark.parametrize(
    ("batch", "column", "words"),
    [
        ({"a": np.zeros(1), "b": np.zeros(1)}, None, r"none of the columns content.* but a, b"),
        ({"a": np.zeros(1)}, "scan", r"no column scan, but a"),
        ({"path": np.array(["x"]), "digit": np.zeros(1)}, None, r"a column digit already"),
        ([1, 2], None, r"a list is no batch"),
    ],
)
def test_what_is_no_batch_of_scans_is_said(batch: Any, column: str | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Reader(column=column)(batch)


def test_a_policy_of_ones_own_decides(contents: list[bytes]) -> None:
    plain = Reader("small").read(contents)
    assert [reading.decision for reading in plain] == ["accept"] * 4
    least = sorted(reading.digit_score for reading in plain)[2]
    strict = Reader("small", policy=Policy(min_digit_score=least)).read(contents)
    assert [reading.decision for reading in strict] == [
        "accept" if reading.digit_score >= least else "review" for reading in plain
    ]
    assert {reading.decision for reading in strict} == {"accept", "review"}


def test_a_model_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(BundleError):
        Reader("no-such-model")


def test_a_reader_travels(contents: list[bytes]) -> None:
    again = pickle.loads(pickle.dumps(Reader("small")))
    assert [reading.digit for reading in again.read(contents)] == [7, 2, 1, 0]


def test_the_networks_are_opened_once(
    contents: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    read(contents)

    def refuse(*_: object) -> None:
        raise AssertionError("opened again")

    monkeypatch.setattr("digitrec.model.engine.open_engine", refuse)
    assert [reading.digit for reading in read(contents)] == [7, 2, 1, 0]


@pytest.fixture
def sources(
    digits: list[np.ndarray], contents: list[bytes], paths: list[str], tmp_path: Path
) -> dict[str, Any]:
    """The same four scans as Ray Data reads them in its ways, and as Hugging Face keeps images."""
    import ray.data

    parquet.write_table(
        pa.table({"image": [{"bytes": content, "path": None} for content in contents]}),
        tmp_path / "huggingface.parquet",
    )
    parquet.write_table(pa.table({"bytes": contents, "path": paths}), tmp_path / "ray.parquet")
    return {
        "images": ray.data.read_images(paths, mode="L", include_paths=True),
        "files": ray.data.read_binary_files(paths, include_paths=True),
        "huggingface": ray.data.read_parquet(str(tmp_path / "huggingface.parquet")),
        "ray": ray.data.read_parquet(str(tmp_path / "ray.parquet")),
    }


@pytest.mark.usefixtures("ray_local")
def test_ray_data_reads_with_it(sources: dict[str, Any], tmp_path: Path) -> None:
    import ray.data
    from ray.data import ActorPoolStrategy

    for name, source in sources.items():
        rows = source.map_batches(Reader()).take_all()
        assert sorted(row["digit"] for row in rows) == [0, 1, 2, 7], name
    source = sources["files"].repartition(2)
    for k, stage in enumerate(
        [
            source.map_batches(Reader(), batch_format="pyarrow"),
            source.map_batches(
                Reader,
                fn_constructor_kwargs={"model": "small", "with_notes": True},
                batch_format="pyarrow",
                compute=ActorPoolStrategy(size=1),
            ),
        ]
    ):
        stage.write_parquet(str(tmp_path / f"result{k}"))
        table = dataset.dataset(tmp_path / f"result{k}", format="parquet").to_table()
        assert sorted(table.column("digit").to_pylist()) == [0, 1, 2, 7]
        assert table.schema.field("reason").type == pa.string()
        assert ("notes" in table.schema.names) == bool(k)
    counted = ray.data.read_parquet(str(tmp_path / "result0")).groupby("decision").count()
    assert counted.take_all() == [{"decision": "accept", "count()": 4}]
