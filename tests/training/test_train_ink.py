"""`digitrec train --network ink`: a run on Ray, resumed, by two workers, and in a bundle."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from digitrec.cli import main
from digitrec.datasets import labelled, mnist
from digitrec.datasets.synthetic.papers import HELD_BACK, TRAINED
from digitrec.errors import InputError
from digitrec.model.bundle import load_bundle
from digitrec.model.card import ink_id
from digitrec.model.engine import InkEngine
from digitrec.model.ink_file import load_ink
from digitrec.model.ink_network import InkNet
from digitrec.model.shipped import ASSETS
from digitrec.training import ink_data
from tests.small_mnist.make import load_small

TINY = ["--epochs", "2", "--steps", "2", "--batch-size", "16", "--device", "cpu"]


@pytest.fixture(scope="module", autouse=True)
def little(module_patch: pytest.MonkeyPatch) -> None:
    """Of the small MNIST 300 digits are held out, and an epoch is measured on few samples."""
    module_patch.setattr(mnist, "load", lambda split, data=None: load_small(split))
    module_patch.setattr(labelled, "CALIBRATION_IMAGES", 200)
    module_patch.setattr(labelled, "VALIDATION_IMAGES", 100)
    module_patch.setattr(ink_data, "MEASURED_SAMPLES", 24)


@pytest.fixture(scope="module")
def module_patch() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def finished(ray_local: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs by one worker."""
    out = tmp_path_factory.mktemp("runs") / "ink"
    assert main(["train", "--network", "ink", *TINY, "--out", str(out)]) == 0
    return out


def card_of(out: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((out / "ink" / "card.json").read_text())
    return card


def log_of(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_run_leaves_a_network_that_runs_and_its_card(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == {
        "checkpoints", "ink", "log.jsonl", "recipe.json", "tensorboard", "train.log",
    }  # fmt: skip
    assert {path.name for path in (finished / "checkpoints").glob("epoch-*")} == {
        "epoch-0001", "epoch-0002",
    }  # fmt: skip
    onnx, card = (finished / "ink" / "ink.onnx").read_bytes(), card_of(finished)
    network = InkNet().eval()
    network.load_state_dict(torch.load(finished / "ink" / "ink.pt", weights_only=True))
    scans = np.random.default_rng(0).integers(0, 256, (2, 64, 64), np.uint8)
    with torch.inference_mode():
        expected = network(torch.tensor(scans))[0].sigmoid().numpy()
    np.testing.assert_allclose(InkEngine(onnx, "ours").look(scans).chance, expected, atol=1e-3)
    assert card["id"] == ink_id(onnx)
    assert (card["architecture"], card["parameters"]) == ("InkNet", 61_717)
    assert (tuple(card["kinds"]), tuple(card["held_back"])) == (TRAINED, HELD_BACK)
    assert card["recipe"]["steps"] == 2
    [data] = card["data"].values()
    assert data["images"] == 700


def test_every_epoch_is_logged_alike_in_three_places(finished: Path) -> None:
    first, second = log_of(finished)
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert second["samples_per_second"] == pytest.approx(32 / second["seconds"])
    assert "epoch 2/2" in (finished / "train.log").read_text()
    board = EventAccumulator(str(finished / "tensorboard")).Reload()
    for name, field in (("iou/held_back", "held_back_iou"), ("loss/train", "train_loss")):
        points = {event.step: event.value for event in board.Scalars(name)}
        assert points == pytest.approx({1: first[field], 2: second[field]}, rel=1e-5)
    scores = card_of(finished)["scorecard"]
    assert list(scores) == ["seen kinds", "held-back kinds"]
    assert scores["seen kinds"]["iou"] == second["seen_iou"]
    assert scores["held-back kinds"]["empty_marked"] == second["held_back_empty_marked"]
    assert scores["seen kinds"]["samples"] == 24


def stopped_after_one_epoch(finished: Path, out: Path) -> None:
    """Make of a finished run what one leaves that was stopped after its first epoch."""
    shutil.copytree(finished, out)
    for name in ("ink", "tensorboard", "checkpoints/epoch-0002"):
        shutil.rmtree(out / name)
    (out / "log.jsonl").write_text(json.dumps(log_of(finished)[0]) + "\n")
    [path] = (out / "checkpoints").glob("*snapshot.json")
    snapshot = json.loads(path.read_text())
    [first, _] = snapshot["checkpoint_results"]
    path.write_text(
        json.dumps(
            {
                **snapshot,
                "checkpoint_results": [first],
                "latest_checkpoint_result": first,
                "checkpoint_report_indices": snapshot["checkpoint_report_indices"][:1],
                "current_report_index": 1,
            }
        )
    )


def test_a_resumed_run_is_the_uninterrupted_one(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    stopped_after_one_epoch(finished, out)
    assert main(["train", "--network", "ink", *TINY, "--resume", "--out", str(out)]) == 0
    assert card_of(out)["id"] == card_of(finished)["id"]
    said = (out / "train.log").read_text().removeprefix((finished / "train.log").read_text())
    assert "epoch 2/2" in said
    assert "epoch 1/2" not in said
    whole, again = log_of(finished), log_of(out)
    assert again[0] == whole[0]
    assert [e["train_loss"] for e in again] == [e["train_loss"] for e in whole]


def test_two_workers_train_on_the_same_samples(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "two"
    said = main(["train", "--network", "ink", *TINY, "--workers", "2", "--out", str(out)])
    assert said == 0
    assert "2 workers on cpu" in (out / "train.log").read_text()
    # One step on the same samples, each worker's batch normalized for itself.
    alone, together = log_of(finished), log_of(out)
    assert together[0]["train_loss"] == pytest.approx(alone[0]["train_loss"], rel=0.2)
    assert card_of(out)["id"] != card_of(finished)["id"]


def test_a_bundle_takes_the_ink_network_of_a_run(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train = ["train", "--epochs", "1", "--device", "cpu", "--out", str(out)]
    assert main([*train, "--ink-network", str(finished)]) == 0
    bundle = load_bundle(out)
    assert bundle.ink == (finished / "ink" / "ink.onnx").read_bytes()
    assert bundle.card.recipe["ink"] == card_of(finished)["id"]


def test_a_run_begins_as_an_ink_network_that_is_named(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train = ["train", "--network", "ink", *TINY, "--learning-rate", "1e-9", "--out", str(out)]
    assert main([*train, "--ink-network", str(ASSETS / "ink")]) == 0
    assert card_of(out)["recipe"]["ink"] == ink_id(load_ink(ASSETS / "ink"))
    scans = np.random.default_rng(0).integers(0, 256, (4, 64, 64), np.uint8)
    begun, shipped = (
        InkEngine(load_ink(where), "ours").look(scans).chance for where in (out, ASSETS / "ink")
    )
    # What it has learnt of four batches at next to no learning rate are the means alone.
    assert np.abs(begun - shipped).mean() < 0.05
    assert card_of(finished)["recipe"]["ink"] is None


@pytest.mark.usefixtures("ray_local")
def test_a_run_is_not_gone_on_with_by_another_ink_network_or_recipe(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, sentence in (
        (["--network", "ink", "--epochs", "2", "--seed", "1"], "seed 0"),
        (["--network", "small"], "other settings"),
    ):
        assert main(["train", *words, "--resume", "--out", str(finished)]) == 2
        assert sentence in capsys.readouterr().err


def test_an_ink_network_is_found_in_a_run_and_in_any_folder(tmp_path: Path) -> None:
    shipped = ASSETS / "ink"
    run = tmp_path / "run"
    shutil.copytree(shipped, run / "ink")
    assert load_ink(run) == load_ink(shipped) == (shipped / "ink.onnx").read_bytes()
    with pytest.raises(InputError, match="nowhere holds no ink network"):
        load_ink(tmp_path / "nowhere")
    (run / "ink" / "ink.onnx").write_bytes(b"no network")
    with pytest.raises(InputError, match=r"ink\.onnx can't be used"):
        load_ink(run)
    shutil.copy(ASSETS / "cascade" / "small" / "model.onnx", run / "ink" / "ink.onnx")
    with pytest.raises(InputError, match=r"ink\.onnx can't be used: it takes scans"):
        load_ink(run)
