import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse

from digitrec.errors import InputError, RunError
from digitrec.storage import lock
from digitrec.storage.folder import Folder, open_folder
from digitrec.storage.lock import PlainStore, exclusive
from digitrec.storage.s3 import S3Object
from digitrec.storage.uris import TRIES
from tests.faults.s3_server import SLOW_DOWN, bucket_of


@pytest.fixture
def bucket(request: pytest.FixtureRequest, s3_server: str) -> str:
    """A folder in a bucket, as a URI."""
    return bucket_of(request.node.name, s3_server)


@pytest.fixture(params=["with conditions", "without"])
def location(request: pytest.FixtureRequest, bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder on a filesystem with conditional writes, and on one without."""
    monkeypatch.setattr(PlainStore, "SETTLE_SECONDS", 0.05)
    return bucket if request.param == "with conditions" else f"memory://{open_folder(bucket).path}"


@pytest.fixture
def folder(location: str) -> Folder:
    return open_folder(location)


def lease(folder: Folder) -> dict[str, float | str]:
    content: dict[str, float | str] = json.loads(folder.read("_lock"))
    return content


def leave_lease(folder: Folder, seconds: float) -> None:
    """Leave a lease as a run does that died so long after it renewed it."""
    content = {"owner": "dead", "host": "elsewhere", "pid": 7, "renewed": time.time() - seconds}
    folder.write("_lock", json.dumps(content).encode())


def test_one_at_a_time(location: str, folder: Folder) -> None:
    with (
        exclusive(folder, location),
        pytest.raises(InputError, match=r"another run is writing .* ends in (60|59|58) s"),
        exclusive(folder, location),
    ):
        pass
    assert folder.names() == []
    with exclusive(folder, location) as check:
        check()


def test_a_dead_runs_lease_is_taken_over_when_it_is_stale(location: str, folder: Folder) -> None:
    leave_lease(folder, 40)
    with (
        pytest.raises(InputError, match=r"elsewhere, process 7.*its lease ends in (20|19|18) s"),
        exclusive(folder, location),
    ):
        pass
    leave_lease(folder, 61)
    with exclusive(folder, location) as check:
        check()


def test_a_lease_is_renewed_and_its_loss_is_noticed(
    location: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.1)
    with exclusive(folder, location) as check:
        first = lease(folder)
        deadline = time.monotonic() + 10
        while lease(folder)["renewed"] == first["renewed"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        check()
        folder.write("_lock", json.dumps({**first, "owner": "another"}).encode())
        while any(thread.name == "lease" for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(RunError, match="another run took"):
            check()
    assert lease(folder)["owner"] == "another"  # it is not ours to delete


def test_of_many_that_begin_together_one_wins(bucket: str) -> None:
    folder = open_folder(bucket)
    outcomes: list[str] = []
    barrier, done = threading.Barrier(6), threading.Barrier(6)

    def begin() -> None:
        barrier.wait()
        try:
            with exclusive(folder, bucket):
                outcomes.append("won")
                done.wait()
        except InputError:
            outcomes.append("refused")
            done.wait()

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 5 + ["won"]


def test_the_condition_is_the_stores(bucket: str) -> None:
    """Not ours: what was read a moment ago is not trusted."""
    path = f"{open_folder(bucket).path}/_lock"
    one, other = S3Object(bucket, path), S3Object(bucket, path)
    assert one.read() is None
    version = one.write(b"one", None)
    assert version
    assert other.write(b"other", None) is None
    assert other.read() == (b"one", version)
    newer = one.write(b"one again", version)
    assert newer
    assert other.write(b"other", version) is None
    one.delete()
    assert other.write(b"other", newer) is None


def test_a_busy_store_is_asked_again(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = S3Object(bucket, f"{open_folder(bucket).path}/_lock")
    refusals = iter(range(TRIES - 1))

    def refuse(request: AWSRequest, **_: object) -> AWSResponse | None:
        if next(refusals, None) is None:
            return None
        answer = AWSResponse(request.url, 503, {}, None)
        answer._content = SLOW_DOWN
        return answer

    store._client.meta.events.register("before-send.s3.PutObject", refuse)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    version = store.write(b"one", None)
    assert next(refusals, None) is None
    assert store.read() == (b"one", version)


PROGRAM = """
import sys
from digitrec.errors import InputError
from digitrec.storage.folder import open_folder
from digitrec.storage.lock import exclusive
try:
    with exclusive(open_folder(sys.argv[1]), sys.argv[1]):
        print("inside")
except InputError as why:
    print(why)
"""


def another_process(folder: Path) -> str:
    """Try to enter a folder from another process; give what it says."""
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_two_runs_of_one_process_are_kept_apart_as_well(tmp_path: Path) -> None:
    folder = open_folder(str(tmp_path))
    (tmp_path / "link").symlink_to(tmp_path)
    with exclusive(folder, str(tmp_path)):
        for path in (tmp_path, tmp_path / "link"):
            with (
                pytest.raises(InputError, match="another run is writing to"),
                exclusive(open_folder(str(path)), str(path)),
            ):
                pass
        told = another_process(tmp_path)
        assert "another run is writing to" in told
        assert f"process {os.getpid()}" in told  # whom to ask
    with exclusive(folder, str(tmp_path)):
        pass
    assert another_process(tmp_path) == "inside\n"


def test_whoever_reads_the_lock_file_does_not_drop_the_lock(tmp_path: Path) -> None:
    with exclusive(folder := open_folder(str(tmp_path)), str(tmp_path)):
        folder.read("_lock")
        (tmp_path / "_lock").open("a").close()
        assert "another run is writing to" in another_process(tmp_path)


def test_a_lock_file_that_is_deleted_lets_only_its_successor_in(tmp_path: Path) -> None:
    """A run may have opened the file that its forerunner deletes."""
    opened = os.open

    def slow(path: str, flags: int, mode: int = 0o777, **more: int) -> int:
        file = opened(path, flags, mode, **more)
        if path.endswith("_lock") and not swapped:
            swapped.append(path)
            os.unlink(path)
        return file

    swapped: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", slow)
        with exclusive(open_folder(str(tmp_path)), str(tmp_path)):
            assert swapped
            assert "another run is writing to" in another_process(tmp_path)


def test_a_child_that_outlives_a_run_does_not_keep_its_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    leave = context.Event()
    with exclusive(folder := open_folder(str(tmp_path)), str(tmp_path)):
        child = context.Process(target=leave.wait, args=(60,), daemon=True)
        child.start()
    try:
        with exclusive(folder, str(tmp_path)):
            pass
    finally:
        leave.set()
        child.join()
