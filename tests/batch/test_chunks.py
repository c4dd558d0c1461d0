from itertools import chain
from pathlib import Path

import pytest

from digitrec.batch.chunks import (
    Chunk,
    chunk_numbers,
    cut,
    ramp,
    read_chunk,
    read_end,
    write_chunk,
)
from digitrec.batch.listing import Listing, list_chunks
from digitrec.inputs.units import Found
from digitrec.storage.folder import Folder, open_folder


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
    return list(chain(*(read_chunk(folder, number).shown for number in chunk_numbers(folder))))


def listing(given: Path | str, *done: int) -> Listing:
    return Listing(inputs=(str(given),), done=frozenset(done), size=few)


def test_chunks_grow_and_are_sorted() -> None:
    names = [f"{k:05d}" for k in range(7000)]
    chunks = list(cut([Found(names[4000:]), Found(names[:4000])], 1))
    assert [chunk.number for chunk in chunks] == list(range(1, 1 + len(chunks)))
    assert [len(chunk) for chunk in chunks[:-1]] == [ramp(c.number) for c in chunks[:-1]]
    assert [len(chunk) for chunk in chunks[:4]] == [512, 512, 512, 1024]
    assert sorted(chain(*(chunk.shown for chunk in chunks))) == names
    assert all(chunk.shown == sorted(chunk.shown) for chunk in chunks)
    assert ramp(1000) == ramp(10**9) == 8192


def test_small_row_groups_make_a_chunk_together() -> None:
    groups = [Found(["2", "1"], "s", 7), Found(["b"]), Found(["1"], "s", 8), Found(["a"])]
    assert list(cut(groups, 0, few)) == [
        Chunk(0, (groups[0], groups[2])),
        Chunk(1, (Found(["a", "b"]),)),
    ]
    many = [Found(["x"] * 100, "s", k) for k in range(200)]
    chunks = list(cut(many, 1000))
    assert [len(chunk) for chunk in chunks] == [8200, 8200, 3600]
    assert [piece for chunk in chunks for piece in chunk.pieces] == many


NAMES = ["a b\n.png", "back\\slash", "not\udcffutf8", "s3://b/ü?.png#x"]


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (Found(NAMES),),
        (Found(NAMES, "shard", 12, 5),),
        (Found(["x"] * 4, "not\udcffutf8", 0), Found(["x"], "s", 3, 7), Found(["x"], "s", 3, 9)),
    ],
    ids=["empty", "files", "rows", "several"],
)
def test_a_chunk_is_kept_as_it_is(folder: Folder, pieces: tuple[Found, ...]) -> None:
    write_chunk(folder, Chunk(4, pieces))
    assert read_chunk(folder, 4) == Chunk(4, pieces)


def test_some_units_of_a_chunk() -> None:
    chunk = Chunk(1, (Found(["a", "b"]), Found(["p", "q", "r"], "s", 2, 10)))
    assert chunk.only([True] * 5) == chunk
    assert chunk.only([False, True, True, False, True]) == Chunk(
        1, (Found(["b"]), Found(["p"], "s", 2, 10), Found(["r"], "s", 2, 12))
    )
    assert chunk.only([False] * 5) == Chunk(1, ())


def test_a_listing_is_kept_and_comes_again(scans: Path, folder: Folder) -> None:
    assert list(list_chunks(folder, listing(scans))) == [0, 1, 2, 3]
    assert sorted(paths(folder)) == [f"{scans}/{k}.png" for k in range(10)]
    end = read_end(folder)
    assert end
    assert (end.chunks, end.inputs, end.ignored, end.unlisted) == (4, 10, {".txt": 1}, {})
    (scans / "new.png").touch()  # a finished listing is not made again
    assert list(list_chunks(folder, listing(scans, 1, 3))) == [0, 2]


@pytest.mark.parametrize("stopped_after", [1, 2, 4])
def test_a_listing_that_broke_off_goes_on_and_lists_nothing_twice(
    scans: Path, folder: Folder, stopped_after: int
) -> None:
    numbers = list_chunks(folder, listing(scans))
    assert [next(numbers) for _ in range(stopped_after)] == list(range(stopped_after))
    numbers.close()
    before = [read_chunk(folder, number) for number in range(stopped_after)]
    assert read_end(folder) is None
    assert list(list_chunks(folder, listing(scans))) == [0, 1, 2, 3]
    assert [read_chunk(folder, number) for number in range(stopped_after)] == before
    assert sorted(paths(folder)) == [f"{scans}/{k}.png" for k in range(10)]
    end = read_end(folder)
    assert end
    assert end.inputs == 10


def test_relative_paths_are_known_again(
    scans: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scans.parent)
    numbers = list_chunks(folder, listing("scans"))
    next(numbers)
    numbers.close()
    assert list(list_chunks(folder, listing("scans"))) == [0, 1, 2, 3]
    assert sorted(paths(folder)) == [f"scans/{k}.png" for k in range(10)]
