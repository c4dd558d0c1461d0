import sys
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from digitrec.datasets.corruptions import CORRUPTIONS
from digitrec.datasets.labelled import export_mnist, load_labelled, png
from digitrec.errors import InputError
from digitrec.inputs.decode import decode
from tests.small_mnist.make import Digits

PIXELS = np.full((5, 4), 9, np.uint8)


@pytest.fixture
def class_folders(tmp_path: Path) -> Path:
    for label in (3, 7, 7):
        folder = tmp_path / "scans" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{len(list(folder.iterdir()))}.png").write_bytes(png(PIXELS))
    return tmp_path / "scans"


def test_class_folders(class_folders: Path) -> None:
    (class_folders / "letters").mkdir()
    (class_folders / "letters" / "x.png").write_bytes(png(PIXELS))
    labelled = load_labelled(str(class_folders))
    assert labelled.labels.tolist() == [3, 7, 7]
    assert [Path(str(scan)).parent.name for scan in labelled.scans] == ["3", "7", "7"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_have_paths_relative_to_themselves(class_folders: Path, ending: str) -> None:
    table = pa.table({"path": ["7/0.png", "3/0.png"], "label": [7, 3], "writer": ["a", "b"]})
    file = class_folders / f"truth.{ending}"
    if ending == "csv":
        csv.write_csv(table, file)
    else:
        parquet.write_table(table, file)
    labelled = load_labelled(str(file))
    assert labelled.scans == [str(class_folders / "7/0.png"), str(class_folders / "3/0.png")]
    assert labelled.labels.tolist() == [7, 3]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_without_a_writer_are_by_nobody_known(tmp_path: Path, ending: str) -> None:
    for writers, known in (
        (["a", "", " ", None, "b "], ["a", None, None, None, "b"]),
        ([None, "", None], None),
    ):
        count = len(writers)
        table = pa.table({"path": count * ["x.png"], "label": count * [3], "writer": writers})
        file = tmp_path / f"truth.{ending}"
        (csv.write_csv if ending == "csv" else parquet.write_table)(table, file)
        groups = load_labelled(str(file)).groups
        assert (None if groups is None else groups.tolist()) == known


def test_a_number_that_is_none_is_no_writer(tmp_path: Path) -> None:
    table = pa.table({"path": ["x.png"] * 3, "label": [3] * 3, "group": [7.0, float("nan"), None]})
    parquet.write_table(table, tmp_path / "truth.parquet")
    groups = load_labelled(str(tmp_path / "truth.parquet")).groups
    assert groups is not None
    assert groups.tolist() == ["7.0", None, None]


def test_what_is_no_labelled_set_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no labelled set"):
        load_labelled(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no scans in class folders"):
        load_labelled(str(tmp_path))
    (tmp_path / "a.csv").write_text("scan,label\nx.png,3\n")
    with pytest.raises(InputError, match="no columns path and label"):
        load_labelled(str(tmp_path / "a.csv"))
    (tmp_path / "b.csv").write_text("path,label\nx.png,12\n")
    with pytest.raises(InputError, match="the label 12"):
        load_labelled(str(tmp_path / "b.csv"))


@pytest.mark.parametrize("name", ["{}", "0{}", "digit_{}", "Digit-{}"])
def test_class_folders_have_names_of_digits(tmp_path: Path, memory: str, name: str) -> None:
    for label in (3, 7):
        fsspec.filesystem("memory").pipe(f"{memory}/{name.format(label)}/a.png", png(PIXELS))
        (tmp_path / name.format(label)).mkdir()
        (tmp_path / name.format(label) / "a.png").write_bytes(png(PIXELS))
    for folder in (str(tmp_path), memory):
        labelled = load_labelled(folder)
        assert labelled.labels.tolist() == [3, 7]
        assert labelled.scans == [f"{folder}/{name.format(label)}/a.png" for label in (3, 7)]


def test_other_class_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "three").mkdir()
    with pytest.raises(InputError, match=r"class folders 0 to 9 .*there are three/"):
        load_labelled(str(tmp_path))


@pytest.mark.parametrize("label", ["3", "3.0", " 3", "03", "3."])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_labels_are_digits_however_written(tmp_path: Path, label: str, encoding: str) -> None:
    (tmp_path / "A.CSV").write_text(f"file_name,label\nx.png,{label}\n", encoding)
    assert load_labelled(str(tmp_path / "A.CSV")).labels.tolist() == [3]


def test_uris_in_a_labelled_table_stay(memory: str, tmp_path: Path) -> None:
    table = f"path\tlabel\nfile://{tmp_path}/a.png\t3\nb.png\t4\n"
    (tmp_path / "a.tsv").write_text(table)
    fsspec.filesystem("memory").pipe(f"{memory}/a.tsv", table.encode())
    for folder in (str(tmp_path), memory):
        scans = load_labelled(f"{folder}/a.tsv").scans
        assert scans == [f"file://{tmp_path}/a.png", f"{folder}/b.png"]
    (tmp_path / "a.tsv").write_text("path\tlabel\nsimplecache::http://127.0.0.1:1/x\t3\n")
    with pytest.raises(InputError, match="not allowed"):
        load_labelled(str(tmp_path / "a.tsv"))


@pytest.mark.parametrize(
    ("paths", "labels", "words"),
    [
        (["a", None], [1, 2], "row 2: no path"),
        (["a", "b"], [1, None], "row 2 has no label"),
        (["a", "b"], ["1", "ten"], "row 2 has the label ten: 0 to 9 count"),
        (["a", "b"], [1.0, 2.5], "row 2 has the label 2.5"),
        ([1, 2], [1, 2], "row 1: the path 1, which is no text"),
        (["a\0b"], [1], "row 1: the path 'a.x00b' has a character"),
        (["a\nb"], [1], "row 1: the path 'a.nb' has a character"),
        ([], [], "no rows"),
    ],
)
def test_what_is_odd_in_a_labelled_table_is_said(
    tmp_path: Path, paths: list[object], labels: list[object], words: str
) -> None:
    parquet.write_table(pa.table({"path": paths, "label": labels}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=words):
        load_labelled(str(tmp_path / "a.parquet"))


def test_mnist_as_pngs_decodes_to_mnist(mnist_test: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = mnist_test
    labelled = load_labelled("mnist:test")
    assert np.array_equal(labelled.labels, labels)
    for k in range(0, 10_000, 999):
        assert np.array_equal(decode(bytes(labelled.scans[k])).pixels, images[k])


@pytest.mark.usefixtures("small_mnist")
def test_every_corruption_has_a_name(small_test: Digits) -> None:
    for name in CORRUPTIONS:
        labelled = load_labelled(f"mnist:{name}")
        assert labelled.name == f"mnist:{name}"
        assert len(labelled.scans) == 200
        assert np.array_equal(labelled.labels, small_test[1])
    inverted = load_labelled("mnist:inverted")
    assert np.array_equal(inverted.scans[7], 255 - small_test[0][7])
    with pytest.raises(InputError, match="no set blurry: expected one of test, train"):
        load_labelled("mnist:blurry")


def test_scikit_learns_digits() -> None:
    pytest.importorskip("sklearn")
    labelled = load_labelled("sklearn:digits")
    scans = np.stack([scan for scan in labelled.scans if isinstance(scan, np.ndarray)])
    assert (scans.shape, scans.dtype, scans.max()) == ((1797, 8, 8), np.uint8, 255)
    assert labelled.labels[:10].tolist() == list(range(10))


def test_without_scikit_learn_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match=r"pip install 'digitrec\[panel\]'"):
        load_labelled("sklearn:digits")


@pytest.mark.usefixtures("mnist_train")
def test_the_calibration_part_is_fixed() -> None:
    part = load_labelled("mnist:calibration")
    assert len(part.labels) == len(set(part.scans)) == 10_000
    # It must never change: the policies of bundles in use rest on it.
    counts = [1018, 1124, 943, 1026, 1027, 908, 1001, 981, 951, 1021]
    assert np.bincount(part.labels).tolist() == counts


@pytest.mark.usefixtures("small_mnist")
def test_export_writes_every_image_once_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "scans"
    assert export_mnist("test", out) == 200
    assert sorted(path.name for path in out.iterdir()) == list("0123456789")
    assert len(list(out.glob("*/*.png"))) == 200
    assert len(load_labelled(str(out)).labels) == 200
    with pytest.raises(InputError, match="holds something already"):
        export_mnist("test", out)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_lines_of_a_table_end_as_any_system_ends_them(end: str, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_bytes(end.join(["path,label", "a.png,3", "b.png,4", ""]).encode())
    assert load_labelled(str(table)).labels.tolist() == [3, 4]
