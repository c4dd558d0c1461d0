import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitrec.batch import run as run_module
from digitrec.batch.chunks import chunk_numbers, ramp, read_chunk, read_end
from digitrec.batch.listing import Listing, list_chunks, list_share
from digitrec.batch.manifest import clear, forget_chunk, write_run
from digitrec.batch.pack import pack
from digitrec.batch.run import RunSettings
from digitrec.batch.shares import PLAN, UNSHARED, Plan, forget_end, make_plan
from digitrec.batch.verify import verify
from digitrec.inputs.listing import list_inputs
from digitrec.inputs.options import InputOptions
from digitrec.storage.folder import Folder, open_folder


def few(number: int) -> int:
    return 3


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Four folders of five scans each; two scans and a text beside them."""
    folder = tmp_path / "scans"
    for name in "abcd":
        (folder / name / "inner").mkdir(parents=True)
        for k in range(5):
            (folder / name / ("inner" if k > 3 else "") / f"{k}.png").touch()
    for name in ("1.png", "2.png", "notes.txt"):
        (folder / name).touch()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return open_folder(tmp_path / "result")


def listing(
    *given: Path | str, update: bool = False, done: frozenset[int] = frozenset()
) -> Listing:
    return Listing(inputs=tuple(map(str, given)), size=few, update=update, done=done)


def units(folder: Folder) -> list[str]:
    return list(chain(*(read_chunk(folder, number).shown for number in chunk_numbers(folder))))


def shared(folder: Folder, listing: Listing, most: int = 3) -> list[int]:
    plan = make_plan(folder, listing.inputs, most)
    assert plan.count > 1
    return list(list_chunks(folder, listing, plan))


def assert_each_once(folder: Folder, *given: Path) -> None:
    assert sorted(units(folder)) == list_inputs(list(map(str, given))).paths
    end = read_end(folder)
    assert end
    assert (end.inputs, end.chunks) == (len(units(folder)), len(chunk_numbers(folder)))


def test_folders_are_dealt_out_and_numbered_apart(scans: Path, folder: Folder) -> None:
    numbers = shared(folder, listing(*(scans / name for name in "abcd")))
    plan = make_plan(folder, (), 1)  # kept, whoever asks
    assert plan.folders == ((f"{scans}/a", f"{scans}/d"), (f"{scans}/b",), (f"{scans}/c",))
    assert numbers == [0, 4, 8, 12, 1, 5, 2, 6]
    for number in numbers:
        for path in read_chunk(folder, number).shown:
            assert str(Path(path.replace("/inner", "")).parent) in plan.folders[number % 4]
    assert_each_once(folder, *(scans / name for name in "abcd"))


def test_of_one_folder_those_in_it_are_dealt_out(scans: Path, folder: Folder) -> None:
    (scans / "_own").mkdir()
    (scans / "_own" / "3.png").touch()
    (scans / ".hidden").mkdir()
    shared(folder, listing(scans))
    assert_each_once(folder, scans)
    end = read_end(folder)
    assert end
    assert end.ignored == {".hidden/": 1, ".txt": 1}
    last = [
        name for n in chunk_numbers(folder) if n % 4 == 3 for name in read_chunk(folder, n).shown
    ]
    assert last == [f"{scans}/1.png", f"{scans}/2.png", f"{scans}/_own/3.png"]


def test_the_last_share_waits_for_what_others_leave_it(scans: Path, folder: Folder) -> None:
    """Two folders lead to one that neither has, and one into the other."""
    away = scans.parent / "away"
    away.mkdir()
    (away / "9.png").touch()
    (scans / "a" / "out").symlink_to(away)
    (scans / "b" / "out").symlink_to(away)
    (scans / "b" / "in").symlink_to(scans / "a" / "inner")
    (away / "back").symlink_to(scans)
    shared(folder, listing(scans / "a", scans / "b"))
    real = Counter(map(os.path.realpath, units(folder)))
    assert set(real.values()) == {1}
    assert set(real) == {str(path) for path in [*scans.rglob("*.png"), away / "9.png"]}


def test_links_are_left_where_none_are_followed(scans: Path, folder: Folder) -> None:
    away = scans.parent / "away"
    away.mkdir()
    (away / "9.png").touch()
    (scans / "a" / "out").symlink_to(away)
    options = InputOptions(follow_links=False)
    inputs = (f"{scans}/a", f"{scans}/b")
    list(list_chunks(folder, Listing(inputs=inputs, options=options), make_plan(folder, inputs, 2)))
    assert len(units(folder)) == 10
    end = read_end(folder)
    assert end
    assert end.ignored == {"links": 1}


@pytest.mark.parametrize(
    "given",
    [["a", "a/inner"], ["a", "b", "1.png"], ["a", "b", "list.csv"], ["a", "again"], ["a"], ["."]],
    ids=["nested", "a file", "a list", "one in two ways", "flat", "one in it"],
)
def test_what_may_be_reached_twice_is_one_share(
    scans: Path, folder: Folder, given: list[str]
) -> None:
    (scans / "list.csv").write_text("path\na/1.png\n")
    if given == ["."]:
        for name in "bcd":
            shutil.rmtree(scans / name)
    (scans / "again").symlink_to(scans / "a")
    inputs = tuple(os.path.join(scans, name) for name in given)
    if given == ["a"]:
        (scans / "a" / "inner").rename(scans / "elsewhere")
    assert make_plan(folder, inputs, 4) == UNSHARED


@pytest.mark.parametrize("stopped_after", range(0, 9, 2))
def test_shares_that_broke_off_go_on(scans: Path, folder: Folder, stopped_after: int) -> None:
    told = listing(scans)
    plan = make_plan(folder, told.inputs, 3)
    numbers = [next(numbers) for numbers in begun(folder, told, plan)]
    for share, numbers_of_it in enumerate(begun(folder, told, plan)):
        for _ in range(stopped_after - share):
            next(numbers_of_it, None)
    before = {number: read_chunk(folder, number) for number in chunk_numbers(folder)}
    assert read_end(folder) is None
    done = frozenset(numbers)
    assert set(shared(folder, listing(scans, done=done))) == set(chunk_numbers(folder)) - done
    assert before.items() <= {n: read_chunk(folder, n) for n in chunk_numbers(folder)}.items()
    assert_each_once(folder, scans)


def begun(folder: Folder, told: Listing, plan: Plan) -> list[Iterator[int]]:
    """Begin all shares but the last, which would wait."""
    return [list_share(folder, told, plan, share) for share in range(plan.count - 1)]


def test_what_is_new_and_gone_is_found_in_every_share(scans: Path, folder: Folder) -> None:
    shared(folder, listing(scans))
    (scans / "a" / "7.png").touch()
    (scans / "e").mkdir()
    (scans / "e" / "1.png").touch()
    shutil.rmtree(scans / "c")
    (scans / "2.png").unlink()
    forget_end(folder)
    plan = make_plan(folder, (str(scans),), 3)
    list(list_chunks(folder, listing(scans, update=True), plan))
    assert_each_once(folder, scans)
    end = read_end(folder)
    assert end
    assert (end.new, end.gone) == (2, 6)


def test_folders_that_are_apart_no_more_become_one_share(scans: Path, folder: Folder) -> None:
    shared(folder, listing(scans))
    shutil.rmtree(scans / "b")
    (scans / "b").symlink_to(scans / "a")
    forget_end(folder)
    plan = make_plan(folder, (str(scans),), 3)
    assert plan == UNSHARED
    list(list_chunks(folder, listing(scans, update=True), plan))
    assert_each_once(folder, scans)
    assert make_plan(folder, (str(scans),), 3) == UNSHARED


def test_a_chunk_that_is_forgotten_is_listed_again(scans: Path, folder: Folder) -> None:
    numbers = shared(folder, listing(scans))
    for number in numbers[::2]:
        forget_chunk(folder, number)
    shared(folder, listing(scans))
    assert_each_once(folder, scans)


def test_a_damaged_plan_is_none(scans: Path, folder: Folder) -> None:
    shared(folder, listing(scans))
    folder.write(PLAN, b"{")
    forget_end(folder)
    assert make_plan(folder, (str(scans),), 3) == UNSHARED
    list(list_chunks(folder, listing(scans)))
    assert_each_once(folder, scans)


def test_nothing_is_left_of_it_when_a_result_is_cleared(scans: Path, folder: Folder) -> None:
    shared(folder, listing(scans))
    write_run(folder, {"state": "running"})
    clear(folder)
    assert folder.names("_chunks") == []


def test_first_chunks_are_small_in_every_share(tmp_path: Path, folder: Folder) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for k in range(3000):
            (tmp_path / name / f"{k}.png").touch()
    inputs = (str(tmp_path / "a"), str(tmp_path / "b"))
    plan = make_plan(folder, inputs, 2)
    for number in list_chunks(folder, Listing(inputs=inputs), plan):
        assert len(read_chunk(folder, number)) in (ramp(number // 3), 3000 - 4 * 512)


@pytest.mark.usefixtures("ray_local")
def test_ray_lists_shares_side_by_side(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from digitrec.batch import ray_data

    monkeypatch.setattr(run_module, "SMALL", 0)
    monkeypatch.setattr(ray_data, "CPUS_PER_SHARE", 1)
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "9.png").touch()
    (scans / "a" / "out").symlink_to(tmp_path / "away")
    settings = RunSettings(inputs=(str(scans),), out=str(tmp_path / "shards"), quiet=True)
    assert pack(settings).run["counts"]["rows"] == 23
    result = open_folder(settings.out)
    assert {number % 3 for number in chunk_numbers(result)} == {0, 1, 2}
    assert_each_once(result, scans)
    (scans / "c" / "7.png").touch()
    (scans / "b" / "0.png").unlink()
    shutil.rmtree(scans / "d")
    run = pack(replace(settings, update=True)).run
    assert run["again"] == {"new": 1, "changed": 0, "gone": 6}
    assert run["counts"]["rows"] == 18
    assert verify(settings.out, look=True).problems == []


LINKS = st.lists(st.tuples(*[st.sampled_from("abcdx")] * 2), max_size=8)


@settings(deadline=None, max_examples=50)
@given(links=LINKS, most=st.integers(2, 5))
def test_whatever_links_there_are_each_scan_is_listed_once(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[str, str]], most: int
) -> None:
    root = tmp_path_factory.mktemp("linked")
    for name in "abcdx":
        (root / "scans" / name).mkdir(parents=True)
        (root / "scans" / name / "1.png").touch()
    (root / "scans" / "x").rename(root / "x")
    (root / "scans" / "x").symlink_to(root / "x")
    for k, (here, there) in enumerate(links):
        (root / "scans" / here / f"to{k}").symlink_to((root / "scans" / there).resolve())
    folder, told = open_folder(root / "result"), listing(root / "scans")
    list(list_chunks(folder, told, make_plan(folder, told.inputs, most)))
    alone = list_inputs([str(root / "scans")]).paths
    assert Counter(map(os.path.realpath, units(folder))) == Counter(map(os.path.realpath, alone))
