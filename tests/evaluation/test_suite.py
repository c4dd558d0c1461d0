"""Many sets and several bundles in one table, and its pictures."""

import sys
from pathlib import Path

import numpy as np
import pytest

from digitrec.datasets.corruptions import CORRUPTIONS, CorruptedImages
from digitrec.datasets.empty import EMPTY, load_empty
from digitrec.datasets.labelled import LabelledSet
from digitrec.evaluation.suite import Entry, choose, compare, entry, load_panel, shortened, table
from digitrec.model.bundle import load_bundle
from digitrec.model.engine import Engine
from digitrec.plots import suite
from tests.small_mnist.make import Digits

EXACT = {f"mnist:{name}" for name, one in CORRUPTIONS.items() if one.kind == "exact"}


@pytest.fixture(scope="module")
def sets(small_test: Digits) -> list[LabelledSet]:
    """Forty digits as they are, and under each corruption."""
    images, labels = small_test[0][20:60], small_test[1][20:60]
    return [
        LabelledSet("plain", list(images), labels),
        *(
            LabelledSet(f"mnist:{name}", CorruptedImages(images, corruption), labels)
            for name, corruption in CORRUPTIONS.items()
        ),
    ]


@pytest.fixture(scope="module")
def entries(engine: Engine, sets: list[LabelledSet]) -> list[Entry]:
    found = []
    for one in sets:
        for model, compared in zip("ab", compare([engine, engine], one), strict=True):
            found.append(entry(model, *compared))
    return found


def test_a_set_is_read_by_each_bundle_in_both_ways(entries: list[Entry]) -> None:
    assert [(one.name, one.model) for one in entries[:2]] == [("plain", "a"), ("plain", "b")]
    assert entries[0].scores == entries[1].scores
    assert min(entries[0].accuracy, entries[0].plain_accuracy) > 0.9
    transparent = next(one for one in entries if one.name == "mnist:transparent")
    assert (transparent.accuracy, transparent.plain_accuracy) == (entries[0].accuracy, 0)
    assert np.sum(transparent.scores["confusion"]) == transparent.scores["images"] == 40
    assert transparent.error_curve[-1] == pytest.approx(1 - transparent.accuracy)


def test_the_table_is_of_fixed_width(entries: list[Entry]) -> None:
    lines = table(entries).split("\n\n")[0].splitlines()
    assert len({len(line) for line in lines[1:]}) == 1
    assert (
        " ".join(lines[1].split())
        == "set scans" + 2 * " right % resized NLL ECE cover % wrong % to"
    )
    accuracies = [entries[0].accuracy, entries[0].plain_accuracy]
    assert lines[2].split()[:4] == ["plain", "40", *(f"{100 * one:.2f}" for one in accuracies)]
    assert len(lines) == 2 + 1 + 38 + 3
    exact = [one.accuracy for one in entries if one.name in EXACT and one.model == "a"]
    assert lines[-3].startswith("exact, mean of 9")
    assert lines[-1].startswith("cut, mean of 16")
    assert lines[-3].split()[4:6] == ["360", f"{100 * np.mean(exact):.2f}"]


def test_no_mean_of_a_part_of_the_corruptions(entries: list[Entry]) -> None:
    assert "mean" not in table([one for one in entries if one.name != "mnist:chalk"][:12])


@pytest.mark.usefixtures("small_mnist")
def test_what_the_panel_consists_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    sets, left_out = load_panel(str(tmp_path))
    names = ["mnist:test", *(f"mnist:{name}" for name in CORRUPTIONS)]
    assert [one.name for one in sets] == names
    assert left_out == ["sklearn:digits is left out: pip install 'digitrec[panel]'"]
    (tmp_path / "real_digits").mkdir()
    table = tmp_path / "real_digits" / "truth.csv"
    table.write_text("path,label,writer\n3/a.png,3,eve\n4/b.png,4,adam\n")
    real = load_panel(str(tmp_path))[0][1]
    # By writer, under a name that does not say where it lies.
    assert (real.name, real.labels.tolist()) == ("real_digits", [3, 4])
    assert real.groups is not None
    assert real.groups.tolist() == ["eve", "adam"]
    assert [one.name for one in load_panel(None)[0]] == names


@pytest.mark.usefixtures("small_mnist")
def test_sets_without_a_digit_belong_to_the_panel_and_can_be_named() -> None:
    every = [f"empty:{name}" for name in EMPTY]
    assert [one.name for one in choose([], None).empty] == every
    named = choose(["empty:comb", "mnist:fax", "empty:comb"], None)
    assert [one.name for one in named.given] == ["mnist:fax"]
    assert [one.name for one in named.empty] == ["empty:comb"]
    assert named.others == []
    beside = choose(["panel", "empty:comb", "mnist:fax"], None)
    assert sorted(one.name for one in beside.empty) == sorted(every)
    assert "mnist:fax" not in [one.name for one in beside.others]


@pytest.mark.usefixtures("small_mnist")
def test_with_scikit_learn_its_digits_belong_to_the_panel() -> None:
    pytest.importorskip("sklearn")
    sets, left_out = load_panel(None)
    assert sets[1].name == "sklearn:digits"
    assert not left_out


@pytest.mark.parametrize("name", ["small", "large", "cascade"])
def test_a_shipped_cards_figures_of_real_digits_are_by_writer(name: str) -> None:
    scores = load_bundle(name).card.scorecard["real_digits"]
    assert (scores["images"], scores["writers"]) == (300, 10)
    assert scores["plain_resize"]["writers"] == 10


def test_long_names_keep_their_end() -> None:
    assert shortened("short", 5) == "short"
    assert shortened("/a/long/way/to/digits", 12) == "…/to/digits"
    assert shortened("averylongname", 6) == "…gname"


def test_pictures(
    entries: list[Entry], sets: list[LabelledSet], engine: Engine, tmp_path: Path
) -> None:
    suite.panel(entries, tmp_path / "panel.png")
    suite.coverage(entries, tmp_path / "coverage.png")
    suite.coverage(entries[:1], tmp_path / "flawless.png")
    corrupted = suite.corrupted(sets)
    assert len(corrupted) == 38
    empty = [load_empty(f"empty:{name}") for name in EMPTY]
    suite.corruptions(corrupted, empty, engine, tmp_path / "corruptions.png")
    suite.corruptions(corrupted[:1], [], engine, tmp_path / "one.png")
    suite.corruptions([], empty[:1], engine, tmp_path / "none.png")
    for name in ("panel", "coverage", "flawless", "corruptions", "one", "none"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
