"""The scans of corrections in a registry: each once, on one side for ever, and out if asked."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from digitrec import cli
from digitrec.datasets.labelled import png
from digitrec.errors import InputError
from digitrec.model.champion import GATE, REMOVAL
from digitrec.registry.additions import add
from digitrec.registry.challenger import folds_of
from digitrec.registry.evidence import SEEN, UNSEEN
from digitrec.registry.pool import (
    TRAINED,
    data_files,
    load,
    read_data,
    read_used,
    used_by,
    write_used,
)
from digitrec.registry.retrain import NOTHING, RetrainSettings, plan
from digitrec.registry.sides import GOLDEN, NEITHER, TRAINS, Members, sides
from digitrec.registry.similar import Views, near_copies
from digitrec.registry.store import DATA, make_registry
from digitrec.storage.folder import Folder, open_folder
from tests.registry.copies import Scan, drawn, forget, write_table


@pytest.fixture(scope="module")
def shown() -> list[tuple[Scan, int]]:
    return drawn(40, seed=3)


@pytest.fixture
def registry(tmp_path: Path) -> Folder:
    return open_folder(tmp_path / "registry")


def table(folder: Path, some: Sequence[tuple[bytes, object, str]]) -> str:
    """Write scans, and a table of what they show and of whose they are."""
    folder.mkdir()
    for k, (content, _, _) in enumerate(some):
        (folder / f"{k}.png").write_bytes(content)
    rows = [(f"{k}.png", label, group) for k, (_, label, group) in enumerate(some)]
    return str(write_table(folder / "corrections.csv", rows))


def of_writers(shown: list[tuple[Scan, int]], writers: int) -> list[tuple[bytes, object, str]]:
    return [(png(scan), label, f"writer {k % writers}") for k, (scan, label) in enumerate(shown)]


def test_the_same_again_adds_nothing(
    registry: Folder, shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    file = table(tmp_path / "given", of_writers(shown, 4))
    added = add(registry, [file])
    assert (added.new, added.known, added.problems) == (40, 0, [])
    before = load(registry)
    again = add(registry, [file])
    assert (again.new, again.known) == (0, 40)
    assert load(registry).id == before.id
    assert len(data_files(registry)) == 1
    assert added.words() == (
        f"corrections  40 new{f' ({added.near} of them near-copies of others)' * bool(added.near)}"
        ": 30 to train, 10 to judge; 0 known"
    )


def test_a_dry_run_writes_nothing(
    registry: Folder, shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    file = table(tmp_path / "given", of_writers(shown, 4))
    assert add(registry, [file], dry_run=True).new == 40
    assert len(load(registry)) == 0


def test_groups_are_whole_and_keep_their_side(
    registry: Folder, shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    given = of_writers(shown, 4)
    add(registry, [table(tmp_path / "first", given[:20])])
    first = load(registry)
    side = dict(zip(first.groups, first.golden, strict=True))
    assert sum(side.values()) == 1
    add(registry, [table(tmp_path / "second", given[20:])])
    second = load(registry)
    assert all(
        side[group] == gold for group, gold in zip(second.groups, second.golden, strict=True)
    )
    assert second.id != first.id


def test_two_groups_are_one_of_each(
    registry: Folder, shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    add(registry, [table(tmp_path / "given", of_writers(shown[:10], 2))])
    assert load(registry).golden.sum() == 5


def test_what_shows_no_digit_is_kept_for_what_it_is(registry: Folder, tmp_path: Path) -> None:
    paper, line = np.full((60, 60), 245, np.uint8), np.full((60, 60), 245, np.uint8)
    cv2.line(line, (10, 12), (50, 48), 20, 4)
    add(
        registry,
        [table(tmp_path / "g", [(png(paper), "blank", ""), (png(line), "not-a-digit", "")])],
    )
    found = load(registry)
    assert found.labels.tolist() == [10, 10]
    assert sorted(zip(found.blank, [not scan.any() for scan in found.scans], strict=True)) == [
        (False, False),
        (True, True),
    ]


def test_a_near_copy_is_on_the_side_of_its_scan_whatever_its_group(
    registry: Folder, shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    add(registry, [table(tmp_path / "first", of_writers(shown, 4))])
    small = [
        (
            png(np.asarray(cv2.resize(scan, (50, 50), interpolation=cv2.INTER_AREA), np.uint8)),
            label,
            "",
        )
        for scan, label in shown
    ]
    added = add(registry, [table(tmp_path / "second", small)])
    assert added.near == added.new
    assert added.new + len(added.problems) == 40
    found = load(registry)
    for cluster in set(found.clusters):
        assert len(set(found.golden[found.clusters == cluster])) == 1


def test_a_copy_of_what_judges_among_what_trains_is_left_out(
    registry: Folder, shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    add(registry, [table(tmp_path / "first", of_writers(shown, 4))])
    found = load(registry)
    trains = next(group for group in found.groups[~found.golden])
    k = int(np.flatnonzero(found.golden)[0])
    image = cv2.imdecode(np.frombuffer(found.contents[k], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    copy = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
    added = add(registry, [table(tmp_path / "second", [(copy, found.said[k], trains)])])
    assert added.new == 0
    [problem] = added.problems
    assert "a near-copy of scans that are kept apart" in str(problem)


def test_other_labels_than_those_that_are_there_are_listed(
    registry: Folder, shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    given = of_writers(shown[:20], 2)
    add(registry, [table(tmp_path / "first", given)])
    before = load(registry).id
    scan, label = shown[8]
    large = png(np.asarray(cv2.resize(scan, (120, 120), interpolation=cv2.INTER_CUBIC), np.uint8))
    other = [(given[0][0], 5, ""), (large, 3, "")]
    first, second = add(registry, [table(tmp_path / "second", other)]).problems
    assert first.why == "the scan is labelled 5 here and 0 in the registry: which?"
    assert second.why == "labelled 3, which most of its near-copies are not: which?"
    assert (label, load(registry).id) == (8, before)


def test_blank_papers_do_not_all_look_the_same() -> None:
    rng = np.random.default_rng(0)
    empty = np.zeros((4, 28, 28), np.uint8)
    views = rng.integers(0, 255, (4, 28, 28)).astype(np.uint8)
    views[1] = views[0]
    plain = np.ones(4, bool)
    assert near_copies(Views(empty, views, plain), 0).tolist() == [[0, 1]]
    assert near_copies(Views(empty, empty, plain), 2).tolist() == [[0, 2], [0, 3]]


def test_random_draws_judge_and_what_is_near_them_does_not_train() -> None:
    members = Members(
        names=["a", "b", "c", "d"],
        groups=["", "anna", "anna", "ben"],
        sources=["", "", "", ""],
        drawn=np.array([True, False, False, False]),
        left_out=np.zeros(4, bool),
        known=np.array([GOLDEN, TRAINS], np.int8),
    )
    near = np.array([[0, 2]], np.intp)
    assert sides(members, near).tolist() == [GOLDEN, TRAINS, NEITHER, GOLDEN]


def test_a_damaged_file_is_named(
    registry: Folder, shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    add(registry, [table(tmp_path / "given", of_writers(shown[:10], 2))])
    [name] = data_files(registry)
    registry.write(f"{DATA}/{name}", registry.read(f"{DATA}/{name}")[:-1])
    with pytest.raises(InputError, match=f"{name} is damaged"):
        load(registry)


def test_what_is_to_be_forgotten_goes_with_its_near_copies(
    registry: Folder, shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    given = of_writers(shown, 4)
    add(registry, [table(tmp_path / "first", given)])
    copy = cv2.imencode(".jpg", shown[3][0], [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
    assert add(registry, [table(tmp_path / "second", [(copy, 3, "")])]).near == 1
    write_used(registry, "4f7c", load(registry))
    with pytest.raises(InputError, match="nothing was removed"):
        forget(registry, ["3.png", "gone.png"])
    assert len(load(registry)) == 41
    found = forget(registry, [str(tmp_path / "first" / "3.png")])
    assert len(found.removed) - len(found.near) == 1
    assert len(found.near) >= 1
    there = load(registry)
    assert len(there) == 41 - len(found.removed)
    assert not set(found.removed) & set(there.sha256)
    assert found.bundles == used_by(registry, found.removed)
    kept = there.sha256[0]
    assert kept in forget(registry, [kept[:10]]).removed


def test_a_removal_that_broke_off_is_finished_by_the_next(
    registry: Folder, shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    add(registry, [table(tmp_path / "given", of_writers(shown[:10], 2))])
    [old] = data_files(registry)
    content = registry.read(f"{DATA}/{old}")
    removed = forget(registry, ["4.png"]).removed
    # As if the old file were still there: the scan is, and no other one twice.
    registry.write(f"{DATA}/{old}", content)
    assert len(load(registry)) == 10
    assert forget(registry, ["4.png"]).removed == removed
    [name] = data_files(registry)
    assert len(read_data(registry, name)) == 10 - len(removed)


def test_what_was_taken_out_comes_back_by_a_later_answer_alone(
    registry: Folder, shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    file = table(tmp_path / "given", of_writers(shown[:10], 2))
    add(registry, [file])
    gone = dict.fromkeys(forget(registry, ["4.png"]).removed, "2026-11-26T12:00:00+00:00")
    again = add(registry, [file], removed=gone)
    assert (again.new, len(again.problems)) == (0, len(gone))
    assert "took it out on 2026-11-26" in str(again.problems[0])
    scan = tmp_path / "given" / "4.png"
    for time, comes in (("2026-11-26T11:59:00+00:00", 0), ("soon", 0), ("2026-11-27T08:00:00Z", 1)):
        later = tmp_path / "later.csv"
        later.write_text(f"path,label,time\n{scan},4,{time}\n")
        assert add(registry, [str(later)], removed=gone).new == comes


def test_what_came_and_went_since_the_last_challenger_is_counted(
    shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    location = str(tmp_path / "models")
    registry = make_registry(location, "small")
    given = of_writers(shown[:20], 2)
    add(registry.folder, [table(tmp_path / "first", given[:10])])
    there = load(registry.folder)
    assert plan(RetrainSettings(registry=location)).new == len(there)
    write_used(registry.folder, "4f7c", there)
    registry.add(GATE, bundle="4f7c", passed=False, promote=False)
    assert plan(RetrainSettings(registry=location)).state == NOTHING
    # As many others come as are taken out.
    removed = forget(registry.folder, ["4.png", "5.png"]).removed
    added = add(registry.folder, [table(tmp_path / "second", given[10:12])])
    assert plan(RetrainSettings(registry=location)).new == len(removed) + added.new


def test_no_fold_shows_anything_of_what_the_champion_has_seen(
    registry: Folder, shown: list[tuple[Scan, int]], tmp_path: Path
) -> None:
    add(registry, [table(tmp_path / "first", of_writers(shown[:20], 4))])
    write_used(registry, "4f7c", load(registry))
    add(registry, [table(tmp_path / "second", of_writers(shown[20:], 4))])
    found, seen = load(registry), read_used(registry, "4f7c")
    of = folds_of(found, seen[TRAINED])
    known = np.array([name in seen[TRAINED] for name in found.sha256])
    assert (of == SEEN).tolist() == known.tolist()
    assert (of == UNSEEN).tolist() == found.golden.tolist()
    assert (of >= 0).any()
    # A single scan is in no fold: the challenger has seen it.
    one = found.only(np.arange(len(found)) == int(np.flatnonzero(~found.golden)[0]))
    assert folds_of(one).tolist() == [SEEN]


def test_the_command_tells_what_was_forgotten_and_logs_no_path(
    shown: list[tuple[Scan, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    location = str(tmp_path / "models")
    registry = make_registry(location, "small")
    add(registry.folder, [table(tmp_path / "anna", of_writers(shown[:10], 2))])
    write_used(registry.folder, "4f7c", load(registry.folder))
    trained = load(registry.folder)
    names = [str(path) for path in trained.paths[~trained.golden]]
    assert cli.main(["models", "forget", location, names[0], "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bundles"] == {"4f7c": len(told["removed"])}
    assert told["reports"] == []
    last = registry.last()
    assert last is not None
    assert last.kind == REMOVAL
    assert last.fields["scans"] == told["removed"]
    assert names[0] not in json.dumps(last.to_json())
    assert cli.main(["models", "forget", location, names[0]]) == 2
    assert "nothing was removed" in capsys.readouterr().err
    golden = str(trained.paths[trained.golden][0])
    assert cli.main(["models", "forget", location, golden]) == 0
    assert "may show it  reports/4f7c.html: delete it" in capsys.readouterr().out
