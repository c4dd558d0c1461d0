import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pyarrow import fs
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from digitrec.errors import InputError
from digitrec.model.bundle import load_bundle
from digitrec.model.network import LargeNet
from digitrec.training.epoch_log import parse_records
from digitrec.training.recipes import RECIPES, REPORT
from digitrec.training.train import Trained, TrainSettings, train

pytestmark = pytest.mark.usefixtures("ray_local")

TWO_EPOCHS = replace(REPORT, epochs=2)


@pytest.fixture(scope="module")
def finished(
    ray_local: None, mnist_train: object, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Trained]:
    """Two epochs of the report's recipe on all of MNIST, by one worker."""
    out = tmp_path_factory.mktemp("runs") / "one worker"
    return out, train(TrainSettings(recipe=TWO_EPOCHS, out=str(out)))


def test_a_run_folder_is_complete(finished: tuple[Path, Trained]) -> None:
    out, trained = finished
    assert {path.name for path in out.iterdir()} == {
        "bundle", "checkpoints", "log.jsonl", "plots", "recipe.json", "tensorboard", "train.log",
    }  # fmt: skip
    plots = {path.name for path in (out / "plots").iterdir()}
    assert plots == {
        "loss.png", "accuracy.png", "samples-mnist-train.png", "predictions.png", "reliability.png",
    }  # fmt: skip
    epochs = [path.name for path in sorted((out / "checkpoints").glob("epoch-*"))]
    assert epochs == ["epoch-0001", "epoch-0002"]
    assert "epoch 2/2" in (out / "train.log").read_text()
    card = load_bundle(out).card
    assert card.id == trained.card.id
    assert card.recipe == json.loads((out / "recipe.json").read_text())
    assert card.data["mnist:train"]["images"] == 60_000
    weights = torch.load(out / "bundle/digit_recognition_model.pt", weights_only=True)
    assert weights["architecture"] == "DigitNet"


def test_every_epoch_is_logged_alike_in_three_places(finished: tuple[Path, Trained]) -> None:
    out, trained = finished
    assert parse_records((out / "log.jsonl").read_text()) == trained.records
    first, second = trained.records
    assert (first.epoch, second.epoch) == (1, 2)
    assert second.train_loss < first.train_loss < 0.6
    assert 0.97 < second.test_accuracy < 0.985
    assert second.learning_rate == 0.0005
    assert second.images_per_second == pytest.approx(60_000 / second.seconds)
    board = EventAccumulator(str(out / "tensorboard")).Reload()
    for name, attribute in (
        ("loss/train", "train_loss"),
        ("loss/test", "test_loss"),
        ("accuracy/test", "test_accuracy"),
        ("learning_rate", "learning_rate"),
        ("speed/seconds", "seconds"),
        ("speed/images_per_second", "images_per_second"),
    ):
        points = {event.step: event.value for event in board.Scalars(name)}
        expected = {record.epoch: getattr(record, attribute) for record in trained.records}
        assert points == pytest.approx(expected, rel=1e-5)


def test_the_scorecard_is_what_the_run_measured(finished: tuple[Path, Trained]) -> None:
    out, trained = finished
    scores = load_bundle(out).card.scorecard["mnist:test"]
    assert scores["images"] == 10_000
    # The bundle is read through the normalizer, which changes 3 of the 10,000.
    assert abs(scores["accuracy"] - trained.records[-1].test_accuracy) <= 0.0003
    assert scores["nll"] == pytest.approx(trained.records[-1].test_loss, abs=1e-3)


@pytest.mark.usefixtures("first_images")
def test_a_large_network_is_trained_the_same_way(tmp_path: Path) -> None:
    fewer = {"epochs": 1, "coarse": 50, "drawn": 100, "junk": 100, "papers": 100}
    recipe = replace(RECIPES["robust", "large"], hold_out="nothing", **fewer)
    trained = train(TrainSettings(recipe=recipe, out=str(tmp_path / "large")))
    assert trained.card.architecture == "LargeNet"
    assert trained.records[0].test_accuracy > 0.9
    weights = torch.load(tmp_path / "large/bundle/digit_recognition_model.pt", weights_only=True)
    network = LargeNet()
    network.load_state_dict(weights["state_dict"])
    assert trained.card.scorecard["mnist:test"]["accuracy"] > 0.9


def test_more_workers_or_gpus_than_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs as many CPUs: this machine has 2"):
        train(TrainSettings(recipe=REPORT, out=str(tmp_path / "a"), workers=3))
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="needs as many GPUs: Ray has 0"):
            train(TrainSettings(recipe=REPORT, out=str(tmp_path / "b"), device="cuda"))
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("first_images")
def test_the_run_folder_may_be_behind_a_uri(s3_server: str, tmp_path: Path) -> None:
    """A bucket, and the workers with no other way to it than the URI."""
    account = "testing"
    store = fs.S3FileSystem(
        access_key=account,
        secret_key=account,
        endpoint_override=s3_server,
        scheme="http",
        allow_bucket_creation=True,
    )
    store.create_dir("runs")
    uri = f"s3://{account}:{account}@runs/first?scheme=http&endpoint_override={s3_server}"
    recipe = replace(REPORT, epochs=1)
    first = train(TrainSettings(recipe=recipe, out=uri))
    names = {i.path for i in store.get_file_info(fs.FileSelector("runs/first", recursive=True))}
    assert {
        "runs/first/bundle/card.json",
        "runs/first/bundle/model.onnx",
        "runs/first/checkpoints/epoch-0001/state.pt",
        "runs/first/log.jsonl",
        "runs/first/plots/loss.png",
        "runs/first/train.log",
    } <= names
    assert any(name.startswith("runs/first/tensorboard/events") for name in names)
    fs.copy_files("runs/first/bundle", str(tmp_path), source_filesystem=store)
    assert load_bundle(tmp_path).card.id == first.card.id
    with pytest.raises(InputError, match="holds a run already"):
        train(TrainSettings(recipe=recipe, out=uri))
    second = train(TrainSettings(recipe=replace(recipe, epochs=2), out=uri, resume=True))
    assert second.records[0] == first.records[0]
    assert second.records[1].train_loss < first.records[0].train_loss
    with store.open_input_stream("runs/first/log.jsonl") as stream:
        assert stream.read().count(b"\n") == 2
