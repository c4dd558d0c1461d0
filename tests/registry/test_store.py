import json
import shutil
from pathlib import Path

import pytest

from digitrec import Reader, cli
from digitrec.errors import BundleError, InputError, RunError
from digitrec.model.bundle import changeable, copy_bundle, load_bundle
from digitrec.model.champion import entry_name
from digitrec.model.policies import write_policies
from digitrec.registry.check import Found, look_through
from digitrec.registry.store import Registry, make_registry, open_registry
from digitrec.storage.folder import open_folder
from tests.small_mnist.make import Digits

SMALL, LARGE, CASCADE = (load_bundle(name).card.id for name in ("small", "large", "cascade"))


@pytest.fixture(params=["here", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path, memory: str) -> str:
    return memory if request.param == "memory" else str(tmp_path / "registry")


@pytest.fixture
def registry(place: str) -> Registry:
    """A registry with the small network as its champion."""
    return make_registry(place, "small")


def kinds(registry: Registry) -> list[str]:
    return [entry.kind for entry in registry.entries()][::-1]


def test_a_registry_is_made_with_a_champion(place: str, registry: Registry) -> None:
    assert registry.champion() == SMALL
    assert kinds(registry) == ["registration", "promotion"]
    assert load_bundle(place) == load_bundle("small")
    assert look_through(registry) == Found([], [])
    assert make_registry(place, "cascade").champion() == SMALL  # it stays as it is
    assert open_registry(place).champion() == SMALL


def test_a_registry_stands_for_its_champion(
    place: str, registry: Registry, small_test: Digits
) -> None:
    def confidences(model: str) -> list[float | None]:
        return [one.confidence for one in Reader(model).read(list(small_test[0][:8]))]

    before = confidences("small")
    assert confidences(place) == before
    registry.promote(registry.register("cascade"), expected=SMALL, why="better")
    champion = load_bundle(place).champion
    assert champion is not None
    assert (champion.id, champion.registry.name) == (CASCADE, registry.name)
    assert confidences(place) == confidences("cascade") != before
    registry.rollback()
    assert confidences(place) == before


def test_a_bundle_is_kept_once(registry: Registry) -> None:
    assert registry.register("cascade") == registry.register("cascade") == CASCADE
    assert registry.bundle(CASCADE) == load_bundle("cascade")
    assert load_bundle(registry.bundle_location(CASCADE)) == load_bundle("cascade")
    assert kinds(registry).count("registration") == 2
    [entry] = [one for one in registry.registered() if one.fields["bundle"] == CASCADE]
    assert entry.fields["calibration_id"] == load_bundle("cascade").card.calibration_id
    assert registry.register("large", parent=SMALL) == LARGE
    assert registry.registered()[0].fields["parent"] == SMALL


def test_another_calibration_of_the_same_is_refused(registry: Registry, tmp_path: Path) -> None:
    copy_bundle("small", tmp_path / "copy")
    write_policies(tmp_path / "copy", "", [], {}, [])
    with pytest.raises(BundleError, match=r"with another calibration, .* make another registry"):
        registry.register(str(tmp_path / "copy"))
    assert registry.check() == []


def test_bundles_of_a_registry_are_not_written_into(
    registry: Registry, place: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    registry.promote(registry.register("cascade"), expected=SMALL, why="")
    for name in (place, registry.bundle_location(SMALL), f"{place}/bundles/{CASCADE}/large"):
        with pytest.raises(BundleError, match="is kept in a registry, where bundles stay"):
            changeable(name)
    assert cli.main(["evaluate", place, "mnist:test", "--keep"]) == 2
    assert "is kept in a registry" in capsys.readouterr().err
    copy_bundle(place, tmp_path / "copy")
    assert load_bundle(tmp_path / "copy") == load_bundle("cascade")
    changeable(tmp_path / "copy")


def test_a_link_into_a_registry_is_no_way_around(tmp_path: Path) -> None:
    make_registry(str(tmp_path / "registry"), "small")
    (tmp_path / "link").symlink_to(tmp_path / "registry" / "bundles" / SMALL)
    with pytest.raises(BundleError, match="is kept in a registry"):
        changeable(tmp_path / "link")


def test_whoever_was_overtaken_is_told(registry: Registry) -> None:
    for name in ("large", "cascade"):
        registry.register(name)
    registry.promote(LARGE, expected=SMALL, why="first")
    with pytest.raises(RunError, match=f"{LARGE} was promoted meanwhile: {CASCADE} was held aga"):
        registry.promote(CASCADE, expected=SMALL, why="second")
    with pytest.raises(InputError, match=r"is the champion of .* already"):
        registry.promote(LARGE, expected=LARGE, why="again")
    assert registry.champion() == LARGE


def test_what_is_not_registered_is_not_promoted(registry: Registry) -> None:
    with pytest.raises(BundleError, match="is no bundle"):
        registry.promote(CASCADE, expected=SMALL, why="")
    with pytest.raises(InputError, match="has no bundle 0123"):
        registry.rollback(to="0123")
    assert registry.champion() == SMALL


def test_rollbacks_go_back_one_by_one(registry: Registry) -> None:
    for name, before in (("large", SMALL), ("cascade", LARGE)):
        registry.promote(registry.register(name), expected=before, why=name)
        registry.add("removal", scans=1)
    assert registry.rollback().champion == LARGE
    assert registry.rollback().champion == SMALL
    with pytest.raises(InputError, match="had no champion before"):
        registry.rollback()
    registry.promote(CASCADE, expected=SMALL, why="after all")
    assert registry.rollback().champion == SMALL
    assert registry.check() == []


def test_a_rollback_may_lead_anywhere(registry: Registry) -> None:
    for name, before in (("large", SMALL), ("cascade", LARGE)):
        registry.promote(registry.register(name), expected=before, why=name)
    assert registry.rollback(to=SMALL).champion == SMALL
    with pytest.raises(InputError, match="had no champion before"):
        registry.rollback()
    # Of what is not below it nothing is taken away: it lies on top.
    assert registry.rollback(to=LARGE).champion == LARGE
    assert registry.rollback().champion == SMALL
    with pytest.raises(InputError, match="is the champion"):
        registry.rollback(to=SMALL)
    assert registry.check() == []


def test_entries_of_runs_are_no_part_of_the_history(registry: Registry) -> None:
    run = {"run_id": "r", "finished": "", "model_id": SMALL, "counts": {}, "check": None}
    for _ in range(3):
        registry.add("run", **run)
    registry.add("gate", bundle=SMALL, passed=False)
    registry.add("run", **run)
    assert [entry.number for entry in registry.history()] == [6, 2, 1]
    assert [entry.number for entry in registry.entries()] == [7, 6, 5, 4, 3, 2, 1]
    assert registry.champion() == SMALL
    assert registry.check() == []


def test_an_entry_that_could_not_be_read_is_not_written(registry: Registry) -> None:
    with pytest.raises(ValueError, match="it has no run_id"):
        registry.add("run", anything=1)
    assert len(kinds(registry)) == 2


def test_bundles_are_named_by_the_beginning_of_their_ids(registry: Registry) -> None:
    registry.register("cascade")
    assert registry.id_of("champion") == SMALL
    assert registry.id_of(CASCADE[:4]) == CASCADE
    for name in ("", "zzz"):
        with pytest.raises(InputError, match=f"no bundle '{name}'"):
            registry.id_of(name)


def test_what_is_no_registry_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no registry: digitrec retrain --registry makes one"):
        open_registry(str(tmp_path))
    (tmp_path / "mine.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(InputError, match=r"something else than a registry|can't be used"):
            make_registry(str(place))
    with pytest.raises(BundleError, match=r"is no bundle: expected one of .* or a registry"):
        load_bundle(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_registry_without_a_champion_says_so(tmp_path: Path) -> None:
    registry = Registry(open_folder(str(tmp_path)), str(tmp_path))
    registry.register("small")
    with pytest.raises(InputError, match="has no champion yet"):
        load_bundle(tmp_path)
    with pytest.raises(InputError, match="has no champion yet"):
        registry.id_of("champion")
    assert registry.check() == []
    assert make_registry(str(tmp_path), "small").champion() == SMALL  # its maker was stopped


def spoil(registry: Registry, number: int, /, **changes: object) -> None:
    """Change an entry, which nobody should."""
    name = entry_name(number)
    content = {**json.loads(registry.folder.read(name)), **changes}
    registry.folder.write(name, json.dumps(content).encode())


def grown(place: str) -> Registry:
    registry = make_registry(place, "small")
    registry.promote(registry.register("cascade"), expected=SMALL, why="")
    return registry


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"number": 7}, "is damaged (it is number 7)"),
        ({"schema_version": 9}, "its schema version is 9, this program reads 1"),
        ({"kind": 3}, "Expected `str`, got `int`"),
        ({"bundle": None}, "it has no bundle, or not as a promotion has it"),
    ],
)
def test_a_damaged_entry_is_said(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    registry = grown(str(tmp_path))
    spoil(registry, 4, **changes)
    with pytest.raises(InputError) as why:
        load_bundle(tmp_path)
    assert said in str(why.value)
    assert any(said in problem for problem in registry.check())


def test_check_says_what_is_wrong(tmp_path: Path) -> None:
    registry = grown(str(tmp_path))
    spoil(registry, 4, champion=LARGE)
    (problem, *_) = registry.check()
    assert problem == (f"log/000004.json makes {CASCADE} the champion, and names {LARGE} as such")
    spoil(registry, 4, champion=CASCADE, bundle=LARGE, before=1)
    assert any("which was not registered before" in problem for problem in registry.check())
    assert any("1 came before it, and not 3" in problem for problem in registry.check())
    shutil.rmtree(tmp_path / "bundles" / SMALL)
    assert any(f"{SMALL} is no bundle" in problem for problem in registry.check())
    (tmp_path / entry_name(2)).unlink()
    assert "log/000002.json is missing" in registry.check()
    with pytest.raises(InputError, match=r"log/000002\.json is missing"):
        registry.rollback()


def test_a_damaged_bundle_is_found_on_loading(tmp_path: Path) -> None:
    registry = grown(str(tmp_path))
    (tmp_path / "bundles" / CASCADE / "small" / "model.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"model\.onnx is damaged"):
        load_bundle(tmp_path)
    assert any("model.onnx is damaged" in problem for problem in registry.check())
    registry.rollback()
    shutil.rmtree(tmp_path / "bundles" / SMALL)
    shutil.copytree(tmp_path / "bundles" / CASCADE / "large", tmp_path / "bundles" / SMALL)
    with pytest.raises(BundleError, match=f"is damaged: what lies there is {LARGE}"):
        load_bundle(tmp_path)


def test_leftovers_are_harmless_and_named(tmp_path: Path) -> None:
    registry = grown(str(tmp_path))
    (tmp_path / "log" / "_000005.json.12345678.tmp").write_text("{")
    (tmp_path / entry_name(5)).touch()
    (tmp_path / "bundles" / LARGE).mkdir()
    shutil.copy(tmp_path / "bundles" / CASCADE / "large" / "ink.onnx", tmp_path / "bundles" / LARGE)
    assert registry.check() == []
    (tmp_path / "bundles" / CASCADE / "small" / "_card.json.12345678.tmp").touch()
    empty, temporary, member, copied = look_through(registry).leftovers
    assert member == (
        f"bundles/{CASCADE}/small/_card.json.12345678.tmp was being written: it may be deleted"
    )
    assert temporary == "log/_000005.json.12345678.tmp is no entry: it may be deleted"
    assert "log/000005.json is empty: its writer was stopped" in empty
    assert f"bundles/{LARGE} is in no entry of the log" in copied
    assert registry.champion() == CASCADE
    assert registry.register("large") == LARGE
    assert [entry.number for entry in registry.history()][:2] == [6, 4]
    assert registry.check() == []
    assert look_through(registry).leftovers == [empty, temporary, member]


def test_damaged_corrections_are_found(tmp_path: Path) -> None:
    registry = grown(str(tmp_path))
    registry.folder.write("data/0123456789ab.parquet", b"other")
    assert any("0123456789ab.parquet is damaged" in problem for problem in registry.check())


def test_a_long_log_is_read_by_its_last_entry(tmp_path: Path) -> None:
    grown(str(tmp_path))
    last = json.loads((tmp_path / entry_name(4)).read_text())
    run = {"run_id": "r", "finished": "", "model_id": SMALL, "counts": {}, "check": None}
    for number in range(5, 3005):
        told = {**last, **run, "number": number, "kind": "run", "before": 4}
        (tmp_path / entry_name(number)).write_text(json.dumps(told))
    for number in range(1, 3004, 500):  # whatever these say, the last one says it all
        (tmp_path / entry_name(number)).write_text("")
    assert load_bundle(tmp_path) == load_bundle("cascade")
