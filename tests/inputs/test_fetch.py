import os
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from digitrec.errors import ScanError
from digitrec.inputs import fetch as module
from digitrec.inputs.fetch import IN_FLIGHT, content, contents
from digitrec.storage import uris
from digitrec.storage.uris import open_remotes

NOBODY = 65534


def plain(read: Iterator[bytes | ScanError]) -> list[bytes | str]:
    """Write reasons as text, so that they compare."""
    return [str(one) if isinstance(one, ScanError) else one for one in read]


def test_contents_come_in_order(tmp_path: Path) -> None:
    names = ["b.png", "a.png", "two words.png", os.fsdecode(b"\xff.png"), "empty.png", "b.png"]
    for name in names:
        (tmp_path / name).write_bytes(b"" if name == "empty.png" else os.fsencode(name))
    read = list(contents([str(tmp_path / name) for name in names]))
    assert read == [b"" if name == "empty.png" else os.fsencode(name) for name in names]
    assert list(contents([])) == []


def test_files_of_this_machine_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"old")
    read = contents([str(tmp_path / name) for name in "ab"])
    assert next(read) == b"old"
    (tmp_path / "b").write_bytes(b"new")
    assert next(read) == b"new"


def test_what_can_not_be_read_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.png").symlink_to("nowhere")
    (tmp_path / "loop.png").symlink_to("loop.png")
    names = ["gone.png", "folder.png", "pipe.png", "broken.png", "loop.png", "a.png/b.png"]
    assert plain(contents([str(tmp_path / name) for name in [*names, "a.png"]])) == [
        "vanished: no such file",
        "unreadable: not a regular file",
        "unreadable: not a regular file",
        "vanished: no such file",
        "unreadable: Too many levels of symbolic links",
        "unreadable: Not a directory",
        b"a",
    ]
    (no_name,) = plain(contents([f"{tmp_path}/a\0.png"]))
    assert str(no_name).startswith("unreadable: embedded null")


def test_what_may_not_be_read_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.png").write_bytes(b"a")
    (tmp_path / "secret.png").chmod(0)
    tmp_path.chmod(0o755)
    # Nobody may not look into the folders above; what is relative does not need that.
    monkeypatch.chdir(tmp_path)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(NOBODY)
        assert plain(contents(["secret.png"])) == ["unreadable: Permission denied"]
    finally:
        os.seteuid(user)


def test_too_large_is_told_before_anything_is_read(
    tmp_path: Path, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    for size in (10, 11):
        (tmp_path / f"{size}.png").write_bytes(b"x" * size)
        fsspec.filesystem("memory").pipe(f"{memory}/{size}.png", b"x" * size)
    expected = [b"x" * 10, "too-large: 11 bytes, the limit is 10"]
    assert plain(contents([f"{tmp_path}/10.png", f"{tmp_path}/11.png"])) == expected
    assert plain(contents([f"{memory}/10.png", f"{memory}/11.png"])) == expected


def test_a_file_that_shrinks_while_it_is_read_ends_there(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"short")
    handle = os.open(tmp_path / "a.png", os.O_RDONLY)
    try:
        assert module._read_all(handle, 1000) == b"short"
    finally:
        os.close(handle)


def test_what_lies_behind_uris_is_read_in_order(memory: str) -> None:
    names = [f"{k} 50% #{k}.png" for k in range(5 * IN_FLIGHT)]
    for name in names:
        fsspec.filesystem("memory").pipe(f"{memory}/{name}", name.encode())
    paths = [f"{memory}/{name}" for name in names]
    for remotes in (None, open_remotes([memory])):
        assert list(contents(paths, remotes)) == [name.encode() for name in names]


def test_what_lies_behind_uris_is_read_by_threads_that_wait_together(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each read but the first two, which tell the size, waits until all others are under way."""
    filesystem, together = fsspec.filesystem("memory"), threading.Barrier(IN_FLIGHT - 2)
    paths = [f"{memory}/{k}.png" for k in range(IN_FLIGHT)]
    for path in paths:
        filesystem.pipe(path, path.encode())
    opened = type(filesystem).open

    def slow(self: object, *args: object, **options: object) -> object:
        if not str(args[0]).endswith(("/0.png", "/1.png")):
            together.wait(20)
        return opened(self, *args, **options)

    monkeypatch.setattr(type(filesystem), "open", slow)
    assert list(contents(paths)) == [path.encode() for path in paths]


def test_reading_ahead_goes_only_so_far(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, lock = 0, threading.Lock()

    def counted(path: str, remotes: object = ()) -> tuple[bytes, int]:
        nonlocal read
        with lock:
            read += 1
        return path.encode(), 1

    monkeypatch.setattr(module, "read_stamped", counted)
    paths = [f"{memory}/{k}.png" for k in range(10 * IN_FLIGHT)]
    threads = set(threading.enumerate())
    ahead = contents(paths)
    assert next(ahead) == paths[0].encode()
    assert read <= 2 * IN_FLIGHT
    del ahead
    assert read <= 2 * IN_FLIGHT
    assert set(threading.enumerate()) <= threads


def test_uris_and_paths_may_be_mixed_and_fail_one_by_one(memory: str, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe(f"{memory}/a.png", b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    paths = [
        f"{memory}/gone.png",
        f"{memory}/a.png",
        f"{tmp_path}/b.png",
        f"{tmp_path}/gone.png",
        memory,
    ]
    assert plain(contents(paths)) == [
        "vanished: no such object",
        b"a",
        b"b",
        "vanished: no such file",
        "vanished: no such object",
    ]
    (unknown,) = contents(["nosuch://bucket/a.png"])
    assert str(unknown).startswith("unreadable: nosuch://bucket can't be opened: ")


def test_one_file_alone(memory: str, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe(f"{memory}/a.png", b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    assert content(f"{memory}/a.png") == b"a"
    assert content(str(tmp_path / "b.png")) == b"b"
    assert str(content(str(tmp_path / "gone.png"))) == "vanished: no such file"


def test_a_file_uri_is_a_file_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "two words.png").write_bytes(b"a")
    names = ["two words.png", "gone.png"]
    assert plain(contents([f"file://{tmp_path}/{name}" for name in names])) == [
        b"a",
        "vanished: no such file",
    ]


@pytest.mark.parametrize("failures", [uris.TRIES - 1, uris.TRIES])
def test_a_request_that_fails_is_sent_again_so_often(
    memory: str, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe(f"{memory}/a.png", b"a")
    opened, left = type(filesystem).open, [OSError("slow\ndown")] * failures

    def failing(self: object, *args: object, **options: object) -> object:
        if left:
            raise left.pop()
        return opened(self, *args, **options)

    monkeypatch.setattr(uris, "FIRST_WAIT_SECONDS", 0)
    monkeypatch.setattr(type(filesystem), "open", failing)
    expected = b"a" if failures < uris.TRIES else "unreadable: slow down"
    assert plain(contents([f"{memory}/a.png"])) == [expected]
    assert not left


def test_an_error_of_fsspecs_own_is_a_reason(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every file system of fsspec's raises OSErrors: gcsfs' HttpError is none."""
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe(f"{memory}/a.png", b"a")

    def failing(*_: object, **__: object) -> object:
        raise RuntimeError("403 Forbidden")

    monkeypatch.setattr(type(filesystem), "open", failing)
    assert plain(contents([f"{memory}/a.png"])) == ["unreadable: 403 Forbidden"]
