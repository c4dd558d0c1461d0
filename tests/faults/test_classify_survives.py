"""Whatever dies while `classify` runs, in the end there is one row for each input, and the same.

Every fault is a real one. A run whose driver lives must end by itself; one whose driver died is
called again, as a person would.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest
from pyarrow import dataset
from pyarrow import parquet as pq

from digitrec.batch.manifest import read_run
from digitrec.batch.parts import IDENTITY
from digitrec.datasets.labelled import export_mnist
from digitrec.storage.folder import open_folder

pytestmark = pytest.mark.slow

PATIENCE = 240  # seconds


@pytest.fixture(scope="module")
def scans(mnist_test: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST's 10,000 test images: too many to do without Ray, in 10 chunks."""
    folder = tmp_path_factory.mktemp("scans") / "scans"
    export_mnist("test", folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(scans: Path, cluster: str, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The rows of a run that nothing happened to."""
    out = tmp_path_factory.mktemp("undisturbed") / "result"
    end(start(scans, out, RAY_ADDRESS=cluster))
    return rows(out)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster for the runs to which it does not matter whose Ray it is."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False}
    )
    yield cluster.address
    cluster.shutdown()


def start(scans: Path, out: Path, *options: str, **more: str) -> subprocess.Popen[str]:
    """Begin `digitrec classify` as a process of its own, with a session of its own.

    With RAY_ADDRESS, its session is that cluster's.
    """
    command = [sys.executable, "-m", "digitrec.cli", "classify", str(scans), "--out", str(out)]
    return subprocess.Popen(
        [*command, *options, "--quiet"],
        env={**os.environ, **more},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(out: Path) -> pa.Table:
    return dataset.dataset(out, format="parquet").to_table().sort_by("path")


def assert_same(out: Path, expected: pa.Table) -> None:
    run = read_run(open_folder(out))
    assert run
    assert run["state"] == "complete"
    assert run["counts"]["inputs"] == run["counts"]["rows"] == expected.num_rows
    found = rows(out)
    for column in ("path", "digit", "decision", "reason", "width", "height"):
        assert found[column].to_pylist() == expected[column].to_pylist(), column
    probabilities = [np.array(table["probabilities"].to_pylist()) for table in (found, expected)]
    np.testing.assert_allclose(*probabilities, atol=1e-5)
    assert not list(out.glob("*.tmp"))


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until something holds while a process still runs."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def parts(out: Path) -> list[Path]:
    return sorted(out.glob("part-*"))


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The Ray workers below a driver that are at a chunk."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if "ray::MapBatches" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def end(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said


def test_a_killed_worker(scans: Path, undisturbed: pa.Table, tmp_path: Path) -> None:
    out = tmp_path / "result"
    process = start(scans, out)
    killed: list[int] = []

    def kill_a_worker() -> bool:
        for worker in workers(process)[:1] if parts(out) else []:
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(worker.pid)
        return bool(killed)

    wait_for(kill_a_worker, process)
    end(process)
    assert_same(out, undisturbed)


def test_a_node_that_goes_down(scans: Path, undisturbed: pa.Table, tmp_path: Path) -> None:
    """Three nodes, and the raylet of one is killed after the first part."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        cluster.wait_for_nodes()
        out = tmp_path / "result"
        process = start(scans, out, RAY_ADDRESS=cluster.address)
        wait_for(lambda: parts(out), process)
        cluster.remove_node(nodes[0], allow_graceful=False)
        end(process)
    finally:
        cluster.shutdown()
    assert_same(out, undisturbed)


@pytest.mark.parametrize("wanted", [1, 6])
def test_a_killed_driver(wanted: int, scans: Path, undisturbed: pa.Table, tmp_path: Path) -> None:
    """Killed once so many parts are there, and called again at once."""
    out = tmp_path / "result"
    process = start(scans, out)
    wait_for(lambda: (out / "_run.json").exists() and len(parts(out)) >= wanted, process)
    process.kill()
    process.communicate()
    before = {path: path.stat().st_mtime_ns for path in parts(out)}
    run = read_run(open_folder(out))
    assert run
    assert run["state"] == "running"
    end(start(scans, out))
    assert_same(out, undisturbed)
    in_flight = 4  # a worker of the killed run may still have finished what it was at
    kept = [path for path, written in before.items() if path.stat().st_mtime_ns == written]
    assert len(kept) >= len(before) - in_flight


def test_a_job_with_overwrite_that_is_killed_and_tried_again(
    scans: Path, undisturbed: pa.Table, cluster: str, tmp_path: Path
) -> None:
    """Three times, each time after two more parts: what was done is not done again."""
    out = tmp_path / "result"
    shutil.copytree(scans.parent / "scans" / "7", tmp_path / "few")
    end(start(tmp_path / "few", out))
    older = read_run(open_folder(out))
    assert older
    run_ids, kept = set(), dict[Path, int]()
    for tries in range(3):
        process = start(scans, out, "--overwrite", RAY_ADDRESS=cluster)
        wanted = 2 * tries + 2
        wait_for(lambda: is_new(out, older) and len(parts(out)) >= wanted, process)  # noqa: B023
        process.kill()
        process.communicate()
        run_ids.add(read_run(open_folder(out))["run_id"])  # type: ignore[index]
        now = {path: path.stat().st_mtime_ns for path in parts(out)}
        redone = [path for path, written in kept.items() if now[path] != written]
        assert len(redone) <= 4  # what a worker of the killed run was still at
        kept = now
    end(start(scans, out, "--overwrite", RAY_ADDRESS=cluster))
    run_ids.add(read_run(open_folder(out))["run_id"])  # type: ignore[index]
    assert len(run_ids) == 1
    assert_same(out, undisturbed)


def is_new(out: Path, older: dict[str, object]) -> bool:
    run = read_run(open_folder(out))
    return run is not None and run.get("run_id", older["run_id"]) != older["run_id"]


def test_stragglers_after_overwrite(
    scans: Path, undisturbed: pa.Table, cluster: str, tmp_path: Path
) -> None:
    """A cluster goes on with a killed driver's tasks while another model's run has begun."""
    out = tmp_path / "result"
    first = start(scans, out, "--model", "small", RAY_ADDRESS=cluster)
    wait_for(lambda: len(parts(out)) >= 2, first)
    before = read_run(open_folder(out))
    first.kill()
    end(start(scans, out, "--overwrite", RAY_ADDRESS=cluster))
    first.communicate()
    assert_same(out, undisturbed)
    run = read_run(open_folder(out))
    assert run
    assert before
    whose = {json.loads(pq.read_metadata(part).metadata[IDENTITY])["run_id"] for part in parts(out)}
    assert whose == {run["run_id"]} != {before["run_id"]}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB of which most is taken, where mounting is allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "digitrec-test", str(folder)]
    if (
        not shutil.which("mount")
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("no disk can be mounted here; see the next test")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(
    small_disk: Path, scans: Path, undisturbed: pa.Table, cluster: str, tmp_path: Path
) -> None:
    out = small_disk / "result"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    process = start(scans, out, RAY_ADDRESS=cluster)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "No space left on device" in said
    assert "Traceback" not in said
    assert 0 < len(parts(out)) < 10
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=10m", str(small_disk)], check=True)
    end(start(scans, out, RAY_ADDRESS=cluster))
    assert_same(out, undisturbed)


def test_a_full_disk_without_a_disk(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for a small input, on a folder that takes so many bytes and no more."""
    from digitrec.batch.classify import classify
    from digitrec.batch.run import RunSettings
    from digitrec.errors import RunError
    from digitrec.storage.folder import LocalFolder

    write, room = LocalFolder.write, [60_000]

    def until_full(self: LocalFolder, name: str, content: bytes) -> None:
        room[0] -= len(content)
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        write(self, name, content)

    inputs = tuple(str(scans / digit) for digit in "12")
    settings = RunSettings(inputs=inputs, out=str(tmp_path / "result"), quiet=True)
    with monkeypatch.context() as patch:
        patch.setattr(LocalFolder, "write", until_full)
        with pytest.raises(RunError, match="No space left on device"):
            classify(settings)
    assert 0 < len(parts(tmp_path / "result")) < 4
    outcome = classify(settings)
    assert outcome.run["counts"]["rows"] == rows(tmp_path / "result").num_rows == 1135 + 1032


def test_a_folder_that_changes_while_it_is_read(
    scans: Path, undisturbed: pa.Table, cluster: str, tmp_path: Path
) -> None:
    folder, out = tmp_path / "scans", tmp_path / "result"
    shutil.copytree(scans, folder, copy_function=os.link)
    process = start(folder, out, RAY_ADDRESS=cluster)
    stop = threading.Event()

    def change() -> None:
        victims = sorted(folder.glob("*/*7.png"))
        for k, victim in enumerate(victims):
            victim.unlink()
            shutil.copy(scans / "0" / "00003.png", folder / "0" / f"new-{k}.png")
            if stop.wait(0.01):
                return

    changer = threading.Thread(target=change)
    changer.start()
    end(process)
    stop.set()
    changer.join()
    table = rows(out)
    counts = read_run(open_folder(out))["counts"]  # type: ignore[index]
    assert counts["inputs"] == counts["rows"] == table.num_rows
    paths = table["path"].to_pylist()
    assert len(set(paths)) == len(paths)
    decided = zip(table["decision"].to_pylist(), table["reason"].to_pylist(), strict=True)
    errors = {reason for decision, reason in decided if decision == "error"}
    assert errors <= {"vanished: no such file"}
    expected = {
        path.replace(str(scans), str(folder)): digit
        for path, digit in zip(
            undisturbed["path"].to_pylist(), undisturbed["digit"].to_pylist(), strict=True
        )
    }
    for path, digit in zip(paths, table["digit"].to_pylist(), strict=True):
        assert digit in (None, expected.get(path, 0))
