import contextlib
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from pyarrow import fs

from digitrec.errors import InputError
from digitrec.storage import uris
from digitrec.storage.files import is_uri
from digitrec.storage.folder import Folder, open_folder
from digitrec.storage.uris import (
    TRIES,
    FileTooLargeError,
    Remote,
    open_remotes,
    open_uri,
    remote_of,
    with_retries,
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uris, "FIRST_WAIT_SECONDS", 0)


@pytest.fixture(params=["a path", "file://", "memory://"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, memory: str) -> Folder:
    """A folder that is not there yet."""
    kinds = {"a path": f"{tmp_path}/out", "file://": f"file://{tmp_path}/out"}
    return open_folder(kinds.get(request.param, f"{memory}/out"))


def failing_with(*errors: Exception) -> tuple[Callable[..., str], list[Exception]]:
    """Give a request that fails with these errors, one a call, and then succeeds."""
    left = list(errors)

    def request(*_: object) -> str:
        if left:
            raise left.pop(0)
        return "done"

    return request, left


def fail_first(monkeypatch: pytest.MonkeyPatch, method: str, *errors: Exception) -> list[Exception]:
    """Let a method of fsspec's memory fail with these errors, one a call; give those left."""
    request, left = failing_with(*errors)
    kind = type(fsspec.filesystem("memory"))
    real = getattr(kind, method)

    def failing(self: object, *args: Any, **options: Any) -> object:
        request()
        return real(self, *args, **options)

    monkeypatch.setattr(kind, method, failing)
    return left


def test_what_is_written_is_read(folder: Folder) -> None:
    folder.write("a.json", b"first")
    folder.write("_chunks/000001.parquet", b"\0\xff")
    folder.write("empty", b"")
    assert folder.read("a.json") == b"first"
    assert folder.read("_chunks/000001.parquet") == b"\0\xff"
    assert folder.read("empty") == b""
    folder.write("a.json", b"2")
    assert folder.read("a.json") == b"2"


def test_names_are_of_files_directly_below(folder: Folder) -> None:
    assert folder.names() == folder.names("_chunks") == []
    for name in ("b", "a", "a b %.c", "_chunks/2", "_chunks/1", "_chunks/deep/3"):
        folder.write(name, b"")
    assert folder.names() == ["a", "a b %.c", "b"]
    assert folder.names("_chunks") == ["1", "2"]
    assert folder.names("nowhere") == []


def test_deleting_twice_is_deleting_once(folder: Folder) -> None:
    folder.delete("a")
    folder.write("a", b"")
    folder.write("x/b", b"")
    for _ in range(2):
        folder.delete("a")
        folder.delete("x/b")
    assert folder.names() == folder.names("x") == []
    with pytest.raises(FileNotFoundError):
        folder.read("a")


def test_a_folder_is_empty_until_something_is_written(folder: Folder) -> None:
    assert folder.is_empty()
    assert folder.is_empty(apart_from="a")
    folder.write("a", b"")
    assert not folder.is_empty()
    assert folder.is_empty(apart_from="a")
    folder.write("x/b", b"")
    assert not folder.is_empty(apart_from="a")
    folder.delete("a")
    assert folder.is_empty(apart_from="x")


def test_where_a_file_stands_is_no_folder(folder: Folder) -> None:
    folder.write("a", b"")
    inner = open_folder(f"{folder.name}/a")
    with pytest.raises(InputError, match="out/a can't be used: Not a directory"):
        inner.is_empty()


def test_a_file_that_is_not_there_is_told(folder: Folder) -> None:
    with pytest.raises(FileNotFoundError):
        folder.read("a")
    with pytest.raises(FileNotFoundError), folder.opened("a"):
        pass


def test_any_place_of_a_file_is_read(folder: Folder) -> None:
    folder.write("x/a", b"0123456789")
    with folder.opened("x/a") as file:
        file.seek(-3, os.SEEK_END)
        assert file.read(2) == b"78"
        file.seek(0)
        assert file.read() == b"0123456789"


def test_a_large_file_is_written_by_way_of_this_machine(folder: Folder) -> None:
    content = bytes(range(256)) * 12_000
    folder.write("x/a", b"old")
    with folder.writing("x/a") as path:
        path.write_bytes(content)
        assert folder.read("x/a") == b"old"
    assert folder.read("x/a") == content
    assert folder.names("x") == ["a"]
    assert not path.exists()


def test_a_file_whose_writing_breaks_off_stays_as_it_was(folder: Folder) -> None:
    folder.write("a", b"old")
    with contextlib.suppress(ZeroDivisionError), folder.writing("a") as path:
        path.write_bytes(b"half")
        raise ZeroDivisionError
    assert folder.read("a") == b"old"
    assert folder.names() == ["a"]
    assert not path.exists()


def test_a_folder_travels_to_other_processes(folder: Folder) -> None:
    folder.write("a", b"1")
    there = pickle.loads(pickle.dumps(folder))
    assert (there.name, there.path) == (folder.name, folder.path)
    assert there.read("a") == b"1"


def test_opening_a_folder_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for location in ("out", Path("out"), f"file://{tmp_path}/out/"):
        folder = open_folder(location)
        assert folder.is_empty()
        assert (folder.name, folder.path) == (os.fspath(location), f"{tmp_path}/out")
        assert folder.remote is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["nosuch", "s4", "memory2"])
def test_an_unknown_scheme_is_said(scheme: str) -> None:
    location = f"{scheme}://bucket/out"
    for use in (open_folder, open_uri, remote_of, lambda uri: open_remotes([uri])):
        with pytest.raises(InputError, match=rf"{scheme}://bucket(/out)? can't be opened: "):
            use(location)


def test_what_is_a_uri() -> None:
    assert is_uri("s3://bucket/a")
    assert not is_uri("/a:/b")
    assert not is_uri("C:/a")


def test_a_remotes_paths_are_written_as_uris_and_back(memory: str) -> None:
    for uri in (memory, f"{memory}/", f"{memory}/deep/x"):
        remote, path = open_uri(uri)
        assert remote is not None
        assert remote.uri(path) == uri.rstrip("/")
        assert remote.path(remote.uri(f"{path}/a #1 50%.png")) == f"{path}/a #1 50%.png"


@pytest.mark.parametrize("uri", ["memory://", "memory:///"])
def test_the_root_of_a_filesystem_is_written_as_a_uri(uri: str) -> None:
    remote, path = open_uri(uri)
    assert remote is not None
    assert is_uri(remote.uri(f"{path}/a.png"))


def test_s3_is_opened_by_pyarrow_and_named_by_its_buckets() -> None:
    for uri in ("s3://bucket/some/where/?region=eu-west-1", "s3://bucket/some/where?region=x"):
        remote, path = open_uri(uri)
        assert remote is not None
        assert (remote.prefix, path) == ("s3://", "bucket/some/where")
        assert remote.filesystem.type_name == "s3"


def test_each_remote_filesystem_is_opened_once(memory: str, tmp_path: Path) -> None:
    s3 = [f"s3://{bucket}/x?region=eu-west-1" for bucket in "ab"]
    found = open_remotes([memory, f"{memory}/deep", str(tmp_path), f"file://{tmp_path}", *s3])
    assert len(found) == len({remote.prefix for remote in found}) == 2
    assert open_uri(memory)[0] is open_uri(memory)[0]


def test_a_file_is_found_on_a_filesystem_that_is_open_or_not(memory: str) -> None:
    (known,) = open_remotes([memory])
    name = f"{memory}/a #1 50%?.png"
    for remotes in ([], [known]):
        remote, path = remote_of(name, remotes)
        assert remote is not None
        assert remote.uri(path) == name
    assert remote_of(name, [known])[0] is known


def test_a_file_uri_is_a_path_of_this_machine() -> None:
    assert remote_of("file:///some/a #1 50%.png") == (None, "/some/a #1 50%.png")


def test_a_filesystem_is_not_taken_for_another(memory: str) -> None:
    other = Remote(fs.LocalFileSystem(), "hdfs://host:80")
    assert not other.holds("hdfs://host:8020/a.png")
    assert other.holds("hdfs://host:80/a.png")
    assert remote_of(f"{memory}/a.png", [other])[0] is not other
    with pytest.raises(InputError, match="the web is no filesystem"):
        open_remotes(["https://example.org/a.png"])


SECRETS = [
    # With its region: without, Amazon would be asked for it.
    "s3://KEY:sesame@bucket/out?region=eu-west-1",
    "memory://me:sesame@host/out",
    "memory://me:sesame@host",
]


@pytest.mark.parametrize("uri", SECRETS)
def test_a_password_is_not_shown(uri: str) -> None:
    remote = open_uri(uri)[0]
    assert remote is not None
    assert "sesame" not in remote.prefix
    folder = open_folder(uri)
    assert "sesame" not in folder.name
    assert "bucket" in folder.name or "host" in folder.name


@pytest.mark.parametrize(
    "uri",
    [
        "nosuch://me:sesame@host/out",
        pytest.param(
            "s3://KEY:open sesame@bucket/out",
        ),
        pytest.param(
            "s3://KEY:open/sesame@bucket/out",
        ),
        pytest.param(
            "nosuch://me:open@sesame@host/out",
        ),
    ],
)
def test_no_error_tells_a_password(uri: str) -> None:
    with pytest.raises(InputError) as caught:
        open_folder(uri)
    assert "sesame" not in str(caught.value)
    assert "can't be opened" in str(caught.value)


@pytest.mark.parametrize("failures", range(TRIES))
def test_a_request_is_sent_again_until_it_succeeds(failures: int) -> None:
    request, left = failing_with(*[OSError("slow down")] * failures)
    assert with_retries(request) == "done"
    assert left == []


def test_a_request_that_keeps_failing_fails() -> None:
    request, left = failing_with(*[OSError(f"failure {k + 1}") for k in range(TRIES + 1)])
    with pytest.raises(OSError, match=f"failure {TRIES}"):
        with_retries(request)
    assert len(left) == 1


@pytest.mark.parametrize(
    "error", [FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, KeyError]
)
def test_what_lasts_is_raised_at_once(error: type[Exception]) -> None:
    request, left = failing_with(error("first"), error("second"))
    with pytest.raises(error, match="first"):
        with_retries(request)
    assert len(left) == 1


def test_waits_grow_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(uris, "FIRST_WAIT_SECONDS", 0.1)
    monkeypatch.setattr("time.sleep", waits.append)
    request, _ = failing_with(*[OSError("slow down")] * (TRIES - 1))
    assert with_retries(request) == "done"
    assert len(waits) == TRIES - 1
    for number, wait in enumerate(waits):
        planned = min(2.0, 0.1 * 2**number)
        assert 0.5 * planned <= wait <= 1.5 * planned


def test_a_remote_folders_requests_are_sent_again(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, slow = open_folder(memory), OSError("slow down")
    left = fail_first(monkeypatch, "open", slow, slow)
    folder.write("a", b"1")
    left += [slow, slow]
    assert folder.read("a") == b"1"
    left += [slow, slow]
    with folder.opened("a") as file:
        assert file.read() == b"1"
    left += [slow, slow]
    with folder.writing("a") as path:
        path.write_bytes(b"2")
    assert folder.read("a") == b"2"
    assert left == []
    left = fail_first(monkeypatch, "find", slow, slow)
    assert folder.names() == ["a"]
    assert left == []
    left = fail_first(monkeypatch, "rm", slow, slow)
    folder.delete("a")
    assert left == []
    assert folder.names() == []


def test_looking_whether_a_remote_folder_is_empty_is_tried_again(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = fail_first(monkeypatch, "info", OSError("slow down"))
    assert open_folder(memory).is_empty()
    assert left == []


def write_large(folder: Folder) -> None:
    with folder.writing("a") as file:
        file.write_bytes(b"new")


def test_a_remote_file_whose_writing_fails_is_not_left_half_written(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_folder(memory)
    folder.write("a", b"old")

    def half(self: Any, content: bytes) -> int:
        super(type(self), self).write(content[:2])
        raise PermissionError("quota")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFile.write", half, raising=False)
    with pytest.raises(PermissionError):
        write_large(folder)
    with pytest.raises(FileNotFoundError):
        folder.read("a")


def test_a_file_over_the_limit_is_not_read(memory: str) -> None:
    folder = open_folder(memory)
    folder.write("a", b"0123456789")
    remote, path = open_uri(f"{memory}/a")
    assert isinstance(remote, Remote)
    content, version = remote.read_version(path, limit=10)
    assert remote.read(path) == content == b"0123456789"
    assert version == remote.version(path)
    with pytest.raises(FileTooLargeError, match="10 bytes") as caught:
        remote.read_version(path, limit=9)
    assert caught.value.size == 10
    with pytest.raises(FileNotFoundError):
        remote.read_version(f"{path}/nowhere", limit=9)


@pytest.mark.parametrize(
    "words",
    [
        "When reading information for key 'a' in bucket 'b': AWS Error ACCESS_DENIED during "
        "HeadObject operation: No response body.",
        "AWS Error UNKNOWN (HTTP status 403) during HeadObject operation: No response body.",
        "ExpiredToken: The provided token has expired.",
        "403 Forbidden",
        "AWS Error INVALID_ACCESS_KEY_ID during GetObject operation",
    ],
)
def test_who_may_not_is_told_at_once(words: str) -> None:
    asked = []

    def refused() -> None:
        asked.append(1)
        raise OSError(words)

    with pytest.raises(OSError, match=re.escape(words[:20])):
        uris.with_retries(refused)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "words", ["AWS Error SLOW_DOWN (HTTP status 503)", "timed out", "a 403rd try"]
)
def test_what_may_pass_is_asked_again(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uris, "FIRST_WAIT_SECONDS", 0)
    asked = []

    def at_last() -> str:
        asked.append(1)
        if len(asked) < 3:
            raise OSError(words)
        return "there"

    assert uris.with_retries(at_last) == "there"
