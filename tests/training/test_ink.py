"""How the ink network learns: deterministic, whoever draws; loss, step size and measures."""

import json
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from digitrec.datasets.synthetic.ink_samples import draw_samples
from digitrec.datasets.synthetic.papers import TRAINED
from digitrec.datasets.synthetic.sets import draw_digits
from digitrec.model.ink_network import InkNet
from digitrec.training import ink
from digitrec.training.ink import (
    begin_ink,
    ink_loss,
    ink_rate_at,
    mark_quality,
    train_ink,
    train_ink_epoch,
    training_images,
    validation_digits,
)
from digitrec.training.ink_batches import INK, drawn_batches

IMAGES = draw_digits(40, 0)[0]
CPU = torch.device("cpu")
SHORT = replace(INK, batch_size=4, epochs=2, steps=3)


@pytest.mark.slow
def test_batches_are_the_same_however_many_processes_draw_them() -> None:
    one = list(drawn_batches(SHORT, IMAGES, 1))
    two = list(drawn_batches(SHORT, IMAGES, 2))
    later = list(drawn_batches(SHORT, IMAGES, 1, first_epoch=2))
    assert len(one) == len(two) == 6
    assert len({batch.scans.tobytes() for batch in one}) == 6
    for some, same in zip(one + one[3:], two + later, strict=True):
        assert (some.scans == same.scans).all()
        assert (some.marks == same.marks).all()


def test_a_network_learns_the_same_of_the_same_samples_and_learns() -> None:
    recipe = replace(INK, batch_size=12, epochs=1, steps=25)
    samples = draw_samples(12, [0], IMAGES, TRAINED)
    weights, losses = [], []
    for _ in range(2):
        network, optimizer = begin_ink(recipe, CPU)
        first = train_ink_epoch(network, optimizer, [samples], replace(recipe, steps=1), 1)
        network, optimizer = begin_ink(recipe, CPU)
        losses.append((first, train_ink_epoch(network, optimizer, repeat(samples, 25), recipe, 1)))
        weights.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
    assert torch.equal(*weights)
    assert losses[0] == losses[1]
    assert losses[0][1] < 0.8 * losses[0][0]


def test_certain_and_right_marks_cost_nothing_and_wrong_ones_much() -> None:
    target = torch.zeros(2, 64, 64, dtype=torch.bool)
    target[0, 20:40, 30:34] = True
    right = torch.where(target, 20.0, -20.0)
    written = torch.tensor([20.0, -20.0])
    assert ink_loss(right, written, target) < 0.01
    assert ink_loss(right, -written, target) > 1
    assert ink_loss(-right, written, target) > 10


def test_small_writing_that_is_missed_costs_more_than_its_pixels() -> None:
    target = torch.zeros(2, 64, 64, dtype=torch.bool)
    target[0, 30:34, 30:34] = True
    missed = torch.full((2, 64, 64), -6.0)
    assert ink_loss(missed, torch.tensor([20.0, -20.0]), target) > 0.1


def test_the_step_size_rises_and_then_falls_to_nearly_nothing() -> None:
    rates = [ink_rate_at(INK, progress) for progress in (0, 0.05, 0.5, 1)]
    assert rates[1] == pytest.approx(INK.learning_rate)
    assert rates[0] < rates[2] < rates[1]
    assert 0 < rates[3] < 0.01 * INK.learning_rate


def test_marks_are_measured_on_written_and_on_empty_scans() -> None:
    truth = np.zeros((4, 64, 64), bool)
    truth[:2, :20, :20] = True
    found = truth.copy()
    found[0, :20, 10:20] = False  # a half
    found[1] = False  # all of it
    found[2, :3, :5] = True  # a speck on an empty one
    found[3, :8, :8] = True  # a blot on the other
    measured = mark_quality(found, truth)
    assert measured.iou == 0.25
    assert measured.written_missed == 0.5
    assert measured.empty_marked == 0.5


def test_a_recipe_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match="steps must be 1 or more, not 0"):
        replace(INK, steps=0)


def test_what_is_measured_on_is_not_trained_on() -> None:
    trained, (measured, labels) = training_images(), validation_digits()
    assert (len(trained), len(measured), len(labels)) == (45_000, 5_000, 5_000)
    kept = {image.tobytes() for image in trained}
    assert sum(image.tobytes() in kept for image in measured) == 0


@pytest.mark.slow
def test_a_run_leaves_weights_a_network_that_runs_and_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ink, "MEASURED_SAMPLES", 16)
    train_ink(replace(SHORT, steps=1), tmp_path / "run", None, 1, CPU)
    InkNet().load_state_dict(torch.load(tmp_path / "run" / "ink.pt", weights_only=True))
    onnx = (tmp_path / "run" / "ink.onnx").read_bytes()
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    [marks] = session.run(["marks"], {"scans": np.zeros((1, 64, 64), np.uint8)})
    assert marks.shape == (1, 64, 64)
    log = json.loads((tmp_path / "run" / "log.json").read_text())
    assert [epoch["epoch"] for epoch in log["epochs"]] == [1, 2]
    assert 0 <= log["epochs"][1]["held back"]["iou"] <= 1
