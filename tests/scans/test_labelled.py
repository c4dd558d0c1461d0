import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from digitrec.errors import InputError
from digitrec.scans.corruptions import CORRUPTIONS
from digitrec.scans.decode import decode
from digitrec.scans.labelled import export_mnist, load_labelled, png

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


def test_what_is_no_labelled_set_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no labelled set"):
        load_labelled(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no scans in class folders"):
        load_labelled(str(tmp_path))
    (tmp_path / "a.csv").write_text("file,label\nx.png,3\n")
    with pytest.raises(InputError, match="no columns path and label"):
        load_labelled(str(tmp_path / "a.csv"))
    (tmp_path / "b.csv").write_text("path,label\nx.png,12\n")
    with pytest.raises(InputError, match="the label 12"):
        load_labelled(str(tmp_path / "b.csv"))


def test_mnist_as_pngs_decodes_to_mnist(mnist_test: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = mnist_test
    labelled = load_labelled("mnist:test")
    assert np.array_equal(labelled.labels, labels)
    for k in range(0, 10_000, 999):
        assert np.array_equal(decode(bytes(labelled.scans[k])).pixels, images[k])


def test_every_corruption_has_a_name(mnist_test: tuple[np.ndarray, np.ndarray]) -> None:
    for name in CORRUPTIONS:
        labelled = load_labelled(f"mnist:{name}")
        assert labelled.name == f"mnist:{name}"
        assert len(labelled.scans) == 10_000
        assert np.array_equal(labelled.labels, mnist_test[1])
    inverted = load_labelled("mnist:inverted")
    assert np.array_equal(inverted.scans[7], 255 - mnist_test[0][7])
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


@pytest.mark.usefixtures("mnist_test")
def test_export_writes_every_image_once_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "scans"
    assert export_mnist("test", out) == 10_000
    assert sorted(path.name for path in out.iterdir()) == list("0123456789")
    assert len(list(out.glob("*/*.png"))) == 10_000
    assert len(load_labelled(str(out)).labels) == 10_000
    with pytest.raises(InputError, match="holds something already"):
        export_mnist("test", out)
