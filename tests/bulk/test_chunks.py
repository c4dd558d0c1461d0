from itertools import chain
from pathlib import Path

import pytest

from digitrec.bulk.chunks import (
    Chunk,
    chunk_numbers,
    cut,
    list_chunks,
    ramp,
    read_chunk,
    read_end,
    write_chunk,
)
from digitrec.folder import Folder, open_folder
from digitrec.scans.paths import Found

NONE_DONE: frozenset[int] = frozenset()


def few(number: int) -> int:
    return 3


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Ten empty scans and a text."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for k in range(10):
        (folder / f"{k}.png").touch()
    (folder / "notes.txt").touch()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return open_folder(tmp_path / "result")


def paths(folder: Folder) -> list[str]:
    return list(chain(*(read_chunk(folder, number).paths for number in chunk_numbers(folder))))


def test_chunks_grow_and_are_sorted() -> None:
    names = [f"{k:05d}" for k in range(7000)]
    chunks = list(cut([Found(names[4000:]), Found(names[:4000])], 1))
    assert [chunk.number for chunk in chunks] == list(range(1, 1 + len(chunks)))
    assert [len(chunk.paths) for chunk in chunks[:-1]] == [ramp(c.number) for c in chunks[:-1]]
    assert [len(chunk.paths) for chunk in chunks[:4]] == [512, 512, 512, 1024]
    assert sorted(chain(*(chunk.paths for chunk in chunks))) == names
    assert all(chunk.paths == sorted(chunk.paths) for chunk in chunks)
    assert ramp(1000) == ramp(10**9) == 8192


def test_a_row_group_is_a_chunk_of_its_own() -> None:
    found = [Found(["b"]), Found(["s#2", "s#1"], 7), Found(["a"])]
    assert list(cut(found, 0)) == [Chunk(0, ["s#2", "s#1"], 7), Chunk(1, ["a", "b"])]


@pytest.mark.parametrize("row_group", [None, 0, 12])
def test_a_chunk_is_kept_as_it_is(folder: Folder, row_group: int | None) -> None:
    chunk = Chunk(4, ["a b\n.png", "back\\slash", "not\udcffutf8", "s3://b/ü?.png#x"], row_group)
    write_chunk(folder, chunk)
    assert read_chunk(folder, 4) == chunk


def test_a_listing_is_kept_and_comes_again(scans: Path, folder: Folder) -> None:
    assert list(list_chunks(folder, [str(scans)], NONE_DONE, few)) == [0, 1, 2, 3]
    assert sorted(paths(folder)) == [f"{scans}/{k}.png" for k in range(10)]
    end = read_end(folder)
    assert end
    assert (end.chunks, end.inputs, end.ignored, end.unlisted) == (4, 10, {".txt": 1}, {})
    (scans / "new.png").touch()  # a finished listing is not made again
    assert list(list_chunks(folder, [str(scans)], frozenset({1, 3}), few)) == [0, 2]


@pytest.mark.parametrize("stopped_after", [1, 2, 4])
def test_a_listing_that_broke_off_goes_on_and_lists_nothing_twice(
    scans: Path, folder: Folder, stopped_after: int
) -> None:
    listing = list_chunks(folder, [str(scans)], NONE_DONE, few)
    assert [next(listing) for _ in range(stopped_after)] == list(range(stopped_after))
    listing.close()
    before = [read_chunk(folder, number) for number in range(stopped_after)]
    assert read_end(folder) is None
    assert list(list_chunks(folder, [str(scans)], NONE_DONE, few)) == [0, 1, 2, 3]
    assert [read_chunk(folder, number) for number in range(stopped_after)] == before
    assert sorted(paths(folder)) == [f"{scans}/{k}.png" for k in range(10)]
    end = read_end(folder)
    assert end
    assert end.inputs == 10


def test_relative_paths_are_known_again(
    scans: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scans.parent)
    listing = list_chunks(folder, ["scans"], NONE_DONE, few)
    next(listing)
    listing.close()
    assert list(list_chunks(folder, ["scans"], NONE_DONE, few)) == [0, 1, 2, 3]
    assert sorted(paths(folder)) == [f"scans/{k}.png" for k in range(10)]
