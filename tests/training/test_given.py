"""Labelled scans of any kind are learnt from: beside MNIST, or in its place."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digitrec.datasets.labelled import png
from digitrec.errors import InputError
from digitrec.model.bundle import load_bundle
from digitrec.training.data import GIVEN, strengths, training_parts
from digitrec.training.given import read_given
from digitrec.training.recipes import REPORT
from digitrec.training.run_folder import open_run_folder
from digitrec.training.sources import Sources, sources_of
from digitrec.training.train import TrainSettings, train
from tests.registry.copies import drawn, write_table

SCANS, WRITERS = 60, 6


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sixty scans by six writers; one file is no image, and one shows nothing."""
    folder = tmp_path_factory.mktemp("scans")
    rows: list[tuple[str, int, str]] = []
    for k, (scan, label) in enumerate(drawn(SCANS, seed=7)):
        (folder / f"{k}.png").write_bytes(png(scan))
        rows.append((f"{k}.png", label, f"writer {k // 10}"))
    (folder / "text.png").write_text("no image")
    (folder / "empty.png").write_bytes(png(np.full((50, 50), 240, np.uint8)))
    rows += [("text.png", 1, "writer 0"), ("empty.png", 1, "writer 0")]
    return str(write_table(folder / "labels.csv", rows))


def test_data_names_mnist_labelled_sets_or_both(tmp_path: Path) -> None:
    (tmp_path / "train-labels-idx1-ubyte.gz").touch()
    mnist = str(tmp_path)
    assert sources_of([]) == Sources()
    assert sources_of([mnist]) == Sources(folder=tmp_path)
    assert sources_of(["mnist:train"]) == Sources()
    assert sources_of(["scans", "scans"]) == Sources(labelled=("scans",), mnist=False)
    assert sources_of(["mnist:train", "scans"]) == Sources(labelled=("scans",))
    assert sources_of(["a", mnist, "b"]) == Sources(folder=tmp_path, labelled=("a", "b"))


@pytest.mark.parametrize("name", ["mnist:test", "mnist:calibration", "mnist:inverted"])
def test_of_mnist_the_training_images_alone_are_learnt_from(name: str) -> None:
    with pytest.raises(InputError, match="only mnist:train"):
        sources_of([name])


def test_scans_come_as_they_are_read_and_the_rest_is_counted(table: str) -> None:
    given = read_given(Sources(labelled=(table,)))
    [(name, (images, labels))] = given.parts.items()
    assert name == f"{GIVEN}{table}"
    assert (images.shape, len(labels)) == ((SCANS, 28, 28), SCANS)
    assert (images.max(axis=(1, 2)) == 255).all()
    assert (given.held, given.measuring) == (None, None)
    assert given.notes == (f"{name}: left out 1 unreadable and 1 without ink",)


def test_alone_whole_writers_are_held_back(table: str) -> None:
    given = read_given(Sources(labelled=(table,), mnist=False))
    [(images, _)] = given.parts.values()
    assert given.held is not None
    assert given.measuring is not None
    assert given.held.groups is not None
    assert len(set(given.held.groups)) == 1
    assert len(given.measuring[1]) == 10
    assert len(images) == SCANS - 10
    assert f"{GIVEN}{table}: 10 of 60 held back to measure on" in given.notes
    beside = read_given(Sources(labelled=(table,)))
    assert beside.id != given.id
    assert read_given(Sources()).id is None


def test_one_writer_alone_leaves_nothing_to_measure_on(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(png(drawn(1, seed=1)[0][0]))
    table = str(write_table(tmp_path / "labels.csv", [("0.png", 0, "anna")]))
    with pytest.raises(InputError, match="nothing could be held back"):
        read_given(Sources(labelled=(table,), mnist=False))


def test_they_take_mnists_place_in_all_that_is_made_of_it(table: str) -> None:
    given = read_given(Sources(labelled=(table,), mnist=False))
    recipe = replace(REPORT, coarse=500, drawn=20, junk=10, papers=4, drawn_strength=0.5)
    parts = training_parts(recipe, None, None, given.parts, with_mnist=False)
    name = f"{GIVEN}{table}"
    assert {key: len(labels) for key, (_, labels) in parts.items()} == {
        name: 50, f"{name}, coarse": 50, "drawn": 20, "junk": 10, "papers": 4,
    }  # fmt: skip
    assert strengths(parts, recipe).tolist() == [1.0] * 100 + [0.5] * 34


@pytest.mark.slow
def test_a_run_learns_from_scans_alone(
    table: str, ray_local: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = replace(REPORT, epochs=2, batch_size=16)
    settings = TrainSettings(
        recipe=recipe, out=str(tmp_path / "run"), labelled=(table,), with_mnist=False
    )
    with caplog.at_level(logging.INFO):
        trained = train(settings)
    [(name, scores)] = trained.card.scorecard.items()
    assert name == f"{GIVEN}{table}, held back"
    assert 0 <= scores["accuracy"] <= 1
    assert trained.card.data[f"{GIVEN}{table}"]["images"] == 50
    assert load_bundle(tmp_path / "run").card.recipe["given"] == trained.card.recipe["given"]
    log = (tmp_path / "run" / "train.log").read_text()
    assert "10 of 60 held back to measure on" in log
    assert "left out 1 unreadable and 1 without ink" in log
    with (
        pytest.raises(InputError, match="given"),
        open_run_folder(settings.out, recipe, resume=True),
    ):
        pass
    more = replace(settings, recipe=replace(recipe, epochs=3), resume=True, workers=2)
    assert [record.epoch for record in train(more).records] == [1, 2, 3]


@pytest.mark.slow
def test_a_run_learns_from_scans_beside_mnist(
    table: str, small_mnist: None, ray_local: None, tmp_path: Path
) -> None:
    recipe = replace(REPORT, epochs=1)
    trained = train(TrainSettings(recipe=recipe, out=str(tmp_path / "run"), labelled=(table,)))
    assert list(trained.card.data) == ["mnist:train", f"{GIVEN}{table}"]
    assert list(trained.card.scorecard) == ["mnist:test"]
