import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitrec.inputs import walk as module
from digitrec.inputs.walk import BATCH, Entry, Notes, Wanted, walk, walk_remote
from digitrec.storage.uris import Remote, open_uri

NOBODY = 65534


def touch(*paths: Path) -> list[str]:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return sorted(map(str, paths))


def is_png(name: str) -> bool:
    return name.endswith(".png")


def walked(*folders: Path | str, notes: Notes | None = None) -> list[str]:
    """Walk to the end; give all paths, sorted, of which none came twice."""
    batches = walk([str(folder) for folder in folders], is_png, notes or Notes())
    paths = [path for batch in batches for path in batch]
    assert len(paths) == len(set(paths))
    return sorted(paths)


@pytest.fixture
def threads_before() -> set[threading.Thread]:
    return set(threading.enumerate())


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's rights for a while, in all threads."""
    groups, group, user = os.getgroups(), os.getegid(), os.geteuid()
    if user != 0:
        yield
        return
    try:
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        yield
    finally:
        os.seteuid(user)
        os.setegid(group)
        os.setgroups(groups)


def test_a_tree_of_many_folders_gives_every_file_once(tmp_path: Path) -> None:
    wanted = touch(
        *(tmp_path / f"{a}/{b}/{c}/{a}{b}{c}.png" for a in range(8) for b in range(8) for c in "xy")
    )
    touch(*(tmp_path / f"{a}/{b}/notes.txt" for a in range(8) for b in range(8)))
    notes = Notes()
    assert walked(tmp_path, notes=notes) == wanted
    assert notes == Notes(Counter({".txt": 64}), {})


def test_one_big_folder_comes_in_batches(tmp_path: Path) -> None:
    wanted = touch(*(tmp_path / f"{k}.png" for k in range(2 * BATCH + 7)))
    batches = list(walk([str(tmp_path)], is_png, Notes()))
    assert [len(batch) for batch in batches] == [BATCH, BATCH, 7]
    assert sorted(path for batch in batches for path in batch) == wanted


def test_a_deep_tree_needs_no_deep_stack(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 500)
    assert walked(tmp_path) == []
    assert touch(deep / "a.png") == walked(tmp_path)


@pytest.mark.parametrize("content", [[], ["notes.txt"], ["empty/"]])
def test_a_folder_without_wanted_files_gives_nothing(tmp_path: Path, content: list[str]) -> None:
    for name in content:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    assert list(walk([str(tmp_path)], is_png, Notes())) == []


def test_hidden_files_are_counted_and_hidden_folders_not_entered(tmp_path: Path) -> None:
    wanted = touch(tmp_path / "a.png", tmp_path / "a.b_c/d.png")
    touch(
        tmp_path / ".a.png", tmp_path / "x/.a.txt", tmp_path / ".git/b.png", tmp_path / "x/.p/c.png"
    )
    (tmp_path / ".link").symlink_to(tmp_path / ".git")
    (tmp_path / ".link.png").symlink_to(tmp_path / "a.png")
    notes = Notes()
    assert walked(tmp_path, notes=notes) == wanted
    assert notes == Notes(Counter({"hidden": 4, ".git/": 1, ".p/": 1}), {})


def test_a_hidden_folder_that_is_given_is_walked(tmp_path: Path) -> None:
    assert touch(tmp_path / ".scans/a.png") == walked(tmp_path / ".scans")


OURS = '{"command": "classify", "state": "complete"}'


@pytest.mark.parametrize("record", [None, "", "[]", '{"state": "complete"}', "no JSON"])
def test_an_underscore_hides_nothing_that_digitrec_did_not_write(
    tmp_path: Path, record: str | None
) -> None:
    wanted = touch(tmp_path / "_batch1/_MG_0001.png", tmp_path / "_x.png", tmp_path / "_a/_b/c.png")
    if record is not None:
        (tmp_path / "_run.json").write_text(record)
    assert walked(tmp_path) == wanted


def test_of_a_result_what_digitrec_wrote_is_left_out_and_counted(tmp_path: Path) -> None:
    wanted = touch(tmp_path / "a.png", tmp_path / "result/b.png", tmp_path / "result/x/_c.png")
    touch(
        *(tmp_path / "result" / name for name in ("_chunks/1.png", "_x.png", "part-0.parquet")),
        tmp_path / "result/__/d.png",
    )
    (tmp_path / "result/_run.json").write_text(OURS)
    notes = Notes()
    assert walked(tmp_path, notes=notes) == wanted
    counts = {"_chunks/": 1, "__/": 1, ".png": 1, ".json": 1, ".parquet": 1}
    assert notes == Notes(Counter(counts), {})


def test_links_that_are_not_followed_are_counted(tmp_path: Path) -> None:
    wanted = touch(tmp_path / "in/a.png")
    touch(tmp_path / "elsewhere/b.png")
    (tmp_path / "in/deep").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/c.png").symlink_to(tmp_path / "elsewhere/b.png")
    (tmp_path / "in/gone.png").symlink_to("nowhere")
    (tmp_path / "given").symlink_to(tmp_path / "in")
    notes = Notes()
    (batch,) = walk([str(tmp_path / "in")], is_png, notes, follow_links=False)
    assert (batch, notes.ignored) == (wanted, {"links": 3})
    (batch,) = walk([str(tmp_path / "given")], is_png, Notes(), follow_links=False)
    assert batch == [f"{tmp_path}/given/a.png"]


@pytest.mark.parametrize("linked", [False, True])
def test_a_hidden_folder_is_walked_beside_a_folder_above(tmp_path: Path, linked: bool) -> None:
    """Nobody walks it as a part of the folder above, which covers it for all that."""
    touch(tmp_path / ".store/v1/a.png")
    if linked:
        (tmp_path / "current").symlink_to(tmp_path / ".store/v1")
        assert walked(tmp_path) == [str(tmp_path / "current/a.png")]
    else:
        given = tmp_path / ".store/v1"
        assert walked(tmp_path, given) == [str(given / "a.png")]


def test_links_to_files_are_files_and_broken_ones_count_as_left_out(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere/b.bin")
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/a.png").symlink_to(tmp_path / "elsewhere/b.bin")
    (tmp_path / "scans/gone.png").symlink_to("nowhere")
    (tmp_path / "scans/self.tif").symlink_to("self.tif")
    notes = Notes()
    assert walked(tmp_path / "scans", notes=notes) == [str(tmp_path / "scans/a.png")]
    assert notes == Notes(Counter({".png": 1, ".tif": 1}), {})


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    notes = Notes()
    assert walked(tmp_path, notes=notes) == []
    assert notes.ignored == {".png": 1}


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere/deep/a.png")
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/out").symlink_to("../elsewhere")
    assert walked(tmp_path / "scans") == [str(tmp_path / "scans/out/deep/a.png")]


def test_of_two_links_to_one_folder_one_is_followed(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere/deep/a.png")
    (tmp_path / "scans").mkdir()
    for name, target in (("one", "elsewhere"), ("two", "elsewhere"), ("part", "elsewhere/deep")):
        (tmp_path / "scans" / name).symlink_to(tmp_path / target)
    (path,) = walked(tmp_path / "scans")
    assert os.path.realpath(path) == str(tmp_path / "elsewhere/deep/a.png")


def test_a_real_folder_wins_over_a_link_to_it(tmp_path: Path) -> None:
    wanted = touch(tmp_path / "m/a.png")
    (tmp_path / "a").symlink_to("m")
    (tmp_path / "z").symlink_to("m")
    assert walked(tmp_path) == wanted


def test_loops_end(tmp_path: Path) -> None:
    wanted = touch(tmp_path / "a/a.png", tmp_path / "b/b.png")
    (tmp_path / "a/here").symlink_to(".")
    (tmp_path / "a/other").symlink_to("../b")
    (tmp_path / "b/other").symlink_to("../a")
    assert walked(tmp_path) == wanted


def test_a_link_to_a_folder_above_gives_what_is_not_below(tmp_path: Path) -> None:
    touch(tmp_path / "scans/a.png", tmp_path / "scans/deep/b.png", tmp_path / "other/c.png")
    (tmp_path / "scans/deep/up").symlink_to(tmp_path)
    scans = tmp_path / "scans"
    assert walked(scans) == [
        str(scans / name) for name in ("a.png", "deep/b.png", "deep/up/other/c.png")
    ]


def test_overlapping_folders_give_each_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "scans/a/1.png", tmp_path / "scans/2.png", tmp_path / "scans-more/3.png")
    (tmp_path / "link").symlink_to("scans/a")
    monkeypatch.chdir(tmp_path)
    inputs = ["scans/a", "scans", "./scans", "scans/", str(tmp_path / "scans"), "link"]
    for order in (inputs, inputs[::-1]):
        paths = walked(*order, "scans-more")
        assert len(paths) == 3
        assert {os.path.realpath(path) for path in paths} == {
            str(tmp_path / name) for name in ("scans/a/1.png", "scans/2.png", "scans-more/3.png")
        }


NAMES = st.sampled_from(["a", "b", "c"])
FOLDERS = st.lists(NAMES, max_size=3).map("/".join)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    files=st.lists(st.tuples(FOLDERS, NAMES), max_size=12),
    links=st.lists(st.tuples(FOLDERS, st.sampled_from("xyz"), FOLDERS), max_size=6),
    inputs=st.lists(FOLDERS, min_size=1, max_size=3),
)
def test_whatever_links_there_are_every_file_behind_them_comes_once(
    files: list[tuple[str, str]], links: list[tuple[str, str, str]], inputs: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        top = Path(os.path.realpath(name))
        for folder in (*(above for above, _ in files), *inputs):
            (top / folder).mkdir(parents=True, exist_ok=True)
        for folder, stem in files:
            (top / folder / f"{stem}.png").touch()
        for folder, link, target in links:
            (top / folder).mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                (top / folder / link).symlink_to(top / target)
        paths = walked(*(top / folder for folder in inputs))
        real = [os.path.realpath(path) for path in paths]
        assert len(real) == len(set(real))
        assert set(real) == reachable([str(top / folder) for folder in inputs])


def reachable(folders: list[str]) -> set[str]:
    """Give the real paths of all files below some folders and behind the links in them."""
    waiting, entered, files = [os.path.realpath(folder) for folder in folders], set(), set()
    while waiting:
        folder = waiting.pop()
        if folder in entered or not os.path.isdir(folder):
            continue
        entered.add(folder)
        for name in os.listdir(folder):
            real = os.path.realpath(os.path.join(folder, name))
            waiting.append(real)
            if os.path.isfile(real):
                files.add(real)
    return files


def test_a_folder_that_may_not_be_listed_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "scans/a.png", tmp_path / "scans/secret/b.png")
    tmp_path.chmod(0o755)
    (tmp_path / "scans/secret").chmod(0)
    # Nobody may not look into the folders above; what is relative does not need that.
    monkeypatch.chdir(tmp_path)
    notes = Notes()
    try:
        with as_nobody():
            assert walked("scans", notes=notes) == ["scans/a.png"]
    finally:
        (tmp_path / "scans/secret").chmod(0o755)
    assert notes == Notes(Counter(), {"scans/secret": "Permission denied"})


@pytest.mark.parametrize("by", ["nothing", "a file"])
def test_a_folder_that_is_replaced_while_it_is_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    wanted = touch(tmp_path / "a.png", tmp_path / "stays/b.png")
    touch(tmp_path / "goes/c.png")
    listed = module._local_entries

    def replaced_before(folder: str, wanted: Wanted) -> Iterator[list[str] | Entry]:
        if folder.endswith("goes"):
            shutil.rmtree(folder)
            if by == "a file":
                Path(folder).touch()
        return listed(folder, wanted)

    monkeypatch.setattr(module, "_local_entries", replaced_before)
    notes = Notes()
    assert walked(tmp_path, notes=notes) == wanted
    goes = str(tmp_path / "goes")
    assert notes.unlisted == ({} if by == "nothing" else {goes: "Not a directory"})


def test_a_listing_that_breaks_off_keeps_what_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: str, wanted: Wanted) -> Iterator[list[str] | Entry]:
        yield [f"{folder}/a.png"]
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "_local_entries", broken)
    notes = Notes()
    assert walked(tmp_path, notes=notes) == [str(tmp_path / "a.png")]
    assert notes.unlisted == {str(tmp_path): "Input/output error"}


def test_what_is_no_error_of_a_file_system_is_not_swallowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fsspec's file systems raise need not be an OSError; files must not just be missing."""

    def broken(folder: str, wanted: Wanted) -> Iterator[list[str] | Entry]:
        yield [f"{folder}/a.png"]
        raise RuntimeError("403 Forbidden")

    monkeypatch.setattr(module, "_local_entries", broken)
    notes = Notes()
    with contextlib.suppress(RuntimeError):
        walked(tmp_path, notes=notes)
        assert notes.unlisted == {str(tmp_path): "403 Forbidden"}


def test_folders_are_listed_in_parallel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four folders, of which each waits for all the others to be listed as well."""
    wanted = touch(*(tmp_path / f"{k}/a.png" for k in range(4)))
    listed, together = module._local_entries, threading.Barrier(4)

    def slow(folder: str, wanted: Wanted) -> Iterator[list[str] | Entry]:
        if folder != str(tmp_path):
            together.wait(20)
        return listed(folder, wanted)

    monkeypatch.setattr(module, "_local_entries", slow)
    monkeypatch.setattr(module, "WORTH_SECONDS", -1)
    assert walked(tmp_path) == wanted


def test_the_walk_waits_for_whoever_takes_its_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads_before: set[threading.Thread]
) -> None:
    listed = 0

    def endless(folder: str, wanted: Wanted) -> Iterator[list[str] | Entry]:
        nonlocal listed
        while True:
            listed += 1
            yield [f"{folder}/{listed}.png"]

    monkeypatch.setattr(module, "_local_entries", endless)
    monkeypatch.setattr(module, "BATCH", 10)
    monkeypatch.setattr(module, "WAITING", 2)
    batches = walk([str(tmp_path)], is_png, Notes())
    assert len(next(batches)) == 10
    time.sleep(0.3)
    # One batch was taken, two wait in the queue, one in the thread.
    assert listed <= 40
    batches.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= threads_before


def test_a_walk_that_is_dropped_ends_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads_before: set[threading.Thread]
) -> None:
    touch(*(tmp_path / f"{a}/{b}.png" for a in range(12) for b in range(100)))
    monkeypatch.setattr(module, "BATCH", 10)
    monkeypatch.setattr(module, "WAITING", 1)
    batches = walk([str(tmp_path)], is_png, Notes())
    assert next(batches)
    assert set(threading.enumerate()) > threads_before
    start = time.monotonic()
    del batches
    assert time.monotonic() - start < 5
    assert set(threading.enumerate()) <= threads_before


def test_a_walk_that_is_dropped_ends_where_no_file_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "scans/a.png", tmp_path / "notes/a.txt")
    listed, end = module._local_entries, time.monotonic() + 2

    def long(folder: str, wanted: Wanted) -> Iterator[list[str] | Entry]:
        if not folder.endswith("notes"):
            yield from listed(folder, wanted)
            return
        while time.monotonic() < end:
            yield "a.txt", f"{folder}/a.txt", module.FILE

    monkeypatch.setattr(module, "_local_entries", long)
    monkeypatch.setattr(module, "WORTH_SECONDS", -1)  # another thread takes that folder
    batches = walk([str(tmp_path)], is_png, Notes())
    assert next(batches) == [str(tmp_path / "scans/a.png")]
    batches.close()  # type: ignore[attr-defined]
    assert time.monotonic() < end


def test_a_program_that_fails_amid_a_walk_ends(tmp_path: Path) -> None:
    """The traceback that is kept holds the generator, so that nobody closes it."""
    touch(*(tmp_path / f"{k}.png" for k in range(100)))
    program = (
        "import sys\n"
        "from digitrec.inputs import walk\n"
        "walk.BATCH, walk.WAITING = 10, 1\n"
        "def main():\n"
        "    batches = walk.walk([sys.argv[1]], lambda name: True, walk.Notes())\n"
        "    next(batches)\n"
        "    1 / 0\n"
        "main()\n"
    )
    try:
        ended = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], timeout=8, stderr=subprocess.PIPE
        )
    except subprocess.TimeoutExpired:
        pytest.fail("it did not end")
    assert ended.returncode == 1
    assert b"ZeroDivisionError" in ended.stderr


def test_a_farm_of_links_gives_every_file_once(tmp_path: Path) -> None:
    for k in range(100):
        touch(tmp_path / f"store/{k}/a.png")
        (tmp_path / f"scans/{k}").parent.mkdir(exist_ok=True)
        (tmp_path / f"scans/{k}").symlink_to(tmp_path / f"store/{k}")
    assert walked(tmp_path / "scans") == sorted(
        str(tmp_path / f"scans/{k}/a.png") for k in range(100)
    )


@pytest.fixture
def memory(request: pytest.FixtureRequest) -> Iterator[tuple[Remote, str]]:
    """A folder of fsspec's memory: its filesystem, and its path."""
    remote, folder = open_uri(f"memory://{request.node.name}")
    assert remote is not None
    yield remote, folder
    with contextlib.suppress(FileNotFoundError):
        fsspec.filesystem("memory").rm(folder, recursive=True)


def test_a_remote_folder_is_walked_as_one_of_this_machine(memory: tuple[Remote, str]) -> None:
    remote, folder = memory
    names = ["a.png", "deep/er/b.png", ".c.png", ".d/e.png", "deep/notes.txt", "x.png/f.png"]
    own = ["r/_run.json", "r/_chunks/1.png", "r/_2.png", "r/part-0.parquet"]
    for name in (*names, *own, "_y/_z.png"):
        fsspec.filesystem("memory").pipe(f"{folder}/{name}", OURS.encode())
    notes = Notes()
    paths = [path for batch in walk_remote(remote, folder, is_png, notes) for path in batch]
    assert sorted(paths) == [
        f"{folder}/{name}" for name in ("_y/_z.png", "a.png", "deep/er/b.png", "x.png/f.png")
    ]
    own_counts = {"_chunks/": 1, ".png": 1, ".json": 1, ".parquet": 1}
    assert notes == Notes(Counter({"hidden": 1, ".d/": 1, ".txt": 1, **own_counts}), {})


def test_a_remote_folder_that_is_not_there_gives_nothing(memory: tuple[Remote, str]) -> None:
    remote, folder = memory
    notes = Notes()
    assert list(walk_remote(remote, f"{folder}/nowhere", is_png, notes)) == []
    assert notes == Notes()


def test_a_remote_folder_that_fails_lastingly_is_noted(
    memory: tuple[Remote, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote, folder = memory
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe(f"{folder}/a.png", b"")
    filesystem.pipe(f"{folder}/secret/b.png", b"")
    listed = type(filesystem).find

    def refused(self: object, path: str, *args: object, **options: object) -> object:
        if path.endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return listed(self, path, *args, **options)

    monkeypatch.setattr(type(filesystem), "find", refused)
    notes = Notes()
    paths = [path for batch in walk_remote(remote, folder, is_png, notes) for path in batch]
    assert paths == [f"{folder}/a.png"]
    assert list(notes.unlisted.values()) == ["Permission denied"]
