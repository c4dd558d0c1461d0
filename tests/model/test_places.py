"""Bundles live where runs do, here or behind a URI; what is shipped is not written to."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import fs

from digitrec import cli
from digitrec.datasets.labelled import png
from digitrec.errors import BundleError
from digitrec.model.bundle import (
    is_bundle,
    load_bundle,
    save_cascade,
    write_calibration,
    write_scorecard,
)
from digitrec.model.card import CARD, Calibration, calibration_of
from digitrec.model.shipped import SHIPPED
from digitrec.storage.folder import open_folder
from tests.small_mnist.make import Digits


def send(source: Path, uri: str) -> str:
    folder = open_folder(uri)
    for file in source.rglob("*"):
        if file.is_file():
            folder.write(file.relative_to(source).as_posix(), file.read_bytes())
    return uri


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, memory: str, tmp_path: Path) -> str:
    """The URI of an empty folder."""
    return memory if request.param == "memory" else f"file://{tmp_path}/there"


@pytest.fixture
def labelled(tmp_path: Path, small_test: Digits) -> Path:
    """Twenty digits in class folders, in a folder called `lab`."""
    for name in ("first", "second"):
        for k in range(20):
            folder = tmp_path / name / "lab" / str(small_test[1][k])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{k}.png").write_bytes(png(small_test[0][k]))
    return tmp_path


def test_a_bundle_behind_a_uri_is_the_same(place: str) -> None:
    send(SHIPPED["cascade"], f"{place}/run/bundle")
    assert load_bundle(f"{place}/run/bundle") == load_bundle("cascade")
    assert load_bundle(f"{place}/run") == load_bundle("cascade")  # a run's folder
    assert load_bundle(f"{place}/run/bundle/large") == load_bundle("large")
    assert is_bundle(f"{place}/run")
    assert not is_bundle(f"{place}/elsewhere")


def test_what_is_spoilt_behind_a_uri_is_refused(place: str) -> None:
    send(SHIPPED["small"], place)
    open_folder(place).write("model.onnx", b"other")
    with pytest.raises(BundleError, match=r"model\.onnx is damaged"):
        load_bundle(place)
    with pytest.raises(BundleError, match="is no bundle"):
        load_bundle(f"{place}/nothing")
    with pytest.raises(BundleError, match="is no bundle: it can't be looked into"):
        load_bundle("nowhere://a/b")


def test_a_cascade_is_made_from_and_to_uris(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = send(SHIPPED["small"], f"{place}/small")
    large, like = send(SHIPPED["large"], f"{place}/large"), send(SHIPPED["cascade"], f"{place}/l")
    out = f"{place}/new"
    assert cli.main(["cascade", small, large, "--like", like, "--out", out]) == 0
    assert out in capsys.readouterr().out
    ours, theirs = load_bundle(out).card, load_bundle("cascade").card
    assert (ours.id, calibration_of(ours)) == (theirs.id, calibration_of(theirs))
    assert ours.policies == []  # they come by `calibrate`
    assert cli.main(["cascade", small, large, "--like", like, "--out", out]) == 2
    assert "holds something already" in capsys.readouterr().err


def test_evaluate_takes_and_leaves_uris(
    place: str, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = send(SHIPPED["small"], f"{place}/small")
    scans = str(labelled / "first/lab")
    out = f"{place}/pictures"
    assert cli.main(["evaluate", "--quiet", "--keep", bundle, scans, "--out", out]) == 0
    assert f"pictures and scorecard in {out}" in capsys.readouterr().out
    scorecard = json.loads(open_folder(out).read("scorecard.json"))
    assert scorecard["scorecard"][scans]["accept"] == 18
    assert open_folder(out).read("coverage.png").startswith(b"\x89PNG")
    assert "mnist:test" in load_bundle(bundle).card.scorecard


def test_what_a_uri_needs_to_be_opened_counts_for_all_that_lies_there(
    s3_server: str, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys and options are the URI's own, and neither a scan's nor anybody's to see."""
    keys = {"access_key": "someone", "secret_key": "asecret"}
    address = {"endpoint_override": s3_server, "scheme": "http"}
    fs.S3FileSystem(**keys, **address, allow_bucket_creation=True).create_dir("lab-runs")
    options = f"scheme=http&endpoint_override={s3_server}&region=us-east-1"

    def at(name: str) -> str:
        return f"s3://someone:asecret@lab-runs/{name}?{options}"

    small, lab = send(SHIPPED["small"], at("run/bundle")), send(labelled / "first/lab", at("lab"))
    names = sorted(
        file.relative_to(labelled / "first/lab") for file in labelled.glob("first/*/*/*")
    )
    rows = "".join(f"lab/{name},{name.parent},w{k % 3}\n" for k, name in enumerate(names))
    open_folder(at("")).write("truth.csv", f"path,label,writer\n{rows}".encode())

    assert load_bundle(at("run")) == load_bundle(small) == load_bundle("small")
    measure = ["evaluate", "--quiet", "--json", "--keep", at("run"), lab, at("truth.csv")]
    assert cli.main([*measure, "--out", at("pictures")]) == 0
    printed = capsys.readouterr()
    for scores in json.loads(printed.out)["scorecard"].values():
        assert (scores["images"], scores["accept"], scores["error"]) == (20, 18, 0)
    assert scores["writers"] == 3
    assert len(load_bundle(small).card.scorecard) == len(load_bundle("small").card.scorecard) + 2
    assert open_folder(at("pictures")).read("panel.png").startswith(b"\x89PNG")

    cascade = ["cascade", at("run"), at("run"), "--out", at("cascade"), "--like"]
    assert cli.main([*cascade, "cascade"]) == 0
    for wrong in (
        [*cascade, "cascade"],
        ["cascade", small, small, "--out", at("new"), "--like", small],
        ["cascade", small, at("run"), "--out", at("new")],
        ["evaluate", "--quiet", at("nothing")],
        ["evaluate", "--quiet", small, at("lab/0")],
    ):
        assert cli.main(wrong) == 2
    told = capsys.readouterr()
    assert "asecret" not in printed.out + printed.err + told.out + told.err
    assert len(told.err.splitlines()) == 5


def test_data_is_drawn_behind_a_uri(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = f"{place}/drawn"
    assert cli.main(["data", "draw", "--quiet", "--count", "10", "--out", out]) == 0
    assert [len(open_folder(out).names(str(digit))) for digit in range(10)] == 10 * [1]
    assert cli.main(["data", "draw", "--quiet", "--count", "10", "--out", out]) == 2
    assert "holds something already" in capsys.readouterr().err


def test_what_is_measured_is_kept_beside_what_was(labelled: Path) -> None:
    bundle = Path(shutil.copytree(SHIPPED["small"], labelled / "bundle"))
    before = load_bundle(bundle).card.scorecard
    assert len(before) > 20
    for name in ("first", "second", "first"):
        keep = ["evaluate", "--quiet", "--keep", str(bundle), str(labelled / name / "lab")]
        assert cli.main(keep) == 0
    after = load_bundle(bundle).card.scorecard
    new = sorted(set(after) - set(before))
    assert len(new) == 2
    assert all(key.startswith("lab@") and after[key]["images"] == 20 for key in new)
    assert {name: after[name] for name in before} == before
    assert str(labelled) not in (bundle / CARD).read_text()


@pytest.mark.parametrize("bundle", ["small", "cascade", str(SHIPPED["large"])])
def test_the_packages_own_bundles_are_not_written(
    bundle: str, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {file: file.read_bytes() for file in SHIPPED["cascade"].rglob(CARD)}
    assert cli.main(["evaluate", "--quiet", "--keep", bundle, str(labelled / "first/lab")]) == 2
    assert "comes with the package" in capsys.readouterr().err
    (labelled / "link").symlink_to(SHIPPED["small"])
    for write in (
        lambda: write_scorecard(bundle, {}),
        lambda: write_calibration(bundle, Calibration()),
        lambda: write_scorecard(labelled / "link", {}),
    ):
        with pytest.raises(BundleError, match="comes with the package"):
            write()
    assert {file: file.read_bytes() for file in SHIPPED["cascade"].rglob(CARD)} == content


def test_a_local_bundle_loads_without_pyarrow() -> None:
    code = (
        "import sys; from digitrec.model.bundle import load_bundle; load_bundle(); "
        "print({'pyarrow', 'torch', 'ray', 'onnx', 'scipy', 'fsspec'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "set()", answer.stderr


def test_members_are_copied_as_they_were_checked(tmp_path: Path) -> None:
    save_cascade(tmp_path, "small", SHIPPED["large"], 0.5, Calibration())
    names = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.*")}
    files = ("card.json", "digit_recognition_model.pt", "ink.onnx", "model.onnx")
    assert names == {
        "card.json",
        *(f"{name}/{file}" for name in ("small", "large") for file in files),
    }
    assert load_bundle(tmp_path).members == load_bundle("cascade").members
