import io
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import dataset

from digitrec.batch import run as run_module
from digitrec.batch.chunk_reader import ChunkReader
from digitrec.batch.chunks import Chunk, write_chunk
from digitrec.batch.classify import Classifier, classify
from digitrec.batch.manifest import write_run
from digitrec.batch.run import RunSettings
from digitrec.datasets.labelled import export_mnist
from digitrec.errors import InputError, RunError
from digitrec.inputs.units import Found
from digitrec.model.bundle import Bundle, load_bundle
from digitrec.normalize.scan import load
from digitrec.storage.folder import open_folder
from tests.inputs.test_decode import png_header
from tests.small_mnist.make import Digits

NOBODY = 65534
# What the shipped bundle's card says of MNIST's test digits: how many are sent to review.
SCORES = load_bundle().card.scorecard["mnist:test"]
DOUBTED = SCORES["review"]

# name → decision and, for errors, the reason's code
HOSTILE = {
    "empty.png": ("error", "not-an-image"),
    "text.png": ("error", "not-an-image"),
    "truncated.png": ("error", "truncated"),
    "bomb.png": ("error", "too-large"),
    "one.png": ("blank", None),
    "two words\nand a line.png": ("accept", None),
    "not\udcffutf8.png": ("accept", None),
    "rgba.png": ("accept", None),
    "sixteen.png": ("accept", None),
    "palette.png": ("accept", None),
    "cmyk.jpg": ("accept", None),
    "a.gif": ("accept", None),
    "a.BMP": ("accept", None),
    "a.tiff": ("accept", None),
    "a.webp": ("accept", None),
    "moving.gif": ("accept", None),
}


def make_hostile(folder: Path, digit: np.ndarray) -> None:
    """Fill a folder with what `HOSTILE` names, each readable one showing `digit`."""
    folder.mkdir(parents=True)
    image = Image.fromarray(np.pad(255 - digit, 10, constant_values=255))
    grey = np.asarray(image)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    png = buffer.getvalue()
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("This is not a picture.")
    (folder / "truncated.png").write_bytes(png[: len(png) // 2])
    (folder / "bomb.png").write_bytes(png_header(20_000, 20_000))
    Image.new("L", (1, 1)).save(folder / "one.png")
    for name in ("two words\nand a line.png", os.fsdecode(b"not\xffutf8.png")):
        (folder / name).write_bytes(png)
    image.convert("RGBA").save(folder / "rgba.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "sixteen.png")
    image.convert("RGB").quantize(16).save(folder / "palette.png")
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    image.save(folder / "moving.gif", save_all=True, append_images=[Image.new("L", image.size)])
    for name in ("a.gif", "a.BMP", "a.tiff"):
        image.save(folder / name)
    image.save(folder / "a.webp", lossless=True)
    # What is no input:
    (folder / "x.png").mkdir()
    (folder / "loop").symlink_to(folder)
    (folder / "self.png").symlink_to("self.png")
    (folder / "notes.txt").write_text("no scan")


@pytest.mark.usefixtures("ray_local")
def test_ten_thousand_scans_and_a_hostile_folder(
    mnist_test: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    images, labels = mnist_test
    export_mnist("test", tmp_path / "scans")
    make_hostile(tmp_path / "scans" / "hostile", images[0])
    out = tmp_path / "result"
    run = classify(RunSettings(inputs=(str(tmp_path / "scans"),), out=str(out), quiet=True)).run

    rows = dataset.dataset(out, format="parquet").to_table().to_pylist()
    by_path = {row["path"]: row for row in rows}
    assert len(rows) == len(by_path) == 10_000 + len(HOSTILE)
    for k, label in enumerate(labels):
        assert str(tmp_path / f"scans/{label}/{k:05d}.png") in by_path
    for name, (decision, code) in HOSTILE.items():
        row = by_path[f"{tmp_path}/scans/hostile/{name}".replace("\udcff", "\\xff")]
        assert row["decision"] == decision, row
        assert (row["reason"] or "").split(":")[0] == (code or "")
        assert row["digit"] == (7 if decision == "accept" else None), row
    right = sum(
        by_path[str(tmp_path / f"scans/{label}/{k:05d}.png")]["digit"] == label
        for k, label in enumerate(labels)
    )
    assert abs(right / 10_000 - SCORES["accuracy"]) < 0.0005
    assert 0.996 <= right / 10_000 <= 0.998
    doubted = [row for row in rows if row["decision"] == "review"]
    assert {row["reason"].split(":")[0] for row in doubted} == set(SCORES["reviews"])
    assert len(doubted) == DOUBTED

    assert run["counts"] == {
        "inputs": len(rows),
        "rows": len(rows),
        "accept": 10_000 + 11 - len(doubted),
        "review": len(doubted),
        "blank": 1,
        "error": 4,
        "reviews": SCORES["reviews"],
        "errors": {"not-an-image": 2, "too-large": 1, "truncated": 1},
        "ignored": {".png": 1, ".txt": 1},
    }
    assert run["first_frames"] == 1
    assert sum(run["digits"].values()) == run["counts"]["accept"] + len(doubted)
    written = json.loads((out / "_run.json").read_text())
    assert written["state"] == "complete"
    assert {key: written[key] for key in run} == run
    names = sorted(path.name for path in out.iterdir())
    assert names == ["_chunks", "_lock", "_run.json", *(f"part-{k:06d}.parquet" for k in range(10))]
    for part in out.glob("part-*"):
        paths = dataset.dataset(part).to_table()["path"].to_pylist()
        assert paths == sorted(paths)


def test_a_file_that_may_not_be_read_is_a_row(
    bundle: Bundle, small_test: Digits, tmp_path: Path
) -> None:
    """Run one chunk as a user who may not read one of its two files."""
    make_hostile(tmp_path / "scans", small_test[0][0])
    tmp_path.chmod(0o777)
    private = [folder for folder in tmp_path.parents if "pytest-of-" in str(folder)]
    for folder in (*private, tmp_path / "scans"):
        folder.chmod(0o755)
    secret = tmp_path / "scans/rgba.png"
    secret.chmod(0)
    paths = [str(secret), str(tmp_path / "scans/palette.png")]
    write_chunk(open_folder(tmp_path), Chunk(0, (Found(paths),)))
    write_run(open_folder(tmp_path), {"state": "running", "run_id": "1"})
    (tmp_path / "_chunks").chmod(0o777)

    def as_nobody() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        Classifier(
            folder=open_folder(tmp_path), reader=ChunkReader(bundle), identity={"run_id": "1"}
        )(0)

    load()  # what nobody may not read: the installation may lie in somebody's home
    child = multiprocessing.get_context("fork").Process(target=as_nobody)
    child.start()
    child.join(60)
    assert child.exitcode == 0
    first, second = dataset.dataset(tmp_path / "part-000000.parquet").to_table().to_pylist()
    assert (first["decision"], first["reason"]) == ("error", "unreadable: Permission denied")
    assert second["digit"] == 7


@pytest.mark.usefixtures("ray_local")
def test_a_part_that_can_not_be_written_ends_the_run(
    mnist_test: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """A folder stands where the seventh part belongs; once it is gone, the same call goes on."""
    export_mnist("test", tmp_path / "scans")
    out = tmp_path / "result"
    (out / "part-000006.parquet" / "in the way").mkdir(parents=True)
    (out / "_run.json").write_text('{"state": "clearing"}')
    settings = RunSettings(inputs=(str(tmp_path / "scans"),), out=str(out), quiet=True)
    with pytest.raises(RunError, match=r"the run failed: \w*Error: "):
        classify(settings)
    assert json.loads((out / "_run.json").read_text())["state"] == "running"
    shutil.rmtree(out / "part-000006.parquet")
    assert classify(settings).run["counts"]["accept"] == 10_000 - DOUBTED


def test_nothing_to_classify_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes").touch()
    with pytest.raises(InputError, match="no scans in"):
        classify(RunSettings(inputs=(str(tmp_path),), out=str(tmp_path / "result")))
    assert not (tmp_path / "result").exists()


def test_a_worker_that_stalls_within_c_code_ends_itself() -> None:
    """So that Ray replaces it, and the chunk is read with care in the end."""
    program = """
import time
from digitrec.batch import chunk_reader
chunk_reader.STALL_SECONDS = 0.2
alarm = chunk_reader._StallAlarm()
alarm(0)
alarm.off()
time.sleep(1)
print("it did not go off while nothing stalled", flush=True)
alarm._set = 0
alarm(1)
time.sleep(30)  # as a decoder would that never comes back
print("too late")
"""
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=20
    )
    assert answer.returncode == 1
    assert answer.stdout == "it did not go off while nothing stalled\n"


@pytest.mark.usefixtures("ray_local")
@pytest.mark.parametrize("here", [True, False], ids=["in this process", "on Ray"])
def test_notes_are_a_last_column(
    here: bool,
    small_test: Digits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scans, out = tmp_path / "scans", tmp_path / "result"
    scans.mkdir()
    image = small_test[0][0]
    Image.fromarray(image).save(scans / "as-mnist.png")
    Image.fromarray(np.pad(image, 20)).save(scans / "bright.png")
    (scans / "text.png").write_text("no picture")
    if not here:
        monkeypatch.setattr(run_module, "SMALL", 0)
    settings = RunSettings(inputs=(str(scans),), out=str(out), quiet=True)
    assert classify(settings, with_notes=True).run["notes"]
    table = dataset.dataset(out, format="parquet").to_table().sort_by("path")
    assert table.column_names[-2:] == ["digit_score", "notes"]
    assert table["notes"].to_pylist() == [
        None, "looked at closely; light on dark", None,
    ]  # fmt: skip
    with pytest.raises(InputError, match="other --notes"):
        classify(settings)
