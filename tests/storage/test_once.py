import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from pyarrow import fs

from digitrec.errors import InputError
from digitrec.storage.folder import open_folder, within
from digitrec.storage.once import create
from digitrec.storage.remote_folder import RemoteFolder
from digitrec.storage.s3 import S3Object
from digitrec.storage.uris import TRIES, Remote
from tests.faults.s3_server import SLOW_DOWN, bucket_of


@pytest.fixture(params=["here", "s3", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty folder: here, on an S3 server, in fsspec's memory."""
    if request.param == "here":
        return str(tmp_path / "folder")
    if request.param == "memory":
        return str(request.getfixturevalue("memory"))
    return bucket_of(request.node.name, request.getfixturevalue("s3_server"))


def test_a_file_is_created_once(place: str) -> None:
    folder = open_folder(place)
    assert create(folder, place, "log/1.json", b"one")
    assert not create(folder, place, "log/1.json", b"other")
    assert create(folder.below("log"), place, "2.json", b"two")
    assert folder.read("log/1.json") == b"one"
    assert folder.names("log") == ["1.json", "2.json"]
    assert folder.folders() == ["log"]
    assert folder.folders("log") == []
    assert folder.below("log").above() == folder


def test_of_many_threads_one_creates_it(place: str) -> None:
    folder, won = open_folder(place), list[int]()
    barrier = threading.Barrier(8)

    def race(number: int) -> None:
        barrier.wait()
        if create(folder, place, "log/1.json", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert folder.read("log/1.json") == str(won[0]).encode()
    assert folder.names("log") == ["1.json"]


PROGRAM = """
import sys
from digitrec.storage.folder import open_folder
from digitrec.storage.once import create
place, own = sys.argv[1:]
folder = open_folder(place)
print("ready", flush=True)
sys.stdin.readline()
print(*(k for k in range(20) if create(folder, place, f"{k}.json", own.encode())))
"""


@pytest.mark.parametrize("place", ["here", "s3"], indirect=True)
def test_of_many_processes_one_creates_each(place: str) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, place, str(number)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for number in range(3)
    ]  # fmt: skip
    for racer in racers:
        assert racer.stdout
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("\n")
        racer.stdin.flush()
    won = [list(map(int, racer.communicate()[0].split())) for racer in racers]
    assert sorted(number for some in won for number in some) == list(range(20))
    folder = open_folder(place)
    for number, some in enumerate(won):
        assert all(folder.read(f"{k}.json") == str(number).encode() for k in some)


def test_without_hard_links_it_is_created_once_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    folder = open_folder(str(tmp_path))
    assert create(folder, str(tmp_path), "1.json", b"one")
    assert not create(folder, str(tmp_path), "1.json", b"other")
    assert folder.read("1.json") == b"one"
    assert folder.names() == ["1.json"]


def test_a_put_whose_answer_was_lost_counts(
    s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client sends it again, and the store says that something is there: our own."""
    place = bucket_of("lost", s3_server)
    refusals, made = iter(range(2)), S3Object.__init__

    def lose(request: AWSRequest, response: object = None, **_: object) -> AWSResponse | None:
        if next(refusals, None) is None:
            return None
        if not open_folder(place).names():
            open_folder(place).write("1.json", b"own")
        answer = AWSResponse(request.url, 503, {}, None)
        answer._content = SLOW_DOWN
        return answer

    def watched(self: S3Object, location: str, path: str) -> None:
        made(self, location, path)
        self._client.meta.events.register("before-send.s3.PutObject", lose)

    monkeypatch.setattr(S3Object, "__init__", watched)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    folder = open_folder(place)
    assert create(folder, place, "1.json", b"own")
    assert not create(folder, place, "1.json", b"another's")


def test_a_busy_store_is_given_up_in_the_end(
    s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two puts that get into each other's way are both refused, and nothing is there."""
    place, tries = bucket_of("busy", s3_server), list[bytes]()

    def write(self: S3Object, content: bytes, version: str | None) -> None:
        tries.append(content)

    monkeypatch.setattr(S3Object, "write", write)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with pytest.raises(OSError, match="too busy to write to"):
        create(open_folder(place), place, "1.json", b"own")
    assert len(tries) == TRIES - 1


def test_a_store_that_can_not_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as hdfs: pyarrow has no way to ask it, and nobody else would."""
    remote = Remote(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "hdfs://host")
    folder = RemoteFolder("hdfs://host/a", "a", remote)
    with pytest.raises(
        InputError, match=r"hdfs:// can.t create .* that must not exist yet: choose a"
    ):
        create(folder, "hdfs://host/a", "1.json", b"own")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("scheme", "package"), [("gs", "gcsfs"), ("abfs", "adlfs")])
def test_a_package_that_is_missing_is_named(scheme: str, package: str, tmp_path: Path) -> None:
    remote = Remote(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), f"{scheme}://")
    folder = RemoteFolder(f"{scheme}://bucket/a", "bucket/a", remote)
    with pytest.raises(InputError, match=f"needs {package}: pip install {package}"):
        create(folder, f"{scheme}://bucket/a", "1.json", b"own")


def test_the_location_within_a_folder_keeps_its_options() -> None:
    assert within("s3://u:p@bucket/a/?region=x", "b/c") == "s3://u:p@bucket/a/b/c?region=x"
    assert within("memory://a", "b") == "memory://a/b"
    assert within("what?", "b") == "what?/b"
