import os
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from digitrec.errors import InputError
from digitrec.inputs import walk
from digitrec.inputs.decode import FORMATS
from digitrec.inputs.dedup import Seen
from digitrec.inputs.listing import (
    SCAN_ENDINGS,
    Listing,
    is_scan_name,
    keys,
    list_inputs,
    sort_inputs,
    stream_inputs,
)
from digitrec.inputs.units import Found
from digitrec.inputs.walk import BATCH, Notes
from digitrec.storage.paths import readable
from tests.inputs.test_tables import LISTS, write_list, write_shard


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def streamed(*inputs: Path | str, seen: Seen | None = None) -> list[str]:
    """Give all paths of some inputs as they come."""
    found = stream_inputs([str(given) for given in inputs], Notes(), seen)
    return [path for one in found for path in one.paths]


def test_a_folder_gives_its_images_and_counts_the_rest(tmp_path: Path) -> None:
    wanted = [
        touch(tmp_path / name)
        for name in ("a.png", "deep/er/B.TIFF", "c.pgm", "x.png/d.gif", "_x.png", "_parts/e.JFIF")
    ]
    for name in ("notes.txt", "deep/list.csv", "deep/more.csv", "README", ".hidden.png"):
        touch(tmp_path / name)
    touch(tmp_path / ".git/f.png")
    listing = list_inputs([str(tmp_path)])
    assert listing.paths == sorted(map(str, wanted))
    assert listing.ignored == {"": 1, ".csv": 2, ".git/": 1, ".txt": 1, "hidden": 1}


def test_inputs_have_the_endings_of_all_that_is_read() -> None:
    Image.init()
    read = {ending for ending, kind in Image.registered_extensions().items() if kind in FORMATS}
    assert read == SCAN_ENDINGS
    for ending in read:
        assert is_scan_name(f"_MG 1{ending.upper()}")
        assert not is_scan_name(f"x{ending}x")
    assert not is_scan_name("png")


def test_links_are_followed_once_and_loops_cut(tmp_path: Path) -> None:
    real = touch(tmp_path / "scans/a.png")
    (tmp_path / "scans/again").symlink_to(tmp_path / "scans")
    (tmp_path / "aaa").symlink_to(tmp_path / "scans")
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    elsewhere = touch(tmp_path.parent / f"{tmp_path.name}-elsewhere/b.png")
    (tmp_path / "out").symlink_to(elsewhere.parent)
    listing = list_inputs([str(tmp_path)])
    assert listing.paths == sorted([str(real), str(tmp_path / "out/b.png")])
    assert listing.ignored == {".png": 2}


def test_a_file_named_by_itself_is_a_scan_whatever_its_name(tmp_path: Path) -> None:
    letter = touch(tmp_path / "letter.doc")
    hidden = touch(tmp_path / "_x.png")
    picture = touch(tmp_path / "a.png")
    (tmp_path / "broken.png").symlink_to("nowhere")
    inputs = [str(letter), str(tmp_path), str(picture), str(hidden), f"{tmp_path}/broken.png"]
    assert list_inputs(inputs).paths == [
        str(hidden),
        str(picture),
        str(tmp_path / "broken.png"),
        str(letter),
    ]


@pytest.mark.parametrize("ending", LISTS)
def test_a_list_named_by_itself_is_the_paths_in_it(tmp_path: Path, ending: str) -> None:
    picture = touch(tmp_path / "scans/two words.png")
    paths = ["scans/two words.png", str(picture), "scans/gone.png", "scans/two words.png", "x.doc"]
    table = write_list(tmp_path / f"list.{ending}", paths)
    for inputs in ([table], [table, str(tmp_path / "scans"), table]):
        # What a list names is a scan, whether it is there or not.
        assert list_inputs(inputs) == Listing(
            [str(tmp_path / name) for name in ("scans/gone.png", "scans/two words.png", "x.doc")],
            {},
        )


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "a.parquet", "shards-0.parquet"])
def test_a_list_within_a_folder_is_no_input(tmp_path: Path, name: str) -> None:
    touch(tmp_path / name)
    assert list_inputs([str(tmp_path)]) == Listing([], {Path(name).suffix: 1})


def test_a_folder_is_a_folder_whatever_its_name(tmp_path: Path) -> None:
    for name in ("a.txt", "b.csv", "c.parquet", "d.png"):
        touch(tmp_path / name / "1.png")
        assert streamed(tmp_path / name) == [str(tmp_path / name / "1.png")]


@pytest.mark.parametrize("given", ["nowhere", "nowhere/", "*.gif", "deep/nowhere.txt"])
def test_what_is_not_there_is_said(tmp_path: Path, given: str) -> None:
    touch(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"no file or folder .*/"):
        list_inputs([str(tmp_path), str(tmp_path / given)])


def test_what_is_not_there_is_said_before_anything_is_given(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"no file or folder .*nowhere"):
        next(stream_inputs([str(tmp_path), str(tmp_path / "nowhere")], Notes()))


def test_a_parquet_file_without_paths_is_said(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"files": ["a.png"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="no column path"):
        list_inputs([str(tmp_path / "a.parquet")])


def test_globs_give_files_folders_and_lists(tmp_path: Path) -> None:
    for name in ("a1.png", "a2.PNG", "b.png", "a3/x.png", ".a4.png", "notes.doc", "deep/er/c.png"):
        touch(tmp_path / name)
    write_list(tmp_path / "a5.csv", ["b.png"])
    assert sorted(streamed(tmp_path / "a?.*")) == [
        str(tmp_path / name) for name in ("a1.png", "a2.PNG", "b.png")
    ]
    assert sorted(streamed(tmp_path / "a[13]*")) == [
        str(tmp_path / name) for name in ("a1.png", "a3/x.png")
    ]
    assert sorted(streamed(tmp_path / "**/[a-c].png")) == [
        str(tmp_path / name) for name in ("b.png", "deep/er/c.png")
    ]


def test_what_is_there_is_no_glob(tmp_path: Path) -> None:
    odd = touch(tmp_path / "a[12].png")
    touch(tmp_path / "a1.png")
    assert streamed(odd) == [str(odd)]
    inside = touch(tmp_path / "b[1]*/c.png")
    touch(tmp_path / "b1/d.png")
    assert streamed(inside.parent) == [str(inside)]


def test_overlapping_inputs_give_each_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "scans/a/1.png")
    touch(tmp_path / "scans/2.png")
    monkeypatch.chdir(tmp_path)
    write_list(Path("list.txt"), ["scans/2.png", "scans/a/1.png"])
    inputs = [
        *("scans", "scans/a", "./scans", "scans/", str(tmp_path / "scans"), "scans/a/1.png"),
        *("./scans/2.png", str(tmp_path / "scans/2.png"), "scan*", "list.txt"),
        str(tmp_path / "list.txt"),
    ]
    for given in (inputs, inputs[::-1]):
        paths = streamed(*given)
        assert sorted(map(os.path.abspath, paths)) == [
            str(tmp_path / name) for name in ("scans/2.png", "scans/a/1.png")
        ]


@pytest.mark.parametrize("again", ["x/../a.png", "./a.png", "x//../a.png"])
def test_a_path_by_another_way_is_the_same(tmp_path: Path, again: str) -> None:
    """A list in one folder with `../scans/a.png` is how this comes about."""
    touch(tmp_path / "a.png")
    touch(tmp_path / "x/b.doc")
    table = write_list(tmp_path / "list.txt", [again])
    assert len(streamed(tmp_path, table)) == 1
    assert len(streamed(tmp_path / "a.png", f"{tmp_path}/{again}")) == 1


def test_what_came_before_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "c.png"):
        touch(tmp_path / "scans" / name)
    seen = Seen()
    seen.fresh([str(tmp_path / "scans/b.png")])
    assert sorted(streamed("scans", seen=seen)) == ["scans/a.png", "scans/c.png"]
    assert streamed("scans", str(tmp_path / "scans"), seen=seen) == []
    touch(tmp_path / "scans/d.png")
    assert streamed(tmp_path / "scans", seen=seen) == [str(tmp_path / "scans/d.png")]


def test_thousands_of_files_and_folders_come_once(tmp_path: Path) -> None:
    names = [f"big/{k}.png" for k in range(2 * BATCH + 7)]
    names += [f"tree/{k % 20}/{k % 60}/{k}.png" for k in range(600)]
    for folder in {os.path.dirname(name) for name in names}:
        (tmp_path / folder).mkdir(parents=True)
    for name in names:
        (tmp_path / name).touch()
    found = list(stream_inputs([str(tmp_path)], Notes()))
    assert all(len(one) < 2 * BATCH and one.shard is None for one in found)
    assert sorted(path for one in found for path in one.paths) == sorted(
        str(tmp_path / name) for name in names
    )


def test_a_stream_that_is_dropped_ends_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k in range(300):
        (tmp_path / f"{k}.png").touch()
    monkeypatch.setattr(walk, "BATCH", 10)
    monkeypatch.setattr(walk, "WAITING", 1)
    threads = set(threading.enumerate())
    found = stream_inputs([str(tmp_path)], Notes())
    assert len(next(found).paths) == 10
    assert set(threading.enumerate()) > threads
    del found
    assert set(threading.enumerate()) <= threads


def test_a_folder_that_can_not_be_listed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "a.png")
    touch(tmp_path / "deep/b.png")
    listed = walk._local_entries

    def failing(folder: str, wanted: walk.Wanted) -> Iterator[list[str] | walk.Entry]:
        if folder.endswith("deep"):
            raise OSError(5, "Input/output error")
        return listed(folder, wanted)

    monkeypatch.setattr(walk, "_local_entries", failing)
    with pytest.raises(InputError, match=r"folder .*/deep can't be listed: Input/output error"):
        list_inputs([str(tmp_path)])


def test_any_name_is_listed_and_written_readably(tmp_path: Path) -> None:
    names = [b"two words.png", b"new\nline.png", b"not\xffutf8.png", b"back\\slash.png"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(b"")
    listing = list_inputs([str(tmp_path)])
    assert sorted(os.fsencode(os.path.basename(path)) for path in listing.paths) == sorted(names)
    assert {readable(os.path.basename(path)) for path in listing.paths} == {
        "two words.png",
        "new\nline.png",
        "not\\xffutf8.png",
        "back\\\\slash.png",
    }


def test_any_ending_is_counted_readably(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"odd.\xfe")).touch()
    assert list_inputs([str(tmp_path)]).ignored == {".\\xfe": 1}


PACKED = '{"command": "pack", "state": "complete"}'


def test_shards_give_their_members_by_row_group(tmp_path: Path) -> None:
    scans: dict[str, bytes | str] = {"a.png": b"1", "b.png": b"2", "c.png": b"3"}
    first = write_shard(tmp_path / "shard-000000.parquet", scans)
    second = write_shard(tmp_path / "shard-000001.parquet", {"a.png": b"4"})
    expected = [
        Found(["a.png", "b.png"], first, 0),
        Found(["c.png"], first, 1),
        Found(["a.png"], second, 0),
    ]
    assert list(stream_inputs([first, second], Notes())) == expected
    # A folder that was packed stands for its shards, whatever else is in it.
    touch(tmp_path / "other.png")
    (tmp_path / "_run.json").write_text(PACKED)
    write_list(tmp_path / "_chunks.parquet", ["/x.png"])
    assert list(stream_inputs([str(tmp_path)], Notes())) == expected
    assert list(stream_inputs([str(tmp_path), first, f"{tmp_path}/shard*"], Notes())) == expected
    assert sort_inputs([str(tmp_path)]).tables == [first, second]
    (tmp_path / "_run.json").write_text('{"command": "pack", "state": "running"}')
    with pytest.raises(InputError, match="is not packed to the end"):
        sort_inputs([str(tmp_path)])
    # Any other folder holds files.
    (tmp_path / "_run.json").write_text('{"command": "classify"}')
    assert streamed(str(tmp_path)) == [f"{tmp_path}/other.png"]


def test_of_a_shard_what_came_before_is_left_out_by_row_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scans: dict[str, bytes | str] = {"a.png": b"1", "b.png": b"2", "c.png": b"3"}
    shard = write_shard(tmp_path / "shard-000000.parquet", scans)
    seen = Seen()
    seen.fresh(keys(Found(["a.png", "b.png"], shard, 0)))
    found = list(stream_inputs(["shard-000000.parquet"], Notes(), seen))
    assert found == [Found(["c.png"], "shard-000000.parquet", 1)]
    assert list(stream_inputs([shard], Notes(), seen)) == []


def test_files_folders_and_lists_behind_uris(memory: str, tmp_path: Path) -> None:
    filesystem = fsspec.filesystem("memory")
    for name in ("a.png", "deep/b #1 50%.PNG", ".c.png", ".d/e.png", "letter.doc"):
        filesystem.pipe(f"{memory}/{name}", b"")
    table = write_list(tmp_path / "list.csv", ["a.png", "deep/gone.png", "/here.png"])
    filesystem.pipe(f"{memory}/lists/list.csv", Path(table).read_bytes())
    notes = Notes()
    found = list(stream_inputs([memory], notes))
    assert sorted(path for one in found for path in one.paths) == [
        f"{memory}/a.png",
        f"{memory}/deep/b #1 50%.PNG",
    ]
    assert notes.ignored == {"hidden": 1, ".d/": 1, ".doc": 1, ".csv": 1}
    assert streamed(f"{memory}/letter.doc", f"{memory}/deep/") == [
        f"{memory}/deep/b #1 50%.PNG",
        f"{memory}/letter.doc",
    ]
    assert streamed(f"{memory}/lists/list.csv") == [
        f"{memory}/lists/a.png",
        f"{memory}/lists/deep/gone.png",
        "/here.png",
    ]
    assert len(streamed(memory, f"{memory}/deep", f"{memory}/a.png", memory)) == 2


def test_shards_behind_uris(memory: str, tmp_path: Path) -> None:
    file = Path(write_shard(tmp_path / "a", {"1.png": b"1", "2.png": b"2", "3.png": b"3"}))
    for k in range(2):
        fsspec.filesystem("memory").pipe(f"{memory}/shard-00000{k}.parquet", file.read_bytes())
    fsspec.filesystem("memory").pipe(f"{memory}/other.png", b"")
    fsspec.filesystem("memory").pipe(f"{memory}/_run.json", PACKED.encode())
    found = list(stream_inputs([memory], Notes()))
    assert [(len(one), one.row_group) for one in found] == [(2, 0), (1, 1), (2, 0), (1, 1)]
    assert found[2].shown[0] == f"{memory}/shard-000001.parquet#1.png"


def test_what_is_not_behind_a_uri_is_said(memory: str) -> None:
    with pytest.raises(InputError, match=f"no file or folder {memory}/nowhere"):
        list_inputs([f"{memory}/nowhere"])
    with pytest.raises(InputError, match="nosuch://bucket can't be opened"):
        list_inputs(["nosuch://bucket"])


def test_file_uris_are_paths_of_this_machine(tmp_path: Path) -> None:
    picture = touch(tmp_path / "scans/two words.png")
    assert streamed(f"file://{tmp_path}/scans", picture) == [str(picture)]
    assert streamed(f"file://{tmp_path}/scans/two%20words.png", tmp_path) == [str(picture)]


def test_a_file_uri_of_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        list_inputs([f"file://{tmp_path}/nowhere"])


def test_a_folder_behind_a_uri_that_can_not_be_listed_is_said(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe(f"{memory}/deep/a.png", b"")
    find = type(filesystem).find

    def failing(self: object, path: str, *args: object, **options: object) -> object:
        if path.endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return find(self, path, *args, **options)

    monkeypatch.setattr(type(filesystem), "find", failing)
    with pytest.raises(InputError, match=f"folder {memory}/deep can't be listed: Permission den"):
        list_inputs([memory])
